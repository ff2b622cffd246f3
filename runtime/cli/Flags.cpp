//===- Flags.cpp ------------------------------------------------*- C++ -*-===//
#include "runtime/cli/Flags.h"

#include "runtime/cli/Arguments.h"
#include "runtime/support/Text.h"

#include <charconv>

namespace ingot::commands {

static Status usage(std::string message) { return Status(ExitCode::Usage, std::move(message)); }

static Status readUnsigned(const std::string &name, const std::string &argument, uint64_t least,
                           uint64_t most, uint64_t &value) {
  const char *end = argument.data() + argument.size();
  uint64_t read = 0;
  auto result = std::from_chars(argument.data(), end, read);
  if (argument.empty() || result.ec != std::errc() || result.ptr != end || read < least ||
      read > most)
    return usage(
        text(name, ": expected a number from ", least, " to ", most, ", got ", quoted(argument)));
  value = read;
  return {};
}

void Flags::addSwitch(std::string name, std::function<void()> set) {
  flags_.push_back({std::move(name), false, [set = std::move(set)](const std::string &) {
                      set();
                      return Status();
                    }});
}

void Flags::addSwitch(std::string name, bool &value) {
  addSwitch(std::move(name), [&value] { value = true; });
}

void Flags::add(std::string name, std::string &value) {
  flags_.push_back({std::move(name), true, [&value](const std::string &argument) {
                      value = argument;
                      return Status();
                    }});
}

void Flags::add(std::string name, std::vector<std::string> &values) {
  flags_.push_back({std::move(name), true, [&values](const std::string &argument) {
                      values.push_back(argument);
                      return Status();
                    }});
}

void Flags::add(std::string name, uint64_t &value, uint64_t least, uint64_t most) {
  flags_.push_back({name, true, [=, &value](const std::string &argument) {
                      return readUnsigned(name, argument, least, most, value);
                    }});
}

void Flags::add(std::string name, std::optional<uint64_t> &value, uint64_t least, uint64_t most) {
  flags_.push_back({name, true, [=, &value](const std::string &argument) {
                      uint64_t read = 0;
                      Status status = readUnsigned(name, argument, least, most, read);
                      if (status.ok())
                        value = read;
                      return status;
                    }});
}

void Flags::add(std::string name, std::optional<double> &value) {
  flags_.push_back({name, true, [=, &value](const std::string &argument) {
                      const char *end = argument.data() + argument.size();
                      double read = 0;
                      auto result = std::from_chars(argument.data(), end, read);
                      if (argument.empty() || result.ec != std::errc() || result.ptr != end)
                        return usage(text(name, ": expected a number, got ", quoted(argument)));
                      value = read;
                      return Status();
                    }});
}

void Flags::add(std::string name, std::vector<int64_t> &values) {
  flags_.push_back({name, true, [=, &values](const std::string &argument) {
                      auto read = parseIntegers(argument);
                      if (!read.ok())
                        return read.status().withContext(name + ": ");
                      values.insert(values.end(), read->begin(), read->end());
                      return Status();
                    }});
}

void Flags::addPositional(std::string name, std::string &value) {
  positionals_.push_back({std::move(name), &value});
}

const Flags::Flag *Flags::find(const std::string &name) const {
  for (const Flag &flag : flags_)
    if (flag.name == name)
      return &flag;
  return nullptr;
}

std::string Flags::names() const {
  std::string out;
  for (const Flag &flag : flags_)
    out += (out.empty() ? "" : " ") + flag.name;
  return out;
}

Status Flags::parse(std::span<const std::string> arguments) const {
  size_t positional = 0;
  bool onlyPositional = false;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string &argument = arguments[i];
    if (!onlyPositional && argument == "--") {
      onlyPositional = true;
      continue;
    }
    if (onlyPositional || argument.size() < 2 || argument[0] != '-') {
      if (positional == positionals_.size())
        return usage(text("unexpected argument ", quoted(argument)));
      *positionals_[positional++].value = argument;
      continue;
    }
    size_t equals = argument.find('=');
    std::string name = argument.substr(0, equals);
    const Flag *flag = find(name);
    if (!flag)
      return usage(text("unknown flag ", quoted(name), "; the flags are ", names()));
    std::string value;
    if (equals != std::string::npos) {
      if (!flag->hasValue)
        return usage(text(name, " takes no value"));
      value = argument.substr(equals + 1);
    } else if (flag->hasValue) {
      if (++i == arguments.size())
        return usage(text(name, ": expected a value behind it"));
      value = arguments[i];
    }
    if (Status status = flag->set(value); !status.ok())
      return status;
  }
  if (positional != positionals_.size())
    return usage(text("expected ", positionals_[positional].name));
  return {};
}

} // namespace ingot::commands
