//===- Stream.cpp - The code of streams: many launches as one grid ----------===//
#include "codegen/cuda/Stream.h"

#include "codegen/cuda/KernelFunction.h"
#include "codegen/cuda/Stub.h"

#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace ingot;
using namespace ingot::cuda;
using codegen::StreamTask;

//===----------------------------------------------------------------------===//
// Shape
//===----------------------------------------------------------------------===//

bool cuda::hasStreams(StringRef arch) {
  std::optional<ArchInfo> info = getArchInfo(arch);
  return info && info->number == 90 && info->specific;
}

/// Fewer stages of the ring would not hold what DRAM has on its way.
static constexpr uint64_t kLeastStages = 6;

uint64_t cuda::countStreamBytes(ArrayRef<const StreamTask *> tasks, int64_t steps, int64_t tokens) {
  // StreamPlaces.
  constexpr uint64_t kAlignment = 1024, kTilesAndBarriers = 5 * 1024;
  constexpr uint64_t kStageBytes = 16384, kSums = 6, kWarps = 8, kSumPitch = 20;
  uint64_t tokenBytes = 0, workBytes = 0;
  for (const StreamTask *task : tasks) {
    tokenBytes = std::max(tokenBytes, task->tokenBytes * tokens);
    workBytes = std::max(workBytes, task->workBytes);
  }
  return kAlignment + kTilesAndBarriers + (steps + 1) * 4 +
         kSums * kWarps * tokens * kSumPitch * 4 + tokenBytes + workBytes +
         kLeastStages * kStageBytes;
}

//===----------------------------------------------------------------------===//
// Source
//===----------------------------------------------------------------------===//

namespace {

/// A task and its kernel.
struct NamedTask {
  exec::KernelOp kernel;
  StreamTask task;
};

/// Prints the source of one stream.
class StreamPrinter {
public:
  StreamPrinter(exec::StreamOp stream, StringRef arch, ArrayRef<NamedTask> tasks)
      : stream(stream), arch(arch), tasks(tasks), os(text) {}

  std::string print();

private:
  void printSizes();
  void printTask(unsigned index);
  void printFunction(unsigned index, const StreamTask::Function &function);
  void printEntry();
  /// What a kernel's size is called among those of all tasks: "t1_d0".
  std::string sizeOf(unsigned index, unsigned size) {
    return "t" + std::to_string(index) + "_" + sizeName(tasks[index].kernel, size);
  }
  void forEachSize(llvm::function_ref<void(std::string)> visit) {
    for (auto [index, task] : llvm::enumerate(tasks))
      if (task.task.takesSizes())
        for (unsigned i = 0; i < exec::KernelOp(task.kernel).getSizes().size(); ++i)
          visit(sizeOf(index, i));
  }

  exec::StreamOp stream;
  StringRef arch;
  ArrayRef<NamedTask> tasks;
  std::string text;
  llvm::raw_string_ostream os;
};

} // namespace

void StreamPrinter::printSizes() {
  os << "\n/// Sizes that launches are passed, of each kernel the same in all.\nstruct Sizes {\n";
  forEachSize([&](std::string name) { os << "  ingot::i64 " << name << ";\n"; });
  os << "};\n";
}

/// A function with the buffers and sizes that its value names under the names that the kernel's
/// stub has for them.
void StreamPrinter::printFunction(unsigned index, const StreamTask::Function &function) {
  exec::KernelOp kernel = tasks[index].kernel;
  const StreamTask &task = tasks[index].task;
  SmallVector<bool> written = kernel.getWrittenBuffers();
  os << "  static INGOT_DEVICE " << function.type << "\n  " << function.name
     << "(const ingot::StreamArguments &a, const ingot::StreamTile &tile"
     << (function.takesSizes ? ", const Sizes &sizes" : "") << ") {\n";
  for (auto [i, type] : llvm::enumerate(kernel.getBufferTypes())) {
    std::string element = elementName(type.getElementType());
    bool exchanged = i == task.result || llvm::is_contained(task.exchanged, i);
    if (!hasName(function.value, bufferName(i)))
      continue;
    os << "    auto *const " << bufferName(i) << " = ";
    if (exchanged)
      os << "reinterpret_cast<" << element << " *>(tile.address(a, " << i << "));\n";
    else if (written[i])
      os << "static_cast<" << element << " *>(const_cast<void *>(tile.buffers[" << i << "]));\n";
    else
      os << "static_cast<const " << element << " *>(tile.buffers[" << i << "]);\n";
  }
  for (unsigned i = 0; i < kernel.getSizes().size(); ++i)
    if (hasName(function.value, sizeName(kernel, i)))
      os << "    const ingot::i64 " << sizeName(kernel, i) << " = "
         << (function.takesSizes ? "sizes." + sizeOf(index, i) : std::string("a.most")) << ";\n";
  os << "    return " << function.value << ";\n  }\n";
}

void StreamPrinter::printTask(unsigned index) {
  exec::KernelOp kernel = tasks[index].kernel;
  const StreamTask &task = tasks[index].task;
  std::string name = "Task" + std::to_string(index);
  os << "\n// Launches of @" << kernel.getSymName() << ": " << kernel.getDescription().value_or("")
     << "\nstruct " << name << " {\n  using Type = " << task.elementType
     << ";\n  struct Config {\n";
  for (const auto &[constant, value] : task.constants)
    os << "    static constexpr " << constant << " = " << value << ";\n";
  os << "  };\n" << task.declarations;
  for (const StreamTask::Function &function : task.functions)
    printFunction(index, function);
  os << "  using Kind = ingot::" << task.kind << "<" << name << ">;\n};\n";
}

void StreamPrinter::printEntry() {
  os << "\nusing Tasks = ingot::StreamTasks<";
  for (unsigned i = 0; i < tasks.size(); ++i)
    os << (i ? ", Task" : "Task") << i;
  os << ">;\nstatic_assert(ingot::kStreamThreads == " << kStreamThreads
     << ", \"the launch has as many\");\n"
     << "static_assert(ingot::StreamPlaces<Tasks, " << stream.getShared() << ">::count_stages("
     << stream.getMostTokens() << ", " << stream.getSteps() << ") >= " << kLeastStages
     << ", \"the ring has room\");\n"
     << "extern \"C\" __global__ void __launch_bounds__(ingot::kStreamThreads, 1) "
     << getEntryName(stream.getSymName())
     << "(const ingot::StreamStep *steps, unsigned char *exchange, const ingot::i64 most";
  forEachSize([&](std::string name) { os << ", const ingot::i64 " << name; });
  os << ", const ingot::i32 *tokens) {\n  ingot::stream<Tasks, " << stream.getShared()
     << ">(\n      ingot::StreamArguments{steps, " << stream.getSteps()
     << ", exchange, most}, tokens, Sizes{";
  bool first = true;
  forEachSize([&](std::string name) {
    os << (first ? "" : ", ") << name;
    first = false;
  });
  os << "});\n}\n";
}

std::string StreamPrinter::print() {
  os << "// Stream @" << stream.getSymName() << " for " << arch
     << ", made by ingot: " << stream.getSteps() << " launches as one grid.\n";
  if (stream.getDescription())
    os << "// " << *stream.getDescription() << "\n";
  llvm::SetVector<StringRef> includes;
  for (const NamedTask &task : tasks)
    includes.insert(task.task.include);
  includes.insert("codegen/cuda/kernels/stream.cuh");
  for (StringRef include : includes)
    os << "#include \"" << include << "\"\n";
  printSizes();
  for (unsigned i = 0; i < tasks.size(); ++i)
    printTask(i);
  printEntry();
  return std::move(text);
}

//===----------------------------------------------------------------------===//
// Code
//===----------------------------------------------------------------------===//

/// The tasks of a stream, as the families of its kernels give them.
static Result<std::vector<NamedTask>> findTasks(ModuleOp module, exec::StreamOp stream,
                                                const codegen::KernelRegistry &registry) {
  std::vector<NamedTask> tasks;
  for (auto name : stream.getTasks().getAsRange<FlatSymbolRefAttr>()) {
    auto kernel = SymbolTable::lookupNearestSymbolFrom<exec::KernelOp>(module, name.getAttr());
    const codegen::KernelFamily *family = registry.lookup(*kernel.getFamily());
    if (!family)
      return Status(ExitCode::Internal, "no kernel family '" + kernel.getFamily()->str() + "'");
    auto task = family->getStreamTask(kernel);
    if (auto *reason = std::get_if<std::string>(&task))
      return codegen::reportFormless(kernel, *reason);
    tasks.push_back({kernel, std::move(std::get<StreamTask>(task))});
  }
  return tasks;
}

Result<StreamCodes> cuda::emitStreams(ModuleOp module, ArrayRef<exec::StreamOp> streams,
                                      const codegen::KernelRegistry &registry,
                                      const codegen::EmitOptions &options) {
  StreamCodes codes;
  std::vector<Source> sources;
  std::vector<uint32_t> sharedBytes;
  for (exec::StreamOp stream : streams) {
    Result<std::vector<NamedTask>> tasks = findTasks(module, stream, registry);
    if (!tasks.ok())
      return tasks.status().withContext("stream @" + stream.getSymName().str() + ": ");
    auto target =
        SymbolTable::lookupNearestSymbolFrom<exec::TargetOp>(module, stream.getTargetAttr());
    std::string arch = target.getArch().str();
    sources.push_back(
        {stream.getSymName().str(), StreamPrinter(stream, arch, *tasks).print(), arch});
    sharedBytes.push_back(stream.getShared());
    StreamCode &code = codes.streams.emplace_back();
    code.kernel.entry = getEntryName(stream.getSymName());
    code.kernel.image = codes.streams.size() - 1;
    code.kernel.block = {kStreamThreads, 1, 1};
    code.kernel.sharedBytes = stream.getShared();
    code.kernel.overlaps = true;
    code.kernel.deviceSizes = {0};
    for (NamedTask &task : *tasks)
      code.tasks.push_back(std::move(task.task));
  }
  Result<std::vector<codegen::CodeImage>> images = compileSources(sources, sharedBytes, options);
  if (!images.ok())
    return images.status();
  codes.images = std::move(*images);
  return codes;
}
