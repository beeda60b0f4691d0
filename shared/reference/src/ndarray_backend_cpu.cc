// The CPU device of NDArray. Your kernels go here.
//
// Every array is a flat buffer of float32 (see ndarray_backend_cpu.h). Elementwise operators,
// reductions and matrix products only ever see compact arrays: row-major, without gaps. Views are
// the business of Compact and the two Setitem functions, which are told shape, strides and offset.
// Sizes have been checked before a kernel is called (see ndarray_bindings.h).
#include "ndarray_backend_cpu.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/parallel.h"
#include "not_implemented.h"

namespace needle {
namespace cpu {
namespace {

// Elements worth handing to another thread: below this, waking it costs more than it saves.
constexpr size_t kGrain = size_t{1} << 15;

// out[i] = f(i) for every i, on all threads.
template <class F>
void ForEach(AlignedArray* out, F f) {
  scalar_t* result = out->ptr;
  parallel_for(out->size, kGrain, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) result[i] = f(i);
  });
}

}  // namespace

void Fill(AlignedArray* out, scalar_t val) {
  ForEach(out, [=](size_t) { return val; });
}

// --------------------------------------------------------------------------- compact and set-item

namespace {

// Visits the elements of a view in row-major order: visit(position in a compact array, position in
// the buffer).
template <class Visit>
void ForEachElement(const Dims& shape, const Dims& strides, size_t offset, Visit visit) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_compact_setitem
  size_t count = 1;
  for (int64_t length : shape) count *= length;
  Dims index(shape.size(), 0);
  int64_t position = offset;
  for (size_t i = 0; i < count; ++i) {
    visit(i, position);
    for (size_t axis = shape.size(); axis-- > 0;) {
      position += strides[axis];
      if (++index[axis] < shape[axis]) break;
      position -= shape[axis] * strides[axis];
      index[axis] = 0;
    }
  }
  /// END SOLUTION
}

}  // namespace

void Compact(const AlignedArray& a, AlignedArray* out, const Dims& shape, const Dims& strides,
             size_t offset) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_compact_setitem
  ForEachElement(shape, strides, offset, [&](size_t i, size_t at) { out->ptr[i] = a.ptr[at]; });
  /// END SOLUTION
}

void EwiseSetitem(const AlignedArray& a, AlignedArray* out, const Dims& shape, const Dims& strides,
                  size_t offset) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_compact_setitem
  ForEachElement(shape, strides, offset, [&](size_t i, size_t at) { out->ptr[at] = a.ptr[i]; });
  /// END SOLUTION
}

void ScalarSetitem(size_t size, scalar_t val, AlignedArray* out, const Dims& shape,
                   const Dims& strides, size_t offset) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_compact_setitem
  ForEachElement(shape, strides, offset, [&](size_t, size_t at) { out->ptr[at] = val; });
  /// END SOLUTION
}

// ------------------------------------------------------------------------ elementwise and scalar

void EwiseAdd(const AlignedArray& a, const AlignedArray& b, AlignedArray* out) {
  ForEach(out, [x = a.ptr, y = b.ptr](size_t i) { return x[i] + y[i]; });
}

void ScalarAdd(const AlignedArray& a, scalar_t val, AlignedArray* out) {
  ForEach(out, [x = a.ptr, val](size_t i) { return x[i] + val; });
}

void EwiseMul(const AlignedArray& a, const AlignedArray& b, AlignedArray* out) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_ops
  ForEach(out, [x = a.ptr, y = b.ptr](size_t i) { return x[i] * y[i]; });
  /// END SOLUTION
}

void ScalarMul(const AlignedArray& a, scalar_t val, AlignedArray* out) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_ops
  ForEach(out, [x = a.ptr, val](size_t i) { return x[i] * val; });
  /// END SOLUTION
}

void EwiseDiv(const AlignedArray& a, const AlignedArray& b, AlignedArray* out) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_ops
  ForEach(out, [x = a.ptr, y = b.ptr](size_t i) { return x[i] / y[i]; });
  /// END SOLUTION
}

void ScalarDiv(const AlignedArray& a, scalar_t val, AlignedArray* out) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_ops
  ForEach(out, [x = a.ptr, val](size_t i) { return x[i] / val; });
  /// END SOLUTION
}

void ScalarPower(const AlignedArray& a, scalar_t val, AlignedArray* out) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_ops
  ForEach(out, [x = a.ptr, val](size_t i) { return std::pow(x[i], val); });
  /// END SOLUTION
}

void EwiseMaximum(const AlignedArray& a, const AlignedArray& b, AlignedArray* out) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_ops
  ForEach(out, [x = a.ptr, y = b.ptr](size_t i) {
    return (x[i] > y[i] || x[i] != x[i]) ? x[i] : y[i];
  });
  /// END SOLUTION
}

void ScalarMaximum(const AlignedArray& a, scalar_t val, AlignedArray* out) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_ops
  ForEach(out, [x = a.ptr, val](size_t i) { return (x[i] > val || x[i] != x[i]) ? x[i] : val; });
  /// END SOLUTION
}

void EwiseEq(const AlignedArray& a, const AlignedArray& b, AlignedArray* out) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_ops
  ForEach(out, [x = a.ptr, y = b.ptr](size_t i) { return x[i] == y[i] ? 1.0f : 0.0f; });
  /// END SOLUTION
}

void ScalarEq(const AlignedArray& a, scalar_t val, AlignedArray* out) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_ops
  ForEach(out, [x = a.ptr, val](size_t i) { return x[i] == val ? 1.0f : 0.0f; });
  /// END SOLUTION
}

void EwiseGe(const AlignedArray& a, const AlignedArray& b, AlignedArray* out) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_ops
  ForEach(out, [x = a.ptr, y = b.ptr](size_t i) { return x[i] >= y[i] ? 1.0f : 0.0f; });
  /// END SOLUTION
}

void ScalarGe(const AlignedArray& a, scalar_t val, AlignedArray* out) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_ops
  ForEach(out, [x = a.ptr, val](size_t i) { return x[i] >= val ? 1.0f : 0.0f; });
  /// END SOLUTION
}

void EwiseLog(const AlignedArray& a, AlignedArray* out) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_ops
  ForEach(out, [x = a.ptr](size_t i) { return std::log(x[i]); });
  /// END SOLUTION
}

void EwiseExp(const AlignedArray& a, AlignedArray* out) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_ops
  ForEach(out, [x = a.ptr](size_t i) { return std::exp(x[i]); });
  /// END SOLUTION
}

void EwiseTanh(const AlignedArray& a, AlignedArray* out) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_ops
  ForEach(out, [x = a.ptr](size_t i) { return std::tanh(x[i]); });
  /// END SOLUTION
}

// ------------------------------------------------------------------------------------- reductions

void ReduceMax(const AlignedArray& a, AlignedArray* out, size_t reduce_size) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_reductions
  ForEach(out, [=, x = a.ptr](size_t i) {
    scalar_t best = x[i * reduce_size];
    for (size_t k = 1; k < reduce_size; ++k) {
      scalar_t value = x[i * reduce_size + k];
      if (value > best || value != value) best = value;
    }
    return best;
  });
  /// END SOLUTION
}

void ReduceSum(const AlignedArray& a, AlignedArray* out, size_t reduce_size) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_reductions
  ForEach(out, [=, x = a.ptr](size_t i) {
    double total = 0;
    for (size_t k = 0; k < reduce_size; ++k) total += x[i * reduce_size + k];
    return static_cast<scalar_t>(total);
  });
  /// END SOLUTION
}

// -------------------------------------------------------------------------- matrix multiplication

void MatmulViews(MatrixView a, MatrixView b, scalar_t* out, size_t m, size_t n, size_t p) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_matmul
  std::fill(out, out + m * p, 0.0f);
  for (size_t i = 0; i < m; ++i)
    for (size_t k = 0; k < n; ++k)
      for (size_t j = 0; j < p; ++j) out[i * p + j] += a(i, k) * b(k, j);
  /// END SOLUTION
}

// out (m x p) = a (m x n) times b (n x p), all row-major.
void Matmul(const AlignedArray& a, const AlignedArray& b, AlignedArray* out, size_t m, size_t n,
            size_t p) {
  MatmulViews({a.ptr, static_cast<ptrdiff_t>(n), 1}, {b.ptr, static_cast<ptrdiff_t>(p), 1},
              out->ptr, m, n, p);
}

namespace {

// Adds the product of two TILE x TILE tiles to a third; each lies in one piece, row-major.
inline void AlignedDot(const scalar_t* __restrict a, const scalar_t* __restrict b,
                       scalar_t* __restrict out) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_matmul
  for (size_t i = 0; i < TILE; ++i)
    for (size_t k = 0; k < TILE; ++k)
      for (size_t j = 0; j < TILE; ++j) out[i * TILE + j] += a[i * TILE + k] * b[k * TILE + j];
  /// END SOLUTION
}

}  // namespace

void MatmulTiled(const AlignedArray& a, const AlignedArray& b, AlignedArray* out, size_t m,
                 size_t n, size_t p) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_matmul
  const size_t area = TILE * TILE, rows = m / TILE, inner = n / TILE, columns = p / TILE;
  Fill(out, 0.0f);
  parallel_for(rows, 1, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i)
      for (size_t k = 0; k < inner; ++k)
        for (size_t j = 0; j < columns; ++j)
          AlignedDot(a.ptr + (i * inner + k) * area, b.ptr + (k * columns + j) * area,
                     out->ptr + (i * columns + j) * area);
  });
  /// END SOLUTION
}

}  // namespace cpu
}  // namespace needle
