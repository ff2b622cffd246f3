//===- FakeDriver.cpp -------------------------------------------*- C++ -*-===//
#include "test/runtime/device/cuda/FakeDriver.h"

#include "runtime/device/HostKernelAbi.h"
#include "runtime/device/cpu/ElfImage.h"
#include "runtime/support/Text.h"
#include "runtime/weights/Convert.h"
#include "runtime/weights/RandomFill.h"
#include "test/runtime/testing/TestArtifact.h"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>

namespace ingot::testing {

using namespace cuda;

namespace {

using Work = std::function<void()>;

struct Object {
  std::string kind;
  size_t bytes = 0;                // memory
  void *block = nullptr;           // and where malloc's is
  std::vector<Work> queue;         // stream, graph, executable
  size_t done = 0;                 // stream: items that ran
  bool capturing = false;          // stream
  std::unique_ptr<ElfImage> image; // module
  std::string entry;               // function
  ingot_host_kernel kernel = nullptr;
  Object *stream = nullptr; // event: recorded there; function: its module
  size_t position = 0;      // event: behind that many items
};

FakeGpu gpu;
std::map<void *, std::unique_ptr<Object>> objects;
Object *current = nullptr;

void mistake(std::string text) { gpu.mistakes.push_back(std::move(text)); }

/// Counts a call; the error that it is to end with.
CUresult enter(const char *name) {
  ++gpu.callsOf[name];
  if (++gpu.calls != gpu.failAt)
    return kSuccess;
  gpu.failed = name;
  return gpu.failWith;
}

Object *find(void *handle, const char *kind) {
  auto at = objects.find(handle);
  if (at != objects.end() && at->second->kind == kind)
    return at->second.get();
  mistake(text("a ", kind, " that is not alive"));
  return nullptr;
}

template <typename T> void make(T *handle, const char *kind) {
  auto object = std::make_unique<Object>();
  object->kind = kind;
  *handle = reinterpret_cast<T>(object.get());
  objects[object.get()] = std::move(object);
}

void needContext() {
  if (!current)
    mistake("a call without a current context");
}

/// Is [address, address + bytes) inside one allocation of this kind?
void needRange(const void *address, size_t bytes, const char *kind) {
  for (auto &[base, object] : objects)
    if (object->kind == kind && address >= base &&
        static_cast<const char *>(address) + bytes <= static_cast<char *>(base) + object->bytes)
      return;
  mistake(text(bytes, " bytes that are not ", kind, " memory"));
}

bool isPinned(const void *address) {
  for (auto &[base, object] : objects)
    if (object->kind == "host" && address >= base &&
        address < static_cast<char *>(base) + object->bytes)
      return true;
  return false;
}

/// Runs a stream's items until `count` have been done since it was made.
void drain(Object &stream, size_t count = SIZE_MAX) {
  while (!stream.queue.empty() && stream.done < count) {
    Work work = std::move(stream.queue.front());
    stream.queue.erase(stream.queue.begin());
    ++stream.done;
    work();
  }
}

CUresult enqueue(CUstream handle, Work work) {
  if (Object *stream = find(handle, "stream"))
    stream->queue.push_back(std::move(work));
  return kSuccess;
}

/// Releases even when it reports an error: after a failed kernel every call does.
CUresult release(const char *name, void *handle, const char *kind) {
  CUresult result = enter(name);
  if (Object *object = find(handle, kind)) {
    for (auto &entry : objects)
      if (entry.second->kind == "stream" && !entry.second->queue.empty() &&
          (object->kind == "device" || object->kind == "host" || object->kind == "module"))
        mistake(text(kind, " freed with work still queued"));
    std::free(object->block);
    objects.erase(handle);
  }
  return result;
}

CUresult allocate(void **address, size_t bytes, const char *kind) {
  needContext();
  if (bytes == 0)
    mistake("an allocation of nothing");
  if (kind == std::string_view("device") && gpu.allocated() + bytes > gpu.memory)
    return kErrorOutOfMemory;
  auto object = std::make_unique<Object>();
  // Device memory at the driver's alignment, and at no better one.
  object->block = std::aligned_alloc(4096, (bytes + 8191) / 4096 * 4096);
  char *memory =
      static_cast<char *>(object->block) + (kind == std::string_view("device") ? 256 : 0);
  std::memset(memory, 0xA5, bytes); // poison
  object->kind = kind;
  object->bytes = bytes;
  objects[memory] = std::move(object);
  *address = memory;
  return kSuccess;
}

struct Arity {
  const char *entry;
  unsigned buffers, sizes;
};
constexpr Arity kArities[] = {
    {"combine", 5, 1}, {"grid3", 1, 2}, {"count", 2, 0},  {"step", 6, 4}, {"sample", 10, 1},
    {"twice", 2, 1},   {"sum", 2, 1},   {"thrice", 2, 1}, {"almost", 2, 1}, {"idle", 2, 1},
    {"infinite", 2, 1}, {"chain", 2, 2}};

struct Arguments {
  std::vector<void *> buffers;
  std::vector<int64_t> sizes;
};

/// Parameters of ingot_random (runtime/device/cuda/Random.cu).
struct RandomArguments {
  void *target;
  uint64_t key;
  double scale, mean;
  uint64_t first, count, sizes[4];
  int64_t from[4], to[4];
  uint64_t type;
};

void fillRandom(const RandomArguments &a) {
  RandomFill fill(0, "", ingot::Init::Normal, 1);
  static_assert(sizeof fill == 24 && std::is_trivially_copyable_v<RandomFill>);
  std::memcpy(static_cast<void *>(&fill), &a.key, sizeof fill);
  const ElementType types[] = {ElementType::F32, ElementType::F16, ElementType::BF16};
  for (uint64_t i = 0; i < a.count; ++i) {
    uint64_t rest = i, index = a.first;
    int64_t place = 0;
    for (int axis = 3; axis >= 0; rest /= a.sizes[axis--]) {
      index += rest % a.sizes[axis] * uint64_t(a.from[axis]);
      place += int64_t(rest % a.sizes[axis]) * a.to[axis];
    }
    float value = fill.at(index);
    convertElements(reinterpret_cast<const std::byte *>(&value), ElementType::F32, {},
                    static_cast<std::byte *>(a.target) + place * int64_t(sizeOf(types[a.type])),
                    types[a.type], 1);
  }
}

CUresult launch(const LaunchConfig *config, CUfunction function, void **parameters, void **extra) {
  if (CUresult error = enter("launchKernel"))
    return error;
  needContext();
  Object *object = find(function, "function");
  if (!object || extra)
    return 1;
  FakeLaunch record;
  record.entry = object->entry;
  auto set = [](unsigned(&to)[3], unsigned x, unsigned y, unsigned z) {
    to[0] = x, to[1] = y, to[2] = z;
  };
  set(record.grid, config->gridX, config->gridY, config->gridZ);
  set(record.block, config->blockX, config->blockY, config->blockZ);
  record.sharedBytes = config->sharedBytes;
  for (unsigned i = 0; i < config->numAttributes; ++i) {
    const LaunchAttribute &attribute = config->attributes[i];
    if (attribute.id == kLaunchClusterDimension)
      set(record.cluster, attribute.value.cluster.x, attribute.value.cluster.y,
          attribute.value.cluster.z);
    else if (attribute.id == kLaunchProgrammaticSerialization)
      record.overlaps = attribute.value.programmaticSerialization == 1;
    else
      mistake("an unknown launch attribute");
  }
  if (record.entry == "ingot_random") {
    RandomArguments random;
    std::memcpy(&random, parameters[0], sizeof random);
    needRange(random.target, 1, "device");
    return enqueue(config->stream, [record, random] {
      gpu.launches.push_back(record);
      fillRandom(random);
    });
  }
  Arguments arguments;
  unsigned next = 0;
  for (const Arity &arity : kArities)
    if (record.entry == arity.entry) {
      for (unsigned i = 0; i < arity.buffers; ++i) {
        arguments.buffers.push_back(*static_cast<void **>(parameters[next++]));
        needRange(arguments.buffers.back(), 1, "device");
      }
      for (unsigned i = 0; i < arity.sizes; ++i)
        arguments.sizes.push_back(*static_cast<int64_t *>(parameters[next++]));
    }
  auto [addresses, maps] = gpu.extras[record.entry];
  for (unsigned i = 0; i < addresses; ++i)
    record.sizeAddresses.push_back(*static_cast<const void **>(parameters[next++]));
  for (unsigned i = 0; i < maps; ++i) {
    auto *map = static_cast<std::byte *>(parameters[next++]);
    if (reinterpret_cast<uintptr_t>(map) % 128 != 0)
      mistake("a tensor map that is not aligned to 128 bytes");
    record.tensorMaps.emplace_back(map, map + 128);
  }
  record.buffers = arguments.buffers;
  record.sizes = arguments.sizes;
  ingot_host_kernel kernel = object->kernel;
  return enqueue(config->stream, [record, arguments, kernel] {
    gpu.launches.push_back(record);
    alignas(64) char scratch[4096];
    for (unsigned z = 0; z < record.grid[2]; ++z)
      for (unsigned y = 0; y < record.grid[1]; ++y)
        for (unsigned x = 0; x < record.grid[0]; ++x)
          kernel(arguments.buffers.data(), arguments.sizes.data(), scratch, x, y, z);
  });
}

CUresult tensorMapEncode(void *map, int dataType, uint32_t rank, void *address,
                         const uint64_t *dims, const uint64_t *strides, const uint32_t *box,
                         const uint32_t *elementStrides, int, int swizzle, int, int) {
  if (CUresult error = enter("tensorMapEncode"))
    return error;
  needRange(address, 1, "device");
  FakeTensorMap out = {};
  out.address = address;
  out.rank = rank;
  out.dataType = dataType;
  out.swizzle = swizzle;
  for (uint32_t i = 0; i < rank; ++i) {
    out.dims[i] = dims[i];
    if (i != 0)
      out.strides[i - 1] = strides[i - 1];
    if (i < 2)
      out.box[i] = box[i];
    if (elementStrides[i] < 1)
      mistake("an element stride of 0");
  }
  static_assert(sizeof out <= 128);
  std::memset(map, 0, 128);
  std::memcpy(map, &out, sizeof out);
  return kSuccess;
}

CudaDriver makeDriver() {
  CudaDriver d;
  d.init = [](unsigned) { return enter("init"); };
  d.driverGetVersion = [](int *version) {
    *version = gpu.driverVersion;
    return enter("driverGetVersion");
  };
  d.getErrorName = [](CUresult, const char **name) {
    *name = "CUDA_ERROR_FAKE";
    return enter("getErrorName");
  };
  d.getErrorString = [](CUresult, const char **words) {
    *words = "the fake was told to";
    return enter("getErrorString");
  };
  d.deviceGetCount = [](int *count) {
    *count = gpu.count;
    return enter("deviceGetCount");
  };
  d.deviceGet = [](CUdevice *device, int ordinal) {
    *device = 100 + ordinal;
    return enter("deviceGet");
  };
  d.deviceGetName = [](char *name, int bytes, CUdevice) {
    std::strncpy(name, "Fake H100", size_t(bytes));
    return enter("deviceGetName");
  };
  d.deviceGetAttribute = [](int *value, int attribute, CUdevice) {
    *value = attribute == kComputeCapabilityMajor   ? gpu.major
             : attribute == kComputeCapabilityMinor ? gpu.minor
             : attribute == kMultiprocessorCount    ? 132
                                                    : gpu.sharedBytes;
    return enter("deviceGetAttribute");
  };
  d.contextRetain = [](CUcontext *context, CUdevice) {
    if (CUresult error = enter("contextRetain"))
      return error;
    make(context, "context");
    return CUresult(kSuccess);
  };
  d.contextRelease = [](CUdevice) {
    current = nullptr;
    for (auto &[handle, object] : objects)
      if (object->kind == "context")
        return release("contextRelease", handle, "context");
    mistake("a context released twice");
    return CUresult(1);
  };
  d.contextSetCurrent = [](CUcontext context) {
    if (CUresult error = enter("contextSetCurrent"))
      return error;
    current = find(context, "context");
    return CUresult(kSuccess);
  };
  d.moduleLoadData = [](CUmodule *module, const void *image) {
    if (CUresult error = enter("moduleLoadData"))
      return error;
    needContext();
    if (std::memcmp(image, ".version", 8) == 0) {
      if (!gpu.compilesText)
        return CUresult(kErrorInvalidImage);
      make(module, "module");
      return CUresult(kSuccess);
    }
    if (std::memcmp(image, kernelImage().data(), kernelImage().size()) != 0)
      return CUresult(kErrorInvalidImage);
    make(module, "module");
    auto elf = ElfImage::load(kernelImage());
    find(*module, "module")->image = std::make_unique<ElfImage>(std::move(*elf));
    return CUresult(kSuccess);
  };
  d.moduleUnload = [](CUmodule module) {
    Object *owner = find(module, "module");
    for (auto at = objects.begin(); at != objects.end();)
      at = at->second->kind == "function" && at->second->stream == owner ? objects.erase(at)
                                                                         : std::next(at);
    return release("moduleUnload", module, "module");
  };
  d.moduleGetFunction = [](CUfunction *function, CUmodule module, const char *name) {
    if (CUresult error = enter("moduleGetFunction"))
      return error;
    Object *owner = find(module, "module");
    bool isText = owner && !owner->image;
    void *address = owner && owner->image ? owner->image->find(name) : nullptr;
    if (isText ? std::string_view(name) != "ingot_random" : !address)
      return CUresult(kErrorNotFound);
    make(function, "function");
    Object *object = find(*function, "function");
    object->entry = name;
    object->kernel = reinterpret_cast<ingot_host_kernel>(address);
    object->stream = owner;
    return CUresult(kSuccess);
  };
  d.functionGetAttribute = [](int *value, int attribute, CUfunction function) {
    *value = attribute == kFunctionMaxThreads ? gpu.maxThreads : 1024;
    find(function, "function");
    return enter("functionGetAttribute");
  };
  d.functionSetAttribute = [](CUfunction function, int, int) {
    find(function, "function");
    return enter("functionSetAttribute");
  };
  d.memGetInfo = [](size_t *free, size_t *total) {
    needContext();
    *free = gpu.memory - gpu.allocated();
    *total = gpu.memory;
    return enter("memGetInfo");
  };
  d.memAlloc = [](CUdeviceptr *address, size_t bytes) {
    if (CUresult error = enter("memAlloc"))
      return error;
    return allocate(reinterpret_cast<void **>(address), bytes, "device");
  };
  d.memFree = [](CUdeviceptr address) {
    return release("memFree", reinterpret_cast<void *>(address), "device");
  };
  d.memHostAlloc = [](void **address, size_t bytes, unsigned) {
    if (CUresult error = enter("memHostAlloc"))
      return error;
    return allocate(address, bytes, "host");
  };
  d.memHostRegister = [](void *address, size_t bytes, unsigned) {
    if (CUresult error = enter("memHostRegister"))
      return error;
    needContext();
    if (reinterpret_cast<uintptr_t>(address) % 4096 != 0)
      mistake("registered memory that begins within a page");
    auto object = std::make_unique<Object>();
    object->kind = "host";
    object->bytes = bytes;
    objects[address] = std::move(object);
    return CUresult(kSuccess);
  };
  d.memHostUnregister = [](void *address) {
    return release("memHostUnregister", address, "host");
  };
  d.memFreeHost = [](void *address) { return release("memFreeHost", address, "host"); };
  d.memsetAsync = [](CUdeviceptr address, unsigned char value, size_t bytes, CUstream stream) {
    if (CUresult error = enter("memsetAsync"))
      return error;
    void *target = reinterpret_cast<void *>(address);
    needRange(target, bytes, "device");
    return enqueue(stream, [=] { std::memset(target, value, bytes); });
  };
  d.copyToDevice = [](CUdeviceptr address, const void *source, size_t bytes, CUstream stream) {
    if (CUresult error = enter("copyToDevice"))
      return error;
    void *target = reinterpret_cast<void *>(address);
    needRange(target, bytes, "device");
    if (isPinned(source)) {
      needRange(source, bytes, "host");
      return enqueue(stream, [=] {
        needRange(source, bytes, "host"); // still?
        std::memcpy(target, source, bytes);
      });
    }
    // Pageable memory is read before the call returns.
    auto bytesNow = std::make_shared<std::vector<char>>(static_cast<const char *>(source),
                                                        static_cast<const char *>(source) + bytes);
    return enqueue(stream, [=] { std::memcpy(target, bytesNow->data(), bytes); });
  };
  d.copyToHost = [](void *target, CUdeviceptr address, size_t bytes, CUstream stream) {
    if (CUresult error = enter("copyToHost"))
      return error;
    void *source = reinterpret_cast<void *>(address);
    needRange(source, bytes, "device");
    needRange(target, bytes, "host");
    return enqueue(stream, [=] { std::memcpy(target, source, bytes); });
  };
  d.copyOnDevice = [](CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
    if (CUresult error = enter("copyOnDevice"))
      return error;
    void *target = reinterpret_cast<void *>(to), *source = reinterpret_cast<void *>(from);
    needRange(target, bytes, "device");
    needRange(source, bytes, "device");
    return enqueue(stream, [=] { std::memmove(target, source, bytes); });
  };
  d.streamCreate = [](CUstream *stream, unsigned) {
    if (CUresult error = enter("streamCreate"))
      return error;
    make(stream, "stream");
    return CUresult(kSuccess);
  };
  d.streamDestroy = [](CUstream stream) { return release("streamDestroy", stream, "stream"); };
  d.streamSynchronize = [](CUstream handle) {
    CUresult result = enter("streamSynchronize");
    if (Object *stream = find(handle, "stream")) {
      if (stream->capturing)
        mistake("a wait inside a recording");
      drain(*stream); // a failed wait means that the queue is dead, too
    }
    return result;
  };
  d.streamBeginCapture = [](CUstream handle, int) {
    if (CUresult error = enter("streamBeginCapture"))
      return error;
    Object *stream = find(handle, "stream");
    if (stream->capturing)
      mistake("a recording inside a recording");
    drain(*stream); // what was queued before is not part of it
    stream->capturing = true;
    return CUresult(kSuccess);
  };
  d.streamEndCapture = [](CUstream handle, CUgraph *graph) {
    CUresult result = enter("streamEndCapture");
    Object *stream = find(handle, "stream");
    if (!stream->capturing)
      mistake("the end of no recording");
    stream->capturing = false;
    std::vector<Work> queue = std::move(stream->queue);
    stream->queue.clear();
    if (result != kSuccess)
      return result;
    make(graph, "graph");
    find(*graph, "graph")->queue = std::move(queue);
    return CUresult(kSuccess);
  };
  d.eventCreate = [](CUevent *event, unsigned) {
    if (CUresult error = enter("eventCreate"))
      return error;
    make(event, "event");
    return CUresult(kSuccess);
  };
  d.eventDestroy = [](CUevent event) { return release("eventDestroy", event, "event"); };
  d.eventRecord = [](CUevent event, CUstream stream) {
    if (CUresult error = enter("eventRecord"))
      return error;
    Object *on = find(stream, "stream"), *object = find(event, "event");
    object->stream = on;
    object->position = on->done + on->queue.size();
    return CUresult(kSuccess);
  };
  d.eventSynchronize = [](CUevent event) {
    if (CUresult error = enter("eventSynchronize"))
      return error;
    Object *object = find(event, "event");
    if (object->stream)
      drain(*object->stream, object->position);
    return CUresult(kSuccess);
  };
  d.graphInstantiate = [](CUgraphExec *executable, CUgraph graph, unsigned long long) {
    if (CUresult error = enter("graphInstantiate"))
      return error;
    make(executable, "executable");
    find(*executable, "executable")->queue = find(graph, "graph")->queue;
    return CUresult(kSuccess);
  };
  d.graphDestroy = [](CUgraph graph) { return release("graphDestroy", graph, "graph"); };
  d.graphExecDestroy = [](CUgraphExec executable) {
    return release("graphExecDestroy", executable, "executable");
  };
  d.graphLaunch = [](CUgraphExec executable, CUstream stream) {
    if (CUresult error = enter("graphLaunch"))
      return error;
    for (const Work &work : find(executable, "executable")->queue)
      (void)enqueue(stream, work);
    return CUresult(kSuccess);
  };
  d.launchKernel = launch;
  d.tensorMapEncode = tensorMapEncode;
  return d;
}

} // namespace

std::string FakeGpu::alive() const {
  std::string out;
  for (auto &entry : objects)
    if (entry.second->kind != "function") // belongs to its module
      out += entry.second->kind + " ";
  return out;
}

uint64_t FakeGpu::allocated() const {
  uint64_t bytes = 0;
  for (auto &entry : objects)
    bytes += entry.second->kind == "device" ? entry.second->bytes : 0;
  return bytes;
}

std::span<const std::byte> FakeGpu::largest() const {
  std::span<const std::byte> out;
  for (auto &[handle, object] : objects)
    if (object->kind == "device" && object->bytes > out.size())
      out = {static_cast<const std::byte *>(handle), object->bytes};
  return out;
}

FakeGpu &fakeGpu() { return gpu; }

/// Threads may call at once, as they may call the driver.
static std::recursive_mutex callMutex;
static const CudaDriver unlocked = makeDriver();

template <auto Member> struct Locked;
template <typename... Arguments, CUresult (*CudaDriver::*Member)(Arguments...)>
struct Locked<Member> {
  static CUresult call(Arguments... arguments) {
    std::lock_guard lock(callMutex);
    return (unlocked.*Member)(arguments...);
  }
};

const CudaDriver &fakeDriver() {
  static const CudaDriver driver = [] {
    CudaDriver table;
#define INGOT_TEST_LOCK(member, symbol, parameters)                                                \
  table.member = Locked<&CudaDriver::member>::call;
    INGOT_CUDA_FUNCTIONS(INGOT_TEST_LOCK)
#undef INGOT_TEST_LOCK
    return table;
  }();
  return driver;
}

void resetFakeDriver() {
  for (auto &entry : objects)
    std::free(entry.second->block);
  objects.clear();
  current = nullptr;
  gpu = FakeGpu();
}

} // namespace ingot::testing
