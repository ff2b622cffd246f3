//===- Cli.h - The commands of `ingot` ---------------------------*- C++ -*-===//
//
// One file a command. A command adds its subcommand with options, help and examples, and sets
// `Invocation::action`; main parses, runs the action and turns its Status into the exit code.
// stdout carries the result, stderr the log.
//
//===----------------------------------------------------------------------===//
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include <CLI/CLI.hpp>

#include "runtime/support/Status.h"

namespace ingot {
struct CompileOptions;
struct CompileReport;
} // namespace ingot

namespace ingot::cli {

struct Invocation {
  /// What to do once the command line is understood.
  std::function<Status()> action;
  /// The command was given --json: errors go to stdout as JSON too.
  bool json = false;
};

void addBenchCommand(CLI::App &app, Invocation &invocation);
void addCompileCommand(CLI::App &app, Invocation &invocation);
void addRunCommand(CLI::App &app, Invocation &invocation);
void addGenerateCommand(CLI::App &app, Invocation &invocation);
void addInspectCommand(CLI::App &app, Invocation &invocation);
void addExtractCommand(CLI::App &app, Invocation &invocation);
void addTuneCommand(CLI::App &app, Invocation &invocation);
void addVerifyCommand(CLI::App &app, Invocation &invocation);

/// Checks for options: a text that is there, a number without a sign (CLI11 wraps -1 around).
CLI::Validator notEmpty();
CLI::Validator notNegative();

/// Adds --json to a command.
void addJsonFlag(CLI::App &command, Invocation &invocation);

/// Prints an error to stderr, and with --json as an object to stdout; returns the exit code.
int reportError(const Status &status, bool json);

/// compile(), with its progress and then its remarks on stderr.
Status compileShown(const CompileOptions &options, CompileReport &report);

/// Writes the result of a command to stdout; a closed or full stdout is an error.
Status writeResult(std::string_view text);

/// "1.5 MiB"; exact below 1 KiB.
std::string formatBytes(uint64_t bytes);

/// Reads "4096", "512M", "2.5GiB" (powers of 1024).
Result<uint64_t> parseBytes(std::string_view text);

} // namespace ingot::cli
