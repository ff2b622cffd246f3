//===- Terminal.h - Messages and progress on standard error ------*- C++ -*-===//
//
// Colours and the progress line appear only where stderr is a terminal; NO_COLOR (any value but the
// empty one) turns colours off, as does TERM=dumb.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <string_view>

namespace ingot::cli {

class Terminal {
public:
  static Terminal &standardError();

  void error(std::string_view message) { print("error", "\033[1;31m", message); }
  void warning(std::string_view message) { print("warning", "\033[1;33m", message); }
  void note(std::string_view message) { print("note", "\033[1m", message); }

  /// Shows "[2/5] fuse" in place; nothing where stderr is no terminal.
  void progress(unsigned step, unsigned steps, std::string_view what);
  /// Shows "[generating] 12 tokens" in place.
  void progressText(std::string_view label, std::string_view what);
  void clearProgress();

  bool isTerminal() const { return isTerminal_; }

private:
  Terminal();
  void print(std::string_view kind, std::string_view color, std::string_view message);

  bool isTerminal_ = false;
  bool colors_ = false;
  bool progressShown_ = false;
};

} // namespace ingot::cli
