// The Python type of one call of a layer's kernel.
//
// A hand-written type, as the buffers' (../ndarray_bindings.h): a network makes a call for every
// layer of every step, and between two kernels, which have pushed everything else out of the cache,
// py::class_ has a long way to go to an object, to an attribute and to a method.
#pragma once

#include <structmember.h>

#include <cstddef>
#include <new>
#include <utility>
#include <vector>

#include "../ndarray_bindings.h"

namespace needle {
namespace cpu {
namespace fused {

// The truth of each element of a list or tuple.
inline std::vector<bool> truths(py::handle items) {
  const auto fast = py::reinterpret_steal<py::object>(
      PySequence_Fast(items.ptr(), "expected a list of True and False"));
  if (!fast) throw py::error_already_set();
  std::vector<bool> flags(static_cast<size_t>(PySequence_Fast_GET_SIZE(fast.ptr())));
  for (size_t i = 0; i < flags.size(); ++i)
    flags[i] = PyObject_IsTrue(PySequence_Fast_ITEMS(fast.ptr())[i]) == 1;
  return flags;
}

// What Python reads of a call.
struct CallNumbers {
  PyObject_HEAD Py_ssize_t results, rest, constants;
};

// `Call` has `results`, `rest`, `constants`, and functions `forward` and `backward`.
template <class Call>
struct CallObject : CallNumbers {
  Call call;

  static PyTypeObject type;

  static py::object make(Call&& call) {
    auto* self = PyObject_New(CallObject, &type);
    if (self == nullptr) throw py::error_already_set();
    self->results = static_cast<Py_ssize_t>(call.results());
    self->rest = static_cast<Py_ssize_t>(call.rest());
    self->constants = static_cast<Py_ssize_t>(call.constants());
    new (&self->call) Call(std::move(call));
    return py::reinterpret_steal<py::object>(reinterpret_cast<PyObject*>(self));
  }

  static void dealloc(PyObject* self) {
    reinterpret_cast<CallObject*>(self)->call.~Call();
    PyObject_Free(self);
  }

  static PyObject* forward(PyObject* self, PyObject* arrays) {
    try {
      const auto given = py::reinterpret_borrow<py::sequence>(arrays);
      return reinterpret_cast<CallObject*>(self)->call.forward(given).release().ptr();
    } catch (...) { return raise_in_python(); }
  }

  static PyObject* backward(PyObject* self, PyObject* const* arguments, Py_ssize_t count) {
    try {
      if (count != 2) throw py::type_error("backward takes two arguments: arrays, needed");
      const auto given = py::reinterpret_borrow<py::sequence>(arguments[0]);
      auto& call = reinterpret_cast<CallObject*>(self)->call;
      return call.backward(given, truths(arguments[1])).release().ptr();
    } catch (...) { return raise_in_python(); }
  }

  // To be called once, before the first object is made.
  static void prepare(const char* name) {
    static PyMethodDef methods[] = {
        {"forward", forward, METH_O, "forward(arrays): all results."},
        {"backward", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(backward)),
         METH_FASTCALL, "backward(adjoints of the results + arrays, needed): adjoints of arrays."},
        {nullptr, nullptr, 0, nullptr}};
    static PyMemberDef members[] = {
        {"results", T_PYSSIZET, offsetof(CallNumbers, results), READONLY, nullptr},
        {"rest", T_PYSSIZET, offsetof(CallNumbers, rest), READONLY, nullptr},
        {"constants", T_PYSSIZET, offsetof(CallNumbers, constants), READONLY, nullptr},
        {nullptr, 0, 0, 0, nullptr}};
    type.tp_name = name;
    type.tp_basicsize = sizeof(CallObject);
    type.tp_flags = Py_TPFLAGS_DEFAULT;
    type.tp_dealloc = dealloc;
    type.tp_methods = methods;
    type.tp_members = members;
    if (PyType_Ready(&type) < 0) throw py::error_already_set();
  }
};

#if defined(__GNUC__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#endif
template <class Call>
PyTypeObject CallObject<Call>::type = {PyVarObject_HEAD_INIT(nullptr, 0)};  // rest: prepare
#if defined(__GNUC__)
#pragma GCC diagnostic pop
#endif

}  // namespace fused
}  // namespace cpu
}  // namespace needle
