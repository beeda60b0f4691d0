// The processor's peak, for hw3_matmul.py.
#include <cstddef>
#include <ctime>

#include "kernels/simd.h"

using needle::simd::kWidth;
using needle::simd::Vec;

extern "C" {

// GFLOP/s of one core that does nothing but multiply-adds in registers.
double peak() {
  Vec sums[10];
  for (size_t i = 0; i < 10; ++i) sums[i] = needle::simd::splat(1.0f + static_cast<float>(i));
  const Vec x = needle::simd::splat(0.999f), y = needle::simd::splat(0.001f);
  const size_t rounds = 20 * 1000 * 1000;
  const std::clock_t began = std::clock();  // processor time: others may be busy
  for (size_t r = 0; r < rounds; ++r)
    for (size_t i = 0; i < 10; ++i) sums[i] = sums[i] * x + y;
  const double took = static_cast<double>(std::clock() - began) / CLOCKS_PER_SEC;
  Vec total = sums[0];
  for (size_t i = 1; i < 10; ++i) total += sums[i];
  volatile float keep;
  float lanes[kWidth];
  needle::simd::store(lanes, total);
  keep = lanes[0];
  static_cast<void>(keep);
  return 2.0 * 10 * kWidth * rounds / took / 1e9;
}

}  // extern "C"
