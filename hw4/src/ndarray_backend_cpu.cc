// The CPU device of NDArray. Your kernels go here.
//
// Every array is a flat buffer of float32 (see kernels/aligned_array.h). Elementwise operators,
// reductions and matrix products only ever see compact arrays: row-major, without gaps. Views are
// the business of Compact and the two Setitem functions, which are told shape, strides and offset.
// Sizes have been checked before a kernel is called (see kernels/ndarray_bindings.h).
#include "ndarray_backend_cpu.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/layout.h"
#include "kernels/not_implemented.h"
#include "kernels/parallel.h"
#include "kernels/vmath.h"

namespace needle {
namespace cpu {
namespace {

using simd::Vec;

// out[i] = f(i) for every i, on all threads.
template <class F>
void for_each(AlignedArray* out, F f) {
  scalar_t* result = out->ptr;
  parallel_for(out->size, even_grain(out->size), [=](size_t begin, size_t end) {
    const F own = f;  // out of reach of the writes below, so that the loop becomes vector code
    for (size_t i = begin; i < end; ++i) result[i] = own(i);
  });
}

// The same with whole vectors: the Vec of out at i is f(i), for i = 0, kWidth, 2 kWidth, ... The
// last one may reach past the end of the array, into the room that AlignedArray has left there.
template <class F>
void for_each_vec(AlignedArray* out, F f) {
  scalar_t* result = out->ptr;
  parallel_for(out->size, even_grain(out->size), [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; i += simd::kWidth) simd::store(result + i, f(i));
  });
}

}  // namespace

void Fill(AlignedArray* out, scalar_t val) {
  for_each(out, [=](size_t) { return val; });
}

// --------------------------------------------------------------------------- compact and set-item

namespace {

// Copies a row of `length` elements, `from_step` and `to_step` apart.
inline void copy_row(const scalar_t* from, ptrdiff_t from_step, scalar_t* to, ptrdiff_t to_step,
                     size_t length) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_compact_setitem
  throw NotImplemented("hw3/ndarray_cpu_compact_setitem: copy_row is yours to write or not");
  /// END YOUR SOLUTION
}

// Copies a strip of a transpose, `rows` <= kBlock by `columns`. One side of the copy has its rows
// in one piece, the other its columns; block by block both read and write whole cache lines.
constexpr size_t kBlock = 8;
inline void copy_strip(const scalar_t* from, Axis row, Axis column, scalar_t* to) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_compact_setitem
  throw NotImplemented("hw3/ndarray_cpu_compact_setitem: copy_strip is yours to write or not");
  /// END YOUR SOLUTION
}

// For every index (i0, i1, ...) of `shape`: to[i0 * to_strides[0] + i1 * to_strides[1] + ...] =
// from[i0 * from_strides[0] + ...]. The strides of a number that is repeated are all 0.
inline void copy_strided(const scalar_t* from, const Dims& from_strides, scalar_t* to,
                         const Dims& to_strides, const Dims& shape) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_compact_setitem
  throw NotImplemented("hw3/ndarray_cpu_compact_setitem: copy_strided is yours to write or not");
  /// END YOUR SOLUTION
}

}  // namespace

// out = the view (shape, strides, offset) of a, in row-major order.
void Compact(const AlignedArray& a, AlignedArray* out, const Dims& shape, const Dims& strides,
             size_t offset) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_compact_setitem
  throw NotImplemented("hw3/ndarray_cpu_compact_setitem: Compact is yours to write");
  /// END YOUR SOLUTION
}

// The view (shape, strides, offset) of out = a, which is compact.
void EwiseSetitem(const AlignedArray& a, AlignedArray* out, const Dims& shape, const Dims& strides,
                  size_t offset) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_compact_setitem
  throw NotImplemented("hw3/ndarray_cpu_compact_setitem: EwiseSetitem is yours to write");
  /// END YOUR SOLUTION
}

// The view (shape, strides, offset) of out = val in each of its `size` elements.
void ScalarSetitem(size_t size, scalar_t val, AlignedArray* out, const Dims& shape,
                   const Dims& strides, size_t offset) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_compact_setitem
  throw NotImplemented("hw3/ndarray_cpu_compact_setitem: ScalarSetitem is yours to write");
  /// END YOUR SOLUTION
}

// ------------------------------------------------------------------------ elementwise and scalar

void EwiseAdd(const AlignedArray& a, const AlignedArray& b, AlignedArray* out) {
  for_each(out, [x = a.ptr, y = b.ptr](size_t i) { return x[i] + y[i]; });
}

void ScalarAdd(const AlignedArray& a, scalar_t val, AlignedArray* out) {
  for_each(out, [x = a.ptr, val](size_t i) { return x[i] + val; });
}

void EwiseMul(const AlignedArray& a, const AlignedArray& b, AlignedArray* out) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_ops
  throw NotImplemented("hw3/ndarray_cpu_ops: EwiseMul is yours to write");
  /// END YOUR SOLUTION
}

void ScalarMul(const AlignedArray& a, scalar_t val, AlignedArray* out) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_ops
  throw NotImplemented("hw3/ndarray_cpu_ops: ScalarMul is yours to write");
  /// END YOUR SOLUTION
}

void EwiseDiv(const AlignedArray& a, const AlignedArray& b, AlignedArray* out) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_ops
  throw NotImplemented("hw3/ndarray_cpu_ops: EwiseDiv is yours to write");
  /// END YOUR SOLUTION
}

void ScalarDiv(const AlignedArray& a, scalar_t val, AlignedArray* out) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_ops
  throw NotImplemented("hw3/ndarray_cpu_ops: ScalarDiv is yours to write");
  /// END YOUR SOLUTION
}

void ScalarPower(const AlignedArray& a, scalar_t val, AlignedArray* out) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_ops
  throw NotImplemented("hw3/ndarray_cpu_ops: ScalarPower is yours to write");
  /// END YOUR SOLUTION
}

void EwiseMaximum(const AlignedArray& a, const AlignedArray& b, AlignedArray* out) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_ops
  throw NotImplemented("hw3/ndarray_cpu_ops: EwiseMaximum is yours to write");
  /// END YOUR SOLUTION
}

void ScalarMaximum(const AlignedArray& a, scalar_t val, AlignedArray* out) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_ops
  throw NotImplemented("hw3/ndarray_cpu_ops: ScalarMaximum is yours to write");
  /// END YOUR SOLUTION
}

void EwiseEq(const AlignedArray& a, const AlignedArray& b, AlignedArray* out) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_ops
  throw NotImplemented("hw3/ndarray_cpu_ops: EwiseEq is yours to write");
  /// END YOUR SOLUTION
}

void ScalarEq(const AlignedArray& a, scalar_t val, AlignedArray* out) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_ops
  throw NotImplemented("hw3/ndarray_cpu_ops: ScalarEq is yours to write");
  /// END YOUR SOLUTION
}

void EwiseGe(const AlignedArray& a, const AlignedArray& b, AlignedArray* out) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_ops
  throw NotImplemented("hw3/ndarray_cpu_ops: EwiseGe is yours to write");
  /// END YOUR SOLUTION
}

void ScalarGe(const AlignedArray& a, scalar_t val, AlignedArray* out) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_ops
  throw NotImplemented("hw3/ndarray_cpu_ops: ScalarGe is yours to write");
  /// END YOUR SOLUTION
}

void EwiseLog(const AlignedArray& a, AlignedArray* out) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_ops
  throw NotImplemented("hw3/ndarray_cpu_ops: EwiseLog is yours to write");
  /// END YOUR SOLUTION
}

void EwiseExp(const AlignedArray& a, AlignedArray* out) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_ops
  throw NotImplemented("hw3/ndarray_cpu_ops: EwiseExp is yours to write");
  /// END YOUR SOLUTION
}

void EwiseTanh(const AlignedArray& a, AlignedArray* out) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_ops
  throw NotImplemented("hw3/ndarray_cpu_ops: EwiseTanh is yours to write");
  /// END YOUR SOLUTION
}

// ------------------------------------------------------------------------------------- reductions

namespace {

struct Max {
  static constexpr scalar_t kStart = -std::numeric_limits<scalar_t>::infinity();
  template <class T>
  static T combine(T a, T b) {
    return simd::maximum(a, b);
  }
};

struct Sum {
  static constexpr scalar_t kStart = 0;
  template <class T>
  static T combine(T a, T b) {
    return a + b;
  }
};

// Reduces `count` elements that lie in one piece to one.
template <class Op>
scalar_t reduce_row(const scalar_t* x, size_t count) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_reductions
  throw NotImplemented("hw3/ndarray_cpu_reductions: reduce_row is yours to write or not");
  /// END YOUR SOLUTION
}

// out[i] = Op over the reduce_size elements of a from i * reduce_size on.
template <class Op>
void reduce(const AlignedArray& a, AlignedArray* out, size_t reduce_size) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_reductions
  throw NotImplemented("hw3/ndarray_cpu_reductions: reduce is yours to write or not");
  /// END YOUR SOLUTION
}

}  // namespace

void ReduceMax(const AlignedArray& a, AlignedArray* out, size_t reduce_size) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_reductions
  throw NotImplemented("hw3/ndarray_cpu_reductions: ReduceMax is yours to write");
  /// END YOUR SOLUTION
}

void ReduceSum(const AlignedArray& a, AlignedArray* out, size_t reduce_size) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_reductions
  throw NotImplemented("hw3/ndarray_cpu_reductions: ReduceSum is yours to write");
  /// END YOUR SOLUTION
}

// -------------------------------------------------------------------------- matrix multiplication
//
// A ladder: every rung multiplies matrices of any size that lie anywhere, and is faster than the
// one before by one idea. `MatmulViews`, which @ calls, names the rung that it uses.

// Rung 1: each number of C is one sum.
void MatmulNaive(MatrixView a, MatrixView b, Output c, size_t m, size_t n, size_t p) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_matmul
  throw NotImplemented("hw3/ndarray_cpu_matmul: MatmulNaive is yours to write or not");
  /// END YOUR SOLUTION
}

// Rung 2: the inner loop runs along rows of B and C.
void MatmulRows(MatrixView a, MatrixView b, Output c, size_t m, size_t n, size_t p) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_matmul
  throw NotImplemented("hw3/ndarray_cpu_matmul: MatmulRows is yours to write or not");
  /// END YOUR SOLUTION
}

namespace {

// Adds the product of two TILE x TILE tiles to a third; each lies in one piece, row-major.
inline void AlignedDot(const scalar_t* __restrict a, const scalar_t* __restrict b,
                       scalar_t* __restrict out) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_matmul
  throw NotImplemented("hw3/ndarray_cpu_matmul: AlignedDot is yours to write");
  /// END YOUR SOLUTION
}

}  // namespace

// Rung 3, for matrices that are cut to tiles: three tiles fit the fastest cache.
void MatmulTiled(const AlignedArray& a, const AlignedArray& b, AlignedArray* out, size_t m,
                 size_t n, size_t p) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_matmul
  throw NotImplemented("hw3/ndarray_cpu_matmul: MatmulTiled is yours to write");
  /// END YOUR SOLUTION
}

namespace {

// From rung 4 on: kRows x kColumns numbers of C stay in registers while a stretch of A's rows and
// B's columns runs past them. See the text for each constant.
constexpr size_t kRows = 6;
constexpr size_t kVecs = simd::kRegisters == 32 ? 4 : 2;  // kRows x kVecs sums, and room for A, B
constexpr size_t kColumns = kVecs * simd::kWidth;
constexpr size_t kRound = simd::kRegisters == 32 ? 2 : 3;  // columns of A in a round of the loop
constexpr size_t kDepth = 256;        // a block of A, kRows x kDepth, fits the L1 cache
constexpr size_t kTall = 32 * kRows;  // a piece of A, kTall x kDepth, fits the L2 cache
constexpr size_t kWide = 256;         // columns of B, kDepth x kWide, fit the L2 cache
constexpr size_t kLine = kCacheLine / sizeof(scalar_t);  // numbers in a cache line

// Rows of a block for a panel of `columns`: twice as many where half the vectors hold a row, for a
// multiply-add takes four cycles, and two can begin in each: eight sums or more must be under way.
constexpr size_t rows_for(size_t columns) { return columns <= kColumns / 2 ? 2 * kRows : kRows; }

// Columns of B, side by side, from one row to the next `row` apart. The kernel reads whole vectors
// of them; the first `columns` <= kColumns belong to the product.
struct Panel {
  const scalar_t* data;
  ptrdiff_t row;
  size_t columns;
};

// A block of C, R rows by b.columns: the product of R rows of A and a panel of B, `depth` long.
// Written to C when `first`, else added to it. V vectors hold a row, as few as b.columns fit in.
// `packed`: R numbers of a column of A lie side by side, and behind them the next column. With
// distances that the compiler knows the loop is little else than multiply-adds.
template <size_t R, size_t V, bool packed>
void micro_kernel(MatrixView a, Panel b, size_t depth, Output c, bool first) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_matmul
  throw NotImplemented("hw3/ndarray_cpu_matmul: micro_kernel is yours to write or not");
  /// END YOUR SOLUTION
}

// The same, called by reference: views that are handed over by value go through memory in pieces of
// another size than they were written in, and wait there for the last block of C to be stored.
template <size_t R, size_t V, bool packed>
[[gnu::flatten]] void kernel_of(const MatrixView& a, const Panel& b, size_t depth, const Output& c,
                                bool first) {
  micro_kernel<R, V, packed>(a, b, depth, c, first);
}
using Kernel = decltype(&kernel_of<1, 1, false>);

// micro_kernel<rows, vectors for `columns`>: the size of a block decides its registers, so the
// compiler must know it. Only blocks of kRows have a kernel for packed rows.
template <size_t V = kVecs, size_t R = rows_for(V * simd::kWidth)>
Kernel kernel_for(size_t rows, size_t columns, bool packed) {
  if constexpr (V > 1) {
    if (columns <= (V - 1) * simd::kWidth) return kernel_for<V - 1>(rows, columns, packed);
  }
  if constexpr (R > 1) {
    if (rows < R) return kernel_for<V, R - 1>(rows, columns, packed);
  }
  return packed && R == kRows ? kernel_of<R, V, R == kRows> : kernel_of<R, V, false>;
}

// Some rows of A, `depth` columns: where they lie, or `packed` by pack_rows, block after block.
struct Rows {
  MatrixView a;
  const scalar_t* packed;  // null: where they lie
  size_t count;
  size_t depth;

  // `rows` rows, or what is left, from row i on, which is a multiple of kRows.
  Rows part(size_t i, size_t rows) const {
    return {a.from(i, 0), packed ? packed + i * depth : nullptr, std::min(rows, count - i), depth};
  }
  // A block of `rows` <= kRows of them. Packed ones lie side by side.
  MatrixView block(size_t i, size_t rows) const {
    if (packed == nullptr) return a.from(i, 0);
    return {packed + i * depth, 1, static_cast<ptrdiff_t>(rows)};
  }
};

// The rows of A times a panel of B, block by block.
inline void multiply_panel(Rows a, Panel b, Output c, bool first) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_matmul
  throw NotImplemented("hw3/ndarray_cpu_matmul: multiply_panel is yours to write or not");
  /// END YOUR SOLUTION
}

}  // namespace

// Rung 4: blocks of C in registers. A and B are read where they lie, all of n at once.
void MatmulRegisters(MatrixView a, MatrixView b, Output c, size_t m, size_t n, size_t p) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_matmul
  throw NotImplemented("hw3/ndarray_cpu_matmul: MatmulRegisters is yours to write or not");
  /// END YOUR SOLUTION
}

namespace {

// `total` in pieces of at most `most`, as even as can be: how long they are.
inline size_t even_share(size_t total, size_t most) {
  const size_t pieces = (total + most - 1) / most;
  return (total + pieces - 1) / pieces;
}

inline size_t panel_count(size_t columns) { return (columns + kColumns - 1) / kColumns; }
inline size_t whole_vectors(size_t columns) {
  return (columns + simd::kWidth - 1) / simd::kWidth * simd::kWidth;
}

// Copies `columns` columns of B, `depth` rows, to panels of kColumns columns, each in one piece;
// what the last one lacks to whole vectors becomes zeros, for the kernel reads no less.
inline void pack_columns(MatrixView b, size_t depth, size_t columns, scalar_t* packed) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_matmul
  throw NotImplemented("hw3/ndarray_cpu_matmul: pack_columns is yours to write or not");
  /// END YOUR SOLUTION
}

// Panel number `index` of those that pack_columns has made.
inline Panel packed_panel(const scalar_t* packed, size_t index, size_t depth, size_t columns) {
  const size_t width = std::min(kColumns, columns - index * kColumns);
  return {packed + index * depth * kColumns, static_cast<ptrdiff_t>(whole_vectors(width)), width};
}

}  // namespace

// Rung 5: B is packed first, so that a panel is read without a jump, and again for each block.
void MatmulPackedB(MatrixView a, MatrixView b, Output c, size_t m, size_t n, size_t p) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_matmul
  throw NotImplemented("hw3/ndarray_cpu_matmul: MatmulPackedB is yours to write or not");
  /// END YOUR SOLUTION
}

// Rung 6: slices of n, short enough for a panel to stay in the L1 cache while A goes by.
void MatmulSlices(MatrixView a, MatrixView b, Output c, size_t m, size_t n, size_t p) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_matmul
  throw NotImplemented("hw3/ndarray_cpu_matmul: MatmulSlices is yours to write or not");
  /// END YOUR SOLUTION
}

namespace {

// Copies `rows` <= kRows rows of A, `depth` columns, so that the kernel reads them in order: all
// rows of column 0, all rows of column 1, ...
inline void pack_block(MatrixView a, size_t rows, size_t depth, scalar_t* packed) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_matmul
  throw NotImplemented("hw3/ndarray_cpu_matmul: pack_block is yours to write or not");
  /// END YOUR SOLUTION
}

// Packs `count` rows of A, block after block.
inline Rows pack_rows(MatrixView a, size_t count, size_t depth, scalar_t* packed) {
  for (size_t i = 0; i < count; i += kRows)
    pack_block(a.from(i, 0), std::min(kRows, count - i), depth, packed + i * depth);
  return {a, packed, count, depth};
}

}  // namespace

// Rung 7: A is packed as well, a piece at a time that stays in the L2 cache while B goes by.
void MatmulPackedA(MatrixView a, MatrixView b, Output c, size_t m, size_t n, size_t p) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_matmul
  throw NotImplemented("hw3/ndarray_cpu_matmul: MatmulPackedA is yours to write or not");
  /// END YOUR SOLUTION
}

namespace {

constexpr size_t kDeep = 384;  // the longest slice here, where a panel waits in the L2 cache

// A part of C by one thread: all of n, and nothing packed that is not used often enough to pay for
// it. Columns of B are packed when their turn comes, kWide together. They wait in the L2 cache for
// block after block of A, which stays in the L1 cache meanwhile: so C comes and goes along its
// rows, where memory is fast. An A that is small enough goes by once a panel instead.
inline void multiply_part(MatrixView a, MatrixView b, Output c, size_t m, size_t n, size_t p) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_matmul
  throw NotImplemented("hw3/ndarray_cpu_matmul: multiply_part is yours to write or not");
  /// END YOUR SOLUTION
}

}  // namespace

// Rung 8: a part of C for each thread, some of its rows or some of its columns, whichever are more.
void MatmulThreads(MatrixView a, MatrixView b, Output c, size_t m, size_t n, size_t p) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_matmul
  throw NotImplemented("hw3/ndarray_cpu_matmul: MatmulThreads is yours to write or not");
  /// END YOUR SOLUTION
}

// out (m x p, row-major) = a (m x n) times b (n x p): the rung that @ uses.
void MatmulViews(MatrixView a, MatrixView b, scalar_t* out, size_t m, size_t n, size_t p) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cpu_matmul
  throw NotImplemented("hw3/ndarray_cpu_matmul: MatmulViews is yours to write");
  /// END YOUR SOLUTION
}

// out (m x p) = a (m x n) times b (n x p), all row-major.
void Matmul(const AlignedArray& a, const AlignedArray& b, AlignedArray* out, size_t m, size_t n,
            size_t p) {
  multiply(row_major(a.ptr, n), row_major(b.ptr, p), out->ptr, m, n, p);
}

}  // namespace cpu
}  // namespace needle
