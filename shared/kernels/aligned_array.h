// What lies in the memory of the CPU device: its buffer type, and matrices inside a buffer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "allocator.h"

namespace needle {
namespace cpu {

using scalar_t = float;
using Dims = std::vector<int64_t>;  // shapes and strides, in elements; strides may be 0 or negative

constexpr size_t ELEM_SIZE = sizeof(scalar_t);

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
struct MatrixView {
  const scalar_t* data;
  ptrdiff_t row;
  ptrdiff_t column;

  scalar_t operator()(size_t i, size_t j) const { return *from(i, j).data; }
  // The part that begins at row i and column j.
  MatrixView from(size_t i, size_t j) const {
    return {data + static_cast<ptrdiff_t>(i) * row + static_cast<ptrdiff_t>(j) * column, row,
            column};
  }
  MatrixView transposed() const { return {data, column, row}; }
};

inline MatrixView row_major(const scalar_t* data, size_t columns) {
  return {data, static_cast<ptrdiff_t>(columns), 1};
}

// The transpose of a row-major matrix of `columns` columns.
inline MatrixView transposed(const scalar_t* data, size_t columns) {
  return {data, 1, static_cast<ptrdiff_t>(columns)};
}

// Two kernels that the device itself has to define; those of this folder call them.

// out = the view (shape, strides, offset) of a, in row-major order.
void Compact(const AlignedArray& a, AlignedArray* out, const Dims& shape, const Dims& strides,
             size_t offset);

// out (m x p, row-major) = a (m x n) times b (n x p), wherever the two lie.
using Product = void(MatrixView a, MatrixView b, scalar_t* out, size_t m, size_t n, size_t p);
Product MatmulViews;

// What @ and the kernels of this folder multiply by: MatmulViews, or the rung that the environment
// variable NEEDLE_RUNG names.
extern Product* multiply;

}  // namespace cpu
}  // namespace needle
