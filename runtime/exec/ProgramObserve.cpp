//===- ProgramObserve.cpp - Running under an observer ------------*- C++ -*-===//
#include "runtime/exec/Program.h"

#include "runtime/format/DType.h"
#include "runtime/support/Try.h"

#include <cstring>

namespace ingot {

/// A step, with an observer before and behind a launch. Where the host goes on with the bound of a
/// size that the device knows, the observer gets what the device has.
Status Program::runObserved(size_t index) {
  const Step &step = steps_[index];
  if (index == 0 || observed_.size() != symbols_.size())
    observed_ = symbols_;
  Device &device = *devices_[step.device];
  if (step.kind == Step::ReadSize) {
    int32_t value = 0;
    INGOT_TRY(device.synchronize());
    INGOT_TRY(device.download(&value, step.source, sizeof value));
    INGOT_TRY(device.synchronize());
    observed_[step.symbol] = value;
  }
  if (step.kind != Step::Launch)
    return runStep(step);

  const format::Launch &launch = *table_->steps()->Get(unsigned(index))->action_as_Launch();
  std::vector<int64_t> sizes;
  for (unsigned i = 0; launch.sizes() && i < launch.sizes()->size(); ++i)
    sizes.push_back(evaluate(sizeExpr(*launch.sizes()->Get(i)), observed_));
  std::vector<uint64_t> bytes;
  for (uint32_t buffer : *launch.buffers()) {
    const format::Buffer &table = *table_->buffers()->Get(buffer);
    uint64_t count = dtypeBytes(table.dtype());
    for (unsigned i = 0; table.shape() && i < table.shape()->size(); ++i)
      count *= uint64_t(evaluate(sizeExpr(*table.shape()->Get(i)), observed_));
    bytes.push_back(count);
  }
  LaunchView view{index,
                  step.chosen,
                  device,
                  {gridOf(step, 0), gridOf(step, 1), gridOf(step, 2)},
                  std::span(addresses_).subspan(step.firstBuffer, bytes.size()),
                  bytes,
                  sizes};
  INGOT_TRY(device.synchronize());
  INGOT_TRY(observer_->before(view));
  INGOT_TRY(runStep(step));
  INGOT_TRY(device.synchronize());
  return observer_->after(view);
}

} // namespace ingot
