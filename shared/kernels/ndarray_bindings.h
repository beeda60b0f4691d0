// What the Python modules of all NDArray devices share: the Python type of a buffer, the checks of
// sizes, and functions which bind a device's kernels under the names of the device table.
//
// Each device has a small file (ndarray_bindings_cpu.cc, ...) that fills in its own Array type and
// kernels. Everything that comes from Python is checked here, once, so that a kernel may trust its
// arguments: a wrong size raises, nothing reads or writes outside a buffer.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <new>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "not_implemented.h"
#include "python_function.h"
#include "underflow.h"

namespace needle {

namespace py = pybind11;

// Shapes and strides, in elements. Strides may be zero (broadcast) or negative (flip).
using Dims = std::vector<int64_t>;

// ------------------------------------------------------------------------- the Python type Array
// A hand-written type instead of py::class_: a buffer is made and dropped in every operation, and
// py::class_ spends ten times longer on that. `Array` needs a constructor from the element count
// (std::bad_alloc when memory is short), a destructor, `size`, and `ptr`.

template <class Array>
struct ArrayObject {
  PyObject_HEAD Array array;

  static PyTypeObject type;

  static PyObject* create(PyObject* count) {
    Py_ssize_t size = PyNumber_AsSsize_t(count, PyExc_MemoryError);
    if (size == -1 && PyErr_Occurred()) return nullptr;
    if (size < 0) {
      PyErr_Format(PyExc_ValueError, "Array(n) takes a number of elements from 0 up, got %zd",
                   size);
      return nullptr;
    }
    return make(static_cast<size_t>(size));
  }

  static PyObject* make(size_t size) {
    auto* self = PyObject_New(ArrayObject, &type);
    if (self == nullptr) return nullptr;
    try {
      new (&self->array) Array(size);
    } catch (const std::bad_alloc&) {
      PyObject_Free(self);
      PyErr_Format(PyExc_MemoryError, "no memory for an array of %zu float32 elements", size);
      return nullptr;
    } catch (const std::exception& error) {
      PyObject_Free(self);
      PyErr_SetString(PyExc_RuntimeError, error.what());
      return nullptr;
    }
    return reinterpret_cast<PyObject*>(self);
  }

  static PyObject* vectorcall(PyObject*, PyObject* const* args, size_t nargsf, PyObject* names) {
    if (PyVectorcall_NARGS(nargsf) != 1 || (names != nullptr && PyTuple_GET_SIZE(names) != 0)) {
      PyErr_SetString(PyExc_TypeError, "Array(n) takes one argument, the number of elements");
      return nullptr;
    }
    return create(args[0]);
  }

  static PyObject* tp_new(PyTypeObject*, PyObject* args, PyObject*) {
    PyObject* count = nullptr;
    if (!PyArg_ParseTuple(args, "O:Array", &count)) return nullptr;
    return create(count);
  }

  static void dealloc(PyObject* self) {
    reinterpret_cast<ArrayObject*>(self)->array.~Array();
    PyObject_Free(self);
  }

  static PyObject* get_size(PyObject* self, void*) {
    return PyLong_FromSize_t(reinterpret_cast<ArrayObject*>(self)->array.size);
  }

  static PyObject* get_ptr(PyObject* self, PyObject*) {
    return PyLong_FromVoidPtr(reinterpret_cast<ArrayObject*>(self)->array.ptr);
  }

  // Adds the type to module `m` under the name Array.
  static void add_to(py::module_& m) {
    static PyMethodDef methods[] = {
        {"ptr", get_ptr, METH_NOARGS, "Address of the first element, as an integer."},
        {nullptr, nullptr, 0, nullptr}};
    static PyGetSetDef properties[] = {
        {"size", get_size, nullptr, "Number of float32 elements.", nullptr},
        {nullptr, nullptr, nullptr, nullptr, nullptr}};
    type.tp_name = "needle.Array";
    type.tp_doc = "Array(n): a flat buffer of n float32 elements, not initialized.";
    type.tp_basicsize = sizeof(ArrayObject);
    type.tp_flags = Py_TPFLAGS_DEFAULT;
    type.tp_new = tp_new;
    type.tp_dealloc = dealloc;
    type.tp_methods = methods;
    type.tp_getset = properties;
    type.tp_vectorcall = vectorcall;
    if (PyType_Ready(&type) < 0) throw py::error_already_set();
    m.add_object("Array", py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(&type)));
  }
};

#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#endif
template <class Array>
PyTypeObject ArrayObject<Array>::type = {PyVarObject_HEAD_INIT(nullptr, 0)};  // rest: add_to
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

// A buffer as it arrives in a bound function.
template <class Array>
struct Ref {
  Array* array = nullptr;
  Array& operator*() const { return *array; }
  Array* operator->() const { return array; }
};

}  // namespace needle

namespace pybind11 {
namespace detail {

template <class Array>
struct type_caster<needle::Ref<Array>> {
  PYBIND11_TYPE_CASTER(needle::Ref<Array>, const_name("Array"));

  bool load(handle source, bool) {
    using Object = needle::ArrayObject<Array>;
    if (Py_TYPE(source.ptr()) != &Object::type) return false;
    value.array = &reinterpret_cast<Object*>(source.ptr())->array;
    return true;
  }
};

// Shapes and strides: any sequence of ints. Nearly always it is a tuple, which is read as it lies.
template <>
struct type_caster<needle::Dims> {
  PYBIND11_TYPE_CASTER(needle::Dims, const_name("collections.abc.Sequence[int]"));

  bool load(handle source, bool) {
    const auto items = reinterpret_steal<object>(PySequence_Tuple(source.ptr()));
    value.resize(items ? static_cast<size_t>(PyTuple_GET_SIZE(items.ptr())) : 0);
    bool read = static_cast<bool>(items);
    for (size_t i = 0; read && i < value.size(); ++i) {
      value[i] = PyLong_AsLongLong(PyTuple_GET_ITEM(items.ptr(), static_cast<Py_ssize_t>(i)));
      read = value[i] != -1 || PyErr_Occurred() == nullptr;
    }
    if (!read) PyErr_Clear();  // it is no sequence, or something in it is no int
    return read;
  }
};

}  // namespace detail
}  // namespace pybind11

namespace needle {

// ----------------------------------------------------------------------------------------- checks

// `message` is a literal or a function that makes a text: a text is made only for an error.
template <class Message>
void require(bool ok, const Message& message) {
  if (ok) return;
  if constexpr (std::is_invocable_v<Message>) {
    throw std::invalid_argument(message());
  } else {
    static_assert(!std::is_same_v<Message, std::string>,
                  "make the text when it is needed: [&] {...}");
    throw std::invalid_argument(message);
  }
}

inline void require_same_size(const char* name, size_t got, size_t expected) {
  if (got != expected) {
    throw std::invalid_argument(std::string(name) + ": arrays of " + std::to_string(got) + " and " +
                                std::to_string(expected) + " elements, expected equal sizes");
  }
}

// Number of elements of `shape`; an axis below zero or a count beyond any memory raises.
inline size_t element_count(const char* name, const Dims& shape) {
  double estimate = 1;
  size_t count = 1;
  for (int64_t length : shape) {
    require(length >= 0, [&] {
      return std::string(name) + ": an axis of a shape must not be negative, got " +
             std::to_string(length);
    });
    estimate *= static_cast<double>(length);
    require(estimate < 4e18,
            [&] { return std::string(name) + ": the shape has too many elements"; });
    count *= static_cast<size_t>(length);
  }
  return count;
}

// First and last position of a buffer that a view touches.
struct Extent {
  size_t first = 0;
  size_t end = 0;  // one past the last
};

// Checks that the view (shape, strides, offset) lies inside a buffer of `size` elements.
inline Extent check_view(const char* name, const Dims& shape, const Dims& strides, int64_t offset,
                         size_t size) {
  require(shape.size() == strides.size(), [&] {
    return std::string(name) + ": shape has " + std::to_string(shape.size()) +
           " axes and strides " + std::to_string(strides.size()) + ", expected the same number";
  });
  if (element_count(name, shape) == 0) return {};
  double low = static_cast<double>(offset), high = low;  // doubles cannot overflow
  int64_t first = offset, last = offset;
  for (size_t i = 0; i < shape.size(); ++i) {
    double reach = static_cast<double>(shape[i] - 1) * static_cast<double>(strides[i]);
    (reach < 0 ? low : high) += reach;
    if (low < 0 || high >= static_cast<double>(size)) break;
    (reach < 0 ? first : last) += (shape[i] - 1) * strides[i];
  }
  require(low >= 0 && high < static_cast<double>(size), [&] {
    return std::string(name) + ": the view reaches outside its buffer of " + std::to_string(size) +
           " elements; check shape, strides and offset";
  });
  return {static_cast<size_t>(first), static_cast<size_t>(last) + 1};
}

// Runs `body`, without Python's global lock when there is work enough to be worth it.
template <class Body>
void run_kernel(size_t work, Body&& body) {
  constexpr size_t kWorthReleasing = size_t{1} << 15;
  if (work < kWorthReleasing) {
    body();
  } else {
    py::gil_scoped_release release;
    body();
  }
}

// The same for products of matrices, layers and steps: subnormal numbers are zero to them.
template <class Body>
void run_product(size_t work, Body&& body) {
  const FlushToZero mode;
  run_kernel(work, body);
}

// --------------------------------------------------------------------------- the device's table

template <class Array>
using Unary = void (*)(const Array& a, Array* out);
template <class Array>
using Binary = void (*)(const Array& a, const Array& b, Array* out);
template <class Array>
using Scalar = void (*)(const Array& a, float val, Array* out);
template <class Array>
using Reduction = void (*)(const Array& a, Array* out, size_t reduce_size);
template <class Array>
using Strided = void (*)(const Array& a, Array* out, const Dims& shape, const Dims& strides,
                         size_t offset);
template <class Array>
using ScalarSet = void (*)(size_t size, float val, Array* out, const Dims& shape,
                           const Dims& strides, size_t offset);
template <class Array>
using MatrixProduct = void (*)(const Array& a, const Array& b, Array* out, size_t m, size_t n,
                               size_t p);
template <class T>
using Named = std::initializer_list<std::pair<const char*, T>>;

// Array, NotImplemented -> NotImplementedError, and the names that tell devices apart.
template <class Array>
void bind_array(py::module_& m, const char* device_name, size_t tile_size) {
  ArrayObject<Array>::add_to(m);
  m.attr("__device_name__") = device_name;
  m.attr("__tile_size__") = tile_size;
  py::register_local_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const NotImplemented& error) {
      PyErr_SetString(PyExc_NotImplementedError, error.what());
    }
  });
}

template <class Array>
void bind_unary(py::module_& m, Named<Unary<Array>> table) {
  for (auto& [name, kernel] : table) {
    add_function(m, name, [name = name, kernel = kernel](Ref<Array> a, Ref<Array> out) {
      require_same_size(name, a->size, out->size);
      run_kernel(out->size, [&] { kernel(*a, out.array); });
    });
  }
}

template <class Array>
void bind_binary(py::module_& m, Named<Binary<Array>> table) {
  for (auto& [name, kernel] : table) {
    add_function(m, name,
                 [name = name, kernel = kernel](Ref<Array> a, Ref<Array> b, Ref<Array> out) {
                   require_same_size(name, a->size, out->size);
                   require_same_size(name, b->size, out->size);
                   run_kernel(out->size, [&] { kernel(*a, *b, out.array); });
                 });
  }
}

template <class Array>
void bind_scalar(py::module_& m, Named<Scalar<Array>> table) {
  for (auto& [name, kernel] : table) {
    add_function(m, name, [name = name, kernel = kernel](Ref<Array> a, double val, Ref<Array> out) {
      require_same_size(name, a->size, out->size);
      run_kernel(out->size, [&] { kernel(*a, static_cast<float>(val), out.array); });
    });
  }
}

template <class Array>
void bind_fill(py::module_& m, void (*kernel)(Array* out, float val)) {
  add_function(m, "fill", [kernel](Ref<Array> out, double val) {
    run_kernel(out->size, [&] { kernel(out.array, static_cast<float>(val)); });
  });
}

template <class Array>
void bind_reduction(py::module_& m, Named<Reduction<Array>> table) {
  for (auto& [name, kernel] : table) {
    add_function(m, name,
                 [name = name, kernel = kernel](Ref<Array> a, Ref<Array> out, size_t reduce_size) {
                   require(reduce_size > 0,
                           [&] { return std::string(name) + ": reduce_size must be at least 1"; });
                   require(a->size % reduce_size == 0 && a->size / reduce_size == out->size, [&] {
                     return std::string(name) + ": " + std::to_string(a->size) +
                            " elements in blocks of " + std::to_string(reduce_size) +
                            " do not give " + std::to_string(out->size) + " results";
                   });
                   run_kernel(a->size, [&] { kernel(*a, out.array, reduce_size); });
                 });
  }
}

// compact, ewise_setitem, scalar_setitem.
template <class Array>
void bind_strided(py::module_& m, Strided<Array> compact, Strided<Array> ewise_setitem,
                  ScalarSet<Array> scalar_setitem) {
  add_function(m, "compact",
               [compact](Ref<Array> a, Ref<Array> out, const Dims& shape, const Dims& strides,
                         int64_t offset) {
                 check_view("compact", shape, strides, offset, a->size);
                 require_same_size("compact", element_count("compact", shape), out->size);
                 run_kernel(out->size, [&] {
                   compact(*a, out.array, shape, strides, static_cast<size_t>(offset));
                 });
               });
  add_function(m, "ewise_setitem",
               [ewise_setitem](Ref<Array> a, Ref<Array> out, const Dims& shape, const Dims& strides,
                               int64_t offset) {
                 check_view("ewise_setitem", shape, strides, offset, out->size);
                 require_same_size("ewise_setitem", element_count("ewise_setitem", shape), a->size);
                 run_kernel(a->size, [&] {
                   ewise_setitem(*a, out.array, shape, strides, static_cast<size_t>(offset));
                 });
               });
  add_function(m, "scalar_setitem",
               [scalar_setitem](size_t size, double val, Ref<Array> out, const Dims& shape,
                                const Dims& strides, int64_t offset) {
                 check_view("scalar_setitem", shape, strides, offset, out->size);
                 require_same_size("scalar_setitem", element_count("scalar_setitem", shape), size);
                 run_kernel(size, [&] {
                   scalar_setitem(size, static_cast<float>(val), out.array, shape, strides,
                                  static_cast<size_t>(offset));
                 });
               });
}

// The kernels that every device has, under the names of the device table. They are those of the
// namespace that Array stands in: the call finds them there by their argument.
template <class Array>
void bind_kernels(py::module_& m) {
#define UNARY(kernel) [](const Array& a, Array* out) { kernel(a, out); }
#define BINARY(kernel) [](const Array& a, const Array& b, Array* out) { kernel(a, b, out); }
#define SCALAR(kernel) [](const Array& a, float val, Array* out) { kernel(a, val, out); }
#define REDUCTION(kernel) [](const Array& a, Array* out, size_t size) { kernel(a, out, size); }
  bind_fill<Array>(m, [](Array* out, float val) { Fill(out, val); });
  bind_binary<Array>(m, {{"ewise_add", BINARY(EwiseAdd)},
                         {"ewise_mul", BINARY(EwiseMul)},
                         {"ewise_div", BINARY(EwiseDiv)},
                         {"ewise_maximum", BINARY(EwiseMaximum)},
                         {"ewise_eq", BINARY(EwiseEq)},
                         {"ewise_ge", BINARY(EwiseGe)}});
  bind_scalar<Array>(m, {{"scalar_add", SCALAR(ScalarAdd)},
                         {"scalar_mul", SCALAR(ScalarMul)},
                         {"scalar_div", SCALAR(ScalarDiv)},
                         {"scalar_power", SCALAR(ScalarPower)},
                         {"scalar_maximum", SCALAR(ScalarMaximum)},
                         {"scalar_eq", SCALAR(ScalarEq)},
                         {"scalar_ge", SCALAR(ScalarGe)}});
  bind_unary<Array>(m, {{"ewise_log", UNARY(EwiseLog)},
                        {"ewise_exp", UNARY(EwiseExp)},
                        {"ewise_tanh", UNARY(EwiseTanh)}});
  bind_reduction<Array>(
      m, {{"reduce_max", REDUCTION(ReduceMax)}, {"reduce_sum", REDUCTION(ReduceSum)}});
#undef UNARY
#undef BINARY
#undef SCALAR
#undef REDUCTION
}

template <class Array>
void bind_matmul(py::module_& m, const char* name, MatrixProduct<Array> kernel, size_t tile = 1) {
  add_function(m, name,
               [name, kernel, tile](Ref<Array> a, Ref<Array> b, Ref<Array> out, uint32_t rows,
                                    uint32_t inner, uint32_t columns) {
                 const size_t m = rows, n = inner, p = columns;
                 require(a->size == m * n && b->size == n * p && out->size == m * p, [&] {
                   return std::string(name) + ": buffers of " + std::to_string(a->size) + ", " +
                          std::to_string(b->size) + " and " + std::to_string(out->size) +
                          " elements do not fit m, n, p = " + std::to_string(m) + ", " +
                          std::to_string(n) + ", " + std::to_string(p);
                 });
                 require(m % tile == 0 && n % tile == 0 && p % tile == 0, [&] {
                   return std::string(name) + ": m, n and p must be multiples of " +
                          std::to_string(tile);
                 });
                 require(out.array != a.array && out.array != b.array,
                         [&] { return std::string(name) + ": out must be a buffer of its own"; });
                 run_product(m * n + n * p + m * p, [&] { kernel(*a, *b, out.array, m, n, p); });
               });
}

// -------------------------------------------------------------------------------- NumPy and back

// Copies a strided view to `out` in row-major order; `base` is the view's element (0, ..., 0).
inline void gather(const float* base, float*& out, const Dims& shape, const Dims& strides,
                   size_t axis = 0) {
  if (axis == shape.size()) {
    *out++ = *base;
    return;
  }
  if (axis + 1 == shape.size() && strides[axis] == 1) {
    std::memcpy(out, base, static_cast<size_t>(shape[axis]) * sizeof(float));
    out += shape[axis];
    return;
  }
  for (int64_t i = 0; i < shape[axis]; ++i)
    gather(base + i * strides[axis], out, shape, strides, axis + 1);
}

// `read(a, first, end, staging)` returns the address on the host of elements first..end; it may
// copy them to `staging`. `write(host, out)` copies out.size elements from the host.
template <class Array, class Read, class Write>
void bind_numpy(py::module_& m, Read read, Write write) {
  m.def("to_numpy", [read](Ref<Array> a, const Dims& shape, const Dims& strides, int64_t offset) {
    Extent extent = check_view("to_numpy", shape, strides, offset, a->size);
    py::array_t<float> result(std::vector<py::ssize_t>(shape.begin(), shape.end()));
    if (extent.end == extent.first) return result;
    std::vector<float> staging;
    const float* host = read(*a, extent.first, extent.end, staging);
    float* out = result.mutable_data();
    gather(host + (offset - static_cast<int64_t>(extent.first)), out, shape, strides);
    return result;
  });
  m.def("from_numpy", [write](py::array_t<float, py::array::c_style | py::array::forcecast> source,
                              Ref<Array> out) {
    require_same_size("from_numpy", static_cast<size_t>(source.size()), out->size);
    write(source.data(), out.array);
  });
}

}  // namespace needle
