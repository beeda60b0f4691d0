// The CPU kernels against plain loops in float64, for processors that Python's tests do not run on.
// The given kernels have tests of their own, in shared/kernels/tests.
#include <utility>

#include "kernels/tests/checking.h"
#include "ndarray_backend_cpu.h"

using namespace needle::cpu;
using needle::checking::check;
using needle::checking::random_numbers;

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

// Rows of `length` numbers.
static void check_reductions(size_t rows, size_t length) {
  AlignedArray a(rows * length), out(rows);
  random_numbers(a);
  const float* x = a.ptr;
  auto sum = [=](size_t row) {
    double total = 0;
    for (size_t k = 0; k < length; ++k) total += x[row * length + k];
    return total;
  };
  auto max = [=](size_t row) {
    float best = x[row * length];
    for (size_t k = 0; k < length; ++k)
      best = x[row * length + k] > best ? x[row * length + k] : best;
    return best;
  };
  const double tolerance = 1e-7 * static_cast<double>(length);
  ReduceSum(a, &out, length);
  check("ReduceSum", out, tolerance, sum);
  ReduceMax(a, &out, length);
  check("ReduceMax", out, 0, max);
  a.ptr[a.size - 1] = NAN;
  ReduceMax(a, &out, length);
  needle::checking::expect(std::isnan(out.ptr[rows - 1]), "ReduceMax: loses NaN");
}

static void check_views(int64_t rows, int64_t columns) {
  AlignedArray a(rows * columns), out(rows * columns), back(rows * columns);
  random_numbers(a), random_numbers(back);
  const Dims shape{columns, rows}, turned{1, columns}, flipped{-1, columns};
  const float* x = a.ptr;
  Compact(a, &out, shape, turned, 0);
  check("Compact", out, 0, [=](size_t i) { return x[i % rows * columns + i / rows]; });
  EwiseSetitem(out, &back, shape, turned, 0);
  check("EwiseSetitem", back, 0, [=](size_t i) { return x[i]; });
  Compact(a, &out, shape, flipped, columns - 1);
  check("Compact, flipped", out, 0,
        [=](size_t i) { return x[i % rows * columns + columns - 1 - i / rows]; });
}

static const std::pair<const char*, Rung*> kRungs[] = {
    {"MatmulNaive", MatmulNaive},         {"MatmulRows", MatmulRows},
    {"MatmulRegisters", MatmulRegisters}, {"MatmulPackedB", MatmulPackedB},
    {"MatmulSlices", MatmulSlices},       {"MatmulPackedA", MatmulPackedA},
    {"MatmulThreads", MatmulThreads}};

// By every rung: (m, n) times (n, p), each operand as it is and transposed.
static void check_matmul(size_t m, size_t n, size_t p) {
  AlignedArray a(m * n), b(n * p), out(m * p);
  random_numbers(a), random_numbers(b);
  for (int form = 0; form < 4; ++form) {
    const MatrixView left = form & 1 ? MatrixView{a.ptr, 1, static_cast<ptrdiff_t>(m)}
                                     : MatrixView{a.ptr, static_cast<ptrdiff_t>(n), 1};
    const MatrixView right = form & 2 ? MatrixView{b.ptr, 1, static_cast<ptrdiff_t>(n)}
                                      : MatrixView{b.ptr, static_cast<ptrdiff_t>(p), 1};
    // Rounding: at most n half units in the last place of the sum of n products of size 1 or less.
    const double tolerance = std::ldexp(static_cast<double>(n * n), -24);
    auto wanted = [=](size_t i) {
      double sum = 0;
      for (size_t k = 0; k < n; ++k) sum += double{left(i / p, k)} * right(k, i % p);
      return sum;
    };
    for (auto [name, rung] : kRungs) {
      Fill(&out, NAN);
      rung(left, right, {out.ptr, static_cast<ptrdiff_t>(p), 1}, m, n, p);
      check(name, out, tolerance, wanted);
    }
    Fill(&out, NAN);
    MatmulViews(left, right, out.ptr, m, n, p);
    check("MatmulViews", out, tolerance, wanted);
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
  check_reductions(3, 1), check_reductions(5, 66), check_reductions(2, 40000);
  check_views(3, 5), check_views(1, 9), check_views(64, 40), check_views(301, 257);
  for (size_t m : {0, 1, 5, 12, 31, 150})
    for (size_t n : {0, 1, 40, 300})
      for (size_t p : {0, 1, 10, 33, 64}) check_matmul(m, n, p);
  check_matmul(13, 403, 1030);  // wider than what is packed at a time
  check_tiles(1), check_tiles(5);
  return needle::checking::faults;
}
