//===- PlanProgram.cpp - A program's part of the plan -----------------------===//

#include "codegen/PlanContext.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::codegen;
using exec::SizeAttr;
using flatbuffers::Offset;

namespace {

/// One exec.program.
class ProgramBuilder {
public:
  ProgramBuilder(PlanContext &plan, exec::ProgramOp program)
      : plan(plan), fbb(plan.fbb), program(program),
        bounds(exec::SizeBounds::get(program.getSymbols(), program.getLimits())) {}

  Result<Offset<format::Program>> build();

private:
  Offset<format::Size> size(SizeAttr size);
  Offset<flatbuffers::Vector<Offset<format::Size>>> sizes(ArrayAttr list);
  void buildBuffer(Value value);
  Offset<format::Step> buildLaunch(exec::LaunchOp launch);
  Offset<format::Stream> buildStream(exec::StreamedOp streamed, uint32_t first);
  Offset<format::Step> buildCopy(exec::CopyOp copy);
  Offset<format::Step> buildReadSize(exec::ReadSizeOp read);
  Offset<format::Port> buildInput(exec::InputOp input);
  Offset<format::Port> buildOutput(exec::OutputOp output);

  PlanContext &plan;
  flatbuffers::FlatBufferBuilder &fbb;
  exec::ProgramOp program;
  exec::SizeBounds bounds;
  llvm::DenseMap<StringAttr, uint16_t> symbolIndices;
  llvm::DenseMap<Value, uint32_t> bufferIndices;
  Offsets<format::Buffer> buffers;
};

} // namespace

/// "model.layers.3.self_attn.q_proj": the innermost name of a location.
static StringRef nameOf(Location location) {
  StringRef name;
  location->walk([&](Location inner) {
    if (auto named = dyn_cast<NameLoc>(inner)) {
      name = named.getName();
      return WalkResult::interrupt();
    }
    return WalkResult::advance();
  });
  return name;
}

Offset<format::Size> ProgramBuilder::size(SizeAttr size) {
  std::vector<uint16_t> symbols;
  for (StringAttr symbol : size.getSymbols())
    symbols.push_back(symbolIndices.lookup(symbol));
  llvm::sort(symbols);
  auto vector = fbb.CreateVector(symbols);
  return format::CreateSize(fbb, size.getFactor(), vector, size.getDivisor());
}

Offset<flatbuffers::Vector<Offset<format::Size>>> ProgramBuilder::sizes(ArrayAttr list) {
  Offsets<format::Size> tables;
  for (auto element : list.getAsRange<SizeAttr>())
    tables.push_back(size(element));
  return fbb.CreateVector(tables);
}

void ProgramBuilder::buildBuffer(Value value) {
  auto type = cast<exec::BufferType>(value.getType());
  Operation *root = exec::getBufferRoot(value);
  format::Space space = format::Space::Arena;
  StringRef name, device;
  uint64_t offset = 0;
  if (auto get = dyn_cast<exec::GetOp>(root)) {
    Operation *global = plan.symbols.lookup(get.getName());
    space = isa<exec::WeightOp>(global)     ? format::Space::Weights
            : isa<exec::ConstantOp>(global) ? format::Space::Constants
                                            : format::Space::State;
    name = get.getName();
    offset = global->getAttrOfType<IntegerAttr>("offset").getInt();
    device = global->getAttrOfType<FlatSymbolRefAttr>("device").getValue();
  } else {
    if (auto input = dyn_cast<exec::InputOp>(root))
      name = input.getName();
    offset = root->getAttrOfType<IntegerAttr>("offset").getInt();
    device = root->getAttrOfType<FlatSymbolRefAttr>("device").getValue();
  }
  Offsets<format::Size> extents;
  for (SizeAttr extent : type.getShape())
    extents.push_back(size(extent));
  // A view's bound may exceed its root's, whose bytes are what is there: bounds of products with
  // divisors are taken apart.
  uint64_t bytes = *bounds.maximumBytes(type);
  auto nameOffset = plan.stringOrNull(name);
  auto shape = fbb.CreateVector(extents);
  bufferIndices[value] = buffers.size();
  buffers.push_back(format::CreateBuffer(fbb, nameOffset, space, plan.deviceIndex(device), offset,
                                         bytes, toDType(type.getElementType()), shape));
}

Offset<format::Step> ProgramBuilder::buildLaunch(exec::LaunchOp launch) {
  std::vector<uint32_t> arguments;
  for (Value operand : launch.getOperands())
    arguments.push_back(bufferIndices.lookup(operand));
  SymbolTableCollection collection;
  FlatSymbolRefAttr device = launch.getNumOperands()
                                 ? exec::getBufferDevice(launch.getOperand(0), collection)
                                 : FlatSymbolRefAttr();
  auto kernel = plan.kernels.find(launch.getKernel());
  if (kernel == plan.kernels.end()) {
    plan.fail("launch of @" + launch.getKernel() + ", which has no code");
    return 0;
  }
  auto argumentVector = fbb.CreateVector(arguments);
  auto sizeVector = sizes(launch.getSizes());
  auto grid = sizes(*launch.getGrid());
  auto location = plan.stringOrNull(nameOf(launch.getLoc()));
  auto table = format::CreateLaunch(fbb, kernel->second, argumentVector, sizeVector, grid, location,
                                    device ? plan.deviceIndex(device.getValue()) : 0);
  return format::CreateStep(fbb, format::Action::Launch, table.Union());
}

/// The run of a stream whose first launch is the step `first`.
Offset<format::Stream> ProgramBuilder::buildStream(exec::StreamedOp streamed, uint32_t first) {
  auto placed = plan.streams.find(streamed.getStream());
  if (placed == plan.streams.end()) {
    plan.fail("run of @" + streamed.getStream() + ", which has no code");
    return 0;
  }
  exec::StreamOp stream = placed->second->stream;
  SmallVector<exec::LaunchOp> launches = streamed.getLaunches();
  Offsets<format::StreamStep> steps;
  for (exec::LaunchOp launch : launches) {
    ArrayRef<int64_t> offsets = *launch.getExchanged();
    auto exchanged = fbb.CreateVector(offsets.data(), offsets.size());
    steps.push_back(format::CreateStreamStep(fbb, *stream.findTask(launch.getKernel()), exchanged,
                                             *launch.getPart()));
  }
  Offsets<format::StreamTask> tasks;
  Offsets<format::Size> sizeTables;
  for (auto [name, task] : llvm::zip_equal(stream.getTasks().getAsRange<FlatSymbolRefAttr>(),
                                           placed->second->code.tasks)) {
    auto kernel = plan.symbols.lookup<exec::KernelOp>(name.getValue());
    Offsets<format::TensorMap> maps;
    for (const TensorMapCode &map : task.tensorMaps)
      maps.push_back(buildTensorMap(plan, kernel, map));
    tasks.push_back(format::CreateStreamTask(fbb, fbb.CreateVector(maps),
                                             plan.kernels.lookup(name.getValue()), task.partBytes));
    if (!task.takesSizes())
      continue;
    // Those of one launch are those of all.
    auto *launch = llvm::find_if(
        launches, [&](exec::LaunchOp launch) { return launch.getKernelAttr() == name; });
    for (auto value : launch->getSizes().getAsRange<SizeAttr>())
      sizeTables.push_back(size(value));
  }
  auto stepVector = fbb.CreateVector(steps);
  auto taskVector = fbb.CreateVector(tasks);
  auto sizeVector = fbb.CreateVector(sizeTables);
  return format::CreateStream(fbb, plan.kernels.lookup(streamed.getStream()), first, stepVector,
                              taskVector, symbolIndices.lookup(streamed.getTokensAttr()),
                              stream.getMostTokens(), streamed.getBytesPerToken(), sizeVector);
}

Offset<format::Step> ProgramBuilder::buildCopy(exec::CopyOp copy) {
  auto table = format::CreateCopy(fbb, bufferIndices.lookup(copy.getSource()),
                                  bufferIndices.lookup(copy.getTarget()));
  return format::CreateStep(fbb, format::Action::Copy, table.Union());
}

Offset<format::Step> ProgramBuilder::buildReadSize(exec::ReadSizeOp read) {
  auto table = format::CreateReadSize(fbb, symbolIndices.lookup(read.getSymbolAttr()),
                                      bufferIndices.lookup(read.getBuffer()), read.getElement());
  return format::CreateStep(fbb, format::Action::ReadSize, table.Union());
}

Offset<format::Port> ProgramBuilder::buildInput(exec::InputOp input) {
  auto name = plan.string(input.getName());
  auto description = plan.stringOrNull(input.getDescription().value_or(""));
  auto ascendsTo = input.getAscendsTo() ? size(*input.getAscendsTo()) : 0;
  format::PortBuilder port(fbb);
  port.add_ascends_to(ascendsTo);
  port.add_max_step(input.getMaxStep().value_or(0));
  port.add_name(name);
  port.add_buffer(bufferIndices.lookup(input.getResult()));
  if (std::optional<ArrayRef<int64_t>> range = input.getRange()) {
    port.add_has_range(true);
    port.add_minimum((*range)[0]);
    port.add_maximum((*range)[1]);
  }
  if (std::optional<int64_t> fill = input.getFill()) {
    port.add_optional(true);
    port.add_fill(*fill);
  }
  port.add_description(description);
  return port.Finish();
}

Offset<format::Port> ProgramBuilder::buildOutput(exec::OutputOp output) {
  auto name = plan.string(output.getName());
  auto description = plan.stringOrNull(output.getDescription().value_or(""));
  format::PortBuilder port(fbb);
  port.add_name(name);
  port.add_buffer(bufferIndices.lookup(output.getBuffer()));
  port.add_description(description);
  return port.Finish();
}

Result<Offset<format::Program>> ProgramBuilder::build() {
  Offsets<format::Symbol> symbols;
  for (auto symbol : program.getSymbols().getAsRange<exec::SymbolAttr>()) {
    symbolIndices[symbol.getName()] = symbols.size();
    auto name = plan.string(symbol.getName().getValue());
    auto bound = symbol.isResident() ? size(symbol.getBound()) : 0;
    symbols.push_back(
        format::CreateSymbol(fbb, name, symbol.getMinimum(), symbol.getMaximum(), bound));
  }
  Offsets<format::SizeLimit> limits;
  for (auto limit : program.getLimits().getAsRange<exec::LimitAttr>()) {
    std::vector<uint16_t> over;
    for (StringAttr symbol : limit.getSymbols())
      over.push_back(symbolIndices.lookup(symbol));
    auto vector = fbb.CreateVector(over);
    limits.push_back(format::CreateSizeLimit(fbb, vector, limit.getMaximum()));
  }
  Offsets<format::Port> inputs, outputs;
  Offsets<format::Step> steps;
  Offsets<format::Stream> streams;
  for (Operation &op : program.getBody().front()) {
    if (op.getNumResults() == 1)
      buildBuffer(op.getResult(0));
    if (auto launch = dyn_cast<exec::LaunchOp>(op))
      steps.push_back(buildLaunch(launch));
    else if (auto copy = dyn_cast<exec::CopyOp>(op))
      steps.push_back(buildCopy(copy));
    else if (auto read = dyn_cast<exec::ReadSizeOp>(op))
      steps.push_back(buildReadSize(read));
    else if (auto streamed = dyn_cast<exec::StreamedOp>(op))
      streams.push_back(buildStream(streamed, steps.size()));
    else if (auto input = dyn_cast<exec::InputOp>(op))
      inputs.push_back(buildInput(input));
    else if (auto output = dyn_cast<exec::OutputOp>(op))
      outputs.push_back(buildOutput(output));
    if (!plan.status.ok())
      return plan.status;
  }
  auto name = plan.string(program.getSymName());
  auto symbolVector = fbb.CreateVector(symbols);
  auto limitVector = fbb.CreateVector(limits);
  auto bufferVector = fbb.CreateVector(buffers);
  auto inputVector = fbb.CreateVector(inputs);
  auto outputVector = fbb.CreateVector(outputs);
  auto stepVector = fbb.CreateVector(steps);
  Offset<format::Unpadding> unpadding = 0;
  if (auto given = program->getAttrOfType<DictionaryAttr>(exec::ExecDialect::kUnpaddingAttr))
    unpadding = format::CreateUnpadding(
        fbb, getInteger(given, "flops_per_token", 0), getInteger(given, "flops_per_pair", 0),
        getInteger(given, "packed_ops", 0), getInteger(given, "padded_ops", 0));
  Offset<format::Candidate> candidate = 0;
  if (auto given = program->getAttrOfType<DictionaryAttr>(exec::ExecDialect::kCandidateAttr)) {
    auto kernel = plan.string(given.getAs<StringAttr>("kernel").getValue());
    auto config = plan.string(given.getAs<StringAttr>("config").getValue());
    candidate =
        format::CreateCandidate(fbb, kernel, config, given.getAs<BoolAttr>("modelled").getValue());
  }
  Offset<flatbuffers::Vector<Offset<format::Stream>>> streamVector = 0;
  if (!streams.empty())
    streamVector = fbb.CreateVector(streams);
  return format::CreateProgram(fbb, name, symbolVector, limitVector, bufferVector, inputVector,
                               outputVector, stepVector, unpadding, candidate, streamVector);
}

Result<Offset<format::Program>> codegen::buildProgram(PlanContext &plan, exec::ProgramOp program) {
  return ProgramBuilder(plan, program).build();
}
