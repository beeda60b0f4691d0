#include "bindings_arrays.h"

#include <structmember.h>

#include <algorithm>
#include <cstring>
#include <map>

namespace needle {
namespace cpu {
namespace fused {

namespace {

using Buffer = ArrayObject<AlignedArray>;

AlignedArray* data_of(const py::object& buffer) {
  return &reinterpret_cast<Buffer*>(buffer.ptr())->array;
}

std::string text(const Shape& shape) {
  std::string words;
  for (size_t length : shape)
    words += (words.empty() ? "" : ", ") + (length == kAny ? "any" : std::to_string(length));
  return "(" + words + (shape.size() == 1 ? ",)" : ")");
}

// An attribute of NDArray: a slot, which lies at the same place in every object of the type. To ask
// Python for hundreds of attributes by their names would take longer than a small layer.
class Slot {
 public:
  Slot(py::handle type, const char* name) : name_(name) {
    const auto member = py::getattr(type, name, py::none());
    if (Py_TYPE(member.ptr()) != &PyMemberDescr_Type)
      throw py::type_error(std::string("the given kernels take NDArrays, which have ") + name_ +
                           " among their __slots__, got " +
                           py::str(type.attr("__name__")).cast<std::string>());
    offset_ = reinterpret_cast<PyMemberDescrObject*>(member.ptr())->d_member->offset;
  }

  py::object get(py::handle object) const {
    PyObject* value = place(object);
    if (value == nullptr)
      throw py::attribute_error(std::string("this NDArray has no value for ") + name_);
    return py::reinterpret_borrow<py::object>(value);
  }

  // Of an object without a value there.
  void set(py::handle object, py::object value) const { place(object) = value.release().ptr(); }

 private:
  PyObject*& place(py::handle object) const {
    return *reinterpret_cast<PyObject**>(reinterpret_cast<char*>(object.ptr()) + offset_);
  }

  const char* name_;
  Py_ssize_t offset_;
};

struct Slots {
  py::object type;
  Slot handle, shape, strides, offset, device;

  explicit Slots(py::handle type)
      : type(py::reinterpret_borrow<py::object>(type)),
        handle(type, "_handle"),
        shape(type, "_shape"),
        strides(type, "_strides"),
        offset(type, "_offset"),
        device(type, "_device") {}

  // Those of an NDArray's type: there is only one, but for programs that import needle twice.
  static const Slots& of(py::handle array) {
    static Slots* known = nullptr;  // never destroyed: Python may have ended before
    const py::handle type = py::type::handle_of(array);
    if (known == nullptr || !known->type.is(type)) {
      auto* found = new Slots(type);
      delete known;
      known = found;
    }
    return *known;
  }
};

// A whole number of Python's, or NumPy's.
int64_t number(py::handle object) {
  const int64_t value = PyLong_AsLongLong(object.ptr());
  if (value == -1 && PyErr_Occurred() != nullptr) throw py::error_already_set();
  return value;
}

int64_t number(py::handle tuple, size_t i) { return number(PyTuple_GET_ITEM(tuple.ptr(), i)); }

// What an NDArray has in its slots; it may be a view.
Array read(py::handle item) {
  const Slots& slots = Slots::of(item);
  const py::tuple lengths(slots.shape.get(item));
  Array array;
  for (size_t i = 0; i < lengths.size(); ++i) {
    const int64_t length = number(lengths, i);
    require(length >= 0, [&] {
      return "the shape of an NDArray has lengths of 0 or more, got " + std::to_string(length);
    });
    array.shape.push_back(static_cast<size_t>(length));
  }
  array.lengths = lengths;
  const py::tuple strides(slots.strides.get(item));
  require(strides.size() == lengths.size(), "an NDArray has as many strides as axes");
  array.strides = strides;
  array.buffer = slots.handle.get(item);
  require(Py_TYPE(array.buffer.ptr()) == &Buffer::type, [&] {
    return "it lives on " + py::str(item.attr("device")).cast<std::string>() + ", not on cpu()";
  });
  array.data = data_of(array.buffer);
  return array;
}

// Whether it fills its buffer, in row-major order.
bool is_compact(const Array& array) {
  size_t stride = 1;
  for (size_t i = array.shape.size(); i-- > 0; stride *= array.shape[i])
    if (number(array.strides, i) != static_cast<int64_t>(stride)) return false;
  return array.size() == stride;
}

// Whether it is a compact array, its axes perhaps in another order.
bool fills_buffer(const Array& array) {
  size_t filled = 1;
  for (bool found = true; found;) {
    found = false;
    for (size_t i = 0; i < array.shape.size(); ++i)
      if (array.shape[i] > 1 && number(array.strides, i) == static_cast<int64_t>(filled)) {
        filled *= array.shape[i];
        found = true;
      }
  }
  return array.offset == 0 && filled == array.size();
}

// For a kernel that reads rows: is the last axis in one piece? A view outside its buffer is an
// error.
bool lies_in_rows(Array& array, int64_t offset) {
  Dims shape, strides;
  for (size_t i = 0; i < array.shape.size(); ++i) {
    shape.push_back(static_cast<int64_t>(array.shape[i]));
    strides.push_back(number(array.strides, i));
  }
  if (shape.empty() || strides.back() != 1) return false;
  check_view("a given kernel", shape, strides, offset, array.size());
  array.offset = static_cast<size_t>(offset);
  array.fills = fills_buffer(array);
  return true;
}

Array array_of(py::handle item, bool rows) {
  Array array = read(item);
  if (is_compact(array)) return array;
  if (rows && lies_in_rows(array, number(Slots::of(item).offset.get(item)))) return array;
  const py::object compact = item.attr("compact")();
  if (!py::isinstance(item, py::type::of(compact)))
    throw py::type_error(std::string("NDArray.compact must return an NDArray, got ") +
                         Py_TYPE(compact.ptr())->tp_name);
  array = read(compact);
  require(is_compact(array), "NDArray.compact gave an array that is not compact");
  return array;
}

// What an NDArray says of its place in Python: the lengths of its axes, and row-major strides.
struct Layout {
  py::tuple lengths, strides;
};

// Of a shape; made once, for a training asks for the same few shapes in every step, and each tuple
// more brings Python's garbage collector nearer to its next round.
const Layout& layout_of(const Shape& shape) {
  struct Before {
    bool operator()(const Shape& a, const Shape& b) const {
      return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end());
    }
  };
  constexpr size_t kMost = 4096;
  static auto* known = new std::map<Shape, Layout, Before>;  // Python may have ended before
  const auto found = known->find(shape);
  if (found != known->end()) return found->second;
  if (known->size() >= kMost) known->clear();  // a program of ever new shapes
  Layout layout{py::tuple(shape.size()), py::tuple(shape.size())};
  size_t stride = 1;
  for (size_t i = shape.size(); i-- > 0; stride *= shape[i]) {
    layout.lengths[i] = py::int_(shape[i]);
    layout.strides[i] = py::int_(stride);
  }
  return known->emplace(shape, std::move(layout)).first->second;
}

}  // namespace

size_t product(const Shape& shape) {
  size_t size = 1;
  for (size_t length : shape) size *= length;
  return size;
}

Array new_array(const Shape& shape) {
  Array array;
  array.buffer = py::reinterpret_steal<py::object>(Buffer::make(product(shape)));
  if (!array.buffer) throw py::error_already_set();
  array.data = data_of(array.buffer);
  array.shape = shape;
  return array;
}

Array new_array_like(const Array& other) {
  Array array = new_array(other.shape);
  if (other.fills) {
    array.lengths = other.lengths;
    array.strides = other.strides;
  }
  return array;
}

Array new_copy(const float* data, const Shape& shape) {
  Array copy = new_array(shape);
  if (copy.size() > 0) std::memcpy(copy.ptr(), data, copy.size() * sizeof(float));
  return copy;
}

Arrays from_python(const py::sequence& items, bool rows) {
  const auto fast = py::reinterpret_steal<py::object>(
      PySequence_Fast(items.ptr(), "expected a list of NDArrays"));
  if (!fast) throw py::error_already_set();
  const auto count = static_cast<size_t>(PySequence_Fast_GET_SIZE(fast.ptr()));
  Arrays arrays;
  arrays.reserve(count);
  for (size_t i = 0; i < count; ++i)
    arrays.push_back(array_of(PySequence_Fast_ITEMS(fast.ptr())[i], rows));
  return arrays;
}

Heads heads_of(const Array& array) {
  const py::object strides = array.strides ? array.strides : layout_of(array.shape).strides;
  return {array.ptr() + array.offset, number(strides, 0), number(strides, 1), number(strides, 2)};
}

// They are made here, slot by slot: a step of an optimizer makes one for each parameter, and calls
// of NDArray.make would take as long as the step.
py::tuple to_python(const Arrays& arrays, const py::handle& beside) {
  const Slots& slots = Slots::of(beside);
  auto* type = reinterpret_cast<PyTypeObject*>(slots.type.ptr());
  const py::object device = slots.device.get(beside), zero = py::int_(0);
  py::tuple made(arrays.size());
  for (size_t k = 0; k < arrays.size(); ++k) {
    py::object lengths = arrays[k].lengths, strides = arrays[k].strides;
    if (!lengths) {
      const Layout& layout = layout_of(arrays[k].shape);
      lengths = layout.lengths, strides = layout.strides;
    }
    auto array = py::reinterpret_steal<py::object>(type->tp_alloc(type, 0));
    if (!array) throw py::error_already_set();
    slots.shape.set(array, std::move(lengths));
    slots.strides.set(array, std::move(strides));
    slots.offset.set(array, zero);
    slots.device.set(array, device);
    slots.handle.set(array, arrays[k].buffer);
    PyTuple_SET_ITEM(made.ptr(), k, array.release().ptr());
  }
  return made;
}

void need(const char* what, const Array& array, const Shape& expected) {
  bool fits = array.shape.size() == expected.size();
  for (size_t i = 0; fits && i < expected.size(); ++i)
    fits = expected[i] == kAny || array.shape[i] == expected[i];
  if (fits) return;
  throw std::invalid_argument(std::string(what) + " has shape " + text(array.shape) +
                              ", expected " + text(expected));
}

void need_size(const char* what, const Array& array, size_t size) {
  require(array.size() == size, [&] {
    return std::string(what) + " has shape " + text(array.shape) + ", expected " +
           std::to_string(size) + " elements";
  });
}

void need_ids(const char* name, const Array& ids, size_t rows) {
  for (size_t i = 0; i < ids.size(); ++i) {
    const float id = ids.ptr()[i];
    if (!(id >= 0 && id < static_cast<float>(rows)))
      throw std::out_of_range(std::string(name) + ": class or word id " + std::to_string(id) +
                              " is outside 0 to " + std::to_string(static_cast<int64_t>(rows) - 1));
  }
}

}  // namespace fused
}  // namespace cpu
}  // namespace needle
