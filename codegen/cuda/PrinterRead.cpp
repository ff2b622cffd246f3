//===- PrinterRead.cpp - Elements of tensors as expressions -----------------===//
#include "codegen/cuda/PrinterInstance.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Matchers.h"

#include "llvm/ADT/ScopeExit.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::cuda;

//===----------------------------------------------------------------------===//
// Extents
//===----------------------------------------------------------------------===//

std::string Printer::bufferExtent(unsigned buffer, unsigned dim) {
  auto type = cast<MemRefType>(func.getArgument(buffer).getType());
  if (!type.isDynamicDim(dim))
    return std::to_string(type.getDimSize(dim));
  const host::GridSize *extent = host::extentOf(func.getArgument(buffer), abi, dim);
  std::string text;
  for (int64_t size : extent->sizes)
    text += (text.empty() ? "" : " * ") + sizes[size];
  if (text.empty())
    text = "1";
  if (extent->factor != 1)
    text += " * " + std::to_string(extent->factor);
  if (extent->divisor != 1)
    text = "ingot::ceil_div<ingot::i64>(" + text + ", " + std::to_string(extent->divisor) + ")";
  else if (extent->sizes.size() == 1 && extent->factor == 1)
    return text;
  CodeBlock *before = barrier;
  barrier = nullptr;
  std::string name = define("ingot::i64", text, {}).text;
  barrier = before;
  return name;
}

std::string Printer::extent(Value tensor, unsigned dim) {
  auto type = cast<RankedTensorType>(tensor.getType());
  if (!type.isDynamicDim(dim))
    return std::to_string(type.getDimSize(dim));
  CodeBlock *before = barrier;
  barrier = nullptr;
  llvm::scope_exit restore([&] { barrier = before; });
  auto dynamic = [&](OpFoldResult size) -> std::string {
    if (std::optional<int64_t> constant = getConstantIntValue(size))
      return std::to_string(*constant);
    return evaluate(cast<Value>(size), nullptr).text;
  };
  Operation *op = tensor.getDefiningOp();
  if (auto empty = dyn_cast_or_null<tensor::EmptyOp>(op))
    return dynamic(empty.getMixedSizes()[dim]);
  if (auto generic = dyn_cast_or_null<linalg::LinalgOp>(op))
    return extent(generic.getDpsInits()[cast<OpResult>(tensor).getResultNumber()], dim);
  if (auto cast = dyn_cast_or_null<tensor::CastOp>(op))
    return extent(cast.getSource(), dim);
  if (auto insert = dyn_cast_or_null<tensor::InsertSliceOp>(op))
    return extent(insert.getDest(), dim);
  if (auto slice = dyn_cast_or_null<tensor::ExtractSliceOp>(op)) {
    SmallVector<OpFoldResult> mixed = slice.getMixedSizes();
    llvm::SmallBitVector dropped = slice.getDroppedDims();
    unsigned position = 0;
    for (unsigned i = 0; i < mixed.size(); ++i)
      if (!dropped[i] && position++ == dim)
        return dynamic(mixed[i]);
  }
  if (auto expand = dyn_cast_or_null<tensor::ExpandShapeOp>(op))
    return dynamic(expand.getMixedOutputShape()[dim]);
  if (auto collapse = dyn_cast_or_null<tensor::CollapseShapeOp>(op)) {
    std::string text;
    SmallVector<ReassociationIndices> groups = collapse.getReassociationIndices();
    for (int64_t source : groups[dim])
      text += (text.empty() ? "" : " * ") + extent(collapse.getSrc(), source);
    return define("ingot::i64", text, {}).text;
  }
  if (auto toTensor = dyn_cast_or_null<bufferization::ToTensorOp>(op))
    if (auto argument = dyn_cast<BlockArgument>(toTensor.getBuffer()))
      return bufferExtent(argument.getArgNumber(), dim);
  return fail("a size of a tensor made by " +
              (op ? op->getName().getStringRef().str() : std::string("an argument")) +
              " has no form")
      .text;
}

std::vector<std::string> Printer::extents(Value tensor) {
  std::vector<std::string> result;
  for (unsigned i = 0; i < cast<RankedTensorType>(tensor.getType()).getRank(); ++i)
    result.push_back(extent(tensor, i));
  return result;
}

//===----------------------------------------------------------------------===//
// Buffers
//===----------------------------------------------------------------------===//

Scalar Printer::linearize(ArrayRef<std::string> dims, ArrayRef<Index> indices) {
  if (indices.empty())
    return literal("0");
  Scalar offset = indices[0];
  for (size_t i = 1; i < indices.size(); ++i) {
    if (offset.text == "0") {
      offset = indices[i];
      continue;
    }
    Scalar scale = literal(dims[i]);
    std::string text = offset.text + " * " + dims[i];
    // What begins at whole vectors still does behind whole vectors.
    int64_t extent = 0;
    if (!indices[i].contiguousBase.empty() && !StringRef(dims[i]).getAsInteger(10, extent) &&
        extent % plan.vector == 0) {
      Scalar scaled = define("ingot::i64", text, {&offset, &scale});
      offset = PrinterIndices::add(*this, scaled, indices[i]);
      continue;
    }
    if (indices[i].text != "0")
      text += " + " + indices[i].text;
    offset = define("ingot::i64", text, {&offset, &scale, &indices[i]});
  }
  return offset;
}

Scalar Printer::readBuffer(unsigned buffer, RankedTensorType viewType, ArrayRef<std::string> dims,
                           ArrayRef<Index> indices) {
  std::string type = typeName(viewType.getElementType());
  if (type.empty())
    return fail("elements of this type have no form");
  const std::string &name = buffers[buffer].name;
  if (!indices.empty() && !indices.back().neighbouring &&
      llvm::any_of(indices, [](const Index &index) { return index.neighbouring; }))
    ++costs.uncoalescedLoads;
  // One vector load for the lanes of a vector.
  if (!indices.empty() && plan.vector > 1 && !indices.back().contiguousBase.empty()) {
    const Index &last = indices.back();
    int64_t pitch = viewType.getDimSize(viewType.getRank() - 1);
    bool aligned = pitch != ShapedType::kDynamic && pitch % plan.vector == 0;
    std::vector<Index> bases(indices.begin(), indices.end());
    bases.back() = {last.contiguousBase, last.contiguousHome, {}, nullptr, false};
    bool others = llvm::all_of(ArrayRef(bases).drop_back(), [&](const Index &index) {
      return index.home->depth <= last.contiguousHome->depth;
    });
    // Under conditions that all lanes share, the load asks for them itself and stands outside.
    std::string asked;
    bool shared = true;
    for (const Scalar &guard : guards) {
      asked += (asked.empty() ? "" : " && ") + guard.text;
      shared &= guard.home->depth <= last.contiguousHome->depth;
    }
    CodeBlock *outside = guards.empty() ? barrier : beforeGuards;
    if (aligned && others && shared && (!outside || outside->depth <= last.contiguousHome->depth)) {
      CodeBlock *before = barrier;
      barrier = outside;
      Scalar offset = linearize(dims, bases);
      Scalar place{{}, last.contiguousHome, {}, nullptr, false};
      Scalar pack = define("auto",
                           std::string("ingot::load_pack") + (asked.empty() ? "" : "_if") + "<" +
                               type + ", " + std::to_string(plan.vector) + ">(" + asked +
                               (asked.empty() ? "" : ", ") + name + " + " + offset.text + ")",
                           {&offset, &place});
      barrier = before;
      // "(base + v)": the lane is what follows the base.
      std::string lane =
          StringRef(last.text).drop_front(last.contiguousBase.size() + 4).drop_back().str();
      return {pack.text + "[" + lane + "]", last.home, {}, nullptr, false};
    }
  }
  Scalar offset = linearize(dims, indices);
  return define(type, name + "[" + offset.text + "]", {&offset});
}

std::optional<std::pair<unsigned, Value>> Printer::findBuffer(Value tensor) {
  // Reshapes of a buffer are other indices of the same row-major elements.
  for (Value value = tensor;;) {
    if (auto toTensor = value.getDefiningOp<bufferization::ToTensorOp>()) {
      auto argument = dyn_cast<BlockArgument>(toTensor.getBuffer());
      if (!argument)
        return std::nullopt;
      return std::pair(argument.getArgNumber(), tensor);
    }
    if (auto collapse = value.getDefiningOp<tensor::CollapseShapeOp>())
      value = collapse.getSrc();
    else if (auto expand = value.getDefiningOp<tensor::ExpandShapeOp>())
      value = expand.getSrc();
    else if (auto cast = value.getDefiningOp<tensor::CastOp>())
      value = cast.getSource();
    else
      return std::nullopt;
  }
}

//===----------------------------------------------------------------------===//
// Tensors
//===----------------------------------------------------------------------===//

Scalar Printer::readGuarded(const Scalar &condition, Type type, const std::function<Scalar()> &then,
                            const std::function<Scalar()> &otherwise) {
  std::string name = fresh("t");
  CodeBlock *home = current;
  CodeBlock *beforeBarrier = barrier, *beforeCurrent = current;
  statement(home, typeName(type) + " " + name + ";");
  for (bool first : {true, false}) {
    CodeBlock *block = open(home);
    if (guards.empty())
      beforeGuards = beforeBarrier;
    guards.push_back(condition);
    if (!first)
      guards.back().text = "!(" + condition.text + ")";
    barrier = block;
    Scalar value = first ? then() : otherwise();
    guards.pop_back();
    statement(block, name + " = " + value.text + ";");
    close(block, first ? "if (" + condition.text + ") {" : "else {", "}");
    current = beforeCurrent;
    barrier = beforeBarrier;
  }
  return {name, home, {}, nullptr, false};
}

Scalar Printer::read(Value tensor, ArrayRef<Index> indices) {
  if (!ok())
    return literal("0");
  auto type = cast<RankedTensorType>(tensor.getType());
  if (auto buffer = findBuffer(tensor)) {
    BufferHooks &hooks = buffers[buffer->first];
    if (hooks.read)
      return hooks.read(*this, indices);
    return readBuffer(buffer->first, type, extents(tensor), indices);
  }
  Operation *op = tensor.getDefiningOp();
  if (!op)
    return fail("a tensor argument is no buffer");
  if (auto cast = dyn_cast<tensor::CastOp>(op))
    return read(cast.getSource(), indices);
  if (auto fill = dyn_cast<linalg::FillOp>(op))
    return evaluate(fill.getInputs()[0], nullptr);
  if (isa<tensor::EmptyOp>(op))
    return literal("0");
  DenseElementsAttr elements;
  if (matchPattern(tensor, m_Constant(&elements)) && elements.isSplat()) {
    Attribute value = elements.getSplatValue<Attribute>();
    return literal(PrinterLiterals::print(value, type.getElementType()));
  }
  if (auto splat = dyn_cast<tensor::SplatOp>(op))
    return evaluate(splat.getInput(), nullptr);
  if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op)) {
    std::vector<Index> sources(collapse.getSrcType().getRank());
    for (auto [i, group] : llvm::enumerate(collapse.getReassociationIndices())) {
      std::vector<std::string> dims;
      for (int64_t dim : group)
        dims.push_back(extent(collapse.getSrc(), dim));
      Scalar rest = indices[i];
      for (size_t k = group.size(); k-- > 1;) {
        Scalar divisor = literal(dims[k]);
        sources[group[k]] = define("ingot::i64", rest.text + " % " + dims[k], {&rest, &divisor});
        rest = define("ingot::i64", rest.text + " / " + dims[k], {&rest, &divisor});
      }
      sources[group[0]] = rest;
    }
    return read(collapse.getSrc(), sources);
  }
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op)) {
    std::vector<Index> sources;
    for (const ReassociationIndices &group : expand.getReassociationIndices()) {
      std::vector<std::string> dims;
      std::vector<Index> parts;
      for (int64_t dim : group) {
        dims.push_back(extent(tensor, dim));
        parts.push_back(indices[dim]);
      }
      sources.push_back(linearize(dims, parts));
    }
    return read(expand.getSrc(), sources);
  }
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
    std::vector<Index> sources;
    llvm::SmallBitVector dropped = slice.getDroppedDims();
    unsigned position = 0;
    for (auto [i, offset] : llvm::enumerate(slice.getMixedOffsets())) {
      Scalar base = getConstantIntValue(offset)
                        ? literal(std::to_string(*getConstantIntValue(offset)))
                        : evaluate(cast<Value>(offset), nullptr);
      Scalar stride =
          getConstantIntValue(slice.getMixedStrides()[i])
              ? literal(std::to_string(*getConstantIntValue(slice.getMixedStrides()[i])))
              : evaluate(cast<Value>(slice.getMixedStrides()[i]), nullptr);
      if (dropped[i]) {
        sources.push_back(base);
        continue;
      }
      Index index = indices[position++];
      if (stride.text != "1") {
        index = define("ingot::i64", index.text + " * " + stride.text, {&index, &stride});
      }
      sources.push_back(base.text == "0" ? index : PrinterIndices::add(*this, base, index));
    }
    return read(slice.getSource(), sources);
  }
  if (auto insert = dyn_cast<tensor::InsertSliceOp>(op)) {
    // Inside of the slice, its elements; outside, the destination's.
    std::vector<Index> sources;
    Scalar inside = literal("true");
    llvm::SmallBitVector dropped = insert.getDroppedDims();
    unsigned position = 0;
    for (auto [i, offset] : llvm::enumerate(insert.getMixedOffsets())) {
      if (getConstantIntValue(insert.getMixedStrides()[i]) != 1)
        return fail("an insert_slice with strides has no form");
      Scalar base = getConstantIntValue(offset)
                        ? literal(std::to_string(*getConstantIntValue(offset)))
                        : evaluate(cast<Value>(offset), nullptr);
      std::string size = dropped[i] ? "1" : extent(insert.getSource(), position);
      Scalar index = base.text == "0" ? indices[i]
                                      : define("ingot::i64", indices[i].text + " - " + base.text,
                                               {&indices[i], &base});
      Scalar extentScalar = literal(size);
      bool whole = base.text == "0" && size == extent(tensor, i);
      if (!whole) {
        Scalar within = define("bool", index.text + " >= 0 && " + index.text + " < " + size,
                               {&index, &extentScalar});
        inside = inside.text == "true"
                     ? within
                     : define("bool", inside.text + " && " + within.text, {&inside, &within});
      }
      if (!dropped[i]) {
        sources.push_back(index);
        ++position;
      }
    }
    if (inside.text == "true")
      return read(insert.getSource(), sources);
    return readGuarded(
        inside, type.getElementType(), [&] { return read(insert.getSource(), sources); },
        [&] { return read(insert.getDest(), indices); });
  }
  if (auto generic = dyn_cast<linalg::GenericOp>(op))
    return readGeneric(generic, cast<OpResult>(tensor).getResultNumber(), indices);
  return fail("elements of " + op->getName().getStringRef().str() + " have no form");
}

//===----------------------------------------------------------------------===//
// linalg.generic
//===----------------------------------------------------------------------===//

/// Binds the loops that the map of result `result` names; false if the map is no projection.
static bool bindLoops(linalg::GenericOp op, unsigned result, ArrayRef<Index> indices,
                      std::vector<Index> &loops) {
  AffineMap map = op.getIndexingMapMatchingResult(op->getResult(result));
  loops.resize(op.getNumLoops());
  for (auto [expr, index] : llvm::zip_equal(map.getResults(), indices)) {
    auto dim = dyn_cast<AffineDimExpr>(expr);
    if (!dim)
      return false;
    loops[dim.getPosition()] = index;
  }
  return true;
}

Scalar Printer::readGeneric(linalg::GenericOp op, unsigned result, ArrayRef<Index> indices) {
  if (op.getNumLoops() != op.getNumParallelLoops())
    return readReduction(op, result, indices);
  auto instance = std::make_unique<Instance>();
  instance->op = op;
  if (!bindLoops(op, result, indices, instance->loops) ||
      llvm::any_of(instance->loops, [](const Index &index) { return index.text.empty(); }))
    return fail("a linalg.generic whose result map is no permutation has no form");
  // Where it was computed already, take that.
  Value yielded = op.getBody()->getTerminator()->getOperand(result);
  return evaluate(yielded, instance.get());
}

namespace {

/// How the accumulator of a result is combined with a term.
struct Combiner {
  Operation *op = nullptr;
  Value term;
};

} // namespace

static Combiner findCombiner(linalg::GenericOp op, unsigned result) {
  BlockArgument accumulator = op.getRegionOutputArgs()[result];
  Operation *combiner = op.getBody()->getTerminator()->getOperand(result).getDefiningOp();
  if (!combiner || combiner->getNumOperands() != 2 || !accumulator.hasOneUse() ||
      PrinterLiterals::combinerName(combiner).empty())
    return {};
  for (unsigned i : {0, 1})
    if (combiner->getOperand(i) == accumulator)
      return {combiner, combiner->getOperand(1 - i)};
  return {};
}

Scalar Printer::readReduction(linalg::GenericOp op, unsigned result, ArrayRef<Index> indices) {
  std::string key = "reduction " + std::to_string(reinterpret_cast<uintptr_t>(op.getOperation())) +
                    " " + std::to_string(result);
  for (const Index &index : indices)
    key += " " + index.text;
  for (CodeBlock *block = current; block; block = block->parent)
    if (auto it = block->known.find(key); it != block->known.end())
      return it->second;
  Instance instance;
  instance.op = op;
  if (!bindLoops(op, result, indices, instance.loops))
    return fail("a reduction whose result map is no projection has no form");
  for (unsigned loop = 0; loop < op.getNumLoops(); ++loop)
    if (op.getIteratorTypesArray()[loop] == utils::IteratorType::reduction)
      instance.reductionLoops.push_back(loop);
    else if (instance.loops[loop].text.empty())
      return fail("a reduction with a parallel loop that its result doesn't name has no form");
  // Extents of the reduction loops, from the operands that they index.
  for (unsigned loop : instance.reductionLoops) {
    std::string text;
    for (OpOperand &operand : op->getOpOperands())
      for (auto [dim, expr] : llvm::enumerate(op.getMatchingIndexingMap(&operand).getResults()))
        if (text.empty() && expr == getAffineDimExpr(loop, op.getContext()))
          text = extent(operand.get(), dim);
    if (text.empty())
      return fail("the extent of a reduction has no form");
    instance.reductionExtents.push_back(text);
  }
  SmallVector<const Scalar *> operands;
  for (const Index &index : indices)
    operands.push_back(&index);
  Combiner combiner = findCombiner(op, result);
  CodeBlock *home = deepest(operands);
  bool cooperative =
      row && combiner.op && home->depth <= row->depth && (!barrier || barrier->depth <= row->depth);
  Scalar value = cooperative ? cooperativeReduction(instance, result, combiner.op, combiner.term)
                             : serialReduction(instance, result);
  value.home->known[key] = value;
  return value;
}

Scalar Printer::cooperativeReduction(Instance &instance, unsigned result, Operation *combiner,
                                     Value term) {
  ++costs.rowReductions;
  linalg::GenericOp op = instance.op;
  Type element = op.getRegionOutputArgs()[result].getType();
  std::string type = typeName(element), name = fresh("r");
  std::vector<Index> initial;
  for (AffineExpr expr : op.getIndexingMapMatchingResult(op->getResult(result)).getResults())
    initial.push_back(instance.loops[cast<AffineDimExpr>(expr).getPosition()]);
  CodeBlock *beforeCurrent = current, *beforeBarrier = barrier;
  current = row;
  Scalar start = read(op.getDpsInits()[result], initial);

  int64_t inner = ShapedType::kDynamic;
  if (APInt value; !StringRef(instance.reductionExtents.back()).getAsInteger(10, value))
    inner = value.getSExtValue();
  int vector = inner != ShapedType::kDynamic && inner % plan.vector == 0 ? plan.vector : 1;
  int savedVector = plan.vector;
  plan.vector = vector;

  std::string j = fresh("j"), accumulator = fresh("sum");
  CodeBlock *terms = open(row);
  std::vector<Index> reduced = delinearize(j, terms, instance.reductionExtents);
  CodeBlock *lane = terms;
  std::string v;
  if (vector > 1) {
    v = fresh("v");
    lane = open(terms);
    Index base = reduced.back();
    reduced.back() = {"(" + base.text + " + " + v + ")", lane, base.text, terms, true};
  }
  for (auto [loop, index] : llvm::zip_equal(instance.reductionLoops, reduced))
    instance.loops[loop] = index;
  CodeBlock *beforeColumn = column;
  column = terms;
  barrier = nullptr;
  Scalar value = evaluate(term, &instance);
  std::string functor = "ingot::" + PrinterLiterals::combinerName(combiner);
  statement(lane,
            accumulator + " = " + functor + "::apply(" + accumulator + ", " + value.text + ");");
  if (!v.empty())
    close(lane,
          "#pragma unroll\n" + std::string(terms->depth * 2, ' ') + "for (int " + v + " = 0; " + v +
              " < " + std::to_string(vector) + "; ++" + v + ") {",
          "}");
  std::string count;
  for (const std::string &extent : instance.reductionExtents)
    count += (count.empty() ? "" : " * ") + extent;
  close(terms,
        "const " + type + " " + name + " = ingot::reduce_row<Config, " + functor + ", " +
            std::to_string(vector) + ", " + type + ">(" + count + ", " + start.text + ", " +
            PrinterLiterals::neutral(combiner, element) + ", [&](const ingot::i64 " + j + ", " +
            type + " &" + accumulator + ") {",
        "});");
  column = beforeColumn;
  plan.vector = savedVector;
  current = beforeCurrent;
  barrier = beforeBarrier;
  return {name, row, {}, nullptr, false};
}

Scalar Printer::serialReduction(Instance &instance, unsigned result) {
  ++costs.serialReductions;
  int64_t terms = 1;
  for (const std::string &extent : instance.reductionExtents)
    if (int64_t known; StringRef(extent).getAsInteger(10, known))
      terms = INT64_MAX;
    else
      terms = llvm::MulOverflow(terms, known, terms) ? INT64_MAX : terms;
  if (llvm::AddOverflow(costs.serialTerms, terms, costs.serialTerms))
    costs.serialTerms = INT64_MAX;
  linalg::GenericOp op = instance.op;
  SmallVector<const Scalar *> bound;
  for (const Index &index : instance.loops)
    if (!index.text.empty())
      bound.push_back(&index);
  CodeBlock *home = deepest(bound);
  if (home == &kernel)
    home = row ? row : current;
  CodeBlock *beforeCurrent = current, *beforeBarrier = barrier;
  current = home;
  // All results of the operation, because a term may use several accumulators (argmax).
  std::vector<std::string> accumulators;
  for (unsigned i = 0; i < op->getNumResults(); ++i) {
    std::vector<Index> initial;
    for (AffineExpr expr : op.getIndexingMapMatchingResult(op->getResult(i)).getResults())
      initial.push_back(instance.loops[cast<AffineDimExpr>(expr).getPosition()]);
    Scalar start = read(op.getDpsInits()[i], initial);
    accumulators.push_back(fresh("sum"));
    Type element = op.getRegionOutputArgs()[i].getType();
    statement(home, typeName(element) + " " + accumulators.back() + " = " + start.text + ";");
  }
  CodeBlock *body = home;
  std::vector<std::pair<CodeBlock *, std::string>> loops;
  int savedVector = plan.vector;
  plan.vector = 1;
  for (auto [loop, extent] : llvm::zip_equal(instance.reductionLoops, instance.reductionExtents)) {
    body = open(body);
    std::string k = fresh("k");
    loops.push_back(
        {body, "for (ingot::i64 " + k + " = 0; " + k + " < " + extent + "; ++" + k + ") {"});
    instance.loops[loop] = {k, body, {}, nullptr, false};
  }
  for (unsigned i = 0; i < op->getNumResults(); ++i)
    instance.values[op.getRegionOutputArgs()[i]] = {accumulators[i], body, {}, nullptr, false};
  std::vector<std::string> next;
  for (Value yielded : op.getBody()->getTerminator()->getOperands())
    next.push_back(evaluate(yielded, &instance).text);
  for (unsigned i = 0; i < next.size(); ++i)
    statement(body, accumulators[i] + " = " + next[i] + ";");
  for (auto &[block, head] : llvm::reverse(loops))
    close(block, head, "}");
  plan.vector = savedVector;
  current = beforeCurrent;
  barrier = beforeBarrier;
  return {accumulators[result], home, {}, nullptr, false};
}
