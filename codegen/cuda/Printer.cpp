//===- Printer.cpp - Blocks, outputs and loops ------------------------------===//
#include "codegen/cuda/Printer.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::cuda;

Printer::Printer(func::FuncOp func, const host::KernelAbi &abi, std::vector<BufferHooks> buffers,
                 std::vector<std::string> sizes, RowPlan plan)
    : func(func), abi(abi), buffers(std::move(buffers)), sizes(std::move(sizes)), plan(plan) {
  kernel.depth = 1;
  current = &kernel;
}

std::string Printer::typeName(Type type) {
  if (type.isF32())
    return "float";
  if (type.isF64())
    return "double";
  if (type.isF16())
    return "ingot::f16";
  if (type.isBF16())
    return "ingot::bf16";
  if (type.isInteger(1))
    return "bool";
  if (type.isInteger(8))
    return type.isUnsignedInteger() ? "ingot::u8" : "ingot::i8";
  if (type.isInteger(32))
    return "ingot::i32";
  if (type.isInteger(64) || type.isIndex())
    return "ingot::i64";
  return {};
}

Scalar Printer::fail(const std::string &what) {
  if (problem.empty())
    problem = what;
  return literal("0");
}

//===----------------------------------------------------------------------===//
// Blocks
//===----------------------------------------------------------------------===//

CodeBlock *Printer::open(CodeBlock *parent) {
  CodeBlock &block = blocks.emplace_back();
  block.parent = parent;
  block.depth = parent->depth + 1;
  current = &block;
  return current;
}

void Printer::close(CodeBlock *block, const std::string &head, const std::string &tail) {
  std::string indent(block->parent->depth * 2, ' ');
  block->parent->text += indent + head + "\n" + block->text + indent + tail + "\n";
  current = block->parent;
}

void Printer::statement(CodeBlock *block, const std::string &text) {
  block->text += std::string(block->depth * 2, ' ') + text + "\n";
}

CodeBlock *Printer::deepest(ArrayRef<const Scalar *> operands) {
  CodeBlock *home = barrier ? barrier : &kernel;
  for (const Scalar *operand : operands)
    if (operand->home && operand->home->depth > home->depth)
      home = operand->home;
  return home;
}

Scalar Printer::define(StringRef type, const std::string &expression,
                       ArrayRef<const Scalar *> operands) {
  CodeBlock *home = deepest(operands);
  std::string key = type.str() + " " + expression;
  for (CodeBlock *block = current; block; block = block->parent)
    if (auto it = block->known.find(key); it != block->known.end())
      return it->second;
  std::string name = fresh("t");
  statement(home, "const " + type.str() + " " + name + " = " + expression + ";");
  Scalar result{name, home, {}, nullptr, false};
  home->known[key] = result;
  return result;
}

//===----------------------------------------------------------------------===//
// Outputs
//===----------------------------------------------------------------------===//

/// The function's argument behind reshapes of a buffer.
static BlockArgument stripBufferReshapes(Value buffer) {
  for (;;) {
    if (auto collapse = buffer.getDefiningOp<memref::CollapseShapeOp>())
      buffer = collapse.getSrc();
    else if (auto expand = buffer.getDefiningOp<memref::ExpandShapeOp>())
      buffer = expand.getSrc();
    else if (auto cast = buffer.getDefiningOp<memref::CastOp>())
      buffer = cast.getSource();
    else
      return dyn_cast<BlockArgument>(buffer);
  }
}

std::vector<Printer::Output> Printer::collectOutputs() {
  std::vector<Output> outputs;
  func.walk([&](bufferization::MaterializeInDestinationOp op) {
    BlockArgument buffer = stripBufferReshapes(op.getDest());
    if (!buffer)
      fail("an output is written to something that is no buffer of the kernel");
    else
      outputs.push_back({op.getSource(), buffer.getArgNumber()});
  });
  return outputs;
}

std::vector<Index> Printer::delinearize(const std::string &name, CodeBlock *home,
                                        ArrayRef<std::string> dims) {
  std::vector<Index> indices(dims.size());
  Scalar rest{name, home, {}, nullptr, false};
  for (size_t i = dims.size(); i-- > 1;) {
    Scalar divisor = literal(dims[i]);
    indices[i] = define("ingot::i64", rest.text + " % " + dims[i], {&rest, &divisor});
    rest = define("ingot::i64", rest.text + " / " + dims[i], {&rest, &divisor});
  }
  if (!dims.empty()) {
    indices[0] = rest;
    indices.back().neighbouring = home != row;
  }
  return indices;
}

static std::string product(ArrayRef<std::string> factors) {
  std::string text;
  for (const std::string &factor : factors)
    text += (text.empty() ? "" : " * ") + factor;
  return text.empty() ? "1" : text;
}

bool Printer::print() {
  std::vector<Output> outputs = collectOutputs();
  // Outputs of one shape are made together.
  std::vector<bool> done(outputs.size());
  for (size_t i = 0; i < outputs.size() && ok(); ++i) {
    if (done[i])
      continue;
    std::vector<std::string> shape = extents(outputs[i].value);
    std::vector<Output> group;
    for (size_t j = i; j < outputs.size(); ++j)
      if (!done[j] && extents(outputs[j].value) == shape) {
        group.push_back(outputs[j]);
        done[j] = true;
      }
    printGroup(group);
  }
  return ok();
}

void Printer::printGroup(ArrayRef<Output> outputs) {
  std::vector<std::string> shape = extents(outputs.front().value);
  unsigned rank = shape.size();
  if (!plan.rowDims) {
    // A thread an element (or a vector of them).
    std::string i = fresh("i");
    CodeBlock *body = open(&kernel);
    column = body;
    std::vector<Index> indices;
    if (rank == 0) {
      printElements(outputs, {}, 0);
    } else {
      indices = delinearize(i, body, shape);
      printElements(outputs, indices, rank);
    }
    close(body,
          "ingot::for_each_element<Config, " + std::to_string(plan.vector) + ">(" + product(shape) +
              ", [&](const ingot::i64 " + i + ") {",
          "});");
    column = nullptr;
    return;
  }
  unsigned rowDims = std::min<unsigned>(*plan.rowDims, rank);
  std::string r = fresh("row");
  ArrayRef<std::string> rowShape = ArrayRef(shape).take_front(rowDims);
  CodeBlock *body = row = open(&kernel);
  std::vector<Index> rowIndices;
  if (rowDims)
    rowIndices = delinearize(r, body, rowShape);
  printElements(outputs, rowIndices, rowDims);
  close(body,
        "ingot::for_each_row<Config>(" + product(rowShape) + ", [&](const ingot::i64 " + r + ") {",
        "});");
  row = nullptr;
}

/// Prints the elements of a row (its columns), or, if all dimensions are given, one vector of them.
void Printer::printElements(ArrayRef<Output> outputs, ArrayRef<Index> given, unsigned givenDims) {
  std::vector<std::string> shape = extents(outputs.front().value);
  unsigned rank = shape.size();
  bool wholeElement = givenDims == rank;
  std::vector<Index> indices(given.begin(), given.end());
  CodeBlock *outer = current;
  std::string j;
  if (!wholeElement) {
    j = fresh("j");
    column = open(outer);
    std::vector<Index> columns = delinearize(j, column, ArrayRef(shape).drop_front(givenDims));
    indices.insert(indices.end(), columns.begin(), columns.end());
  }
  CodeBlock *vectorBlock = current;
  bool inRow = wholeElement && row;
  CodeBlock *lane = vectorBlock;
  std::string v;
  if (plan.vector > 1 && !inRow) {
    v = fresh("v");
    lane = open(vectorBlock);
    Index base = indices.back();
    indices.back() = {"(" + base.text + " + " + v + ")", lane, base.text, vectorBlock, true};
  } else if (inRow) {
    lane = open(vectorBlock);
  }
  struct Store {
    std::string buffer, pack;
    Scalar offset;
    const Output *hooked = nullptr; // written by its buffer's hook
  };
  std::vector<Store> stores;
  for (const Output &output : outputs) {
    if (!ok())
      return;
    Type element = cast<RankedTensorType>(output.value.getType()).getElementType();
    std::string type = typeName(element);
    BufferHooks &hooks = buffers[output.buffer];
    CodeBlock *before = barrier;
    Scalar value = read(output.value, indices);
    barrier = lane == vectorBlock ? before : lane;
    if (hooks.write && v.empty()) {
      hooks.write(*this, extents(output.value), indices, value, 1);
    } else if (!v.empty()) {
      std::string pack = fresh("out");
      std::vector<Index> bases = indices;
      bases.back() = {indices.back().contiguousBase, vectorBlock, {}, nullptr, false};
      barrier = before;
      Scalar offset = hooks.write ? literal("0") : linearize(extents(output.value), bases);
      statement(vectorBlock,
                "ingot::Pack<" + type + ", " + std::to_string(plan.vector) + "> " + pack + ";");
      statement(lane, pack + "[" + v + "] = " + value.text + ";");
      stores.push_back({hooks.name, pack, offset, hooks.write ? &output : nullptr});
    } else {
      barrier = before;
      Scalar offset = linearize(extents(output.value), indices);
      statement(lane, hooks.name + "[" + offset.text + "] = " + value.text + ";");
    }
    barrier = before;
  }
  if (!v.empty())
    close(lane,
          "#pragma unroll\n" + std::string(vectorBlock->depth * 2, ' ') + "for (int " + v +
              " = 0; " + v + " < " + std::to_string(plan.vector) + "; ++" + v + ") {",
          "}");
  else if (inRow)
    close(lane, "if (ingot::is_row_leader<Config>()) {", "}");
  for (const Store &store : stores) {
    if (!store.hooked) {
      statement(vectorBlock, "ingot::store_pack(" + store.buffer + " + " + store.offset.text +
                                 ", " + store.pack + ");");
      continue;
    }
    std::vector<Index> bases = indices;
    bases.back() = {indices.back().contiguousBase, vectorBlock, {}, nullptr, false};
    buffers[store.hooked->buffer].write(*this, extents(store.hooked->value), bases,
                                        {store.pack, vectorBlock, {}, nullptr, false}, plan.vector);
  }
  if (!wholeElement) {
    close(column,
          "ingot::for_each_column<Config, " + std::to_string(plan.vector) + ">(" +
              product(ArrayRef(shape).drop_front(givenDims)) + ", [&](const ingot::i64 " + j +
              ") {",
          "});");
    column = nullptr;
  }
}

bool Printer::printAt(const std::string &rowName, const std::string &columnName, int64_t width) {
  std::vector<Output> outputs = collectOutputs();
  if (outputs.empty())
    fail("it has no outputs");
  if (!ok())
    return false;
  std::vector<std::string> shape = extents(outputs.front().value);
  for (const Output &output : outputs)
    if (extents(output.value) != shape || shape.empty())
      fail("its outputs have several shapes");
  if (ok() && (shape.size() < 2 || shape.back() != std::to_string(width)))
    fail("the columns of its outputs are not " + std::to_string(width));
  if (!ok())
    return false;
  std::vector<Index> indices = delinearize(rowName, &kernel, ArrayRef(shape).drop_back());
  for (Index &index : indices)
    index.neighbouring = false;
  indices.push_back({columnName, &kernel, {}, nullptr, true});
  printElements(outputs, indices, shape.size());
  return ok();
}
