// The CPU device: its buffer type and the functions that ndarray_backend_cpu.cc defines.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/allocator.h"

namespace needle {
namespace cpu {

using scalar_t = float;
using Dims = std::vector<int64_t>;  // shapes and strides, in elements; strides may be 0 or negative

constexpr size_t ELEM_SIZE = sizeof(scalar_t);
constexpr size_t TILE = 8;  // side of the tiles of MatmulTiled

// A flat buffer of `size` float32 elements, not initialized. Its address is a multiple of 64 bytes
// (a cache line), and its room is rounded up to a whole number of cache lines: a kernel may read
// and write up to the end of the last line, whatever it finds or leaves there.
struct AlignedArray {
  explicit AlignedArray(size_t count)
      : ptr(static_cast<scalar_t*>(allocate(count, ELEM_SIZE))), size(count) {}
  ~AlignedArray() { deallocate(ptr, size * ELEM_SIZE); }
  AlignedArray(const AlignedArray&) = delete;
  AlignedArray& operator=(const AlignedArray&) = delete;

  scalar_t* ptr;
  size_t size;
};

// A matrix that lies anywhere in a buffer: element (i, j) is data[i * row + j * column].
// {a, n, 1} is a row-major matrix of n columns, {a, 1, n} the transpose of a row-major one.
struct MatrixView {
  const scalar_t* data;
  ptrdiff_t row;
  ptrdiff_t column;

  scalar_t operator()(size_t i, size_t j) const {
    return data[static_cast<ptrdiff_t>(i) * row + static_cast<ptrdiff_t>(j) * column];
  }
};

void Fill(AlignedArray* out, scalar_t val);

void Compact(const AlignedArray& a, AlignedArray* out, const Dims& shape, const Dims& strides,
             size_t offset);
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

// out (m x p, row-major) = a (m x n) times b (n x p), wherever the two lie.
void MatmulViews(MatrixView a, MatrixView b, scalar_t* out, size_t m, size_t n, size_t p);
void Matmul(const AlignedArray& a, const AlignedArray& b, AlignedArray* out, size_t m, size_t n,
            size_t p);
void MatmulTiled(const AlignedArray& a, const AlignedArray& b, AlignedArray* out, size_t m,
                 size_t n, size_t p);

}  // namespace cpu
}  // namespace needle
