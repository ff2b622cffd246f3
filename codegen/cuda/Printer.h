//===- Printer.h - Elementwise code and row reductions as CUDA C++ -*- C++ -*-===//
//
// Prints a kernel function in the normal form of codegen/host/Normalize.cpp (linalg.generic on
// tensors, buffers in and out) as the body of a CUDA kernel. It works backwards: what an element of
// an output is, as an expression of elements of the inputs. Nothing in between is stored; a
// reduction whose elements belong to rows is computed by all threads of a row together
// (kernels/rows.cuh), any other where it is needed, in a loop.
//
// A statement goes to the innermost block that its operands need: kernel, row, column, lane (one of
// the elements of a vector). So loads that all columns share are done once a row, and loads of
// neighbouring elements become one vector load.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "codegen/host/Kernel.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

#include <functional>
#include <list>
#include <map>
#include <optional>
#include <string>

namespace ingot::cuda {

/// Text between braces, with what is known inside of it.
struct CodeBlock {
  CodeBlock *parent = nullptr;
  unsigned depth = 0;
  std::string text;
  std::map<std::string, struct Scalar> known;
};

/// The value of one SSA value at one place.
struct Scalar {
  std::string text; // a name or a literal
  CodeBlock *home = nullptr;
  /// Of a column index in a lane block: the index is this text plus the lane. Empty otherwise.
  std::string contiguousBase;
  CodeBlock *contiguousHome = nullptr;
  /// Of an index: neighbouring threads have neighbouring values.
  bool neighbouring = false;
};
using Index = Scalar;

/// How the output elements are given to threads.
struct RowPlan {
  /// The leading dimensions of an output that make its rows; the rest are columns. Nothing: no
  /// rows, a thread an element.
  std::optional<unsigned> rowDims;
  /// Elements of a thread at a time, along the last axis.
  int vector = 1;
  /// All that is stored is rounded to 16 bits: functions of f32 need no more than that.
  bool shortFunctions = false;
};

/// What a printed kernel will cost, in coarse counts.
struct PrintedCosts {
  unsigned uncoalescedLoads = 0; // in loops, at addresses that neighbouring threads don't share
  unsigned serialReductions = 0;
  int64_t serialTerms = 0; // of an element's serial reductions; INT64_MAX where that is not known
  unsigned rowReductions = 0;
};

/// Overrides of how a buffer argument of the function is read or written.
struct BufferHooks {
  /// A read of one element at these indices, as an expression; null for a load from `name`.
  std::function<Scalar(class Printer &, llvm::ArrayRef<Index>)> read;
  /// Statements that store `value` at these indices of an output with these extents; null for a
  /// store to `name`. With `width` > 1 the value is a pack of so many elements from there on.
  std::function<void(class Printer &, llvm::ArrayRef<std::string> extents, llvm::ArrayRef<Index>,
                     const Scalar &value, int width)>
      write;
  std::string name;
};

class Printer {
public:
  /// `buffers` has an entry for every buffer argument of `func`, in order, `sizes` a name for every
  /// size argument.
  Printer(mlir::func::FuncOp func, const host::KernelAbi &abi, std::vector<BufferHooks> buffers,
          std::vector<std::string> sizes, RowPlan plan);

  /// Prints every output. False if something has no form here; then `getProblem()` says what.
  bool print();
  /// Prints the elements of every output at row `row` (an index over all dimensions but the last)
  /// and the columns from `column` on, as many as the plan's vector has: for epilogues of kernels
  /// that have their own loops. The outputs have `width` columns.
  bool printAt(const std::string &row, const std::string &column, int64_t width);

  const std::string &getText() const { return kernel.text; }
  const std::string &getProblem() const { return problem; }
  const PrintedCosts &getCosts() const { return costs; }

  //===--------------------------------------------------------------------===//
  // For hooks
  //===--------------------------------------------------------------------===//

  CodeBlock &getKernelBlock() { return kernel; }
  /// A new constant in the innermost of the operands' blocks.
  Scalar define(llvm::StringRef type, const std::string &expression,
                llvm::ArrayRef<const Scalar *> operands);
  void statement(CodeBlock *block, const std::string &text);
  CodeBlock *currentBlock() { return current; }
  Scalar literal(const std::string &text) { return {text, &kernel, {}, nullptr, false}; }
  CodeBlock *deepest(llvm::ArrayRef<const Scalar *> operands);
  /// Reads element `indices` of the function's buffer argument `buffer`.
  Scalar readBuffer(unsigned buffer, mlir::RankedTensorType viewType,
                    llvm::ArrayRef<std::string> extents, llvm::ArrayRef<Index> indices);
  /// Elements of a thread at a time.
  int getVector() const { return plan.vector; }
  std::string getBufferExtent(unsigned buffer, unsigned dim) { return bufferExtent(buffer, dim); }
  /// Row-major offset.
  Scalar linearize(llvm::ArrayRef<std::string> extents, llvm::ArrayRef<Index> indices);

  /// "float", "ingot::bf16", …; empty if the type has no form here.
  static std::string typeName(mlir::Type type);

private:
  struct Instance;

  Scalar fail(const std::string &what);
  bool ok() const { return problem.empty(); }

  // Extents and scalars.
  std::string extent(mlir::Value tensor, unsigned dim);
  std::vector<std::string> extents(mlir::Value tensor);
  std::string bufferExtent(unsigned buffer, unsigned dim);
  Scalar evaluate(mlir::Value value, Instance *instance);
  Scalar evaluateOp(mlir::Operation *op, unsigned result, Instance *instance);
  Scalar evaluateIf(mlir::Operation *op, unsigned result, Instance *instance);
  Scalar evaluateFor(mlir::Operation *op, unsigned result, Instance *instance);
  Scalar evaluateApply(mlir::AffineExpr expr, llvm::ArrayRef<Scalar> dims,
                       llvm::ArrayRef<Scalar> symbols);

  // Tensors.
  Scalar read(mlir::Value tensor, llvm::ArrayRef<Index> indices);
  Scalar readGeneric(mlir::linalg::GenericOp op, unsigned result, llvm::ArrayRef<Index> indices);
  Scalar readReduction(mlir::linalg::GenericOp op, unsigned result, llvm::ArrayRef<Index> indices);
  Scalar readGuarded(const Scalar &condition, mlir::Type type, const std::function<Scalar()> &then,
                     const std::function<Scalar()> &otherwise);
  Scalar cooperativeReduction(Instance &instance, unsigned result, mlir::Operation *combiner,
                              mlir::Value term);
  Scalar serialReduction(Instance &instance, unsigned result);
  std::optional<std::pair<unsigned, mlir::Value>> findBuffer(mlir::Value tensor);

  // Outputs.
  struct Output {
    mlir::Value value;
    unsigned buffer;
  };
  std::vector<Output> collectOutputs();
  void printGroup(llvm::ArrayRef<Output> outputs);
  void printElements(llvm::ArrayRef<Output> outputs, llvm::ArrayRef<Index> rowIndices,
                     unsigned rowDims);
  std::vector<Index> delinearize(const std::string &name, CodeBlock *home,
                                 llvm::ArrayRef<std::string> extents);

  // Blocks.
  CodeBlock *open(CodeBlock *parent);
  /// Puts `block` into its parent between `head` and `tail`.
  void close(CodeBlock *block, const std::string &head, const std::string &tail);
  std::string fresh(const char *prefix) { return prefix + std::to_string(names++); }

  mlir::func::FuncOp func;
  const host::KernelAbi &abi;
  std::vector<BufferHooks> buffers;
  std::vector<std::string> sizes;
  RowPlan plan;
  PrintedCosts costs;
  std::string problem;

  std::list<CodeBlock> blocks;
  CodeBlock kernel;
  CodeBlock *current = nullptr;
  CodeBlock *row = nullptr;     // the row block, where there is one
  CodeBlock *column = nullptr;  // the block of the column loop being printed
  CodeBlock *barrier = nullptr; // no statement may go to a block outside of this one
  unsigned names = 0;
  /// The conditions under which what is printed is evaluated, and `barrier` outside of them.
  std::vector<Scalar> guards;
  CodeBlock *beforeGuards = nullptr;
  /// By the name of what was rounded to 16 bits: what it was in f32.
  std::map<std::string, Scalar> unrounded;
};

} // namespace ingot::cuda
