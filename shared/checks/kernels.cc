// The CPU kernels against plain loops in float64, for processors that Python's tests do not run on.
// Prints a line for each kernel that is wrong, and ends with their number as status.
#include <cmath>
#include <cstdio>
#include <limits>
#include <random>
#include <vector>

#include "kernels/layout.h"
#include "kernels/shortcuts.h"
#include "ndarray_backend_cpu.h"

using namespace needle::cpu;

static std::mt19937 generator(0);
static int faults = 0;

static void random_numbers(AlignedArray& a) {
  std::normal_distribution<float> normal;
  for (size_t i = 0; i < a.size; ++i) a.ptr[i] = normal(generator);
}

// Compares out[i] with wanted(i), NaN equal to NaN, to `tolerance` times (1 + the size of wanted).
template <class F>
static void check(const char* name, const AlignedArray& out, double tolerance, F wanted) {
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

static void check_elementwise(size_t size) {
  AlignedArray a(size), b(size), out(size);
  random_numbers(a), random_numbers(b);
  if (size > 3) a.ptr[1] = NAN, b.ptr[2] = NAN, b.ptr[3] = a.ptr[3];
  const float *x = a.ptr, *y = b.ptr;
  EwiseAdd(a, b, &out);
  check("EwiseAdd", out, 1e-7, [=](size_t i) { return double{x[i]} + y[i]; });
  EwiseDiv(a, b, &out);
  check("EwiseDiv", out, 1e-7, [=](size_t i) { return double{x[i]} / y[i]; });
  EwiseMaximum(a, b, &out);
  check("EwiseMaximum", out, 0,
        [=](size_t i) { return x[i] > y[i] || x[i] != x[i] ? x[i] : y[i]; });
  EwiseGe(a, b, &out);
  check("EwiseGe", out, 0, [=](size_t i) { return x[i] >= y[i]; });
  ScalarPower(a, 3, &out);
  check("ScalarPower", out, 1e-6, [=](size_t i) { return std::pow(double{x[i]}, 3); });
  EwiseExp(a, &out);
  check("EwiseExp", out, 1e-6, [=](size_t i) { return std::exp(double{x[i]}); });
  EwiseLog(a, &out);
  check("EwiseLog", out, 1e-6, [=](size_t i) { return std::log(double{x[i]}); });
  EwiseTanh(a, &out);
  check("EwiseTanh", out, 1e-6, [=](size_t i) { return std::tanh(double{x[i]}); });
}

// Rows of `length` numbers; the axis in the middle of (rows, length / inner, inner).
static void check_reductions(size_t rows, size_t length, size_t inner) {
  AlignedArray a(rows * length), out(rows), axis(rows * inner);
  random_numbers(a);
  const float* x = a.ptr;
  auto sum = [=](size_t start, size_t step) {
    double total = 0;
    for (size_t k = 0; k < length; k += step) total += x[start + k];
    return total;
  };
  auto max = [=](size_t start, size_t step) {
    float best = x[start];
    for (size_t k = 0; k < length; k += step) best = x[start + k] > best ? x[start + k] : best;
    return best;
  };
  const double tolerance = 1e-7 * static_cast<double>(length);
  ReduceSum(a, &out, length);
  check("ReduceSum", out, tolerance, [=](size_t i) { return sum(i * length, 1); });
  ReduceMax(a, &out, length);
  check("ReduceMax", out, 0, [=](size_t i) { return max(i * length, 1); });
  auto start = [=](size_t i) { return i / inner * length + i % inner; };
  ReduceSumAxis(a, &axis, rows, length / inner, inner);
  check("ReduceSumAxis", axis, tolerance, [=](size_t i) { return sum(start(i), inner); });
  ReduceMaxAxis(a, &axis, rows, length / inner, inner);
  check("ReduceMaxAxis", axis, 0, [=](size_t i) { return max(start(i), inner); });
  a.ptr[a.size - 1] = NAN;
  ReduceMax(a, &out, length);
  if (!std::isnan(out.ptr[rows - 1])) std::printf("ReduceMax: loses NaN\n"), ++faults;
}

static void check_views(int64_t rows, int64_t columns) {
  AlignedArray a(rows * columns), out(rows * columns), back(rows * columns);
  random_numbers(a), random_numbers(back);
  const Dims shape{columns, rows}, turned{1, columns}, flipped{-1, columns}, row{1, 0};
  const float* x = a.ptr;
  Compact(a, &out, shape, turned, 0);
  check("Compact", out, 0, [=](size_t i) { return x[i % rows * columns + i / rows]; });
  EwiseSetitem(out, &back, shape, turned, 0);
  check("EwiseSetitem", back, 0, [=](size_t i) { return x[i]; });
  Compact(a, &out, shape, flipped, columns - 1);
  check("Compact, flipped", out, 0,
        [=](size_t i) { return x[i % rows * columns + columns - 1 - i / rows]; });
  StridedAdd({a, turned, 0}, {a, row, 0}, &out, shape);
  check("StridedAdd", out, 1e-7,
        [=](size_t i) { return double{x[i % rows * columns + i / rows]} + x[i / rows]; });
}

// (m, n) times (n, p), each operand as it is and transposed.
static void check_matmul(size_t m, size_t n, size_t p) {
  AlignedArray a(m * n), b(n * p), out(m * p);
  random_numbers(a), random_numbers(b);
  for (int form = 0; form < 4; ++form) {
    const MatrixView left = form & 1 ? MatrixView{a.ptr, 1, static_cast<ptrdiff_t>(m)}
                                     : MatrixView{a.ptr, static_cast<ptrdiff_t>(n), 1};
    const MatrixView right = form & 2 ? MatrixView{b.ptr, 1, static_cast<ptrdiff_t>(n)}
                                      : MatrixView{b.ptr, static_cast<ptrdiff_t>(p), 1};
    Fill(&out, NAN);
    MatmulViews(left, right, out.ptr, m, n, p);
    // Rounding: at most n half units in the last place of the sum of n products of size 1 or less.
    const double tolerance = std::ldexp(static_cast<double>(n * n), -24);
    check("MatmulViews", out, tolerance, [=](size_t i) {
      double sum = 0;
      for (size_t k = 0; k < n; ++k) sum += double{left(i / p, k)} * right(k, i % p);
      return sum;
    });
  }
}

static void check_tiles(size_t across) {
  const size_t side = across * TILE, area = TILE * TILE;
  AlignedArray a(side * side), b(side * side), out(side * side);
  random_numbers(a), random_numbers(b);
  const float *x = a.ptr, *y = b.ptr;
  MatmulTiled(a, b, &out, side, side, side);
  check("MatmulTiled", out, 1e-5, [=](size_t i) {
    const size_t tile = i / area, row = i % area / TILE, column = i % TILE;
    double sum = 0;
    for (size_t k = 0; k < side; ++k)
      sum += double{x[(tile / across * across + k / TILE) * area + row * TILE + k % TILE]} *
             y[(k / TILE * across + tile % across) * area + k % TILE * TILE + column];
    return sum;
  });
}

int main() {
  for (size_t size : {0, 1, 7, 16, 33, 70000}) check_elementwise(size);
  check_reductions(3, 1, 1), check_reductions(5, 66, 3), check_reductions(2, 40000, 4);
  check_views(3, 5), check_views(1, 9), check_views(64, 40), check_views(301, 257);
  for (size_t m : {0, 1, 5, 12, 31, 150})
    for (size_t n : {0, 1, 40, 300})
      for (size_t p : {0, 1, 10, 33, 64}) check_matmul(m, n, p);
  check_matmul(13, 260, 1030);  // wider than what is packed at a time
  check_tiles(1), check_tiles(5);
  return faults;
}
