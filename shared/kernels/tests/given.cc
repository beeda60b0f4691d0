// The given kernels, the allocator and the threads against plain loops. Needs no device: the two
// functions that a device has to define stand here, as plainly as can be.
#include <atomic>
#include <cstdint>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "checking.h"
#include "kernels/layout.h"
#include "kernels/parallel.h"
#include "kernels/shortcuts.h"

namespace needle {
namespace cpu {

void Compact(const AlignedArray& a, AlignedArray* out, const Dims& shape, const Dims& strides,
             size_t offset) {
  for (size_t i = 0; i < out->size; ++i) {
    size_t rest = i;
    ptrdiff_t at = static_cast<ptrdiff_t>(offset);
    for (size_t axis = shape.size(); axis-- > 0; rest /= shape[axis])
      at += static_cast<ptrdiff_t>(rest % shape[axis]) * strides[axis];
    out->ptr[i] = a.ptr[at];
  }
}

void MatmulViews(MatrixView a, MatrixView b, scalar_t* out, size_t m, size_t n, size_t p) {
  for (size_t i = 0; i < m; ++i)
    for (size_t j = 0; j < p; ++j) {
      double sum = 0;
      for (size_t k = 0; k < n; ++k) sum += double{a(i, k)} * b(k, j);
      out[i * p + j] = static_cast<scalar_t>(sum);
    }
}

}  // namespace cpu
}  // namespace needle

using namespace needle;
using namespace needle::cpu;
using checking::check;
using checking::expect;

static void check_axes() {
  auto same = [](Axis axis, size_t length, ptrdiff_t from, ptrdiff_t to) {
    return axis.length == length && axis.from == from && axis.to == to;
  };
  auto axes = merge_axes({2, 1, 3, 4}, {12, 5, 4, 1}, {12, 7, 4, 1});
  expect(axes.size() == 1 && same(axes[0], 24, 1, 1), "MergeAxes: a compact copy is one axis");
  axes = merge_axes({2, 3}, {1, 2}, {3, 1});
  expect(axes.size() == 2, "MergeAxes: a transpose has two axes");
  expect(merge_axes({1, 1}, {9, 9}, {1, 1}).empty(), "MergeAxes: one element has no axes");
}

static void check_threads(size_t count, size_t grain) {
  std::vector<std::atomic<int>> seen(count);
  parallel_for(count, grain, [&](size_t begin, size_t end) {
    if (begin % grain != 0) throw std::logic_error("parallel_for: a piece begins anywhere");
    parallel_for(end - begin, 1, [&](size_t first, size_t last) {  // nested: a plain call
      for (size_t i = begin + first; i < begin + last; ++i) ++seen[i];
    });
  });
  bool once = true;
  for (auto& times : seen) once = once && times == 1;
  expect(once, "parallel_for: every index belongs to one piece");
  bool thrown = false;
  try {
    parallel_for(count, grain, [](size_t, size_t) { throw std::runtime_error("on purpose"); });
  } catch (const std::runtime_error&) { thrown = true; }
  expect(thrown == (count > 0), "parallel_for: an exception in a piece is thrown again");
}

// No thread works on much more than its share, and small arrays stay in one piece.
static void check_even_grain(size_t count) {
  const size_t grain = even_grain(count), pieces = (count + grain - 1) / grain;
  expect(grain <= kGrain && grain % 64 == 0, "even_grain: at most kGrain, whole cache lines");
  const size_t rounds = (pieces + thread_count() - 1) / thread_count();
  const bool small = count <= kGrain;
  expect(small ? pieces <= 1 : rounds * grain <= count / thread_count() + 64 * (rounds + 1),
         "even_grain: every thread has its share, and no more");
}

// Freed buffers serve again, however many: by another thread, and after an array of another size.
static void check_buffers_are_kept(size_t count) {
  std::vector<void*> buffers(20);
  for (void*& buffer : buffers) buffer = allocate(count, 4);
  const std::set<void*> known(buffers.begin(), buffers.end());
  expect(known.size() == buffers.size(), "allocate: a buffer belongs to one array");
  std::thread([&] {
    for (void* buffer : buffers) deallocate(buffer, count * 4);
  }).join();
  deallocate(allocate(count + 100, 4), (count + 100) * 4);
  for (void*& buffer : buffers) buffer = allocate(count, 4);
  expect(std::set<void*>(buffers.begin(), buffers.end()) == known,
         "allocate: what a thread has freed serves others when it has ended");
  for (void* buffer : buffers) deallocate(buffer, count * 4);
}

static void check_allocator() {
  for (size_t count : {0, 1, 16, 17, 300, 5000, 1 << 20}) {
    void* first = allocate(count, 4);
    expect(reinterpret_cast<uintptr_t>(first) % kCacheLine == 0, "allocate: not a cache line");
    expect(room_of(count * 4) >= std::max<size_t>(count * 4, kCacheLine), "room_of: too little");
    static_cast<char*>(first)[room_of(count * 4) - 1] = 1;
    deallocate(first, count * 4);
    void* second = allocate(count, 4);
    expect(first == second, "allocate: a freed buffer serves the next array of its size");
    deallocate(second, count * 4);
    check_buffers_are_kept(count);
  }
  bool refused = false;
  try {
    allocate(SIZE_MAX / 4, 4);
  } catch (const std::bad_alloc&) { refused = true; }
  expect(refused, "allocate: more than any memory is std::bad_alloc");
}

// Operands: a transposed view, one row for all rows, one number for all, a compact array.
static void check_binary(int64_t rows, int64_t columns) {
  AlignedArray a(rows * columns), b(rows * columns), out(rows * columns);
  checking::random_numbers(a), checking::random_numbers(b);
  if (a.size > 2) a.ptr[1] = NAN, b.ptr[2] = a.ptr[2];
  const Dims shape{rows, columns};
  const Dims views[] = {{1, rows}, {0, 1}, {0, 0}, {columns, 1}};
  for (const Dims& left : views)
    for (const Dims& right : views) {
      auto x = [&](size_t i) { return a.ptr[i / columns * left[0] + i % columns * left[1]]; };
      auto y = [&](size_t i) { return b.ptr[i / columns * right[0] + i % columns * right[1]]; };
      auto run = [&](const char* name, StridedBinary kernel, auto wanted) {
        kernel({a, left, 0}, {b, right, 0}, &out, shape);
        check(name, out, 1e-7, [&](size_t i) { return wanted(double{x(i)}, double{y(i)}); });
      };
      run("StridedAdd", StridedAdd, [](double p, double q) { return p + q; });
      run("StridedSub", StridedSub, [](double p, double q) { return p - q; });
      run("StridedMul", StridedMul, [](double p, double q) { return p * q; });
      run("StridedDiv", StridedDiv, [](double p, double q) { return p / q; });
      run("StridedEq", StridedEq, [](double p, double q) { return double(p == q); });
      run("StridedGe", StridedGe, [](double p, double q) { return double(p >= q); });
      run("StridedMaximum", StridedMaximum,
          [](double p, double q) { return p > q || p != p ? p : q; });
    }
}

static void check_reductions(size_t outer, size_t length, size_t inner) {
  AlignedArray a(outer * length * inner), out(outer * inner);
  checking::random_numbers(a);
  auto over = [&](size_t i, double start, auto combine) {
    const float* x = a.ptr + i / inner * length * inner + i % inner;
    for (size_t k = 0; k < length; ++k) start = combine(start, double{x[k * inner]});
    return start;
  };
  ReduceSumAxis(a, &out, outer, length, inner);
  check("ReduceSumAxis", out, 1e-7 * static_cast<double>(length),
        [&](size_t i) { return over(i, 0, [](double total, double x) { return total + x; }); });
  ReduceMaxAxis(a, &out, outer, length, inner);
  check("ReduceMaxAxis", out, 0, [&](size_t i) {
    return over(i, -INFINITY, [](double best, double x) { return x > best ? x : best; });
  });
}

// A batch of products: a turned, b one matrix for all.
static void check_matmul(int64_t batch, int64_t m, int64_t n, int64_t p) {
  AlignedArray a(batch * m * n), b(n * p), out(batch * m * p);
  checking::random_numbers(a), checking::random_numbers(b);
  MatmulStrided(a, b, &out, {batch, m, n, p}, {m * n, 1, m}, 0, {0, p, 1}, 0);
  check("MatmulStrided", out, 1e-6, [&](size_t i) {
    const size_t t = i / (m * p), row = i / p % m, column = i % p;
    double sum = 0;
    for (int64_t k = 0; k < n; ++k)
      sum += double{a.ptr[t * m * n + k * m + row]} * b.ptr[k * p + column];
    return sum;
  });
}

int main() {
  check_axes();
  check_threads(0, 1), check_threads(1, 1), check_threads(1000, 7), check_threads(100000, 64);
  for (size_t count : {0, 1, 32768, 32769, 40000, 65537, 100000, 131073, 10000000})
    check_even_grain(count);
  check_allocator();
  check_binary(3, 5), check_binary(1, 9), check_binary(301, 257);
  check_reductions(3, 1, 1), check_reductions(5, 22, 3), check_reductions(2, 10000, 4);
  check_matmul(1, 2, 3, 4), check_matmul(7, 5, 1, 6), check_matmul(20, 12, 9, 10);
  return checking::faults;
}
