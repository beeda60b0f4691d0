// The CPU device: the functions that ndarray_backend_cpu.cc defines. The buffer that they work on,
// AlignedArray, and the declarations of Compact and MatmulViews are in kernels/aligned_array.h.
#pragma once

#include "kernels/aligned_array.h"

namespace needle {
namespace cpu {

constexpr size_t TILE = 8;  // side of the tiles of MatmulTiled

void Fill(AlignedArray* out, scalar_t val);

void EwiseSetitem(const AlignedArray& a, AlignedArray* out, const Dims& shape, const Dims& strides,
                  size_t offset);
void ScalarSetitem(size_t size, scalar_t val, AlignedArray* out, const Dims& shape,
                   const Dims& strides, size_t offset);

void EwiseAdd(const AlignedArray& a, const AlignedArray& b, AlignedArray* out);
void EwiseMul(const AlignedArray& a, const AlignedArray& b, AlignedArray* out);
void EwiseDiv(const AlignedArray& a, const AlignedArray& b, AlignedArray* out);
void EwiseMaximum(const AlignedArray& a, const AlignedArray& b, AlignedArray* out);
void EwiseEq(const AlignedArray& a, const AlignedArray& b, AlignedArray* out);
void EwiseGe(const AlignedArray& a, const AlignedArray& b, AlignedArray* out);

void ScalarAdd(const AlignedArray& a, scalar_t val, AlignedArray* out);
void ScalarMul(const AlignedArray& a, scalar_t val, AlignedArray* out);
void ScalarDiv(const AlignedArray& a, scalar_t val, AlignedArray* out);
void ScalarPower(const AlignedArray& a, scalar_t val, AlignedArray* out);
void ScalarMaximum(const AlignedArray& a, scalar_t val, AlignedArray* out);
void ScalarEq(const AlignedArray& a, scalar_t val, AlignedArray* out);
void ScalarGe(const AlignedArray& a, scalar_t val, AlignedArray* out);

void EwiseLog(const AlignedArray& a, AlignedArray* out);
void EwiseExp(const AlignedArray& a, AlignedArray* out);
void EwiseTanh(const AlignedArray& a, AlignedArray* out);

void ReduceMax(const AlignedArray& a, AlignedArray* out, size_t reduce_size);
void ReduceSum(const AlignedArray& a, AlignedArray* out, size_t reduce_size);

// out (m x p) = a (m x n) times b (n x p), all row-major.
void Matmul(const AlignedArray& a, const AlignedArray& b, AlignedArray* out, size_t m, size_t n,
            size_t p);
void MatmulTiled(const AlignedArray& a, const AlignedArray& b, AlignedArray* out, size_t m,
                 size_t n, size_t p);

}  // namespace cpu
}  // namespace needle
