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

// A matrix to write to: element (i, j) is data[i * row + j * column].
struct Output {
  scalar_t* data;
  ptrdiff_t row;
  ptrdiff_t column;

  scalar_t& operator()(size_t i, size_t j) const { return *from(i, j).data; }
  // The part that begins at row i and column j.
  Output from(size_t i, size_t j) const {
    return {data + static_cast<ptrdiff_t>(i) * row + static_cast<ptrdiff_t>(j) * column, row,
            column};
  }
  Output transposed() const { return {data, column, row}; }
};

// C (m x p) = A (m x n) times B (n x p), wherever they lie: the rungs of the ladder, 3 aside.
using Rung = void(MatrixView a, MatrixView b, Output c, size_t m, size_t n, size_t p);
Rung MatmulNaive;      // 1: three loops
Rung MatmulRows;       // 2: the inner one along rows
Rung MatmulRegisters;  // 4: blocks of C in registers
Rung MatmulPackedB;    // 5: B packed
Rung MatmulSlices;     // 6: slices of n
Rung MatmulPackedA;    // 7: A packed
Rung MatmulThreads;    // 8: threads

// Rung 3, for matrices that are cut to TILE x TILE tiles.
void MatmulTiled(const AlignedArray& a, const AlignedArray& b, AlignedArray* out, size_t m,
                 size_t n, size_t p);

// out (m x p) = a (m x n) times b (n x p), all row-major, by the rung that MatmulViews names
// (or NEEDLE_RUNG, see kernels/aligned_array.h).
void Matmul(const AlignedArray& a, const AlignedArray& b, AlignedArray* out, size_t m, size_t n,
            size_t p);

}  // namespace cpu
}  // namespace needle
