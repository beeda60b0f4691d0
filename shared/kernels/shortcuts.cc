#include "shortcuts.h"

#include <algorithm>

#include "layout.h"
#include "parallel.h"
#include "simd.h"

namespace needle {
namespace cpu {

Product* multiply = MatmulViews;

namespace {

// One axis of two operands: `length` elements, `a` apart in the one and `b` in the other.
struct Step {
  explicit Step(const Axis& axis) : length(axis.length), a(axis.from), b(axis.to) {}

  size_t length;
  ptrdiff_t a, b;
};

// One row: steps of 0 (one number for the whole row) and 1 become loops of their own, which the
// compiler turns into vector code.
template <class F>
void row_of(const scalar_t* a, ptrdiff_t a_step, const scalar_t* b, ptrdiff_t b_step,
            scalar_t* __restrict out, size_t length, F f) {
  if (a_step == 1 && b_step == 1) {
    for (size_t i = 0; i < length; ++i) out[i] = f(a[i], b[i]);
  } else if (a_step == 1 && b_step == 0) {
    for (size_t i = 0; i < length; ++i) out[i] = f(a[i], *b);
  } else if (a_step == 0 && b_step == 1) {
    for (size_t i = 0; i < length; ++i) out[i] = f(*a, b[i]);
  } else {
    for (size_t i = 0; i < length; ++i) out[i] = f(a[i * a_step], b[i * b_step]);
  }
}

// Rows first to end of the result, where all axes but the last count the rows.
template <class F>
void rows(const std::vector<Axis>& axes, const scalar_t* a, const scalar_t* b, scalar_t* out,
          size_t first, size_t end, F f) {
  const Step last(axes[axes.size() - 1]), run(axes[axes.size() - 2]);
  while (first < end) {  // a run of rows is a walk along the last axis but one
    const scalar_t *x = a, *y = b;
    for (size_t i = axes.size() - 2, rest = first / run.length; i-- > 0; rest /= axes[i].length) {
      x += rest % axes[i].length * axes[i].from;
      y += rest % axes[i].length * axes[i].to;
    }
    size_t row = first % run.length;
    for (; row < run.length && first < end; ++row, ++first)
      row_of(x + row * run.a, last.a, y + row * run.b, last.b, out + first * last.length,
             last.length, f);
  }
}

template <class F>
void binary(ArrayView a, ArrayView b, AlignedArray* out, const Dims& shape, F f) {
  if (out->size == 0) return;
  const std::vector<Axis> axes = merge_axes(shape, a.strides, b.strides);
  const scalar_t *x = a.array.ptr + a.offset, *y = b.array.ptr + b.offset;
  const Step last(axes.empty() ? Axis{1, 1, 1} : axes.back());
  // Rows that jump through memory are copied together first, which Compact does block by block.
  if (last.a != 0 && last.a != 1) {
    AlignedArray copy(out->size);
    Compact(a.array, &copy, shape, a.strides, a.offset);
    binary({copy, row_major_strides(shape), 0}, b, out, shape, f);
  } else if (last.b != 0 && last.b != 1) {
    AlignedArray copy(out->size);
    Compact(b.array, &copy, shape, b.strides, b.offset);
    binary(a, {copy, row_major_strides(shape), 0}, out, shape, f);
  } else if (axes.size() <= 1) {
    parallel_for(last.length, even_grain(last.length), [&](size_t begin, size_t end) {
      row_of(x + begin * last.a, last.a, y + begin * last.b, last.b, out->ptr + begin, end - begin,
             f);
    });
  } else {
    parallel_for(out->size / last.length, 1 + kGrain / last.length,
                 [&](size_t begin, size_t end) { rows(axes, x, y, out->ptr, begin, end, f); });
  }
}

// Rows added up in stretches, which keeps all threads busy and rounding errors small.
constexpr size_t kStretch = 256;

template <class F>
void reduce_axis(const scalar_t* a, scalar_t* out, size_t outer, size_t length, size_t inner, F f) {
  const size_t stretches = (length + kStretch - 1) / kStretch;
  std::vector<scalar_t> partial(stretches > 1 ? outer * stretches * inner : 0);
  scalar_t* results = stretches > 1 ? partial.data() : out;
  const size_t work = std::min(length, kStretch) * inner;
  parallel_for(outer * stretches, 1 + kGrain / (work + 1), [&](size_t begin, size_t end) {
    for (size_t task = begin; task < end; ++task) {
      const size_t first = task % stretches * kStretch, last = std::min(first + kStretch, length);
      const scalar_t* from = a + task / stretches * length * inner;
      scalar_t* __restrict to = results + task * inner;
      std::copy(from + first * inner, from + (first + 1) * inner, to);
      for (size_t k = first + 1; k < last; ++k) {
        const scalar_t* __restrict row = from + k * inner;
        for (size_t j = 0; j < inner; ++j) to[j] = f(to[j], row[j]);
      }
    }
  });
  if (stretches > 1) reduce_axis(partial.data(), out, outer, stretches, inner, f);
}

}  // namespace

void StridedAdd(ArrayView a, ArrayView b, AlignedArray* out, const Dims& shape) {
  binary(a, b, out, shape, [](scalar_t x, scalar_t y) { return x + y; });
}

void StridedSub(ArrayView a, ArrayView b, AlignedArray* out, const Dims& shape) {
  binary(a, b, out, shape, [](scalar_t x, scalar_t y) { return x - y; });
}

void StridedMul(ArrayView a, ArrayView b, AlignedArray* out, const Dims& shape) {
  binary(a, b, out, shape, [](scalar_t x, scalar_t y) { return x * y; });
}

void StridedDiv(ArrayView a, ArrayView b, AlignedArray* out, const Dims& shape) {
  binary(a, b, out, shape, [](scalar_t x, scalar_t y) { return x / y; });
}

void StridedMaximum(ArrayView a, ArrayView b, AlignedArray* out, const Dims& shape) {
  binary(a, b, out, shape, [](scalar_t x, scalar_t y) { return simd::maximum(x, y); });
}

void StridedEq(ArrayView a, ArrayView b, AlignedArray* out, const Dims& shape) {
  binary(a, b, out, shape, [](scalar_t x, scalar_t y) { return x == y ? 1.0f : 0.0f; });
}

void StridedGe(ArrayView a, ArrayView b, AlignedArray* out, const Dims& shape) {
  binary(a, b, out, shape, [](scalar_t x, scalar_t y) { return x >= y ? 1.0f : 0.0f; });
}

void ReduceSumAxis(const AlignedArray& a, AlignedArray* out, size_t outer, size_t length,
                   size_t inner) {
  reduce_axis(a.ptr, out->ptr, outer, length, inner, [](scalar_t x, scalar_t y) { return x + y; });
}

void ReduceMaxAxis(const AlignedArray& a, AlignedArray* out, size_t outer, size_t length,
                   size_t inner) {
  reduce_axis(a.ptr, out->ptr, outer, length, inner,
              [](scalar_t x, scalar_t y) { return simd::maximum(x, y); });
}

void MatmulStrided(const AlignedArray& a, const AlignedArray& b, AlignedArray* out,
                   const Dims& shape, const Dims& a_strides, size_t a_offset, const Dims& b_strides,
                   size_t b_offset) {
  const size_t axes = shape.size() - 3;  // of the batch
  const size_t m = shape[axes], n = shape[axes + 1], p = shape[axes + 2];
  size_t batches = 1;
  for (size_t i = 0; i < axes; ++i) batches *= shape[i];
  auto multiply_one = [&](size_t batch) {
    ptrdiff_t a_start = a_offset, b_start = b_offset;
    for (size_t i = axes, rest = batch; i-- > 0; rest /= shape[i]) {
      ptrdiff_t index = rest % shape[i];
      a_start += index * a_strides[i];
      b_start += index * b_strides[i];
    }
    multiply({a.ptr + a_start, a_strides[axes], a_strides[axes + 1]},
             {b.ptr + b_start, b_strides[axes], b_strides[axes + 1]}, out->ptr + batch * m * p, m,
             n, p);
  };
  if (batches < thread_count()) {
    for (size_t batch = 0; batch < batches; ++batch) multiply_one(batch);
  } else {  // one thread a product
    const size_t grain = std::max<size_t>(1, 2 * kGrain / std::max<size_t>(1, m * n * p));
    parallel_for(batches, grain, [&](size_t begin, size_t end) {
      for (size_t batch = begin; batch < end; ++batch) multiply_one(batch);
    });
  }
}

}  // namespace cpu
}  // namespace needle
