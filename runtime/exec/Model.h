//===- Model.h - A loaded artifact --------------------------------*- C++ -*-===//
//
// Loading does everything once: devices, images, kernels, arenas, weights, constants, programs.
// From then on runs use only what is here.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/exec/Program.h"
#include "runtime/format/Artifact.h"
#include "runtime/support/ThreadPool.h"

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ingot {

struct LoadOptions {
  /// "": embedded. Else a folder, a .safetensors file or "random:SEED" (also over embedded
  /// weights).
  std::string weights;
  /// Takes a checkpoint that holds more than the model: a part of a model is run with the whole's
  /// weights. Otherwise that is an error, as it is when a model is compiled.
  bool allowSurplus = false;
  /// Names of the programs to load; empty: all. Activations are as large as the largest of these
  /// needs, and the state is there if one of them uses it.
  std::vector<std::string> programs;
  /// May kernels of streams run in place of their launches? Else no code of theirs runs, and no
  /// tables or exchanged memory are taken for them.
  bool streams = true;
  /// 0: ThreadPool::defaultThreads().
  unsigned threads = 0;
  /// When the file was begun to be opened (Clock.h); 0: not told. The first stage is from then.
  double began = 0;
  /// Tests put fakes here.
  DeviceFactory makeDevice = ingot::makeDevice;
};

/// Bytes on one device: what the plan says of the programs that are loaded, and what was allocated
/// (to whole pages).
struct DeviceMemory {
  std::string device;
  uint64_t arena = 0, weights = 0, constants = 0, state = 0;
  uint64_t streams = 0;        // tables and exchanged memory, whole pages
  bool weightsInPlace = false; // read from the mapped file
  uint64_t allocated = 0;
  /// What the driver says has gone since the code was loaded; by then another process may have
  /// taken or given back some of it. Absent where a device cannot tell.
  std::optional<int64_t> gone;
};

/// A part of loading, in order.
struct LoadStage {
  const char *name;
  double seconds;
};

class Model {
public:
  static Result<std::unique_ptr<Model>> load(std::shared_ptr<const Artifact> artifact,
                                             const LoadOptions &options = {});

  const Artifact &artifact() const { return *artifact_; }
  std::vector<std::unique_ptr<Program>> &programs() { return programs_; }
  /// Usage error that lists the programs there are.
  Result<Program *> findProgram(std::string_view name);
  bool hasProgram(std::string_view name) const;
  /// Zeroes all state.
  Status reset();
  std::vector<DeviceMemory> memory() const;
  /// What the first GPU is, with the architecture whose code runs on it; nothing on a CPU.
  std::optional<GpuDescription> gpu() const;
  unsigned threads() const { return pool_->threads(); }
  const std::vector<LoadStage> &loadStages() const { return stages_; }

  /// Set while a call uses the model, see BusyGuard.
  std::atomic<bool> &busy() { return busy_; }

private:
  struct BoundWeights;

  Model() = default;
  void finishStage(const char *name);
  Status start(const LoadOptions &options);
  Status startDevices(const LoadOptions &options);
  Status choosePrograms(const std::vector<std::string> &names);
  Status loadDevice(size_t index, const LoadOptions &options);
  Status loadKernels(size_t index);
  static Result<uint32_t> resolve(Device &device, const format::Kernel &kernel,
                                  std::span<const uint32_t> images);
  Status checkRoom(size_t index);
  Result<std::shared_ptr<BoundWeights>> bindWeights(const LoadOptions &options);
  Status loadWeights(const BoundWeights *weights);
  Status uploadWeights(size_t index);
  Status makeWeights(const BoundWeights &weights);
  Status uploadConstants();
  Status checkMemory() const;

  std::shared_ptr<const Artifact> artifact_;
  std::unique_ptr<ThreadPool> pool_; // outlives the devices
  std::vector<LoadedDevice> devices_;
  std::vector<bool> weightsInPlace_;
  std::vector<unsigned> chosenPrograms_; // indices into the plan's
  /// Of each device, for the programs that are loaded.
  std::vector<uint64_t> arenaBytes_, stateBytes_, streamBytes_;
  std::vector<std::optional<uint64_t>> freeBefore_; // of each device, with only the code loaded
  std::vector<std::unique_ptr<Program>> programs_;
  std::vector<LoadStage> stages_;
  double stageBegan_ = 0;
  std::atomic<bool> busy_{false};
};

/// Claims a model for one call; `ok()` is false if another call has it.
class BusyGuard {
public:
  explicit BusyGuard(Model &model) : model_(model), ok_(!model.busy().exchange(true)) {}
  ~BusyGuard() {
    if (ok_)
      model_.busy().store(false);
  }
  BusyGuard(const BusyGuard &) = delete;
  bool ok() const { return ok_; }

private:
  Model &model_;
  bool ok_;
};

} // namespace ingot
