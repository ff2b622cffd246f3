//===- Stub.cpp - The generated part of a CUDA kernel -----------------------===//
#include "codegen/cuda/Stub.h"

#include "codegen/cuda/KernelFunction.h"
#include "codegen/cuda/Printer.h"

#include "mlir/IR/Location.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <map>

using namespace mlir;
using namespace ingot;
using namespace ingot::cuda;

std::string cuda::printFloat(double value) {
  char buffer[48];
  snprintf(buffer, sizeof buffer, "%.9g", static_cast<double>(static_cast<float>(value)));
  std::string text = buffer;
  return text + (text.find_first_of(".e") == std::string::npos ? ".0f" : "f");
}

std::string cuda::getEntryName(StringRef symbol) {
  // A prefix, because a kernel may be called `exp`.
  std::string name = "ingot_";
  for (char c : symbol)
    name += llvm::isAlnum(c) ? c : '_';
  return name;
}

/// The innermost name of a location: a module of the checkpoint.
static std::string nameOf(Location location) {
  std::string name;
  location->walk([&](Location inner) {
    if (auto named = dyn_cast<NameLoc>(inner)) {
      name = named.getName().str();
      return WalkResult::interrupt();
    }
    return WalkResult::advance();
  });
  return name;
}

static std::string printBuffer(exec::BufferType type) {
  std::string text;
  llvm::raw_string_ostream os(text);
  os << type.getElementType() << "[";
  llvm::interleaveComma(type.getShape(), os, [&](exec::SizeAttr size) { size.printBare(os); });
  os << "]";
  return text;
}

std::string cuda::elementName(Type type) {
  return type.isInteger(1) ? "ingot::i8" : Printer::typeName(type);
}

std::string cuda::printSource(exec::KernelOp kernel, const codegen::TargetInfo &target,
                              const Stub &stub) {
  std::string text;
  llvm::raw_string_ostream os(text);
  SmallVector<exec::BufferType> types = kernel.getBufferTypes();
  SmallVector<bool> written = kernel.getWrittenBuffers();
  os << "// Kernel @" << kernel.getSymName() << " for " << target.arch << ", made by ingot.\n";
  if (std::string module = nameOf(kernel.getLoc()); !module.empty())
    os << "// First used by " << module << ".\n";
  os << "// Computes ";
  bool first = true;
  for (Operation &op : kernel.getBody().front().without_terminator()) {
    if (op.hasTrait<OpTrait::ConstantLike>() || isa<tensor::TensorDialect>(op.getDialect()))
      continue;
    os << (first ? "" : ", ") << op.getName();
    first = false;
  }
  os << ".\n// Buffers:";
  for (auto [i, type] : llvm::enumerate(types))
    os << "\n//   " << bufferName(i) << (written[i] ? " (written) " : " ") << printBuffer(type);
  os << "\n";
  if (kernel.getDescription())
    os << "// " << *kernel.getDescription() << "\n";
  for (const std::string &include : stub.includes)
    os << "#include \"" << include << "\"\n";
  os << "\nstruct Config {\n";
  os << "  static constexpr int kThreads = " << stub.threads << ";\n";
  for (const auto &[name, value] : stub.constants)
    os << "  static constexpr " << name << " = " << value << ";\n";
  os << "};\n\n" << stub.declarations;
  os << "extern \"C\" __global__ void ";
  if (stub.cluster > 1)
    os << "__cluster_dims__(" << stub.cluster << ", 1, 1) ";
  os << "__launch_bounds__(Config::kThreads";
  if (stub.blocksPerMultiprocessor)
    os << ", " << stub.blocksPerMultiprocessor;
  os << ") " << getEntryName(kernel.getSymName()) << "(";
  for (auto [i, type] : llvm::enumerate(types))
    os << (i ? ", " : "") << (written[i] ? "" : "const ") << elementName(type.getElementType())
       << " *" << (llvm::is_contained(stub.restricted, i) ? "__restrict__ " : "") << bufferName(i);
  auto onDevice = [&](unsigned i) { return llvm::is_contained(stub.deviceSizes, i); };
  for (unsigned i = 0; i < kernel.getSizes().size(); ++i)
    os << (i || !types.empty() ? ", " : "") << "const ingot::i64 " << sizeName(kernel, i)
       << (onDevice(i) ? "_most" : "");
  for (uint16_t i : stub.deviceSizes)
    os << ", const ingot::i32 *" << sizeName(kernel, i) << "_address";
  for (unsigned i = 0; i < stub.tensorMaps.size(); ++i)
    os << ", const __grid_constant__ ingot::TensorMap map" << i;
  os << ") {\n";
  if (kernel.getConfig() && kernel.getConfig()->contains(codegen::kWaitsFirst))
    os << "  ingot::ptx::wait_for_previous_grid();\n";
  if (!stub.waitsItself)
    os << "  ingot::ptx::allow_next_grid();\n";
  for (auto [buffer, bytes] : stub.fetchedAhead)
    os << "  ingot::fetch_ahead(" << bufferName(buffer) << ", " << bytes << ");\n";
  if (!stub.waitsItself)
    os << "  ingot::ptx::wait_for_previous_grid();\n";
  if (stub.sizesEarly)
    for (uint16_t i : stub.deviceSizes) {
      std::string name = sizeName(kernel, i);
      os << "  const ingot::i32 " << name << "_loaded = ingot::load_early_size(" << name
         << "_address, " << name << "_most);\n";
    }
  os << stub.prologue;
  for (uint16_t i : stub.deviceSizes) {
    std::string name = sizeName(kernel, i);
    os << "  const ingot::i64 " << name << " = ingot::"
       << (stub.sizesEarly ? "early_size(" + name + "_loaded, "
                           : "read_size(" + name + "_address, ")
       << name << "_most);\n";
  }
  os << stub.body << "}\n";
  return text;
}

//===----------------------------------------------------------------------===//
// Dumps
//===----------------------------------------------------------------------===//

static void writeFile(const std::string &path, StringRef text) {
  std::error_code error;
  llvm::sys::fs::create_directories(llvm::sys::path::parent_path(path));
  llvm::raw_fd_ostream out(path, error);
  if (!error)
    out << text;
}

/// Rows of the table `resources.txt`, kept from one family and target to the next.
static void writeResources(const std::string &folder, std::map<std::string, Resources> rows) {
  std::string path = folder + "/resources.txt";
  std::map<std::string, std::string> lines;
  if (auto old = llvm::MemoryBuffer::getFile(path)) {
    SmallVector<StringRef> split;
    (*old)->getBuffer().split(split, '\n', -1, /*KeepEmpty=*/false);
    for (StringRef line : llvm::drop_begin(split))
      lines[line.split(' ').first.str()] = line.str();
  }
  for (const auto &[name, resources] : rows)
    lines[name] = llvm::formatv("{0,-48} {1,9} {2,12} {3,11} {4,11}", name, resources.registers,
                                resources.sharedBytes, resources.stackBytes, resources.spillBytes)
                      .str();
  std::string text = llvm::formatv("{0,-48} {1,9} {2,12} {3,11} {4,11}\n", "kernel", "registers",
                                   "shared bytes", "stack bytes", "spill bytes")
                         .str();
  for (const auto &[name, line] : lines)
    text += line + "\n";
  writeFile(path, text);
}

Result<std::vector<codegen::CodeImage>> cuda::compileSources(ArrayRef<Source> sources,
                                                             ArrayRef<uint32_t> sharedBytes,
                                                             const codegen::EmitOptions &options) {
  if (!options.dumpDirectory.empty()) {
    // Before compiling: what fails to compile is there to be looked at.
    for (const Header &header : getHeaders())
      writeFile(options.dumpDirectory + "/" + header.name, header.text);
    for (const Source &source : sources)
      writeFile(options.dumpDirectory + "/" + source.name + "." + source.arch + ".cu", source.text);
  }
  CompileOptions compileOptions;
  compileOptions.workers = options.threads;
  Result<std::vector<Compiled>> compiled = compile(sources, compileOptions);
  if (!compiled.ok())
    return compiled.status();
  std::vector<codegen::CodeImage> images;
  std::map<std::string, Resources> resources;
  for (auto [source, shared, result] : llvm::zip_equal(sources, sharedBytes, *compiled)) {
    if (!options.dumpDirectory.empty()) {
      std::string name = source.name + "." + source.arch, base = options.dumpDirectory + "/" + name;
      writeFile(base + ".ptx", result.ptx);
      writeFile(base + ".cubin", result.cubin);
      resources[name] = result.resources;
      resources[name].sharedBytes += shared;
    }
    images.push_back({{result.cubin.begin(), result.cubin.end()}});
  }
  if (!options.dumpDirectory.empty())
    writeResources(options.dumpDirectory, resources);
  return images;
}

Result<codegen::Code> cuda::compileStubs(ArrayRef<exec::KernelOp> kernels, ArrayRef<Stub> stubs,
                                         const codegen::TargetInfo &target,
                                         const codegen::EmitOptions &options) {
  std::vector<Source> sources;
  std::vector<uint32_t> sharedBytes;
  for (auto [kernel, stub] : llvm::zip_equal(kernels, stubs)) {
    sources.push_back({exec::KernelOp(kernel).getSymName().str(), printSource(kernel, target, stub),
                       target.arch});
    sharedBytes.push_back(stub.sharedBytes);
  }
  Result<std::vector<codegen::CodeImage>> images = compileSources(sources, sharedBytes, options);
  if (!images.ok())
    return images.status();
  codegen::Code code;
  code.images = std::move(*images);
  for (auto [i, stub] : llvm::enumerate(stubs)) {
    codegen::KernelCode entry;
    entry.entry = getEntryName(exec::KernelOp(kernels[i]).getSymName());
    entry.image = i;
    entry.block = {stub.threads, 1, 1};
    entry.sharedBytes = stub.sharedBytes;
    if (stub.cluster > 1)
      entry.cluster = {stub.cluster, 1, 1};
    entry.overlaps = getArchInfo(target.arch)->number >= 90;
    entry.deviceSizes = stub.deviceSizes;
    entry.tensorMaps = stub.tensorMaps;
    code.kernels.push_back(entry);
  }
  return code;
}
