//===- RemovePadding.cpp - remove-padding -----------------------------------===//
//
// Ops are visited in order; each builds its packed form beside itself if it can. Then whatever still
// reads a padded value that a packed one took the place of reads its unpacking, and what nobody reads
// any more goes. Which ops can, and what their packed form is, they say themselves
// (TokenwiseOpInterface).
//
//===----------------------------------------------------------------------===//
#include "passes/Passes.h"

#include "dialects/Transformer/Tokenwise.h"
#include "dialects/Transformer/TransformerOps.h"
#include "passes/FusionUtils.h"
#include "passes/TransformerToExec/SizePropagation.h"

#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

namespace ingot {
#define GEN_PASS_DEF_REMOVEPADDING
#include "passes/Passes.h.inc"
} // namespace ingot

using namespace mlir;
using namespace ingot;
using namespace ingot::transformer;
using ingot::exec::SizeAttr;

namespace {

constexpr StringLiteral kCategory = "remove-padding";

/// Packs one program.
class ProgramPacker final : public Packing {
public:
  ProgramPacker(func::FuncOp program, bool packedInput)
      : program(program), packedInput(packedInput), builder(program.getContext()) {}

  LogicalResult run();

  bool isPadded(Value value) const override;
  Value getPacked(Value padded) override;

private:
  bool findMask();
  /// The argument [B, S] of the program that `lengths` [B] and a tensor [B, S, ...] among `op`'s
  /// operands belong to.
  Value findTokensLike(Operation *op, Value given);
  bool setMask(Value value);
  FailureOr<int64_t> getMostRows() const;
  void makePacking(int64_t rows);
  void pack(Operation *op);
  void unpackRemaining();
  Value getUnpacked(Value padded, Operation *before);
  void removeDead();
  void report();

  /// An integer that is computed from the program's arguments alone, and so is there without packing.
  bool isNative(Value value) const;
  bool touchesTokens(Operation *op) const;

  // With packed input.
  LogicalResult packPorts(int64_t rows);
  LogicalResult packArguments(int64_t rows);
  void packResults();
  void poolAllRows();
  LogicalResult eraseArguments();

  func::FuncOp program;
  bool packedInput;
  OpBuilder builder;
  SizePropagation sizes;
  SmallVector<SizeAttr, 2> tokenShape; // [B, S]
  Operation *lastOfPacking = nullptr;
  Value slots;
  llvm::DenseMap<Value, Value> packed, unpacked;
  SmallVector<Operation *> ops;
  llvm::DenseSet<Operation *> converted;
  std::vector<std::pair<Operation *, std::string>> declined;
  int64_t paddedOps = 0;
  Operation *firstPadded = nullptr;
  std::string firstReason;
};

} // namespace

//===----------------------------------------------------------------------===//
// Which tokens are valid
//===----------------------------------------------------------------------===//

bool ProgramPacker::setMask(Value value) {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  // With fixed B and S, nothing tells tokens from other tensors of that shape.
  if (!type || type.getRank() != 2 || !type.isDynamicDim(0) || !type.isDynamicDim(1))
    return false;
  ArrayRef<SizeAttr> shape = sizes.getShape(value);
  if (shape[0].isStatic() || shape[1].isStatic() || shape[0] == shape[1])
    return false;
  mask = value;
  tokenShape.assign(shape.begin(), shape.end());
  return true;
}

Value ProgramPacker::findTokensLike(Operation *op, Value given) {
  SizeAttr rows = sizes.getShape(given)[0];
  for (Value operand : op->getOperands()) {
    auto type = dyn_cast<RankedTensorType>(operand.getType());
    if (!type || type.getRank() != 3 || sizes.getShape(operand)[0] != rows)
      continue;
    for (BlockArgument argument : program.getArguments())
      if (auto like = dyn_cast<RankedTensorType>(argument.getType());
          like && like.getRank() == 2 &&
          sizes.getShape(argument) == sizes.getShape(operand).take_front(2))
        return argument;
  }
  return {};
}

bool ProgramPacker::findMask() {
  for (Operation &op : program.getBody().front()) {
    auto tokenwise = dyn_cast<TokenwiseOpInterface>(op);
    if (!tokenwise)
      continue;
    if (Value given = tokenwise.getTokenMask(); given && setMask(given))
      return true;
    Value given = tokenwise.getTokenLengths();
    Value like = given ? findTokensLike(&op, given) : Value();
    if (!like || !isa<BlockArgument>(given))
      continue;
    builder.setInsertionPointToStart(&program.getBody().front());
    auto made = LengthMaskOp::create(builder, program.getLoc(), given, like);
    tokenShape.assign(sizes.getShape(like).begin(), sizes.getShape(like).end());
    mask = made;
    lengths = given;
    return true;
  }
  return false;
}

FailureOr<int64_t> ProgramPacker::getMostRows() const {
  SizeAttr rows = tokenShape[0];
  auto module = program->getParentOfType<ModuleOp>();
  auto table = module->getAttrOfType<DictionaryAttr>(kSizesAttr);
  if (rows.getSymbols().size() != 1 || rows.getFactor() != 1 || rows.getDivisor() != 1 || !table)
    return failure();
  auto bounds = table.getAs<ArrayAttr>(rows.getSymbols()[0]);
  if (!bounds || bounds.size() != 2)
    return failure();
  return cast<IntegerAttr>(bounds[1]).getInt();
}

/// Makes cu_seqlens and token_indices at the front of the program.
void ProgramPacker::makePacking(int64_t rows) {
  Block &body = program.getBody().front();
  llvm::SetVector<Operation *> slice;
  if (mask.getDefiningOp()) {
    BackwardSliceOptions options;
    options.omitBlockArguments = true;
    (void)getBackwardSlice(mask, &slice, options);
    slice.insert(mask.getDefiningOp());
  }
  SmallVector<Operation *> inOrder;
  for (Operation &op : body)
    if (slice.contains(&op))
      inOrder.push_back(&op);
  for (Operation *op : llvm::reverse(inOrder))
    op->moveBefore(&body, body.begin());

  Location loc = mask.getLoc();
  if (inOrder.empty())
    builder.setInsertionPointToStart(&body);
  else
    builder.setInsertionPointAfter(inOrder.back());
  cuSeqlens = CuSeqlensOp::create(builder, loc, mask, builder.getI64IntegerAttr(rows));
  auto made = TokenIndicesOp::create(builder, loc, mask, cuSeqlens);
  indices = made;
  lastOfPacking = made;
  for (Operation *op = made->getNextNode(); op != body.getTerminator(); op = op->getNextNode())
    ops.push_back(op);
}

//===----------------------------------------------------------------------===//
// Packing
//===----------------------------------------------------------------------===//

bool ProgramPacker::isPadded(Value value) const {
  auto type = dyn_cast<RankedTensorType>(value.getType());
  return type && type.getRank() >= 2 && sizes.isKnown(value) &&
         sizes.getShape(value).take_front(2) == ArrayRef(tokenShape);
}

Value ProgramPacker::getPacked(Value padded) {
  Value &result = packed[padded];
  if (result)
    return result;
  OpBuilder::InsertionGuard guard(builder);
  Operation *producer = padded.getDefiningOp();
  if (producer && lastOfPacking->isBeforeInBlock(producer))
    builder.setInsertionPointAfter(producer);
  else
    builder.setInsertionPointAfter(lastOfPacking);
  return result = PackOp::create(builder, padded.getLoc(), padded, indices);
}

bool ProgramPacker::touchesTokens(Operation *op) const {
  auto padded = [&](Value value) { return isPadded(value); };
  return llvm::any_of(op->getOperands(), padded) || llvm::any_of(op->getResults(), padded);
}

void ProgramPacker::pack(Operation *op) {
  if (!touchesTokens(op) || isa<ShapedDimOpInterface>(op))
    return;
  auto tokenwise = dyn_cast<TokenwiseOpInterface>(op);
  reason = "it has no form for packed tokens";
  builder.setInsertionPoint(op);
  FailureOr<SmallVector<Value>> results = failure();
  if (tokenwise)
    results = tokenwise.buildPacked(builder, *this);
  if (failed(results)) {
    declined.push_back({op, reason});
    return;
  }
  converted.insert(op);
  for (auto [old, made] : llvm::zip_equal(op->getResults(), *results)) {
    if (isPadded(old))
      packed[old] = made;
    else
      old.replaceAllUsesWith(made);
  }
}

//===----------------------------------------------------------------------===//
// Unpacking
//===----------------------------------------------------------------------===//

bool ProgramPacker::isNative(Value value) const {
  if (!getElementTypeOrSelf(value.getType()).isIntOrIndex())
    return false;
  Operation *op = value.getDefiningOp();
  return !op || isa<ShapedDimOpInterface>(op) ||
         llvm::all_of(op->getOperands(), [&](Value operand) { return isNative(operand); });
}

/// The unpacked form of a value whose first reader is `before`. It is made there and not earlier:
/// then nothing reads the packed tokens any more, and their bytes can become those of the result.
Value ProgramPacker::getUnpacked(Value padded, Operation *before) {
  Value &result = unpacked[padded];
  if (result)
    return result;
  if (!slots) {
    builder.setInsertionPointAfter(lastOfPacking);
    slots = TokenSlotsOp::create(builder, mask.getLoc(), mask, cuSeqlens);
  }
  builder.setInsertionPoint(before);
  return result = UnpackOp::create(builder, padded.getLoc(), padded.getType(),
                                   packed.lookup(padded), slots);
}

void ProgramPacker::unpackRemaining() {
  for (Operation *op : ops) {
    if (!converted.contains(op))
      continue;
    for (Value result : op->getResults()) {
      if (!isPadded(result))
        continue;
      Operation *first = program.getBody().front().getTerminator();
      for (Operation *user : result.getUsers())
        if (!converted.contains(user) && !isa<ShapedDimOpInterface>(user) &&
            user->isBeforeInBlock(first))
          first = user;
      for (OpOperand &use : llvm::make_early_inc_range(result.getUses())) {
        Operation *user = use.getOwner();
        if (converted.contains(user))
          continue;
        // Sizes come from the mask.
        if (auto dim = dyn_cast<ShapedDimOpInterface>(user)) {
          std::optional<int64_t> position = getConstantIntValue(dim.getDimension());
          if (position && *position < 2) {
            use.set(mask);
            continue;
          }
        }
        if (!isNative(result))
          use.set(getUnpacked(result, first));
      }
    }
  }
}

void ProgramPacker::removeDead() {
  Block &body = program.getBody().front();
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(body)))
    if (isOpTriviallyDead(&op)) {
      converted.erase(&op);
      op.erase();
    }
}

//===----------------------------------------------------------------------===//
// Reports
//===----------------------------------------------------------------------===//

void ProgramPacker::report() {
  int64_t perToken = 0, perPair = 0, packedOps = 0;
  llvm::DenseSet<Value> tokens;
  for (auto [padded, made] : packed)
    tokens.insert(made);
  for (Operation &op : program.getBody().front()) {
    auto tokenwise = dyn_cast<TokenwiseOpInterface>(op);
    if (!tokenwise || !llvm::any_of(op.getOperands(),
                                    [&](Value operand) { return tokens.contains(operand); }))
      continue;
    ++packedOps;
    perToken += tokenwise.getFlopsPerToken();
    perPair += tokenwise.getFlopsPerPair();
  }
  Builder attributes(program.getContext());
  auto integer = [&](StringRef name, int64_t value) {
    return attributes.getNamedAttr(name, attributes.getI64IntegerAttr(value));
  };
  program->setAttr(kUnpaddingAttr, attributes.getDictionaryAttr({
                                       integer("flops_per_pair", perPair),
                                       integer("flops_per_token", perToken),
                                       integer("packed_ops", packedOps),
                                       integer("padded_ops", paddedOps),
                                   }));
  std::string text = std::to_string(packedOps) + " ops on packed tokens, " +
                     std::to_string(paddedOps) + " padded between them; a token of padding saves " +
                     std::to_string(perToken) + " FLOPs, and " + std::to_string(perPair) +
                     " for each pair of tokens in attention: at 50 % fill of rows of equal length 50 % of "
                     "the tokens' and 75 % of the pairs', at 10 % fill 90 % and 99 %";
  remark::analysis(program.getLoc(), remark::RemarkOpts::name("Unpadded").category(kCategory))
      << text;
}

//===----------------------------------------------------------------------===//
// Packed input
//===----------------------------------------------------------------------===//

/// The most that a size of the module can be; nothing if it has none.
static std::optional<int64_t> maximumOf(ModuleOp module, SizeAttr size) {
  auto table = module->getAttrOfType<DictionaryAttr>(kSizesAttr);
  if (!table || size.getSymbols().size() != 1)
    return std::nullopt;
  auto bounds = table.getAs<ArrayAttr>(size.getSymbols()[0]);
  return bounds ? std::optional(cast<IntegerAttr>(bounds[1]).getInt()) : std::nullopt;
}

/// [B, S] inputs become [T] where they were packed, and cu_seqlens becomes an input.
LogicalResult ProgramPacker::packArguments(int64_t rows) {
  auto module = program->getParentOfType<ModuleOp>();
  MLIRContext *context = program.getContext();
  std::optional<int64_t> longest = maximumOf(module, tokenShape[1]);
  int64_t tokens;
  if (!longest || llvm::MulOverflow(rows, *longest, tokens))
    return program.emitError() << kUnsupportedPrefix << "packed input needs bounds of B and S";
  if (auto limits = module->getAttrOfType<ArrayAttr>(kLimitsAttr))
    for (auto limit : limits.getAsRange<DictionaryAttr>()) {
      auto over = limit.getAs<ArrayAttr>("symbols");
      if (over.size() == 2 && llvm::all_of(tokenShape, [&](SizeAttr size) {
            return llvm::is_contained(over, size.getSymbols()[0]);
          }))
        tokens = std::min(tokens, limit.getAs<IntegerAttr>("max").getInt());
    }
  NamedAttrList sizeTable(module->getAttrOfType<DictionaryAttr>(kSizesAttr));
  sizeTable.set("T", builder.getI64ArrayAttr({1, tokens}));
  module->setAttr(kSizesAttr, sizeTable.getDictionary(context));

  Value first;
  for (PackOp packOp : program.getBody().front().getOps<PackOp>()) {
    auto argument = dyn_cast<BlockArgument>(packOp.getX());
    if (!argument)
      continue;
    NamedAttrList attributes(program.getArgAttrDict(argument.getArgNumber()));
    attributes.set(kSizesAttr, builder.getStrArrayAttr({"T"}));
    unsigned end = program.getNumArguments();
    if (failed(program.insertArgument(end, packOp.getType(), attributes.getDictionary(context),
                                      argument.getLoc())))
      return failure();
    packOp.getResult().replaceAllUsesWith(program.getArgument(end));
    if (!first)
      first = program.getArgument(end);
  }
  if (!first)
    return program.emitError() << kUnsupportedPrefix << "no input of the program could be packed";
  indices.replaceUsesWithIf(first, [](OpOperand &use) { return !isa<PackOp>(use.getOwner()); });
  NamedAttrList attributes;
  attributes.set(kNameAttr, builder.getStringAttr("cu_seqlens"));
  attributes.set(kOffsetsAttr,
                 builder.getDictionaryAttr(
                     {builder.getNamedAttr("max_step", builder.getI64IntegerAttr(*longest)),
                      builder.getNamedAttr("to", builder.getStringAttr("T"))}));
  unsigned end = program.getNumArguments();
  if (failed(program.insertArgument(end, cuSeqlens.getType(), attributes.getDictionary(context),
                                    cuSeqlens.getLoc())))
    return failure();
  cuSeqlens.replaceAllUsesWith(program.getArgument(end));
  return success();
}

/// What was unpacked to be returned is returned packed.
void ProgramPacker::packResults() {
  Operation *terminator = program.getBody().front().getTerminator();
  SmallVector<Type> results;
  for (OpOperand &operand : terminator->getOpOperands()) {
    if (auto unpack = operand.get().getDefiningOp<UnpackOp>())
      operand.set(unpack.getX());
    results.push_back(operand.get().getType());
  }
  program.setType(FunctionType::get(program.getContext(), program.getArgumentTypes(), results));
}

/// Pooling gives all rows that cu_seqlens has: nothing else says how many the caller means.
void ProgramPacker::poolAllRows() {
  auto poolAll = [&](auto pool) {
    if (pool.getLike() != mask)
      return;
    RankedTensorType dynamic = pool.getType();
    SmallVector<int64_t> shape(dynamic.getShape());
    shape[0] = cast<RankedTensorType>(cuSeqlens.getType()).getDimSize(0) - 1;
    pool.getLikeMutable().clear();
    pool.getResult().setType(dynamic.clone(shape));
    builder.setInsertionPointAfter(pool);
    auto cast = tensor::CastOp::create(builder, pool.getLoc(), dynamic, pool.getResult());
    pool.getResult().replaceAllUsesExcept(cast.getResult(), cast);
  };
  for (Operation &op : llvm::make_early_inc_range(program.getBody().front())) {
    if (auto pool = dyn_cast<PackedMeanPoolOp>(op))
      poolAll(pool);
    else if (auto pool = dyn_cast<PackedTokenOp>(op))
      poolAll(pool);
  }
}

LogicalResult ProgramPacker::eraseArguments() {
  llvm::DenseSet<Operation *> left;
  for (Operation &op : program.getBody().front())
    left.insert(&op);
  llvm::BitVector unused(program.getNumArguments());
  for (BlockArgument argument : program.getArguments()) {
    if (!isPadded(argument))
      continue;
    if (!argument.use_empty()) {
      // What couldn't be packed, and not what leads from the argument to it.
      Operation *reader = *argument.getUsers().begin();
      std::string why = "it reads a padded input";
      for (auto &[op, reason] : declined)
        if (left.contains(op)) {
          std::tie(reader, why) = std::tie(op, reason);
          break;
        }
      return reader->emitError()
             << kUnsupportedPrefix << reader->getName() << " needs the padded batch: " << why
             << "; packed input takes programs that work on packed tokens alone";
    }
    unused.set(argument.getArgNumber());
  }
  return program.eraseArguments(unused);
}

LogicalResult ProgramPacker::packPorts(int64_t rows) {
  if (firstPadded)
    return firstPadded->emitError()
           << kUnsupportedPrefix << firstPadded->getName() << " needs the padded batch: "
           << firstReason << "; packed input takes programs that work on packed tokens alone";
  poolAllRows();
  if (failed(packArguments(rows)))
    return failure();
  packResults();
  removeDead();
  return eraseArguments();
}

LogicalResult ProgramPacker::run() {
  if (!program.getBody().hasOneBlock())
    return success(); // The lowering says what a program is.
  if (failed(sizes.run(program)))
    return failure();
  auto missed = [&](Location location, const Twine &text) {
    remark::missed(location, remark::RemarkOpts::name("StaysPadded").category(kCategory))
        << text.str();
  };
  if (!findMask()) {
    missed(program.getLoc(), "program @" + program.getSymName() +
                                 " stays padded: nothing in it says which tokens are valid");
    return success();
  }
  FailureOr<int64_t> rows = getMostRows();
  if (failed(rows)) {
    missed(program.getLoc(),
           "program @" + program.getSymName() + " stays padded: its rows have no bound");
    if (Operation *made = mask.getDefiningOp(); made && made->use_empty())
      made->erase();
    return success();
  }
  makePacking(*rows);
  for (Operation *op : ops)
    pack(op);
  for (auto &[op, why] : declined) {
    // Around it tokens are packed, and it isn't there for integers alone.
    bool isBetween = llvm::any_of(op->getOperands(), [&](Value operand) {
      return converted.contains(operand.getDefiningOp()) && isPadded(operand) && !isNative(operand);
    });
    if (!isBetween)
      continue;
    ++paddedOps;
    if (!firstPadded)
      std::tie(firstPadded, firstReason) = std::tuple(op, why);
    missed(op->getLoc(), op->getName().getStringRef() + " stays padded: " + why);
  }
  unpackRemaining();
  removeDead();
  if (program.getBody().front().getOps<TokenIndicesOp>().empty())
    return success();
  report();
  return packedInput && !lengths ? packPorts(*rows) : success();
}

namespace {
struct RemovePadding : ingot::impl::RemovePaddingBase<RemovePadding> {
  using RemovePaddingBase::RemovePaddingBase;
  void runOnOperation() override {
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (function->hasAttr(kProgramAttr) && failed(ProgramPacker(function, packedInput).run()))
        return signalPassFailure();
    if (testDropCausal >= 0)
      getOperation().walk([&](AttentionOp attention) {
        if (attention.getCuSeqlens() && testDropCausal == layerIn(attention.getLoc()))
          attention.setCausal(false);
      });
  }
};
} // namespace
