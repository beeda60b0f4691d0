// For programs that test kernels: random arrays, and comparison with what was wanted. A program
// prints a line for each kernel that is wrong, and ends with their number as status.
#pragma once

#include <cmath>
#include <cstdio>
#include <random>

#include "kernels/aligned_array.h"

namespace needle {
namespace checking {

inline int faults = 0;

inline void random_numbers(cpu::AlignedArray& a) {
  static std::mt19937 generator(0);
  std::normal_distribution<float> normal;
  for (size_t i = 0; i < a.size; ++i) a.ptr[i] = normal(generator);
}

inline void expect(bool ok, const char* sentence) {
  if (ok) return;
  std::printf("%s\n", sentence);
  ++faults;
}

// Compares out[i] with wanted(i), NaN equal to NaN, to `tolerance` times (1 + the size of wanted).
template <class F>
void check(const char* name, const cpu::AlignedArray& out, double tolerance, F wanted) {
  for (size_t i = 0; i < out.size; ++i) {
    const double expected = wanted(i), got = out.ptr[i];
    if (std::isnan(expected)
            ? std::isnan(got)
            : expected == got || std::fabs(expected - got) <= tolerance * (1 + std::fabs(expected)))
      continue;
    std::printf("%s: element %zu of %zu is %g, expected %g\n", name, i, out.size, got, expected);
    ++faults;
    return;
  }
}

}  // namespace checking
}  // namespace needle
