//===- LaunchCompare.cpp - What a launch wrote, and what it takes ----------===//

#include "compiler/verify/LaunchCompare.h"

#include "runtime/exec/Convert.h"
#include "runtime/support/Text.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace ingot::verify {

/// As in Compare.cpp: a hidden score is of this order, and nothing else is.
static constexpr double kHidden = 1e30;

/// Elements [begin, begin + count) as doubles.
static void widen(ElementType type, std::span<const std::byte> bytes, uint64_t begin, size_t count,
                  double *to) {
  const std::byte *from = bytes.data() + begin * sizeOf(type);
  auto read = [&]<typename T>(T) {
    for (size_t i = 0; i < count; ++i) {
      T value;
      std::memcpy(&value, from + i * sizeof value, sizeof value);
      to[i] = double(value);
    }
  };
  switch (type) {
  case ElementType::F32:
    return read(float());
  case ElementType::I32:
    return read(int32_t());
  case ElementType::I64:
    return read(int64_t());
  case ElementType::I8:
    return read(int8_t());
  case ElementType::U8:
  case ElementType::I1:
    return read(uint8_t());
  default: {
    float wide[256];
    for (size_t i = 0; i < count; i += std::size(wide)) {
      size_t part = std::min(count - i, std::size(wide));
      (void)convertElements(wide, format::DType::F32, {}, from + i * sizeOf(type), type, part);
      std::copy_n(wide, part, to + i);
    }
  }
  }
}

LaunchDifference compareBuffers(ElementType type, std::span<const std::byte> expected,
                                std::span<const std::byte> got) {
  bool isFloat = type == ElementType::F32 || type == ElementType::F16 || type == ElementType::BF16;
  LaunchDifference difference;
  difference.elements = expected.size() / sizeOf(type);
  constexpr size_t kPart = 1024;
  double wanted[kPart], is[kPart], largest = 0, worst = 0;
  uint64_t differing = 0;
  bool finite = true;
  for (uint64_t begin = 0; begin < difference.elements; begin += kPart) {
    size_t count = size_t(std::min<uint64_t>(kPart, difference.elements - begin));
    if (std::memcmp(expected.data() + begin * sizeOf(type), got.data() + begin * sizeOf(type),
                    count * sizeOf(type)) == 0 &&
        !isFloat)
      continue;
    widen(type, expected, begin, count, wanted);
    widen(type, got, begin, count, is);
    for (size_t i = 0; i < count; ++i) {
      if (std::isnan(wanted[i]))
        continue;
      bool hidden = std::fabs(wanted[i]) > kHidden;
      if (hidden && std::fabs(is[i]) > kHidden && (wanted[i] < 0) == (is[i] < 0))
        continue;
      if (!hidden)
        largest = std::max(largest, std::fabs(wanted[i]));
      double off = std::fabs(wanted[i] - is[i]);
      bool bad = hidden || !std::isfinite(is[i]);
      differing += wanted[i] != is[i];
      if (bad ? finite : finite && off > worst) {
        worst = bad ? worst : off;
        finite &= !bad;
        difference.element = begin + i;
        difference.expected = wanted[i];
        difference.got = is[i];
      }
    }
  }
  if (!finite)
    difference.error = std::nan("");
  else if (!isFloat)
    difference.error = difference.elements ? double(differing) / double(difference.elements) : 0;
  else
    difference.error = worst == 0 ? 0 : largest == 0 ? HUGE_VAL : worst / largest;
  return difference;
}

/// Options for every row of a program that samples: no two of a call are alike, and all kinds of
/// processors come up. By default it would be greedy, and all rows had one slot.
static void addSampling(const Call &call, std::vector<Tensor> &inputs) {
  auto add = [&]<typename T>(const char *name, ElementType type, T (*value)(int64_t row)) {
    Tensor &tensor = inputs.emplace_back(Tensor{name, type, {call.mask.rows}, {}});
    tensor.data.resize(size_t(call.mask.rows) * sizeof(T));
    for (int64_t row = 0; row < call.mask.rows; ++row) {
      T element = value(row);
      std::memcpy(tensor.data.data() + size_t(row) * sizeof(T), &element, sizeof(T));
    }
  };
  add(
      "slot", ElementType::I32, +[](int64_t row) { return int32_t(row); });
  add(
      "temperature", ElementType::F32, +[](int64_t row) { return float((row + 2) % 3); });
  add(
      "top_k", ElementType::I32, +[](int64_t row) { return int32_t(row % 2 * 20); });
  add(
      "top_p", ElementType::F32, +[](int64_t row) { return row % 4 == 3 ? 1.0f : 0.9f; });
  add(
      "min_p", ElementType::F32, +[](int64_t row) { return row % 4 < 2 ? 0.0f : 0.01f; });
  add(
      "repetition_penalty", ElementType::F32,
      +[](int64_t row) { return 1.0f + float(row % 2) / 8; });
  add(
      "seed", ElementType::I64, +[](int64_t row) { return -row; });
  add(
      "draw", ElementType::I64, +[](int64_t row) { return row * 5; });
}

bool takesCall(Program &program, const Call &call) {
  return !program.findPort("cu_seqlens", /*output=*/false) ||
         std::count(call.mask.valid.begin(), call.mask.valid.end(), 1) != 0;
}

Result<std::vector<Tensor>> inputsFor(Program &program, const Call &call) {
  Port *offsets = program.findPort("cu_seqlens", /*output=*/false);
  if (!offsets) {
    std::vector<Tensor> inputs = call.inputs;
    if (program.findPort("repetition_penalty", /*output=*/false))
      addSampling(call, inputs);
    return inputs;
  }
  std::vector<Tensor> packed;
  std::vector<int32_t> ends{0};
  for (int64_t row = 0; row < call.mask.rows; ++row) {
    int32_t count = 0;
    for (int64_t token = 0; token < call.mask.tokens; ++token)
      count += call.mask.isValid(row, token);
    ends.push_back(ends.back() + count);
  }
  // Entries behind the last row repeat the total.
  ends.resize(size_t(std::max<int64_t>(offsets->maxDims.front(), int64_t(ends.size()))),
              ends.back());
  for (const Tensor &tensor : call.inputs) {
    if (tensor.name == "attention_mask")
      continue;
    if (tensor.shape != std::vector<int64_t>{call.mask.rows, call.mask.tokens}) {
      packed.push_back(tensor);
      continue;
    }
    Tensor &tokens = packed.emplace_back(Tensor{tensor.name, tensor.type, {ends.back()}, {}});
    size_t width = sizeOf(tensor.type);
    for (size_t i = 0; i < call.mask.valid.size(); ++i)
      if (call.mask.valid[i])
        tokens.data.insert(tokens.data.end(), tensor.data.begin() + i * width,
                           tensor.data.begin() + (i + 1) * width);
  }
  Tensor &rows =
      packed.emplace_back(Tensor{"cu_seqlens", ElementType::I32, {int64_t(ends.size())}, {}});
  auto bytes = reinterpret_cast<const std::byte *>(ends.data());
  rows.data.assign(bytes, bytes + ends.size() * sizeof(int32_t));
  return packed;
}

} // namespace ingot::verify
