//===- Diagnostics.cpp - MLIR diagnostics become a Status ------------------===//

#include "compiler/Diagnostics.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Location.h"
#include "mlir/IR/Remarks.h"
#include "passes/Passes.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace ingot {

/// What a person can read; a model with a mistake in every layer must not scroll for pages.
static constexpr size_t mostRemarks = 200;
static constexpr size_t longestMessage = 4000;

namespace {
/// Hands the remarks of passes ("not fused because ...") to the collector.
class RemarkStreamer : public remark::detail::MLIRRemarkStreamerBase {
public:
  explicit RemarkStreamer(std::function<void(const remark::detail::Remark &)> sink)
      : sink(std::move(sink)) {}
  void streamOptimizationRemark(const remark::detail::Remark &remark) override { sink(remark); }

private:
  std::function<void(const remark::detail::Remark &)> sink;
};
} // namespace

std::string describeLocation(Location location) {
  return llvm::TypeSwitch<LocationAttr, std::string>(location)
      .Case<NameLoc>([](NameLoc name) { return name.getName().str(); })
      .Case<FileLineColLoc>([](FileLineColLoc file) {
        return file.getFilename().str() + ":" + std::to_string(file.getLine()) + ":" +
               std::to_string(file.getColumn());
      })
      .Case<CallSiteLoc>([](CallSiteLoc call) { return describeLocation(call.getCallee()); })
      .Case<FusedLoc>([](FusedLoc fused) {
        std::string text;
        for (Location part : fused.getLocations()) {
          std::string one = describeLocation(part);
          if (!one.empty() && text.size() < 200)
            text += (text.empty() ? "" : ", ") + one;
        }
        return text;
      })
      .Default([](LocationAttr) { return std::string(); });
}

static std::string located(Location location, std::string message) {
  std::string where = describeLocation(location);
  if (message.size() > longestMessage)
    message = message.substr(0, longestMessage) + " …";
  return where.empty() ? message : where + ": " + message;
}

static ExitCode codeOf(llvm::StringRef message) {
  if (message.starts_with(kUnsupportedPrefix))
    return ExitCode::Unsupported;
  if (message.starts_with(kUsagePrefix))
    return ExitCode::Usage;
  if (message.starts_with(kOutOfResourcesPrefix))
    return ExitCode::OutOfResources;
  return ExitCode::Internal;
}

DiagnosticCollector::DiagnosticCollector(MLIRContext &context, bool allRemarks) : context(context) {
  handler = context.getDiagEngine().registerHandler([this](Diagnostic &diagnostic) {
    report(diagnostic);
    return success();
  });
  remark::RemarkCategories categories;
  // What was done is in the IR; what was not done, and why, is for a person. On request both are.
  if (allRemarks)
    categories.passed = ".*";
  categories.missed = ".*";
  categories.failed = ".*";
  auto streamer = std::make_unique<RemarkStreamer>([this](const remark::detail::Remark &remark) {
    std::lock_guard<std::mutex> lock(mutex);
    if (remark.getRemarkType() != llvm::remarks::Type::Passed)
      ++missedCount;
    if (remarks.size() < mostRemarks)
      remarks.push_back(located(remark.getLocation(), remark.getMsg()));
  });
  // Without an engine remarks are dropped, which is no reason not to compile.
  (void)remark::enableOptimizationRemarks(context, std::move(streamer),
                                          std::make_unique<remark::RemarkEmittingPolicyAll>(),
                                          categories);
}

DiagnosticCollector::~DiagnosticCollector() {
  context.setRemarkEngine(nullptr);
  context.getDiagEngine().eraseHandler(handler);
}

void DiagnosticCollector::report(Diagnostic &diagnostic) {
  std::string text = located(diagnostic.getLocation(), diagnostic.str());
  for (const Diagnostic &note : diagnostic.getNotes()) {
    std::string line = located(note.getLocation(), note.str());
    if (text.size() + line.size() < longestMessage)
      text += "\n  note: " + line;
  }
  std::lock_guard<std::mutex> lock(mutex);
  if (diagnostic.getSeverity() == DiagnosticSeverity::Error)
    errors.push_back(Status(codeOf(diagnostic.str()), std::move(text)));
  else if (remarks.size() < mostRemarks)
    remarks.push_back(std::move(text));
}

Status DiagnosticCollector::takeError(const std::string &otherwise) {
  std::lock_guard<std::mutex> lock(mutex);
  if (errors.empty())
    return Status(ExitCode::Internal, otherwise);
  Status first = errors.front();
  std::string text = first.message();
  if (errors.size() > 1)
    text += "\n  (and " + std::to_string(errors.size() - 1) + " more)";
  errors.clear();
  return Status(first.code(), std::move(text));
}

void DiagnosticCollector::addRemark(std::string line) {
  std::lock_guard<std::mutex> lock(mutex);
  if (remarks.size() < mostRemarks)
    remarks.push_back(std::move(line));
}

std::vector<std::string> DiagnosticCollector::takeRemarks() {
  std::lock_guard<std::mutex> lock(mutex);
  return std::move(remarks);
}

} // namespace ingot
