//===- PrinterScalar.cpp - Scalar operations as expressions -----------------===//
#include "codegen/cuda/PrinterInstance.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/Matchers.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::cuda;

//===----------------------------------------------------------------------===//
// Literals
//===----------------------------------------------------------------------===//

std::string PrinterLiterals::print(Attribute value, Type type) {
  if (auto number = dyn_cast<IntegerAttr>(value)) {
    if (type.isInteger(1))
      return number.getValue().isZero() ? "false" : "true";
    int64_t integer = number.getValue().getSExtValue();
    if (integer == std::numeric_limits<int64_t>::min())
      return "(-9223372036854775807ll - 1)";
    if (type.isInteger(32) && integer == std::numeric_limits<int32_t>::min())
      return "(-2147483647 - 1)";
    std::string text = std::to_string(integer);
    if (!type.isInteger(32) && !type.isInteger(8))
      text += "ll";
    return integer < 0 ? "(" + text + ")" : text;
  }
  auto number = cast<FloatAttr>(value);
  APFloat exact = number.getValue();
  if (exact.isNaN() || exact.isInfinity()) {
    if (type.isF64())
      return "__longlong_as_double(0x" +
             llvm::utohexstr(exact.bitcastToAPInt().getZExtValue(), true) + "ull)";
    bool lost = false;
    exact.convert(APFloat::IEEEsingle(), APFloat::rmNearestTiesToEven, &lost);
    std::string text =
        "__uint_as_float(0x" + llvm::utohexstr(exact.bitcastToAPInt().getZExtValue(), true) + "u)";
    return type.isF32() ? text : Printer::typeName(type) + "(" + text + ")";
  }
  // Hexadecimal digits are exact.
  char buffer[64];
  double wide = exact.convertToDouble();
  snprintf(buffer, sizeof buffer, "%.17g", wide);
  std::string text = buffer;
  if (type.isF64()) {
    if (text.find_first_of(".e") == std::string::npos)
      text += ".0";
    return wide < 0 ? "(" + text + ")" : text;
  }
  snprintf(buffer, sizeof buffer, "%.9g", wide);
  text = buffer;
  if (text.find_first_of(".e") == std::string::npos)
    text += ".0";
  text += "f";
  if (wide < 0)
    text = "(" + text + ")";
  return type.isF32() ? text : Printer::typeName(type) + "(" + text + ")";
}

std::string PrinterLiterals::combinerName(Operation *op) {
  return llvm::TypeSwitch<Operation *, std::string>(op)
      .Case<arith::AddFOp, arith::AddIOp>([](auto) { return "Sum"; })
      .Case<arith::MulFOp, arith::MulIOp>([](auto) { return "Product"; })
      .Case<arith::MaximumFOp, arith::MaxNumFOp, arith::MaxSIOp>([](auto) { return "Maximum"; })
      .Case<arith::MinimumFOp, arith::MinNumFOp, arith::MinSIOp>([](auto) { return "Minimum"; })
      .Case<arith::OrIOp>([](auto) { return "Or"; })
      .Case<arith::AndIOp>([](auto) { return "And"; })
      .Default([](auto) { return ""; });
}

std::string PrinterLiterals::neutral(Operation *combiner, Type type) {
  std::string name = combinerName(combiner);
  if (name == "Sum" || name == "Or")
    return type.isInteger(1) ? "false" : Printer::typeName(type) + "(0)";
  if (name == "Product")
    return Printer::typeName(type) + "(1)";
  if (name == "And")
    return type.isInteger(1) ? "true" : "~" + Printer::typeName(type) + "(0)";
  bool maximum = name == "Maximum";
  if (auto floating = dyn_cast<FloatType>(type))
    return print(FloatAttr::get(type, APFloat::getInf(floating.getFloatSemantics(), maximum)),
                 type);
  unsigned width = type.isIndex() ? 64 : type.getIntOrFloatBitWidth();
  return print(IntegerAttr::get(type, maximum ? APInt::getSignedMinValue(width)
                                              : APInt::getSignedMaxValue(width)),
               type);
}

//===----------------------------------------------------------------------===//
// Indices
//===----------------------------------------------------------------------===//

Index PrinterIndices::add(Printer &printer, const Scalar &base, const Index &index) {
  // Vectors are read where vectors begin: not at an odd constant behind one.
  int64_t constant = 0;
  bool shifts = !StringRef(base.text).getAsInteger(10, constant) &&
                constant % printer.getVector() != 0;
  if (index.contiguousBase.empty() || shifts || base.home->depth > index.contiguousHome->depth)
    return printer.define("ingot::i64", base.text + " + " + index.text, {&base, &index});
  Scalar start{index.contiguousBase, index.contiguousHome, {}, nullptr, false};
  Scalar sum = printer.define("ingot::i64", base.text + " + " + start.text, {&base, &start});
  std::string lane =
      StringRef(index.text).drop_front(index.contiguousBase.size() + 4).drop_back().str();
  return {"(" + sum.text + " + " + lane + ")", index.home, sum.text, index.contiguousHome};
}

Scalar Printer::evaluateApply(AffineExpr expr, ArrayRef<Scalar> dims, ArrayRef<Scalar> symbols) {
  if (auto constant = dyn_cast<AffineConstantExpr>(expr))
    return literal(std::to_string(constant.getValue()));
  if (auto dim = dyn_cast<AffineDimExpr>(expr))
    return dims[dim.getPosition()];
  if (auto symbol = dyn_cast<AffineSymbolExpr>(expr))
    return symbols[symbol.getPosition()];
  auto binary = cast<AffineBinaryOpExpr>(expr);
  Scalar lhs = evaluateApply(binary.getLHS(), dims, symbols);
  Scalar rhs = evaluateApply(binary.getRHS(), dims, symbols);
  std::string text;
  switch (expr.getKind()) {
  case AffineExprKind::Add:
    if (rhs.home->depth <= lhs.home->depth && !lhs.contiguousBase.empty())
      return PrinterIndices::add(*this, rhs, lhs);
    if (!rhs.contiguousBase.empty())
      return PrinterIndices::add(*this, lhs, rhs);
    text = lhs.text + " + " + rhs.text;
    break;
  case AffineExprKind::Mul:
    text = lhs.text + " * " + rhs.text;
    break;
  case AffineExprKind::Mod:
    text = "(" + lhs.text + " % " + rhs.text + " + " + rhs.text + ") % " + rhs.text;
    break;
  case AffineExprKind::FloorDiv:
    text = "ingot::floor_div(" + lhs.text + ", " + rhs.text + ")";
    break;
  default:
    text = "ingot::ceil_div_signed(" + lhs.text + ", " + rhs.text + ")";
    break;
  }
  return define("ingot::i64", text, {&lhs, &rhs});
}

//===----------------------------------------------------------------------===//
// Operations
//===----------------------------------------------------------------------===//

static const char *comparison(arith::CmpIPredicate predicate) {
  using P = arith::CmpIPredicate;
  switch (predicate) {
  case P::eq:
    return "==";
  case P::ne:
    return "!=";
  case P::slt:
  case P::ult:
    return "<";
  case P::sle:
  case P::ule:
    return "<=";
  case P::sgt:
  case P::ugt:
    return ">";
  case P::sge:
  case P::uge:
    return ">=";
  }
  return "==";
}

/// The predicate on f32 or f64 names; `a` and `b` are not NaN in ordered ones.
static std::string compareFloats(arith::CmpFPredicate predicate, const std::string &a,
                                 const std::string &b) {
  using P = arith::CmpFPredicate;
  switch (predicate) {
  case P::AlwaysFalse:
    return "false";
  case P::AlwaysTrue:
    return "true";
  case P::OEQ:
    return a + " == " + b;
  case P::OGT:
    return a + " > " + b;
  case P::OGE:
    return a + " >= " + b;
  case P::OLT:
    return a + " < " + b;
  case P::OLE:
    return a + " <= " + b;
  case P::ONE:
    return a + " < " + b + " || " + a + " > " + b;
  case P::ORD:
    return a + " == " + a + " && " + b + " == " + b;
  case P::UEQ:
    return "!(" + a + " < " + b + " || " + a + " > " + b + ")";
  case P::UGT:
    return "!(" + a + " <= " + b + ")";
  case P::UGE:
    return "!(" + a + " < " + b + ")";
  case P::ULT:
    return "!(" + a + " >= " + b + ")";
  case P::ULE:
    return "!(" + a + " > " + b + ")";
  case P::UNE:
    return a + " != " + b;
  case P::UNO:
    return a + " != " + a + " || " + b + " != " + b;
  }
  return "false";
}

/// The unsigned type of the same width.
static std::string unsignedName(Type type) {
  if (type.isInteger(1))
    return "bool";
  return type.isInteger(8) ? "ingot::u8" : type.isInteger(32) ? "ingot::u32" : "ingot::u64";
}

/// The expression of a scalar op without regions, or nothing.
static std::optional<std::string> printOperation(Operation *op, ArrayRef<Scalar> x,
                                                 bool shortFunctions) {
  auto text = [&](unsigned i) { return x[i].text; };
  auto binary = [&](const char *symbol) { return text(0) + " " + symbol + " " + text(1); };
  Type type = op->getNumResults() ? op->getResult(0).getType() : Type();
  bool half = type && (type.isF16() || type.isBF16());
  auto wide = [&](unsigned i) { return half ? "float(" + text(i) + ")" : text(i); };
  // A function of f32 or f64; 16-bit types compute in f32.
  auto call = [&](const std::string &name) {
    std::string arguments;
    for (unsigned i = 0; i < x.size(); ++i)
      arguments += (i ? ", " : "") + wide(i);
    std::string full = name + (type.isF64() ? "" : "f") + "(" + arguments + ")";
    return half ? Printer::typeName(type) + "(" + full + ")" : full;
  };
  auto asUnsigned = [&](unsigned i) {
    return unsignedName(op->getOperand(i).getType()) + "(" + text(i) + ")";
  };
  auto castTo = [&](const std::string &inner) {
    return Printer::typeName(type) + "(" + inner + ")";
  };
  using R = std::optional<std::string>;
  if (shortFunctions && type && type.isF32()) {
    if (isa<math::ErfOp>(op))
      return "ingot::erf_fast(" + text(0) + ")";
    if (isa<math::ExpOp>(op))
      return "ingot::exp_fast(" + text(0) + ")";
    if (isa<arith::DivFOp>(op))
      return "ingot::divide_fast(" + text(0) + ", " + text(1) + ")";
  }
  return llvm::TypeSwitch<Operation *, R>(op)
      .Case<arith::AddFOp, arith::AddIOp>([&](auto) -> R { return binary("+"); })
      .Case<arith::SubFOp, arith::SubIOp>([&](auto) -> R { return binary("-"); })
      .Case<arith::MulFOp, arith::MulIOp>([&](auto) -> R { return binary("*"); })
      .Case<arith::DivFOp, arith::DivSIOp>([&](auto) -> R { return binary("/"); })
      .Case([&](arith::RemSIOp) -> R { return binary("%"); })
      .Case([&](arith::DivUIOp) -> R { return castTo(asUnsigned(0) + " / " + asUnsigned(1)); })
      .Case([&](arith::RemUIOp) -> R { return castTo(asUnsigned(0) + " % " + asUnsigned(1)); })
      .Case([&](arith::FloorDivSIOp) -> R {
        return castTo("ingot::floor_div(" + text(0) + ", " + text(1) + ")");
      })
      .Case([&](arith::CeilDivSIOp) -> R {
        return castTo("ingot::ceil_div_signed(" + text(0) + ", " + text(1) + ")");
      })
      .Case<arith::MaximumFOp, arith::MaxNumFOp>(
          [&](auto) -> R { return "ingot::maximum(" + text(0) + ", " + text(1) + ")"; })
      .Case<arith::MinimumFOp, arith::MinNumFOp>(
          [&](auto) -> R { return "ingot::minimum(" + text(0) + ", " + text(1) + ")"; })
      .Case([&](arith::MaxSIOp) -> R { return "ingot::max_of(" + text(0) + ", " + text(1) + ")"; })
      .Case([&](arith::MinSIOp) -> R { return "ingot::min_of(" + text(0) + ", " + text(1) + ")"; })
      .Case([&](arith::MaxUIOp) -> R {
        return castTo("ingot::max_of(" + asUnsigned(0) + ", " + asUnsigned(1) + ")");
      })
      .Case([&](arith::MinUIOp) -> R {
        return castTo("ingot::min_of(" + asUnsigned(0) + ", " + asUnsigned(1) + ")");
      })
      .Case([&](arith::AndIOp) -> R { return binary("&"); })
      .Case([&](arith::OrIOp) -> R { return binary("|"); })
      .Case([&](arith::XOrIOp) -> R { return binary("^"); })
      .Case([&](arith::ShLIOp) -> R { return binary("<<"); })
      .Case([&](arith::ShRSIOp) -> R { return binary(">>"); })
      .Case([&](arith::ShRUIOp) -> R { return castTo(asUnsigned(0) + " >> " + asUnsigned(1)); })
      .Case([&](arith::NegFOp) -> R { return half ? castTo("-" + wide(0)) : "-" + text(0); })
      .Case([&](arith::SelectOp) -> R { return text(0) + " ? " + text(1) + " : " + text(2); })
      .Case([&](arith::CmpIOp cmp) -> R {
        using P = arith::CmpIPredicate;
        bool isUnsigned = cmp.getPredicate() >= P::ult;
        std::string a = isUnsigned ? asUnsigned(0) : text(0);
        std::string b = isUnsigned ? asUnsigned(1) : text(1);
        return a + " " + comparison(cmp.getPredicate()) + " " + b;
      })
      .Case([&](arith::CmpFOp cmp) -> R {
        Type operand = cmp.getLhs().getType();
        bool narrow = operand.isF16() || operand.isBF16();
        return compareFloats(cmp.getPredicate(), narrow ? "float(" + text(0) + ")" : text(0),
                             narrow ? "float(" + text(1) + ")" : text(1));
      })
      .Case<arith::ExtFOp, arith::IndexCastOp, arith::ExtSIOp>([&](auto) -> R {
        if (isa<arith::ExtFOp>(op) && type.isF64() && !op->getOperand(0).getType().isF32())
          return "double(float(" + text(0) + "))";
        return castTo(text(0));
      })
      .Case([&](arith::TruncFOp) -> R {
        bool fromDouble = op->getOperand(0).getType().isF64();
        return castTo(fromDouble && half ? "float(" + text(0) + ")" : text(0));
      })
      .Case([&](arith::TruncIOp) -> R {
        return type.isInteger(1) ? "(" + text(0) + " & 1) != 0" : castTo(text(0));
      })
      .Case<arith::ExtUIOp, arith::IndexCastUIOp>([&](auto) -> R { return castTo(asUnsigned(0)); })
      .Case([&](arith::SIToFPOp) -> R {
        return half ? castTo("float(" + text(0) + ")") : castTo(text(0));
      })
      .Case([&](arith::UIToFPOp) -> R {
        return half ? castTo("float(" + asUnsigned(0) + ")") : castTo(asUnsigned(0));
      })
      .Case<arith::FPToSIOp, arith::FPToUIOp>([&](auto) -> R {
        Type source = op->getOperand(0).getType();
        return castTo(source.isF32() || source.isF64() ? text(0) : "float(" + text(0) + ")");
      })
      .Case([&](arith::BitcastOp) -> R {
        Type source = op->getOperand(0).getType();
        if (source.isF64() && type.isInteger(64))
          return "__double_as_longlong(" + text(0) + ")";
        if (source.isInteger(64) && type.isF64())
          return "__longlong_as_double(" + text(0) + ")";
        if (source.isF32() && type.isInteger(32))
          return "__float_as_int(" + text(0) + ")";
        if (source.isInteger(32) && type.isF32())
          return "__int_as_float(" + text(0) + ")";
        return std::nullopt;
      })
      .Case([&](math::ExpOp) -> R { return call("exp"); })
      .Case([&](math::Exp2Op) -> R { return call("exp2"); })
      .Case([&](math::ExpM1Op) -> R { return call("expm1"); })
      .Case([&](math::LogOp) -> R { return call("log"); })
      .Case([&](math::Log1pOp) -> R { return call("log1p"); })
      .Case([&](math::Log2Op) -> R { return call("log2"); })
      .Case([&](math::SqrtOp) -> R { return call("sqrt"); })
      .Case([&](math::RsqrtOp) -> R { return call("rsqrt"); })
      .Case([&](math::ErfOp) -> R { return call("erf"); })
      .Case([&](math::TanhOp) -> R { return call("tanh"); })
      .Case([&](math::SinOp) -> R { return call("sin"); })
      .Case([&](math::CosOp) -> R { return call("cos"); })
      .Case([&](math::PowFOp) -> R { return call("pow"); })
      .Case([&](math::AbsFOp) -> R { return call("fabs"); })
      .Case([&](math::FloorOp) -> R { return call("floor"); })
      .Case([&](math::CeilOp) -> R { return call("ceil"); })
      .Case([&](math::RoundEvenOp) -> R { return call("rint"); })
      .Case([&](math::FmaOp) -> R { return call("fma"); })
      .Case([&](math::AbsIOp) -> R { return text(0) + " < 0 ? -" + text(0) + " : " + text(0); })
      .Default([](auto) -> R { return std::nullopt; });
}

Scalar Printer::evaluate(Value value, Instance *instance) {
  if (!ok())
    return literal("0");
  if (instance)
    if (auto it = instance->values.find(value); it != instance->values.end())
      return it->second;
  auto keep = [&](Scalar scalar) {
    if (instance)
      instance->values[value] = scalar;
    return scalar;
  };
  if (auto argument = dyn_cast<BlockArgument>(value)) {
    if (argument.getOwner()->getParentOp() == func) {
      unsigned position = argument.getArgNumber() - abi.numBuffers;
      if (position < sizes.size())
        return literal(sizes[position]);
      return fail("a kernel's value depends on its block's position");
    }
    if (!instance || argument.getOwner() != instance->op.getBody())
      return fail("a value comes from outside of its operation");
    OpOperand &operand = instance->op->getOpOperand(argument.getArgNumber());
    std::vector<Index> indices;
    for (AffineExpr expr : instance->op.getMatchingIndexingMap(&operand).getResults())
      indices.push_back(evaluateApply(expr, instance->loops, {}));
    if (!isa<RankedTensorType>(operand.get().getType()))
      return keep(evaluate(operand.get(), nullptr));
    return keep(read(operand.get(), indices));
  }
  Operation *op = value.getDefiningOp();
  bool inside = instance && instance->op->isProperAncestor(op);
  return keep(evaluateOp(op, cast<OpResult>(value).getResultNumber(), inside ? instance : nullptr));
}

Scalar Printer::evaluateIf(Operation *op, unsigned result, Instance *instance) {
  auto branch = cast<scf::IfOp>(op);
  Scalar condition = evaluate(branch.getCondition(), instance);
  // What a branch computes isn't there outside of it.
  auto evaluateBranch = [&](Region &region) {
    llvm::DenseMap<Value, Scalar> before;
    if (instance)
      before = instance->values;
    Scalar value = evaluate(region.front().getTerminator()->getOperand(result), instance);
    if (instance)
      instance->values = std::move(before);
    return value;
  };
  return readGuarded(
      condition, op->getResult(result).getType(),
      [&] { return evaluateBranch(branch.getThenRegion()); },
      [&] { return evaluateBranch(branch.getElseRegion()); });
}

/// A loop that carries scalars. It stands where it is used: its bounds may depend on anything.
Scalar Printer::evaluateFor(Operation *op, unsigned result, Instance *instance) {
  auto loop = cast<scf::ForOp>(op);
  if (!instance)
    return fail("a loop outside of an operation on tensors has no form");
  ++costs.serialReductions;
  costs.serialTerms = INT64_MAX;
  CodeBlock *home = current, *beforeBarrier = barrier;
  Scalar lower = evaluate(loop.getLowerBound(), instance);
  Scalar upper = evaluate(loop.getUpperBound(), instance);
  Scalar step = evaluate(loop.getStep(), instance);
  barrier = home;
  std::vector<std::string> carried;
  for (Value initial : loop.getInitArgs()) {
    std::string type = typeName(initial.getType());
    if (type.empty())
      return fail("a loop that carries tensors has no form");
    Scalar start = evaluate(initial, instance);
    carried.push_back(fresh("sum"));
    statement(home, type + " " + carried.back() + " = " + start.text + ";");
  }
  std::string k = fresh("k");
  llvm::DenseMap<Value, Scalar> before = instance->values;
  CodeBlock *body = open(home);
  barrier = body;
  int savedVector = plan.vector;
  plan.vector = 1;
  instance->values[loop.getInductionVar()] = {k, body, {}, nullptr, false};
  for (auto [argument, name] : llvm::zip_equal(loop.getRegionIterArgs(), carried))
    instance->values[argument] = {name, body, {}, nullptr, false};
  std::vector<std::string> next;
  for (Value yielded : loop.getBody()->getTerminator()->getOperands())
    next.push_back(evaluate(yielded, instance).text);
  for (auto [name, value] : llvm::zip_equal(carried, next))
    statement(body, name + " = " + value + ";");
  close(body,
        "for (ingot::i64 " + k + " = " + lower.text + "; " + k + " < " + upper.text + "; " + k +
            " += " + step.text + ") {",
        "}");
  plan.vector = savedVector;
  current = home;
  barrier = beforeBarrier;
  instance->values = std::move(before);
  for (auto [value, name] : llvm::zip_equal(loop.getResults(), carried))
    instance->values[value] = {name, home, {}, nullptr, false};
  return {carried[result], home, {}, nullptr, false};
}

/// The x of x * 0.5 * (1 + erf(x * sqrt(0.5))), if `op` is that.
static Value matchGelu(Operation *op) {
  auto times = [](Value value, float factor) -> Value {
    auto product = value.getDefiningOp<arith::MulFOp>();
    FloatAttr constant;
    if (!product || !matchPattern(product.getRhs(), m_Constant(&constant)) ||
        std::abs(constant.getValueAsDouble() - factor) > 1e-7)
      return {};
    return product.getLhs();
  };
  auto product = dyn_cast<arith::MulFOp>(op);
  if (!product || !product.getType().isF32())
    return {};
  auto sum = product.getRhs().getDefiningOp<arith::AddFOp>();
  auto erf = sum ? sum.getLhs().getDefiningOp<math::ErfOp>() : math::ErfOp();
  FloatAttr one;
  if (!erf || !matchPattern(sum.getRhs(), m_Constant(&one)) || !one.getValue().isExactlyValue(1.0))
    return {};
  Value x = times(product.getLhs(), 0.5f);
  return x && x == times(erf.getOperand(), 0.707106769f) ? x : Value();
}

Scalar Printer::evaluateOp(Operation *op, unsigned result, Instance *instance) {
  Type type = op->getResult(result).getType();
  std::string name = typeName(type);
  if (name.empty())
    return fail("values of the type of " + op->getName().getStringRef().str() + " have no form");
  if (auto constant = dyn_cast<arith::ConstantOp>(op))
    return literal(PrinterLiterals::print(constant.getValue(), type));
  if (auto index = dyn_cast<linalg::IndexOp>(op))
    return instance ? instance->loops[index.getDim()] : fail("an index outside of its operation");
  if (auto dim = dyn_cast<tensor::DimOp>(op)) {
    std::optional<int64_t> position = dim.getConstantIndex();
    return position ? literal(extent(dim.getSource(), *position))
                    : fail("a dimension is chosen at run time");
  }
  if (auto extract = dyn_cast<tensor::ExtractOp>(op)) {
    std::vector<Index> indices;
    for (Value index : extract.getIndices())
      indices.push_back(evaluate(index, instance));
    return read(extract.getTensor(), indices);
  }
  if (isa<scf::IfOp>(op))
    return evaluateIf(op, result, instance);
  if (isa<scf::ForOp>(op))
    return evaluateFor(op, result, instance);
  if (Value x = plan.shortFunctions ? matchGelu(op) : Value()) {
    Scalar scalar = evaluate(x, instance);
    return define(name, "ingot::gelu_fast(" + scalar.text + ")", {&scalar});
  }
  std::vector<Scalar> operands;
  for (Value operand : op->getOperands()) {
    if (isa<ShapedType>(operand.getType()))
      return fail(op->getName().getStringRef().str() + " has no form");
    operands.push_back(evaluate(operand, instance));
  }
  if (auto apply = dyn_cast<affine::AffineApplyOp>(op)) {
    ArrayRef<Scalar> all = operands;
    AffineMap map = apply.getAffineMap();
    return evaluateApply(map.getResult(0), all.take_front(map.getNumDims()),
                         all.drop_front(map.getNumDims()));
  }
  // Sums and casts of a column index stay contiguous.
  if (isa<arith::AddIOp>(op) && type.isIndex()) {
    for (unsigned i : {0, 1})
      if (!operands[i].contiguousBase.empty())
        return PrinterIndices::add(*this, operands[1 - i], operands[i]);
  }
  // What is rounded and widened again inside of the kernel need not be rounded.
  if (isa<arith::ExtFOp>(op) && type.isF32())
    if (auto it = unrounded.find(operands[0].text); it != unrounded.end())
      return it->second;
  std::optional<std::string> text = printOperation(op, operands, plan.shortFunctions);
  if (!text)
    return fail(op->getName().getStringRef().str() + " has no form");
  SmallVector<const Scalar *> pointers;
  for (const Scalar &operand : operands)
    pointers.push_back(&operand);
  Scalar scalar = define(name, *text, pointers);
  if (isa<arith::TruncFOp>(op) && op->getOperand(0).getType().isF32())
    unrounded.try_emplace(scalar.text, operands[0]);
  return scalar;
}
