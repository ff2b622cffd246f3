//===- Flags.h - A small command-line parser ----------------------*- C++ -*-===//
//
// "--name value", "--name=value", "--switch", positional arguments, "--" before arguments that
// begin with dashes. All errors are Usage and name the flag.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/support/Status.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace ingot::commands {

class Flags {
public:
  /// A flag that is there or not; may be repeated.
  void addSwitch(std::string name, std::function<void()> set);
  void addSwitch(std::string name, bool &value);
  /// Flags with a value; the last one wins, except for lists.
  void add(std::string name, std::string &value);
  void add(std::string name, std::vector<std::string> &values);
  void add(std::string name, uint64_t &value, uint64_t least, uint64_t most);
  void add(std::string name, std::optional<uint64_t> &value, uint64_t least, uint64_t most);
  void add(std::string name, std::optional<double> &value);
  /// "1,2,3"; repeated flags append.
  void add(std::string name, std::vector<int64_t> &values);
  /// A required positional argument, in order.
  void addPositional(std::string name, std::string &value);

  Status parse(std::span<const std::string> arguments) const;

private:
  struct Flag {
    std::string name;
    bool hasValue;
    std::function<Status(const std::string &)> set;
  };
  struct Positional {
    std::string name;
    std::string *value;
  };

  const Flag *find(const std::string &name) const;
  std::string names() const;

  std::vector<Flag> flags_;
  std::vector<Positional> positionals_;
};

} // namespace ingot::commands
