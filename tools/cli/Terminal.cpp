//===- Terminal.cpp - Messages and progress on standard error --------------===//

#include "tools/cli/Terminal.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <unistd.h>

namespace ingot::cli {

Terminal &Terminal::standardError() {
  static Terminal terminal;
  return terminal;
}

Terminal::Terminal() {
  const char *noColor = getenv("NO_COLOR");
  const char *term = getenv("TERM");
  bool dumb = !term || strcmp(term, "dumb") == 0;
  isTerminal_ = isatty(STDERR_FILENO) && !dumb;
  colors_ = isTerminal_ && !(noColor && *noColor);
}

void Terminal::print(std::string_view kind, std::string_view color, std::string_view message) {
  clearProgress();
  fprintf(stderr, "ingot: %.*s%.*s:%s %.*s\n", colors_ ? int(color.size()) : 0, color.data(),
          int(kind.size()), kind.data(), colors_ ? "\033[0m" : "", int(message.size()),
          message.data());
}

void Terminal::progress(unsigned step, unsigned steps, std::string_view what) {
  progressText(std::to_string(step) + "/" + std::to_string(steps), what);
}

void Terminal::progressText(std::string_view label, std::string_view what) {
  if (!isTerminal_)
    return;
  fprintf(stderr, "\r\033[K%s[%.*s]%s %.*s ", colors_ ? "\033[1;32m" : "", int(label.size()),
          label.data(), colors_ ? "\033[0m" : "", int(what.size()), what.data());
  fflush(stderr);
  progressShown_ = true;
}

void Terminal::clearProgress() {
  if (!progressShown_)
    return;
  fputs("\r\033[K", stderr);
  fflush(stderr);
  progressShown_ = false;
}

} // namespace ingot::cli
