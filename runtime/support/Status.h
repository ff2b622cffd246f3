//===- Status.h - Error values shared by compiler and runtime ----*- C++ -*-===//
//
// Every error of Ingot carries the exit code that the process ends with and one message that says
// what, where (file, tensor, offset), what was expected, what was got, and what to do.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <cassert>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace ingot {

/// Process exit codes; also the values of the C API's `ingot_status`.
enum class ExitCode : int {
  Ok = 0,
  Internal = 1,
  Usage = 2,
  MalformedInput = 3,
  Unsupported = 4,
  AccuracyMismatch = 5,
  Integrity = 6,
  DeviceMismatch = 7,
  OutOfResources = 8,
};

/// Success, or an exit code with a message for a person.
class [[nodiscard]] Status {
public:
  Status() = default;
  Status(ExitCode code, std::string message) : code_(code), message_(std::move(message)) {}

  bool ok() const { return code_ == ExitCode::Ok; }
  ExitCode code() const { return code_; }
  const std::string &message() const { return message_; }

  /// Returns this error with `prefix` ("FILE: ") put before its message.
  Status withContext(const std::string &prefix) const {
    return ok() ? *this : Status(code_, prefix + message_);
  }

private:
  ExitCode code_ = ExitCode::Ok;
  std::string message_;
};

/// A value, or the error that prevented it. Test with `ok()` before `*`.
template <typename T> class [[nodiscard]] Result {
public:
  Result(T value) : storage_(std::in_place_index<0>, std::move(value)) {}
  Result(Status status) : storage_(std::in_place_index<1>, std::move(status)) {
    assert(!std::get<1>(storage_).ok() && "a Result without a value needs an error");
  }

  bool ok() const { return storage_.index() == 0; }
  Status status() const { return ok() ? Status() : std::get<1>(storage_); }

  T &operator*() & { return std::get<0>(storage_); }
  const T &operator*() const & { return std::get<0>(storage_); }
  T &&operator*() && { return std::get<0>(std::move(storage_)); }
  T *operator->() { return &std::get<0>(storage_); }
  const T *operator->() const { return &std::get<0>(storage_); }

private:
  std::variant<T, Status> storage_;
};

} // namespace ingot
