// Functions of a Python module that cost little to call. pybind11's own take longer to be called
// than a kernel to add a thousand numbers: they serve names, overloads and conversions every time.
#pragma once

#include <pybind11/pybind11.h>

#include <exception>
#include <tuple>
#include <utility>

namespace needle {

namespace py = pybind11;

// Raises in Python the exception that is being handled; pybind11 knows as which. Returns null.
inline PyObject* raise_in_python() {
  static auto* const raise = new py::cpp_function([](const py::capsule& error) {
    std::rethrow_exception(*error.get_pointer<std::exception_ptr>());
  });
  std::exception_ptr error = std::current_exception();
  return PyObject_CallOneArg(raise->ptr(), py::capsule(&error).ptr());
}

// A function of Python that calls `Function`, a lambda without result. It lives as long as Python.
template <class Function, class Call = decltype(&Function::operator())>
class PythonFunction;

template <class Function, class... Arguments>
class PythonFunction<Function, void (Function::*)(Arguments...) const> {
 public:
  PythonFunction(py::module_& m, const char* name, const Function& function)
      : function_(function),
        patient_(function, py::name(name), py::scope(m)),
        method_{name, reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(call)),
                METH_FASTCALL | METH_KEYWORDS, nullptr} {
    const py::capsule self(this);
    m.add_object(name, py::reinterpret_steal<py::object>(PyCFunction_New(&method_, self.ptr())));
  }

 private:
  // What fits is taken as it comes; pybind11's function gets the rest, and says what is wrong.
  static PyObject* call(PyObject* self, PyObject* const* given, Py_ssize_t count, PyObject* names) {
    auto& own = *static_cast<PythonFunction*>(PyCapsule_GetPointer(self, nullptr));
    try {
      if (count == sizeof...(Arguments) && names == nullptr &&
          own.run(given, std::index_sequence_for<Arguments...>()))
        Py_RETURN_NONE;
    } catch (...) { return raise_in_python(); }
    return PyObject_Vectorcall(own.patient_.ptr(), given, static_cast<size_t>(count), names);
  }

  // Whether the arguments have the right types; if so, calls the function.
  template <size_t... I>
  bool run(PyObject* const* given, std::index_sequence<I...>) {
    std::tuple<py::detail::make_caster<Arguments>...> casters;
    if (!(std::get<I>(casters).load(given[I], true) && ...)) return false;
    function_(py::detail::cast_op<Arguments>(std::move(std::get<I>(casters)))...);
    return true;
  }

  Function function_;
  py::cpp_function patient_;
  PyMethodDef method_;
};

template <class Function>
void add_function(py::module_& m, const char* name, const Function& function) {
  new PythonFunction<Function>(m, name, function);
}

}  // namespace needle
