// Greatest error of simd::exp, log and tanh in units in the last place, against float64.
// Usage: ulp STEP: every STEP-th float32, by bit pattern; NaN, infinities and subnormals among
// them. Prints three numbers. A result that should be NaN or infinite and is not counts as a
// million.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "kernels/vmath.h"

namespace simd = needle::simd;

static double error_in_ulps(double wanted, float got) {
  const float nearest = static_cast<float>(wanted);
  if (std::isnan(nearest)) return std::isnan(got) ? 0 : 1e6;
  if (std::isinf(nearest) || std::isinf(got)) return nearest == got ? 0 : 1e6;
  int exponent = -125;  // subnormal numbers have the spacing of the smallest normal ones
  if (std::fabs(wanted) >= 1.17549435e-38) std::frexp(wanted, &exponent);
  return std::fabs(got - wanted) / std::ldexp(1.0, exponent - 24);
}

int main(int, char** arguments) {
  const uint64_t step = std::strtoull(arguments[1], nullptr, 10);
  double worst[3] = {};
  float x[simd::kWidth], results[3][simd::kWidth];
  size_t filled = 0;
  for (uint64_t pattern = 0; pattern < (uint64_t{1} << 32); pattern += step) {
    const uint32_t bits = static_cast<uint32_t>(pattern);
    std::memcpy(&x[filled++], &bits, sizeof bits);
    if (filled < simd::kWidth) continue;
    filled = 0;
    simd::store(results[0], simd::exp(simd::load(x)));
    simd::store(results[1], simd::log(simd::load(x)));
    simd::store(results[2], simd::tanh(simd::load(x)));
    for (size_t i = 0; i < simd::kWidth; ++i) {
      const double wanted[3] = {std::exp(double{x[i]}), std::log(double{x[i]}),
                                std::tanh(double{x[i]})};
      for (size_t f = 0; f < 3; ++f)
        worst[f] = std::fmax(worst[f], error_in_ulps(wanted[f], results[f][i]));
    }
  }
  std::printf("%.3f %.3f %.3f\n", worst[0], worst[1], worst[2]);
}
