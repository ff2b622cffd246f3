//===- MathTest.cpp - Math functions of the host target against libm ------===//
#include "test/codegen/host/KernelRunner.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

using namespace ingot::host;

namespace {

/// Applies math.`op` to every element of a row of any length.
std::string unarySource(const std::string &op) {
  return "func.func @unary(%x: tensor<?xf32> {ingot.sizes = [0]}) -> (tensor<?xf32> {ingot.sizes = "
         "[0]}) attributes {ingot.size_max = [1048576]} {\n  %y = math." +
         op + " %x : tensor<?xf32>\n  return %y : tensor<?xf32>\n}\n";
}

struct Function {
  const char *op;
  double (*reference)(double);
  double low, high;
};

class Math : public testing::TestWithParam<std::tuple<Function, const char *>> {};

/// Relative to libm's double result, as MathExpansion.cpp promises.
TEST_P(Math, AgreesWithLibm) {
  auto [function, level] = GetParam();
  std::string error;
  auto kernels = LoadedKernels::compile(unarySource(function.op), level, error);
  ASSERT_TRUE(kernels) << error;
  const int64_t count = 40003; // no multiple of any vector
  AlignedBytes x(count * 4), y(count * 4);
  for (int64_t i = 0; i < count; ++i)
    x.as<float>()[i] =
        static_cast<float>(function.low + (function.high - function.low) * i / (count - 1));
  kernels->run("unary", {x.as<void>(), y.as<void>()}, {count});
  double worst = 0, at = 0;
  for (int64_t i = 0; i < count; ++i) {
    double want = function.reference(x.as<float>()[i]), got = y.as<float>()[i];
    double error = std::abs(got - want) / std::max(std::abs(want), 1e-30);
    if (!(error <= worst)) {
      worst = error;
      at = x.as<float>()[i];
    }
  }
  EXPECT_LE(worst, 2e-6) << "at " << at;
}

constexpr Function functions[] = {
    {"exp", std::exp, -87, 88},    {"erf", std::erf, -6, 6},     {"tanh", std::tanh, -12, 12},
    {"sin", std::sin, -3, 3},      {"cos", std::cos, -1.5, 1.5}, {"log", std::log, 1e-3, 1e5},
    {"rsqrt", [](double v) { return 1 / std::sqrt(v); }, 1e-3, 1e5},
    {"log1p", std::log1p, -0.9, 10}, {"expm1", std::expm1, -5, 5}, {"exp2", std::exp2, -100, 100},
};
INSTANTIATE_TEST_SUITE_P(Functions, Math,
                         testing::Combine(testing::ValuesIn(functions),
                                          testing::Values("host", "x86-64-v2")),
                         [](const auto &info) {
                           std::string name = std::get<0>(info.param).op;
                           return name + (std::get<1>(info.param)[0] == 'h' ? "Host" : "V2");
                         });

TEST(MathEnds, ExpAtTheEnds) {
  std::string error;
  auto kernels = LoadedKernels::compile(unarySource("exp"), "host", error);
  ASSERT_TRUE(kernels) << error;
  const float inf = std::numeric_limits<float>::infinity();
  AlignedBytes x(5 * 4), y(5 * 4);
  float values[5] = {-inf, -3.4028235e38f, inf, 100, NAN};
  std::copy(values, values + 5, x.as<float>());
  kernels->run("unary", {x.as<void>(), y.as<void>()}, {5});
  EXPECT_EQ(y.as<float>()[0], 0);
  EXPECT_EQ(y.as<float>()[1], 0);
  EXPECT_EQ(y.as<float>()[2], inf);
  EXPECT_EQ(y.as<float>()[3], inf);
  EXPECT_TRUE(std::isnan(y.as<float>()[4]));
}

/// Rotary angles: large arguments keep their digits.
TEST(MathEnds, SineOfLargeAngles) {
  std::string error;
  auto kernels = LoadedKernels::compile(unarySource("sin"), "host", error);
  ASSERT_TRUE(kernels) << error;
  const int64_t count = 4096;
  AlignedBytes x(count * 4), y(count * 4);
  for (int64_t i = 0; i < count; ++i)
    x.as<float>()[i] = static_cast<float>(i) * 31.7f;
  kernels->run("unary", {x.as<void>(), y.as<void>()}, {count});
  for (int64_t i = 0; i < count; ++i)
    ASSERT_NEAR(y.as<float>()[i], std::sin(double(x.as<float>()[i])), 2e-7);
}

} // namespace
