// Arrays as the bindings of the fused kernels see them: read from NDArrays, and made into NDArrays.
#pragma once

#include <initializer_list>
#include <string>
#include <vector>

#include "../aligned_array.h"
#include "../ndarray_bindings.h"
#include "fused.h"

namespace needle {
namespace cpu {
namespace fused {

// The lengths of an array's axes. They lie in the object itself: a step of training reads and makes
// hundreds of arrays, and each std::vector would be a piece of memory to fetch and to give back.
class Shape {
 public:
  static constexpr size_t kMostAxes = 16;

  Shape() = default;
  Shape(std::initializer_list<size_t> lengths) {
    for (size_t length : lengths) push_back(length);
  }

  void push_back(size_t length) {
    require(size_ < kMostAxes, "the given kernels take arrays of at most 16 axes");
    lengths_[size_++] = length;
  }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  size_t& operator[](size_t i) { return lengths_[i]; }
  size_t operator[](size_t i) const { return lengths_[i]; }
  size_t& back() { return lengths_[size_ - 1]; }
  size_t back() const { return lengths_[size_ - 1]; }
  const size_t* begin() const { return lengths_; }
  const size_t* end() const { return lengths_ + size_; }

 private:
  size_t size_ = 0;
  size_t lengths_[kMostAxes];
};

size_t product(const Shape& shape);

// An array of this device: its buffer, and its shape. It is compact, but for a kernel that takes
// views.
struct Array {
  py::object buffer;  // the Python object that owns `data`
  AlignedArray* data = nullptr;
  Shape shape;
  py::object lengths, strides;  // the shape and its strides as Python's tuples, if they are known
  size_t offset = 0;            // of the first number
  bool fills = true;            // are all numbers of the buffer its own?

  float* ptr() const { return data->ptr; }
  size_t size() const { return data->size; }
  size_t last() const { return shape.back(); }  // length of the last axis
};
using Arrays = std::vector<Array>;

inline float* pointer(const Array& array) { return array.data ? array.ptr() : nullptr; }

// A new array, not initialized, of this shape.
Array new_array(const Shape& shape);
// The same, of the shape of another array. It lies as that one does, if that fills its buffer.
Array new_array_like(const Array& other);
Array new_copy(const float* data, const Shape& shape);

// NDArrays, made compact where they are views. With `rows`, views stay whose last axis lies in one
// piece.
Arrays from_python(const py::sequence& items, bool rows = false);

// Where the numbers of an array of four axes lie: the last axis in one piece.
Heads heads_of(const Array& array);

// NDArrays on the device of another one.
py::tuple to_python(const Arrays& arrays, const py::handle& beside);

// `what` must have a shape; a length in `expected` may be any.
constexpr size_t kAny = ~size_t{0};
void need(const char* what, const Array& array, const Shape& expected);
void need_size(const char* what, const Array& array, size_t size);
// Every id is a row of a table of `rows` rows.
void need_ids(const char* name, const Array& ids, size_t rows);

}  // namespace fused
}  // namespace cpu
}  // namespace needle
