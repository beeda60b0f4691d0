// Kernels that spare a copy. Without them NDArray would work as well, by way of Compact: an operand
// that is broadcast would be written out in full, an axis that is reduced would be moved to the
// end.
#pragma once

#include <cstddef>

#include "aligned_array.h"

namespace needle {
namespace cpu {

// An operand that is a view of a buffer.
struct ArrayView {
  const AlignedArray& array;
  const Dims& strides;
  size_t offset;
};

// out (row-major, of this shape) = a op b, element by element.
using StridedBinary = void (*)(ArrayView a, ArrayView b, AlignedArray* out, const Dims& shape);
void StridedAdd(ArrayView a, ArrayView b, AlignedArray* out, const Dims& shape);
void StridedSub(ArrayView a, ArrayView b, AlignedArray* out, const Dims& shape);
void StridedMul(ArrayView a, ArrayView b, AlignedArray* out, const Dims& shape);
void StridedDiv(ArrayView a, ArrayView b, AlignedArray* out, const Dims& shape);
void StridedMaximum(ArrayView a, ArrayView b, AlignedArray* out, const Dims& shape);
void StridedEq(ArrayView a, ArrayView b, AlignedArray* out, const Dims& shape);
void StridedGe(ArrayView a, ArrayView b, AlignedArray* out, const Dims& shape);

// out (outer x inner) = reduction over the middle axis of a (outer x length x inner).
using AxisReduction = void (*)(const AlignedArray& a, AlignedArray* out, size_t outer,
                               size_t length, size_t inner);
void ReduceSumAxis(const AlignedArray& a, AlignedArray* out, size_t outer, size_t length,
                   size_t inner);
void ReduceMaxAxis(const AlignedArray& a, AlignedArray* out, size_t outer, size_t length,
                   size_t inner);

// out[batch..., m, p] = a[batch..., m, n] @ b[batch..., n, p], where a and b are any views: a
// transposed operand or a broadcast batch axis costs no copy. shape = (batch..., m, n, p).
void MatmulStrided(const AlignedArray& a, const AlignedArray& b, AlignedArray* out,
                   const Dims& shape, const Dims& a_strides, size_t a_offset, const Dims& b_strides,
                   size_t b_offset);

}  // namespace cpu
}  // namespace needle
