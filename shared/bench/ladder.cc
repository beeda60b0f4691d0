// The rungs of the matrix product's ladder on one thread, and the processor's peak, for
// hw3_matmul.py.
//
// Compiled together with homework 3's src/ndarray_backend_cpu.cc, but not with its threads: those
// are replaced by plain calls.
#include <cstddef>
#include <cstring>
#include <ctime>

#include "kernels/parallel.h"
#include "kernels/simd.h"
#include "ndarray_backend_cpu.h"

using needle::cpu::AlignedArray;
using needle::simd::kWidth;
using needle::simd::Vec;

namespace needle {
size_t thread_count() { return 1; }
void detail::parallel_chunks(size_t count, size_t, ChunkFunction run, void* body) {
  run(body, 0, count);
}
}  // namespace needle

extern "C" {

// Rung 1: each number of C is one sum.
void ijk(const float* a, const float* b, float* c, size_t m, size_t n, size_t p) {
  for (size_t i = 0; i < m; ++i)
    for (size_t j = 0; j < p; ++j) {
      float sum = 0;
      for (size_t k = 0; k < n; ++k) sum += a[i * n + k] * b[k * p + j];
      c[i * p + j] = sum;
    }
}

// Rung 2: the inner loop runs along rows.
void ikj(const float* a, const float* b, float* c, size_t m, size_t n, size_t p) {
  std::memset(c, 0, m * p * sizeof(float));
  for (size_t i = 0; i < m; ++i)
    for (size_t k = 0; k < n; ++k)
      for (size_t j = 0; j < p; ++j) c[i * p + j] += a[i * n + k] * b[k * p + j];
}

// Rung 3: matrices that are cut to tiles. The buffers are those of make_array().
void tiled(const AlignedArray* a, const AlignedArray* b, AlignedArray* c, size_t m, size_t n,
           size_t p) {
  needle::cpu::MatmulTiled(*a, *b, c, m, n, p);
}

// Rung 4: packed and register-blocked.
void packed(const AlignedArray* a, const AlignedArray* b, AlignedArray* c, size_t m, size_t n,
            size_t p) {
  needle::cpu::Matmul(*a, *b, c, m, n, p);
}

// A buffer with a copy of `count` numbers. It is never freed: the benchmark makes three.
AlignedArray* make_array(const float* from, size_t count) {
  AlignedArray* array = new AlignedArray(count);
  std::memcpy(array->ptr, from, count * sizeof(float));
  return array;
}

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
