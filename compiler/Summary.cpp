//===- Summary.cpp - What a compiled model costs --------------------------===//

#include "compiler/Summary.h"

#include <algorithm>

#include "dialects/Exec/ExecOps.h"
#include "dialects/Exec/SizeExpr.h"
#include "dialects/Transformer/TransformerOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "passes/Liveness.h"
#include "passes/TransformerToExec/KernelFormation.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace ingot {

using SizeValues = llvm::DenseMap<StringAttr, int64_t>;

//===----------------------------------------------------------------------===//
// Ceilings
//===----------------------------------------------------------------------===//

std::optional<Ceiling> findCeiling(const Target &target, std::string_view dtype, unsigned cores) {
  struct Row {
    const char *arch, *name;
    double f32, narrow, memory, launch;
  };
  static constexpr Row rows[] = {
#define CEILING(arch, name, f32, narrow, memory, launch) {arch, name, f32, narrow, memory, launch},
#include "compiler/Ceilings.def"
#undef CEILING
  };
  for (const Row &row : rows) {
    if (target.arch != row.arch)
      continue;
    bool isHost = target.kind == "host";
    double units = isHost ? cores : 1;
    std::string name = row.name;
    if (isHost && cores > 1)
      name = std::to_string(cores) + " x " + name;
    return Ceiling{name, (dtype == "f32" ? row.f32 : row.narrow) * 1e9 * units,
                   row.memory * 1e9 * units, row.launch * 1e-6};
  }
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Ops
//===----------------------------------------------------------------------===//

std::vector<std::pair<std::string, uint64_t>> countOps(ModuleOp module) {
  std::vector<std::pair<std::string, uint64_t>> counts;
  for (func::FuncOp function : module.getOps<func::FuncOp>()) {
    uint64_t count = 0;
    for (Operation &op : function.getBody().front().without_terminator()) {
      // Weights, constants, sizes and shapes compute nothing.
      bool computes =
          readsElements(&op) && !op.hasTrait<OpTrait::ConstantLike>() &&
          !isa<transformer::WeightOp, tensor::SplatOp, tensor::CastOp, tensor::ExpandShapeOp,
               tensor::CollapseShapeOp, tensor::ExtractSliceOp>(op) &&
          llvm::any_of(op.getResultTypes(), llvm::IsaPred<RankedTensorType>);
      count += computes;
    }
    counts.push_back({function.getSymName().str(), count});
  }
  return counts;
}

/// The value of a size; symbols that are no port's (the tokens of a packed batch) have `tokens`.
static double evaluate(exec::SizeAttr size, const SizeValues &values, uint64_t tokens) {
  double result = size.getFactor();
  for (StringAttr symbol : size.getSymbols()) {
    auto known = values.find(symbol);
    result *= known == values.end() ? double(tokens) : double(known->second);
  }
  return std::ceil(result / size.getDivisor());
}

static double countFlops(Operation &op, const SizePropagation &sizes, const SizeValues &values,
                         uint64_t tokens) {
  auto dim = [&](Value value, int64_t index) {
    ArrayRef<exec::SizeAttr> shape = sizes.getShape(value);
    return evaluate(shape[index < 0 ? index + int64_t(shape.size()) : index], values, tokens);
  };
  auto elements = [&](Value value) {
    double count = 1;
    for (exec::SizeAttr size : sizes.getShape(value))
      count *= evaluate(size, values, tokens);
    return count;
  };
  return llvm::TypeSwitch<Operation *, double>(&op)
      .Case([&](transformer::LinearOp linear) {
        return 2 * elements(linear.getResult()) * dim(linear.getX(), -1);
      })
      .Case([&](transformer::GatedLinearOp linear) {
        return 4 * elements(linear.getResult()) * dim(linear.getX(), -1);
      })
      .Case([&](transformer::MatmulOp matmul) {
        return 2 * elements(matmul.getResult()) * dim(matmul.getLhs(), -1);
      })
      .Case([&](transformer::AttentionOp attention) {
        // Every query against every key that the form has, seen or not.
        double rows = values.empty() ? 1 : double(values.begin()->second);
        for (auto [symbol, value] : values)
          if (symbol.getValue() == "B")
            rows = double(value);
        double keys = attention.isPaged()
                          ? dim(attention.getBlockTable(), 1) * dim(attention.getK(), 2)
                      : attention.isPacked() ? double(tokens) / rows
                                             : dim(attention.getK(), 1);
        return 2 * keys * (elements(attention.getQ()) + elements(attention.getOut()));
      })
      .Default([&](Operation *) -> double { return 0; });
}

void CostCounter::countFlops(ModuleOp module) {
  // Sizes are attributes of the dialect that the next phase makes.
  module.getContext()->loadDialect<exec::ExecDialect>();
  auto sizeTable = module->getAttrOfType<DictionaryAttr>(transformer::kSizesAttr);
  auto limits = module->getAttrOfType<ArrayAttr>(transformer::kLimitsAttr);
  auto maximum = [&](StringRef name) -> int64_t {
    auto bounds = sizeTable ? sizeTable.getAs<ArrayAttr>(name) : ArrayAttr();
    return bounds && bounds.size() == 2 ? cast<IntegerAttr>(bounds[1]).getInt() : 1;
  };
  int64_t tokens = maximum("B") * maximum("S");
  if (limits)
    for (auto limit : limits.getAsRange<DictionaryAttr>())
      if (auto most = limit.getAs<IntegerAttr>("max"))
        tokens = std::min(tokens, most.getInt());
  int64_t sequence = std::min(maximum("S"), tokens);
  for (func::FuncOp function : module.getOps<func::FuncOp>()) {
    std::string name = function.getSymName().str();
    std::vector<Point> uses;
    if (name == "step") {
      uses.push_back({name, "decode, 1 row, full context", 1, {{"B", 1}, {"S", 1}}, 0});
      uses.push_back({name, "prefill, 1 row", uint64_t(sequence), {{"B", 1}, {"S", sequence}}, 0});
    } else {
      int64_t rows = std::clamp<int64_t>(tokens / sequence, 1, maximum("B"));
      uses.push_back({name,
                      std::to_string(rows) + (rows == 1 ? " row" : " rows"),
                      uint64_t(rows * sequence),
                      {{"B", rows}, {"S", sequence}},
                      0});
    }
    SizePropagation sizes;
    if (failed(sizes.run(function)))
      continue; // The phase that needs it says why.
    for (Point &point : uses) {
      point.sizes.push_back({"NB", maximum("NB")});
      SizeValues values;
      for (auto &[symbol, value] : point.sizes)
        values[StringAttr::get(module.getContext(), symbol)] = value;
      for (Operation &op : function.getBody().front().without_terminator())
        point.flops += ingot::countFlops(op, sizes, values, point.tokens);
      points.push_back(std::move(point));
    }
  }
}

//===----------------------------------------------------------------------===//
// Bytes
//===----------------------------------------------------------------------===//

namespace {
/// The bytes that the launches of a program move at a point.
class ByteCounter {
public:
  ByteCounter(const SizeValues &values, uint64_t tokens) : values(values), tokens(tokens) {}

  double count(exec::LaunchOp launch, exec::KernelOp kernel) const;

private:
  double bytes(Value buffer) const {
    auto type = cast<exec::BufferType>(buffer.getType());
    double count = std::max(1u, type.getElementType().getIntOrFloatBitWidth() / 8);
    for (exec::SizeAttr size : type.getShape())
      count *= evaluate(size, values, tokens);
    return count;
  }
  double elements(Value buffer) const {
    auto type = cast<exec::BufferType>(buffer.getType());
    return bytes(buffer) / std::max(1u, type.getElementType().getIntOrFloatBitWidth() / 8);
  }

  const SizeValues &values;
  uint64_t tokens;
};
} // namespace

double ByteCounter::count(exec::LaunchOp launch, exec::KernelOp kernel) const {
  double total = 0;
  Block &body = kernel.getBody().front();
  for (auto [operand, argument] : llvm::zip(launch.getIns(), body.getArguments())) {
    double whole = bytes(operand), read = 0;
    // What is looked up by number, and columns, are read in part.
    auto buffer = [&](Value value) -> Value {
      auto inner = dyn_cast<BlockArgument>(value);
      return inner && inner.getOwner() == &body ? launch.getIns()[inner.getArgNumber()] : Value();
    };
    auto shareOf = [](tensor::ExtractSliceOp slice) {
      return double(slice.getType().getShape().back()) / slice.getSourceType().getShape().back();
    };
    for (Operation *user : argument.getUsers()) {
      double part = 0;
      if (auto embedding = dyn_cast<transformer::EmbeddingOp>(user);
          embedding && embedding.getTable() == argument) {
        if (Value ids = buffer(embedding.getIds()))
          part = elements(ids) * whole / embedding.getTable().getType().getDimSize(0);
      } else if (auto append = dyn_cast<transformer::CacheAppendOp>(user);
                 append && append.getCache() == argument) {
        auto slice = append.getX().getDefiningOp<tensor::ExtractSliceOp>();
        if (Value x = buffer(slice ? slice.getSource() : append.getX()))
          part = bytes(x) * (slice ? shareOf(slice) : 1);
      } else if (auto slice = dyn_cast<tensor::ExtractSliceOp>(user)) {
        part = whole * shareOf(slice);
      } else {
        Value table;
        if (auto gather = dyn_cast<transformer::CacheGatherOp>(user))
          table = gather.getBlockTable();
        else if (auto attention = dyn_cast<transformer::AttentionOp>(user))
          table = argument == attention.getK() || argument == attention.getV()
                      ? Value(attention.getBlockTable())
                      : Value();
        if (Value blocks = table ? buffer(table) : Value())
          part = elements(blocks) * whole / cast<RankedTensorType>(argument.getType()).getDimSize(0);
      }
      read += part > 0 ? std::min(whole, part) : whole;
    }
    total += std::min(whole, read);
  }
  for (Value output : launch.getOuts())
    total += bytes(output);
  return total;
}

/// The most bytes of the arena that hold values which are neither input nor output, over all steps.
static uint64_t peakActivations(exec::ProgramOp program, SymbolTable &symbols) {
  Liveness liveness(program);
  llvm::SmallPtrSet<Operation *, 8> ports;
  program.walk(
      [&](exec::OutputOp output) { ports.insert(exec::getBufferRoot(output.getBuffer())); });
  auto placed = [](Operation *root, StringRef name) {
    auto attribute = root->getAttrOfType<IntegerAttr>(name);
    return attribute ? attribute.getInt() : 0;
  };
  // What an output is made from in place is its bytes before.
  for (Operation *step : llvm::reverse(liveness.getSteps()))
    if (auto launch = dyn_cast<exec::LaunchOp>(step)) {
      auto kernel = symbols.lookup<exec::KernelOp>(launch.getKernel());
      for (auto [own, output] : llvm::enumerate(launch.getOuts())) {
        Operation *to = exec::getBufferRoot(output);
        for (int64_t input : kernel.getInPlaceInputs(own)) {
          Operation *from = exec::getBufferRoot(launch.getIns()[input]);
          if (ports.contains(to) && isa<exec::BufferOp>(from) &&
              placed(from, "offset") == placed(to, "offset"))
            ports.insert(from);
        }
      }
    }
  uint64_t peak = 0;
  for (int64_t step = 0, end = liveness.getSteps().size(); step < end; ++step) {
    // Ranges, since one buffer may lie over another that dies.
    std::vector<std::pair<int64_t, int64_t>> ranges;
    for (const Lifetime &life : liveness.getLifetimes())
      if (life.first <= step && step <= life.last && isa<exec::BufferOp>(life.root) &&
          !ports.contains(life.root))
        ranges.push_back({placed(life.root, "offset"),
                          placed(life.root, "offset") + placed(life.root, "bytes")});
    std::sort(ranges.begin(), ranges.end());
    int64_t total = 0, covered = 0;
    for (auto [begin, last] : ranges) {
      total += std::max<int64_t>(0, last - std::max(begin, covered));
      covered = std::max(covered, last);
    }
    peak = std::max(peak, uint64_t(total));
  }
  return peak;
}

/// What remove-padding saves of a padded batch of `rows` x `width`.
static void addSavings(exec::ProgramOp program, const std::string &what, int64_t rows, int64_t width,
                       ProgramReport &entry) {
  auto table = program->getAttrOfType<DictionaryAttr>(exec::ExecDialect::kUnpaddingAttr);
  if (!table || rows * width < 2)
    return;
  auto get = [&](StringRef name) {
    auto value = table.getAs<IntegerAttr>(name);
    return value ? double(value.getInt()) : 0.0;
  };
  double places = double(rows) * double(width), pairs = places * double(width);
  double whole = places * get("flops_per_token") + pairs * get("flops_per_pair");
  for (double fill : {0.5, 0.1}) {
    PaddingSaving &saving = entry.savings.emplace_back();
    saving.what = what;
    saving.fill = fill;
    saving.tokens = uint64_t(places * (1 - fill));
    saving.flops = places * (1 - fill) * get("flops_per_token") +
                   pairs * (1 - fill * fill) * get("flops_per_pair");
    saving.share = whole > 0 ? saving.flops / whole : 0;
  }
}

void CostCounter::report(ModuleOp module, const std::optional<Ceiling> &ceiling,
                         CompileReport &report) const {
  SymbolTable symbols(module);
  for (exec::ProgramOp program : module.getOps<exec::ProgramOp>()) {
    ProgramReport &entry = report.programs.emplace_back();
    entry.name = program.getSymName().str();
    program.walk([&](exec::LaunchOp) { ++entry.launches; });
    entry.activationBytes = peakActivations(program, symbols);
    for (const Point &point : points) {
      if (point.program != entry.name)
        continue;
      SizeValues values;
      for (auto &[symbol, value] : point.sizes)
        values[StringAttr::get(module.getContext(), symbol)] = value;
      CostEstimate &cost = entry.costs.emplace_back();
      cost.what = point.what;
      cost.tokens = point.tokens;
      cost.flops = point.flops;
      auto size = [&](StringRef symbol) {
        return values.lookup(StringAttr::get(module.getContext(), symbol));
      };
      addSavings(program, point.what, size("B"), size("S"), entry);
      ByteCounter bytes(values, point.tokens);
      program.walk([&](exec::LaunchOp launch) {
        cost.bytes += bytes.count(launch, symbols.lookup<exec::KernelOp>(launch.getKernel()));
      });
      if (ceiling)
        cost.seconds = std::max(cost.flops / ceiling->flops, cost.bytes / ceiling->bytes) +
                       double(entry.launches) * ceiling->launchSeconds;
    }
  }
  if (ceiling)
    report.ceiling = ceiling->name;
}

} // namespace ingot
