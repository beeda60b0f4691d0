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
  /// BEGIN SOLUTION hw3/ndarray_cpu_compact_setitem optional
  if (from_step == 1 && to_step == 1) {
    std::memcpy(to, from, length * sizeof(scalar_t));
  } else if (from_step == 0 && to_step == 1) {
    std::fill(to, to + length, *from);
  } else {
    for (size_t i = 0; i < length; ++i) to[i * to_step] = from[i * from_step];
  }
  /// END SOLUTION
}

// Copies a strip of a transpose, `rows` <= kBlock by `columns`. One side of the copy has its rows
// in one piece, the other its columns; block by block both read and write whole cache lines.
constexpr size_t kBlock = 8;
inline void copy_strip(const scalar_t* from, Axis row, Axis column, scalar_t* to) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_compact_setitem optional
  const size_t rows = row.length, columns = column.length;
  for (size_t j = 0; j < columns; j += kBlock) {
    const scalar_t* source = from + j * column.from;
    scalar_t* target = to + j * column.to;
    if (rows == kBlock && j + kBlock <= columns && row.from == 1 && column.to == 1) {
      simd::transpose8(source, column.from, target, row.to);
    } else {
      const size_t width = std::min(kBlock, columns - j);
      for (size_t r = 0; r < rows; ++r)
        copy_row(source + r * row.from, column.from, target + r * row.to, column.to, width);
    }
  }
  /// END SOLUTION
}

// For every index (i0, i1, ...) of `shape`: to[i0 * to_strides[0] + i1 * to_strides[1] + ...] =
// from[i0 * from_strides[0] + ...]. The strides of a number that is repeated are all 0.
inline void copy_strided(const scalar_t* from, const Dims& from_strides, scalar_t* to,
                         const Dims& to_strides, const Dims& shape) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_compact_setitem optional
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return;
  std::vector<Axis> axes = merge_axes(shape, from_strides, to_strides);
  if (axes.empty()) axes.push_back({1, 1, 1});
  const Axis last = axes.back();
  axes.pop_back();
  if (axes.empty()) {  // one long row
    parallel_for(last.length, kGrain, [&](size_t begin, size_t end) {
      copy_row(from + begin * last.from, last.from, to + begin * last.to, last.to, end - begin);
    });
    return;
  }
  // In a transpose the last axis is contiguous on one side and another axis on the other side.
  // That axis goes to the end as well and is walked in strips.
  Axis across{1, 0, 0};
  for (size_t i = axes.size(); i-- > 0;) {
    if ((last.to == 1 && last.from != 1 && axes[i].from == 1) ||
        (last.from == 1 && last.to != 1 && axes[i].to == 1)) {
      across = axes[i];
      axes.erase(axes.begin() + i);
      break;
    }
  }
  const size_t strips = (across.length + kBlock - 1) / kBlock;
  const size_t height = std::min(across.length, kBlock);
  size_t count = strips;
  for (const Axis& axis : axes) count *= axis.length;

  parallel_for(count, 1 + kGrain / (height * last.length), [&](size_t begin, size_t end) {
    std::vector<size_t> index(axes.size());
    const scalar_t* source = from;
    scalar_t* target = to;
    size_t strip = begin % strips;
    for (size_t i = axes.size(), rest = begin / strips; i-- > 0; rest /= axes[i].length) {
      index[i] = rest % axes[i].length;
      source += index[i] * axes[i].from;
      target += index[i] * axes[i].to;
    }
    for (size_t unit = begin; unit < end; ++unit) {
      if (across.length == 1) {
        copy_row(source, last.from, target, last.to, last.length);
      } else {
        const size_t start = strip * kBlock;
        const Axis row{std::min(kBlock, across.length - start), across.from, across.to};
        copy_strip(source + start * across.from, row, last, target + start * across.to);
      }
      if (++strip < strips) continue;
      strip = 0;
      for (size_t i = axes.size(); i-- > 0;) {  // the next index, like an odometer
        source += axes[i].from;
        target += axes[i].to;
        if (++index[i] < axes[i].length) break;
        source -= axes[i].length * axes[i].from;
        target -= axes[i].length * axes[i].to;
        index[i] = 0;
      }
    }
  });
  /// END SOLUTION
}

}  // namespace

// out = the view (shape, strides, offset) of a, in row-major order.
void Compact(const AlignedArray& a, AlignedArray* out, const Dims& shape, const Dims& strides,
             size_t offset) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_compact_setitem
  copy_strided(a.ptr + offset, strides, out->ptr, row_major_strides(shape), shape);
  /// END SOLUTION
}

// The view (shape, strides, offset) of out = a, which is compact.
void EwiseSetitem(const AlignedArray& a, AlignedArray* out, const Dims& shape, const Dims& strides,
                  size_t offset) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_compact_setitem
  copy_strided(a.ptr, row_major_strides(shape), out->ptr + offset, strides, shape);
  /// END SOLUTION
}

// The view (shape, strides, offset) of out = val in each of its `size` elements.
void ScalarSetitem(size_t size, scalar_t val, AlignedArray* out, const Dims& shape,
                   const Dims& strides, size_t offset) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_compact_setitem
  static_cast<void>(size);  // the shape says it too
  copy_strided(&val, Dims(shape.size(), 0), out->ptr + offset, strides, shape);
  /// END SOLUTION
}

// ------------------------------------------------------------------------ elementwise and scalar

void EwiseAdd(const AlignedArray& a, const AlignedArray& b, AlignedArray* out) {
  for_each(out, [x = a.ptr, y = b.ptr](size_t i) { return x[i] + y[i]; });
}

void ScalarAdd(const AlignedArray& a, scalar_t val, AlignedArray* out) {
  for_each(out, [x = a.ptr, val](size_t i) { return x[i] + val; });
}

void EwiseMul(const AlignedArray& a, const AlignedArray& b, AlignedArray* out) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_ops
  for_each(out, [x = a.ptr, y = b.ptr](size_t i) { return x[i] * y[i]; });
  /// END SOLUTION
}

void ScalarMul(const AlignedArray& a, scalar_t val, AlignedArray* out) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_ops
  for_each(out, [x = a.ptr, val](size_t i) { return x[i] * val; });
  /// END SOLUTION
}

void EwiseDiv(const AlignedArray& a, const AlignedArray& b, AlignedArray* out) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_ops
  for_each(out, [x = a.ptr, y = b.ptr](size_t i) { return x[i] / y[i]; });
  /// END SOLUTION
}

void ScalarDiv(const AlignedArray& a, scalar_t val, AlignedArray* out) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_ops
  for_each(out, [x = a.ptr, val](size_t i) { return x[i] / val; });
  /// END SOLUTION
}

void ScalarPower(const AlignedArray& a, scalar_t val, AlignedArray* out) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_ops
  const scalar_t* x = a.ptr;
  if (val == 2) {  // the powers that training uses need no logarithm
    for_each(out, [=](size_t i) { return x[i] * x[i]; });
  } else if (val == 3) {
    for_each(out, [=](size_t i) { return x[i] * x[i] * x[i]; });
  } else if (val == -1) {
    for_each(out, [=](size_t i) { return 1 / x[i]; });
  } else if (val == 0.5f) {
    for_each(out, [=](size_t i) { return std::sqrt(x[i]); });
  } else {
    for_each(out, [=](size_t i) { return std::pow(x[i], val); });
  }
  /// END SOLUTION
}

void EwiseMaximum(const AlignedArray& a, const AlignedArray& b, AlignedArray* out) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_ops
  for_each_vec(out, [x = a.ptr, y = b.ptr](size_t i) {
    return simd::maximum(simd::load(x + i), simd::load(y + i));
  });
  /// END SOLUTION
}

void ScalarMaximum(const AlignedArray& a, scalar_t val, AlignedArray* out) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_ops
  for_each_vec(out, [x = a.ptr, val](size_t i) {
    return simd::maximum(simd::load(x + i), simd::splat(val));
  });
  /// END SOLUTION
}

void EwiseEq(const AlignedArray& a, const AlignedArray& b, AlignedArray* out) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_ops
  for_each(out, [x = a.ptr, y = b.ptr](size_t i) { return x[i] == y[i] ? 1.0f : 0.0f; });
  /// END SOLUTION
}

void ScalarEq(const AlignedArray& a, scalar_t val, AlignedArray* out) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_ops
  for_each(out, [x = a.ptr, val](size_t i) { return x[i] == val ? 1.0f : 0.0f; });
  /// END SOLUTION
}

void EwiseGe(const AlignedArray& a, const AlignedArray& b, AlignedArray* out) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_ops
  for_each(out, [x = a.ptr, y = b.ptr](size_t i) { return x[i] >= y[i] ? 1.0f : 0.0f; });
  /// END SOLUTION
}

void ScalarGe(const AlignedArray& a, scalar_t val, AlignedArray* out) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_ops
  for_each(out, [x = a.ptr, val](size_t i) { return x[i] >= val ? 1.0f : 0.0f; });
  /// END SOLUTION
}

void EwiseLog(const AlignedArray& a, AlignedArray* out) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_ops
  for_each_vec(out, [x = a.ptr](size_t i) { return simd::log(simd::load(x + i)); });
  /// END SOLUTION
}

void EwiseExp(const AlignedArray& a, AlignedArray* out) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_ops
  for_each_vec(out, [x = a.ptr](size_t i) { return simd::exp(simd::load(x + i)); });
  /// END SOLUTION
}

void EwiseTanh(const AlignedArray& a, AlignedArray* out) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_ops
  for_each_vec(out, [x = a.ptr](size_t i) { return simd::tanh(simd::load(x + i)); });
  /// END SOLUTION
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
  /// BEGIN SOLUTION hw3/ndarray_cpu_reductions optional
  scalar_t result = Op::kStart;
  size_t i = 0;
  if (count >= simd::kWidth) {
    // Four vectors: each waits for its own last addition only, and rounding errors stay small.
    Vec part[4] = {simd::splat(Op::kStart), simd::splat(Op::kStart), simd::splat(Op::kStart),
                   simd::splat(Op::kStart)};
    for (; i + 4 * simd::kWidth <= count; i += 4 * simd::kWidth)
      for (size_t k = 0; k < 4; ++k)
        part[k] = Op::combine(part[k], simd::load(x + i + k * simd::kWidth));
    for (; i + simd::kWidth <= count; i += simd::kWidth)
      part[0] = Op::combine(part[0], simd::load(x + i));
    const Vec all = Op::combine(Op::combine(part[0], part[1]), Op::combine(part[2], part[3]));
    result = simd::fold(all, result, [](auto x, auto y) { return Op::combine(x, y); });
  }
  for (; i < count; ++i) result = Op::combine(result, x[i]);
  return result;
  /// END SOLUTION
}

// out[i] = Op over the reduce_size elements of a from i * reduce_size on.
template <class Op>
void reduce(const AlignedArray& a, AlignedArray* out, size_t reduce_size) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_reductions optional
  // Rows are cut to pieces: long ones are summed piece by piece, which keeps all threads busy when
  // there are few of them, and adds numbers of about the same size.
  const scalar_t* x = a.ptr;
  const size_t piece = kGrain / 4;
  if (reduce_size <= piece) {
    parallel_for(out->size, 1 + kGrain / reduce_size, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i)
        out->ptr[i] = reduce_row<Op>(x + i * reduce_size, reduce_size);
    });
    return;
  }
  const size_t pieces = (reduce_size + piece - 1) / piece;
  std::vector<scalar_t> partial(out->size * pieces);
  parallel_for(partial.size(), 4, [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      const size_t start = i % pieces * piece;
      partial[i] = reduce_row<Op>(x + i / pieces * reduce_size + start,
                                  std::min(piece, reduce_size - start));
    }
  });
  for (size_t i = 0; i < out->size; ++i)
    out->ptr[i] = reduce_row<Op>(partial.data() + i * pieces, pieces);
  /// END SOLUTION
}

}  // namespace

void ReduceMax(const AlignedArray& a, AlignedArray* out, size_t reduce_size) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_reductions
  reduce<Max>(a, out, reduce_size);
  /// END SOLUTION
}

void ReduceSum(const AlignedArray& a, AlignedArray* out, size_t reduce_size) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_reductions
  reduce<Sum>(a, out, reduce_size);
  /// END SOLUTION
}

// -------------------------------------------------------------------------- matrix multiplication
//
// A ladder: every rung multiplies matrices of any size that lie anywhere, and is faster than the
// one before by one idea. `MatmulViews`, which @ calls, names the rung that it uses.

// Rung 1: each number of C is one sum.
void MatmulNaive(MatrixView a, MatrixView b, Output c, size_t m, size_t n, size_t p) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_matmul optional
  for (size_t i = 0; i < m; ++i)
    for (size_t j = 0; j < p; ++j) {
      scalar_t sum = 0;
      for (size_t k = 0; k < n; ++k) sum += a(i, k) * b(k, j);
      c(i, j) = sum;
    }
  /// END SOLUTION
}

// Rung 2: the inner loop runs along rows of B and C.
void MatmulRows(MatrixView a, MatrixView b, Output c, size_t m, size_t n, size_t p) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_matmul optional
  if (b.column != 1) {  // a transposed B: copied, it has rows to run along
    AlignedArray rows(n * p);
    copy_strided(b.data, {b.row, b.column}, rows.ptr, {static_cast<int64_t>(p), 1},
                 {static_cast<int64_t>(n), static_cast<int64_t>(p)});
    return MatmulRows(a, row_major(rows.ptr, p), c, m, n, p);
  }
  for (size_t i = 0; i < m; ++i) {
    for (size_t j = 0; j < p; ++j) c(i, j) = 0;
    for (size_t k = 0; k < n; ++k) {
      const scalar_t x = a(i, k);
      const scalar_t* from = b.from(k, 0).data;
      scalar_t* to = c.from(i, 0).data;
      if (c.column == 1) {  // a loop of its own, which becomes vector code
        for (size_t j = 0; j < p; ++j) to[j] += x * from[j];
      } else {
        for (size_t j = 0; j < p; ++j) c(i, j) += x * from[j];
      }
    }
  }
  /// END SOLUTION
}

namespace {

// Adds the product of two TILE x TILE tiles to a third; each lies in one piece, row-major.
inline void AlignedDot(const scalar_t* __restrict a, const scalar_t* __restrict b,
                       scalar_t* __restrict out) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_matmul
  simd::Vec8 sum[TILE];  // a row each: the whole tile stays in registers
  static_assert(sizeof sum == TILE * TILE * sizeof(scalar_t), "a row of a tile is one Vec8");
  std::memcpy(sum, out, sizeof sum);
  for (size_t k = 0; k < TILE; ++k) {
    simd::Vec8 right;
    std::memcpy(&right, b + k * TILE, sizeof right);
    for (size_t i = 0; i < TILE; ++i) sum[i] += a[i * TILE + k] * right;
  }
  std::memcpy(out, sum, sizeof sum);
  /// END SOLUTION
}

}  // namespace

// Rung 3, for matrices that are cut to tiles: three tiles fit the fastest cache.
void MatmulTiled(const AlignedArray& a, const AlignedArray& b, AlignedArray* out, size_t m,
                 size_t n, size_t p) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_matmul
  const size_t area = TILE * TILE, rows = m / TILE, inner = n / TILE, columns = p / TILE;
  Fill(out, 0.0f);
  for (size_t i = 0; i < rows; ++i)
    for (size_t k = 0; k < inner; ++k)
      for (size_t j = 0; j < columns; ++j)
        AlignedDot(a.ptr + (i * inner + k) * area, b.ptr + (k * columns + j) * area,
                   out->ptr + (i * columns + j) * area);
  /// END SOLUTION
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
  /// BEGIN SOLUTION hw3/ndarray_cpu_matmul optional
  const ptrdiff_t a_row = packed ? 1 : a.row, a_column = packed ? R : a.column;
  constexpr size_t width = V * simd::kWidth;  // of the block
  Vec sum[R][V];                              // `unrolled`, so that they never leave the registers
  simd::unrolled<R>([&](size_t i) {
    simd::unrolled<V>([&](size_t v) {
      sum[i][v] = simd::splat(0.0f);
      simd::prefetch(c.data + i * c.row + v * simd::kWidth);  // C arrives meanwhile
    });
  });
  auto add_column = [&](size_t k) {
    const scalar_t *left = a.data + k * a_column, *row = b.data + k * b.row;
    Vec right[V];
    simd::unrolled<V>([&](size_t v) { right[v] = simd::load(row + v * simd::kWidth); });
    simd::unrolled<R>([&](size_t i) {
      const Vec each = simd::splat(left[i * a_row]);
      simd::unrolled<V>([&](size_t v) { sum[i][v] += each * right[v]; });
    });
  };
  for (; depth >= kRound; depth -= kRound) {
    simd::unrolled<kRound>(add_column);
    a.data += kRound * a_column;
    b.data += kRound * b.row;
  }
  for (size_t k = 0; k < depth; ++k) add_column(k);
  if (b.columns == width && c.column == 1) {
    simd::unrolled<R>([&](size_t i) {
      simd::unrolled<V>([&](size_t v) {
        scalar_t* to = c.data + i * c.row + v * simd::kWidth;
        simd::store(to, first ? sum[i][v] : simd::load(to) + sum[i][v]);
      });
    });
    return;
  }
  scalar_t block[R][width];
  simd::unrolled<R>([&](size_t i) {
    simd::unrolled<V>([&](size_t v) { simd::store(block[i] + v * simd::kWidth, sum[i][v]); });
  });
  for (size_t i = 0; i < R; ++i)
    for (size_t j = 0; j < b.columns; ++j) {
      scalar_t& to = c.data[i * c.row + j * c.column];
      to = first ? block[i][j] : to + block[i][j];
    }
  /// END SOLUTION
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
  /// BEGIN SOLUTION hw3/ndarray_cpu_matmul optional
  const size_t high = a.packed ? kRows : rows_for(b.columns);
  for (size_t i = 0; i < a.count; i += high) {
    const size_t rows = std::min(high, a.count - i);
    const Kernel kernel = kernel_for(rows, b.columns, a.packed != nullptr);
    kernel(a.block(i, rows), b, a.depth, c.from(i, 0), first);
  }
  /// END SOLUTION
}

}  // namespace

// Rung 4: blocks of C in registers. A and B are read where they lie, all of n at once.
void MatmulRegisters(MatrixView a, MatrixView b, Output c, size_t m, size_t n, size_t p) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_matmul optional
  const size_t whole = b.column == 1 ? p / kColumns * kColumns : 0;  // a Vec of B lies in one piece
  for (size_t j = 0; j < whole; j += kColumns) {
    const Panel panel{b.data + j, b.row, kColumns};
    multiply_panel({a, nullptr, m, n}, panel, c.from(0, j), true);
  }
  MatmulRows(a, b.from(0, whole), c.from(0, whole), m, n, p - whole);
  /// END SOLUTION
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
  /// BEGIN SOLUTION hw3/ndarray_cpu_matmul optional
  const size_t whole = b.column == 1 ? columns / kColumns : 0;
  const size_t panel_size = depth * kColumns;
  for (size_t k = 0; k < depth; ++k)  // along the rows of B, as they lie in memory
    for (size_t panel = 0; panel < whole; ++panel)
      std::memcpy(packed + panel * panel_size + k * kColumns, b.data + k * b.row + panel * kColumns,
                  kColumns * sizeof(scalar_t));
  for (size_t panel = whole; panel < panel_count(columns); ++panel) {
    const size_t j0 = panel * kColumns, width = std::min(kColumns, columns - j0);
    const size_t row = whole_vectors(width);
    scalar_t* to = packed + panel * panel_size;
    if (width < row) std::fill(to, to + depth * row, 0.0f);
    if (b.column == 1) {
      for (size_t k = 0; k < depth; ++k)
        std::memcpy(to + k * row, b.from(k, j0).data, width * sizeof(scalar_t));
      continue;
    }
    // A transpose: its columns lie along memory. A few at a time, so that the machine foresees what
    // is read next, and as many as fill the cache lines that are written.
    for (size_t j = 0; j < width; j += kLine)
      for (size_t k = 0; k < depth; k += kBlock)
        copy_strip(b.from(k, j0 + j).data,
                   {std::min(kBlock, depth - k), b.row, static_cast<ptrdiff_t>(row)},
                   {std::min(kLine, width - j), b.column, 1}, to + k * row + j);
  }
  /// END SOLUTION
}

// Panel number `index` of those that pack_columns has made.
inline Panel packed_panel(const scalar_t* packed, size_t index, size_t depth, size_t columns) {
  const size_t width = std::min(kColumns, columns - index * kColumns);
  return {packed + index * depth * kColumns, static_cast<ptrdiff_t>(whole_vectors(width)), width};
}

}  // namespace

// Rung 5: B is packed first, so that a panel is read without a jump, and again for each block.
void MatmulPackedB(MatrixView a, MatrixView b, Output c, size_t m, size_t n, size_t p) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_matmul optional
  AlignedArray panels(n * panel_count(p) * kColumns);
  pack_columns(b, n, p, panels.ptr);
  for (size_t i = 0; i < panel_count(p); ++i)
    multiply_panel({a, nullptr, m, n}, packed_panel(panels.ptr, i, n, p), c.from(0, i * kColumns),
                   true);
  /// END SOLUTION
}

// Rung 6: slices of n, short enough for a panel to stay in the L1 cache while A goes by.
void MatmulSlices(MatrixView a, MatrixView b, Output c, size_t m, size_t n, size_t p) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_matmul optional
  if (n == 0) return MatmulNaive(a, b, c, m, n, p);  // no slice would write the zeros
  AlignedArray panels(kDepth * panel_count(p) * kColumns);
  for (size_t k = 0; k < n; k += kDepth) {
    const size_t depth = std::min(kDepth, n - k);
    pack_columns(b.from(k, 0), depth, p, panels.ptr);
    for (size_t i = 0; i < panel_count(p); ++i)
      multiply_panel({a.from(0, k), nullptr, m, depth}, packed_panel(panels.ptr, i, depth, p),
                     c.from(0, i * kColumns), k == 0);
  }
  /// END SOLUTION
}

namespace {

// Copies `rows` <= kRows rows of A, `depth` columns, so that the kernel reads them in order: all
// rows of column 0, all rows of column 1, ...
inline void pack_block(MatrixView a, size_t rows, size_t depth, scalar_t* packed) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_matmul optional
  if (rows == kRows && a.row == 1) {  // columns in one piece
    for (size_t k = 0; k < depth; ++k)
      std::memcpy(packed + k * kRows, a.from(0, k).data, kRows * sizeof(scalar_t));
    return;
  }
  // Rows in one piece are read a stretch at a time, in loops of known length, which are unrolled.
  const size_t whole = rows == kRows && a.column == 1 ? depth / kBlock * kBlock : 0;
  for (size_t k0 = 0; k0 < whole; k0 += kBlock)
    for (size_t i = 0; i < kRows; ++i)
      for (size_t k = k0; k < k0 + kBlock; ++k) packed[k * kRows + i] = a.data[i * a.row + k];
  for (size_t k = whole; k < depth; ++k)
    for (size_t i = 0; i < rows; ++i) packed[k * rows + i] = a(i, k);
  /// END SOLUTION
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
  /// BEGIN SOLUTION hw3/ndarray_cpu_matmul optional
  if (n == 0) return MatmulNaive(a, b, c, m, n, p);  // no slice would write the zeros
  AlignedArray panels(kDepth * panel_count(p) * kColumns), piece(kTall * kDepth);
  for (size_t k = 0; k < n; k += kDepth) {
    const size_t depth = std::min(kDepth, n - k);
    pack_columns(b.from(k, 0), depth, p, panels.ptr);
    for (size_t i = 0; i < m; i += kTall) {
      const Rows rows = pack_rows(a.from(i, k), std::min(kTall, m - i), depth, piece.ptr);
      for (size_t j = 0; j < panel_count(p); ++j)
        multiply_panel(rows, packed_panel(panels.ptr, j, depth, p), c.from(i, j * kColumns),
                       k == 0);
    }
  }
  /// END SOLUTION
}

namespace {

constexpr size_t kDeep = 384;  // the longest slice here, where a panel waits in the L2 cache

// A part of C by one thread: all of n, and nothing packed that is not used often enough to pay for
// it. Columns of B are packed when their turn comes, kWide together. They wait in the L2 cache for
// block after block of A, which stays in the L1 cache meanwhile: so C comes and goes along its
// rows, where memory is fast. An A that is small enough goes by once a panel instead.
inline void multiply_part(MatrixView a, MatrixView b, Output c, size_t m, size_t n, size_t p) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_matmul optional
  // How many columns of B may read A where it lies, its rows or its columns in one piece.
  const size_t few = a.column == 1 ? 2 * kWide : a.row == 1 ? kWide / 2 : 0;
  const bool pack_a = p > few;
  // A B that is no larger than a panel may be is in the L1 cache as it lies.
  const ptrdiff_t small = kDepth * kColumns, size_of_b = static_cast<ptrdiff_t>(n) * b.row;
  const bool pack_b = b.column != 1 || (m > 4 * kRows && size_of_b > small);
  const size_t deep = even_share(n, kDeep), tall = even_share(m, 4 * kTall);
  const size_t room = deep * std::min(kWide, panel_count(p) * kColumns);
  AlignedArray panels(room + (pack_a ? tall * deep : 0));
  scalar_t* const piece = panels.ptr + room;
  for (size_t k = 0; k < n; k += deep)
    for (size_t i = 0; i < m; i += tall) {
      Rows rows{a.from(i, k), nullptr, std::min(tall, m - i), std::min(deep, n - k)};
      if (pack_a) rows = pack_rows(rows.a, rows.count, rows.depth, piece);
      for (size_t j = 0; j < p; j += kWide) {
        // The kernel reads whole vectors, so what is left of one is packed in any case.
        const size_t columns = std::min(kWide, p - j);
        const size_t lying = pack_b ? 0 : columns / simd::kWidth * simd::kWidth;
        if (lying < columns)
          pack_columns(b.from(k, j + lying), rows.depth, columns - lying, panels.ptr);
        const bool once = columns <= kColumns || rows.count * rows.depth <= kTall * kDepth;
        const size_t high = once ? rows.count : kRows;
        for (size_t r = 0; r < rows.count; r += high) {
          Panel panel;
          for (size_t l = 0; l < columns; l += panel.columns) {
            if (l < lying) {
              panel = {b.from(k, j + l).data, b.row, std::min(kColumns, lying - l)};
            } else {
              panel = packed_panel(panels.ptr, (l - lying) / kColumns, rows.depth, columns - lying);
            }
            multiply_panel(rows.part(r, high), panel, c.from(i + r, j + l), k == 0);
          }
        }
      }
    }
  /// END SOLUTION
}

}  // namespace

// Rung 8: a part of C for each thread, some of its rows or some of its columns, whichever are more.
void MatmulThreads(MatrixView a, MatrixView b, Output c, size_t m, size_t n, size_t p) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_matmul optional
  if (m == 0 || n == 0 || p == 0) return MatmulNaive(a, b, c, m, n, p);  // zeros, or nothing
  if (p < 2 * simd::kWidth && m > p && a.column != 1)  // C^T = B^T A^T fills the vectors better
    return MatmulThreads(b.transposed(), a.transposed(), c.transposed(), p, n, m);
  // Threads that share out rows each pack all of B, which takes long for a transpose.
  const bool by_rows = m > (b.column == 1 ? p : 3 * p);
  const size_t length = by_rows ? m : p, unit = by_rows ? kRows : kLine;
  const size_t parts = std::min(thread_count(), 1 + m * n * p / (20 * kGrain));
  const size_t share = ((length + unit - 1) / unit + parts - 1) / parts * unit;
  parallel_for(length, share, [&](size_t begin, size_t end) {
    if (by_rows) {
      multiply_part(a.from(begin, 0), b, c.from(begin, 0), end - begin, n, p);
    } else {
      multiply_part(a, b.from(0, begin), c.from(0, begin), m, n, end - begin);
    }
  });
  /// END SOLUTION
}

// out (m x p, row-major) = a (m x n) times b (n x p): the rung that @ uses.
void MatmulViews(MatrixView a, MatrixView b, scalar_t* out, size_t m, size_t n, size_t p) {
  /// BEGIN SOLUTION hw3/ndarray_cpu_matmul
  MatmulThreads(a, b, {out, static_cast<ptrdiff_t>(p), 1}, m, n, p);
  /// END SOLUTION
}

// out (m x p) = a (m x n) times b (n x p), all row-major.
void Matmul(const AlignedArray& a, const AlignedArray& b, AlignedArray* out, size_t m, size_t n,
            size_t p) {
  multiply(row_major(a.ptr, n), row_major(b.ptr, p), out->ptr, m, n, p);
}

}  // namespace cpu
}  // namespace needle
