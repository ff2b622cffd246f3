//===- Diagnostics.h - MLIR diagnostics become a Status ----------*- C++ -*-===//
#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/MLIRContext.h"
#include "runtime/support/Status.h"

namespace ingot {

/// Catches what passes report for as long as it lives: errors are kept for takeError(), warnings
/// and remarks (those of mlir::remark too) are kept as lines for a person. Passes run on several
/// threads; this may be called from any.
class DiagnosticCollector {
public:
  /// `allRemarks`: keep remarks about what passes did, too.
  explicit DiagnosticCollector(mlir::MLIRContext &context, bool allRemarks = false);
  ~DiagnosticCollector();

  /// The first error with its location and notes; how many more there were is said. The exit code
  /// is what the pass asked for with the prefixes of passes/Passes.h, else Internal. The errors are
  /// forgotten. `otherwise` is the message where nothing was reported.
  Status takeError(const std::string &otherwise);

  void addRemark(std::string line);
  /// Remarks about a path that was not taken, counted among the remarks.
  size_t missed() const { return missedCount; }
  std::vector<std::string> takeRemarks();

private:
  void report(mlir::Diagnostic &diagnostic);

  mlir::MLIRContext &context;
  mlir::DiagnosticEngine::HandlerID handler;
  std::mutex mutex;
  std::vector<Status> errors;
  std::vector<std::string> remarks;
  size_t missedCount = 0;
};

/// A location for a person: the Hugging Face module path that the importer named the op by, or
/// file:line:column; "" if it is unknown.
std::string describeLocation(mlir::Location location);

} // namespace ingot
