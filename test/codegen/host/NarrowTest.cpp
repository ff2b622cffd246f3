//===- NarrowTest.cpp - bf16 and f16 as the host target stores them -------===//
#include "test/codegen/host/KernelRunner.h"

#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/APInt.h"
#include "llvm/ADT/bit.h"

#include <gtest/gtest.h>

#include <cmath>

using namespace ingot::host;

namespace {

struct Case {
  const char *type, *level;
};

const llvm::fltSemantics &semanticsOf(const Case &of) {
  return of.type[0] == 'b' ? llvm::APFloat::BFloat() : llvm::APFloat::IEEEhalf();
}

/// To the nearest, ties to even.
uint16_t roundTo(const Case &to, float value) {
  llvm::APFloat number(value);
  bool loses;
  number.convert(semanticsOf(to), llvm::APFloat::rmNearestTiesToEven, &loses);
  return static_cast<uint16_t>(number.bitcastToAPInt().getZExtValue());
}

float widen(const Case &from, uint16_t bits) {
  llvm::APFloat number(semanticsOf(from), llvm::APInt(16, bits));
  bool loses;
  number.convert(llvm::APFloat::IEEEsingle(), llvm::APFloat::rmNearestTiesToEven, &loses);
  return number.convertToFloat();
}

/// Puts a type's name where the source has "$t".
std::string withType(std::string source, const std::string &type) {
  for (size_t at; (at = source.find("$t")) != std::string::npos;)
    source.replace(at, 2, type);
  return source;
}

class Narrow : public testing::TestWithParam<Case> {};

/// Every number of 16 bits, the numbers halfway between two, and those beside them.
TEST_P(Narrow, RoundsToTheNearestAndKeepsNaN) {
  const Case &type = GetParam();
  std::string error;
  auto kernels = LoadedKernels::compile(
      withType("func.func @round(%x: tensor<?xf32> {ingot.sizes = [0]}) -> (tensor<?x$t> "
               "{ingot.sizes = [0]}) attributes {ingot.size_max = [1048576]} {\n"
               "  %y = arith.truncf %x : tensor<?xf32> to tensor<?x$t>\n  return %y : tensor<?x$t>\n}\n"
               "func.func @widen(%x: tensor<?x$t> {ingot.sizes = [0]}) -> (tensor<?xf32> "
               "{ingot.sizes = [0]}) attributes {ingot.size_max = [1048576]} {\n"
               "  %y = arith.extf %x : tensor<?x$t> to tensor<?xf32>\n  return %y : tensor<?xf32>\n}\n",
               type.type),
      type.level, error);
  ASSERT_TRUE(kernels) << error;
  std::vector<float> values;
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    float value = widen(type, static_cast<uint16_t>(bits));
    values.push_back(value);
    float half = value + (widen(type, static_cast<uint16_t>(bits + 1)) - value) / 2;
    values.insert(values.end(), {half, std::nextafterf(half, 0), std::nextafterf(half, INFINITY)});
  }
  int64_t count = static_cast<int64_t>(values.size());
  AlignedBytes x(count * 4), y(count * 2), z(count * 4);
  std::copy(values.begin(), values.end(), x.as<float>());
  kernels->run("round", {x.as<void>(), y.as<void>()}, {count});
  kernels->run("widen", {y.as<void>(), z.as<void>()}, {count});
  for (int64_t i = 0; i < count; ++i) {
    uint16_t got = y.as<uint16_t>()[i];
    if (std::isnan(values[i])) {
      ASSERT_TRUE(std::isnan(widen(type, got))) << "of not a number, 0x" << std::hex << got;
      ASSERT_TRUE(std::isnan(z.as<float>()[i]));
      continue;
    }
    ASSERT_EQ(got, roundTo(type, values[i])) << values[i];
    ASSERT_EQ(z.as<float>()[i], widen(type, got)) << got;
  }
}

/// A right-hand side that has to be transposed, whole squares and ragged edges of it, is only moved.
constexpr const char *matmul = R"(
#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (n, k)>
#y = affine_map<(m, n, k) -> (m, n)>
func.func @matmul(%x: tensor<?x40x$t> {ingot.sizes = [0]}, %w: tensor<?x40x$t> {ingot.sizes = [1]})
    -> (tensor<?x?xf32> {ingot.sizes = [0, 1]}) attributes {ingot.size_max = [512, 512]} {
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %m = tensor.dim %x, %c0 : tensor<?x40x$t>
  %n = tensor.dim %w, %c0 : tensor<?x40x$t>
  %e = tensor.empty(%m, %n) : tensor<?x?xf32>
  %f = linalg.fill ins(%zero : f32) outs(%e : tensor<?x?xf32>) -> tensor<?x?xf32>
  %r = linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : tensor<?x40x$t>, tensor<?x40x$t>) outs(%f : tensor<?x?xf32>) {
  ^bb0(%a: $t, %b: $t, %c: f32):
    %u = arith.extf %a : $t to f32
    %v = arith.extf %b : $t to f32
    %p = arith.mulf %u, %v : f32
    %s = arith.addf %c, %p : f32
    linalg.yield %s : f32
  } -> tensor<?x?xf32>
  return %r : tensor<?x?xf32>
}
)";

TEST_P(Narrow, MultipliesInF32) {
  const Case &type = GetParam();
  std::string error;
  auto kernels = LoadedKernels::compile(withType(matmul, type.type), type.level, error);
  ASSERT_TRUE(kernels) << error;
  for (auto [m, n] : {std::pair<int64_t, int64_t>{1, 64}, {13, 37}, {29, 100}}) {
    AlignedBytes x(m * 80), w(n * 80), y(m * n * 4);
    for (int64_t i = 0; i < m * 40; ++i)
      x.as<uint16_t>()[i] = roundTo(type, std::sin(float(i)));
    for (int64_t i = 0; i < n * 40; ++i)
      w.as<uint16_t>()[i] = roundTo(type, std::cos(float(i) * 0.7f));
    kernels->run("matmul", {x.as<void>(), w.as<void>(), y.as<void>()}, {m, n});
    for (int64_t i = 0; i < m; ++i)
      for (int64_t j = 0; j < n; ++j) {
        double sum = 0;
        for (int64_t k = 0; k < 40; ++k)
          sum += double(widen(type, x.as<uint16_t>()[i * 40 + k])) *
                 widen(type, w.as<uint16_t>()[j * 40 + k]);
        ASSERT_NEAR(y.as<float>()[i * n + j], sum, 1e-5) << "row " << i << " column " << j;
      }
  }
}

constexpr Case cases[] = {{"bf16", "x86-64-v2"}, {"bf16", "x86-64-v3"}, {"bf16", "host"},
                          {"f16", "x86-64-v3"},  {"f16", "host"}};
INSTANTIATE_TEST_SUITE_P(Types, Narrow, testing::ValuesIn(cases), [](const auto &info) {
  std::string level = info.param.level;
  return std::string(info.param.type) + (level == "host" ? "Host" : "V" + level.substr(8));
});

} // namespace
