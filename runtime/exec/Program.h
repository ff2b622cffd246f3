//===- Program.h - One program, resolved for running -------------*- C++ -*-===//
//
// At load, a program of the plan becomes flat arrays: the distinct sizes, the addresses that each
// launch passes, the indices of its size arguments. A run binds the symbols from the shapes of the
// inputs, evaluates every distinct size once (not at all if no symbol changed), and walks the
// steps. A symbol that a step reads from a buffer is at its bound until then; where the host can't
// follow the buffer it stays there. Nothing is allocated after creation, except for the message of
// an error.
//
// On a device that records (a GPU), a set of sizes that comes again is recorded with its uploads
// and steps, and from then on replayed as a whole.
//
// Where the plan has a stream for a run of launches (plan.fbs) and tokens are few, its kernel is
// launched in their place.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/device/Device.h"
#include "runtime/exec/Convert.h"
#include "runtime/format/SizeMath.h"
#include "runtime/format/Validate.h"
#include "runtime/weights/ElementType.h"

#include <array>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ingot {

/// A device of a loaded model with the bases of its spaces (indexed by format::Space). Weights and
/// constants are never written.
struct LoadedDevice {
  std::unique_ptr<Device> device;
  uint16_t target = 0; // the plan's target whose images it took: its own, or an alternative
  std::array<void *, 4> bases = {};
  std::vector<uint32_t> kernels; // its handle of each kernel of the plan that is for its target
  std::vector<uint32_t> chosen;  // the kernel that runs in place of each: itself, or a variant
  bool streams = false;          // does it do streams? It has their kernels then
};

/// An input or output of a program.
struct Port {
  std::string name, description;
  format::DType dtype = format::DType::F32;
  bool isOutput = false;
  std::vector<SizeExpr> dims;
  std::vector<std::string> dimTexts; // "B", "NB * 16", "384"
  std::vector<int64_t> maxDims;
  int64_t maxElements = 1;
  bool optional = false;
  int64_t fill = 0;
  bool hasRange = false;
  IntegerRange range;
  bool isOffsets = false; // from 0 to ascendsTo, by at most maxStep (0: any) at once
  uint32_t ascendsTo = 0; // index into Program's distinct sizes
  int64_t maxStep = 0;

  uint16_t device = 0;
  void *address = nullptr;     // on the device
  void *host = nullptr;        // where the host reads or writes it: `address`, or a staging buffer
  std::vector<uint32_t> sizes; // indices into Program's distinct sizes, one a dimension
  std::array<int64_t, kMaxTensorRank> shape = {}; // of the run that was bound last
  size_t elements = 0;                            // of that run
};

/// A caller's tensor: row-major, any alignment.
struct InputTensor {
  std::string_view name;
  ElementType type = ElementType::F32;
  std::span<const int64_t> shape;
  const void *data = nullptr;
  size_t bytes = 0;
};

/// An output asked for. With `data` null the result is borrowed: data, bytes and shape are set and
/// valid until the model runs again. Otherwise `bytes` bytes at `data` take a copy.
struct OutputTensor {
  std::string_view name;
  void *data = nullptr;
  size_t bytes = 0;
  format::DType dtype = format::DType::F32; // set
  std::span<const int64_t> shape = {};      // set
};

class Artifact;

/// A launch as it is about to run, or has run, on its device.
struct LaunchView {
  size_t step = 0;
  uint32_t kernel = 0; // of the plan: the launch's, or the variant that runs in its place
  Device &device;
  std::array<int64_t, 3> grid = {};
  std::span<void *const> buffers;  // device addresses
  std::span<const uint64_t> bytes; // of each buffer, at `sizes`
  std::span<const int64_t> sizes;  // the size arguments; those that a step reads, as they were read
};

/// Looks on while a program runs (setObserver). An error ends the run.
class LaunchObserver {
public:
  virtual ~LaunchObserver() = default;
  /// Everything in front of the launch is done.
  virtual Status before(const LaunchView &launch) = 0;
  /// The launch is done.
  virtual Status after(const LaunchView &launch) = 0;
};

class Program {
public:
  /// Resolves plan.programs()[index] of a validated plan.
  static Result<std::unique_ptr<Program>> create(const format::Plan &plan, unsigned index,
                                                 std::vector<LoadedDevice> &devices);

  const std::string &name() const { return name_; }
  /// Of the symbols that the caller's shapes give.
  std::span<const std::string> symbolNames() const {
    return std::span(symbolNames_).first(bounds_.numCallerSymbols());
  }
  const SymbolBounds &bounds() const { return bounds_; }
  std::vector<Port> &inputs() { return inputs_; }
  std::vector<Port> &outputs() { return outputs_; }
  Port *findPort(std::string_view name, bool output);

  /// Checks and converts inputs, runs, hands out outputs. Errors: Usage for what the caller passed;
  /// nothing has run then.
  Status run(std::span<const InputTensor> inputs, std::span<OutputTensor> outputs);

  // The parts of run(), for callers that fill ports themselves (the generation loop):
  /// Sets the caller's symbols (in plan order) and all shapes. Usage error outside bounds or
  /// limits.
  Status bind(std::span<const int64_t> symbols);
  /// Is it better to bind few different sets of sizes?
  bool prefersFewSizes() const { return !recorded_.empty(); }
  /// Writes an optional input's fill at the bound shape.
  void fillDefault(Port &port);
  /// Moves inputs to their devices, walks the steps, waits. The inputs' host memory has been
  /// filled.
  Status execute();
  /// Makes port.host hold the result of the last execute().
  Status fetch(Port &output);
  /// Lets every execute() fetch an output itself: with the steps, so that there is one wait.
  void fetchAfterSteps(Port &output);

  /// How many sets of sizes are kept as recordings at most; 0: every run walks the steps. Does
  /// nothing where the device does not record.
  void setRecordings(size_t most);

  /// Weights are read from `artifact`: execute() fails once its file has become shorter.
  void setArtifact(const Artifact *artifact) { artifact_ = artifact; }

  /// While set, execute() adds the seconds of every step to (*seconds)[step].
  void setProfile(std::vector<double> *seconds) { profile_ = seconds; }
  /// While set, execute() walks the steps, and waits before and after every launch.
  void setObserver(LaunchObserver *observer) { observer_ = observer; }
  size_t numSteps() const { return steps_.size(); }

  /// A stream of the program: its kernel's entry, the steps that it does, and whether it would do
  /// them at the sizes that are bound.
  struct StreamUse {
    std::string kernel;
    size_t first = 0, launches = 0;
    bool runs = false;
  };
  std::vector<StreamUse> streamUses() const;
  /// For reports: the kernel's entry and the source location of a step.
  std::string stepKernel(size_t step) const;
  std::string stepLocation(size_t step) const;

private:
  struct Step {
    enum Kind : uint8_t { Launch, Copy, ReadSize } kind = Launch;
    uint16_t device = 0; // of the launch, or of the copy's target
    uint32_t kernel = 0; // device handle
    uint32_t chosen = 0; // the same kernel in the plan
    uint32_t firstBuffer = 0, firstSize = 0, firstSizeAddress = 0, firstMap = 0;
    uint32_t grid[3] = {0, 0, 0}; // indices into values_
    int32_t variantGrid = -1;     // or into variantGrids_
    // A copy: element bytes and dimensions of its source.
    uint16_t sourceDevice = 0;
    void *source = nullptr, *target = nullptr;
    uint32_t elementBytes = 0;
    std::vector<uint32_t> dims;
    uint16_t symbol = 0; // that is read from `source`
  };
  /// A symbol that a step reads.
  struct Resident {
    uint32_t bound = 0;               // index into values_
    const void *address = nullptr;    // of its i32
    std::vector<uint32_t> dependents; // indices into sizes_
    std::vector<uint32_t> arguments;  // indices into sizeArgs_
  };

  /// A tensor map of a launch: its sizes are over the launch's size arguments.
  struct MapUse {
    uint16_t device = 0;
    uint32_t firstSize = 0, numSizes = 0; // in sizeArgs_
    std::vector<SizeExpr> dims, strides;
    TensorMapSpec spec; // as encoded last; rank 0 before
  };
  /// A run of launches that one kernel does in their place when tokens are few.
  struct Stream {
    const format::Stream *table = nullptr;
    uint16_t device = 0;
    uint32_t kernel = 0;                 // device handle
    void *buffers[2] = {};               // an entry a launch (Stream.h); the exchanged memory
    std::vector<uint32_t> sizes;         // indices into values_: the tokens, then its `sizes`
    std::vector<int64_t> arguments;      // their values
    const void *tokensAddress = nullptr; // where a step reads the number of tokens
    int64_t grid[3] = {};
  };
  /// Inputs whose host and device memory lie alike, so that one upload moves them all.
  struct Transfer {
    uint16_t device = 0;
    std::vector<uint32_t> inputs; // by address
  };
  /// A set of symbols that was run.
  struct Recorded {
    std::vector<int64_t> symbols; // empty: unused
    uint64_t lastUse = 0;
    std::optional<uint32_t> recording; // after its second run
  };

public:
  Program(const Program &) = delete;
  ~Program();

private:
  Program() = default;
  void addSymbols(const format::Program &program);
  uint32_t internSize(const SizeExpr &size);
  Result<Port> makePort(const format::Port &table, bool output, std::vector<LoadedDevice> &devices);
  void addLaunch(const format::Launch &launch, const std::vector<LoadedDevice> &devices);
  void addTensorMaps(const format::Launch &launch, const format::Kernel &kernel, const Step &step);
  static TensorMapSpec mapSpec(const format::TensorMap &table, void *buffer);
  Status addStreams(std::vector<LoadedDevice> &devices);
  Status uploadStream(Stream &stream);
  Status makeHostSides(std::vector<LoadedDevice> &devices);
  void addReadSize(const format::ReadSize &read, const std::vector<LoadedDevice> &devices);
  void linkResidents();
  Status addCopy(const format::Copy &copy, std::vector<LoadedDevice> &devices, size_t index);
  void *addressOf(uint32_t buffer, const std::vector<LoadedDevice> &devices) const;

  Status matchInputs(std::span<const InputTensor> inputs);
  Status bindShapes();
  Status checkShape(const Port &port, std::span<const int64_t> shape) const;
  Status loadInput(Port &port, const InputTensor &input);
  Status checkOutputs(std::span<OutputTensor> outputs);
  Status handOut(OutputTensor &output);
  Status encodeMaps(bool atMaxima);
  Status enqueue();
  Status uploadInputs();
  Status download(Port &output);
  Status executeRecorded();
  Status record(Recorded &entry);
  int64_t gridOf(const Step &step, unsigned axis) const;
  Status runStep(const Step &step);
  Status runReadSize(const Step &step);
  Status runObserved(size_t index);
  bool isUsed(const Stream &stream) const;
  Status fillStreams();
  Status runStream(Stream &stream);
  void setResident(size_t index, int64_t value);
  Status checkOffsets(const Port &port) const;
  Status runCopy(const Step &step);
  std::string portList(bool outputs) const;

  const format::Plan *plan_ = nullptr;
  const format::Program *table_ = nullptr;
  std::string name_;
  std::vector<std::string> symbolNames_;
  SymbolBounds bounds_;
  std::vector<Port> inputs_, outputs_;
  std::vector<const InputTensor *> given_; // of the current run, one an input port
  std::vector<Device *> devices_;

  std::map<SizeExpr, uint32_t> sizeIndices_; // of sizes_
  std::vector<SizeExpr> sizes_;              // distinct
  std::vector<int64_t> values_;              // of sizes_, at symbols_
  std::vector<int64_t> symbols_;             // bound last; 0 before the first bind
  std::vector<int64_t> candidate_;           // scratch of bindShapes
  std::vector<void *> addresses_;            // arguments of all launches, one after the other
  std::vector<uint32_t> sizeIndex_;          // the same for size arguments: indices into values_
  std::vector<int64_t> sizeArgs_;            // and their values
  std::vector<const void *> sizeAddresses_;  // arguments of all launches
  std::vector<MapUse> maps_;                 // of all launches
  std::vector<TensorMapImage> mapImages_;    // the same, encoded for sizeArgs_
  std::vector<std::array<SizeExpr, 3>> variantGrids_; // over a launch's size arguments
  std::vector<Transfer> transfers_;
  std::vector<Recorded> recorded_; // empty: nothing is recorded
  uint64_t runs_ = 0;
  std::vector<Resident> residents_; // the symbols behind the caller's
  std::vector<Step> steps_;
  std::vector<Stream> streams_; // by first step
  std::vector<double> *profile_ = nullptr;
  LaunchObserver *observer_ = nullptr;
  Port *fetched_ = nullptr;       // by every execute()
  std::vector<int64_t> observed_; // symbols_, with what steps have read
  const Artifact *artifact_ = nullptr;
};

} // namespace ingot
