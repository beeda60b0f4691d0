// Softmax regression in C++, callable from Python.
//
// The function to write is softmax_regression_epoch_cpp; the helpers before it are optional. The
// rest of the file is given: it checks what Python passes, so that the pointers below can be
// trusted, and makes the function importable as simple_ml_ext.softmax_regression_epoch_cpp.

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <stdexcept>
#include <string>
#include <vector>

#include "not_implemented.h"

namespace py = pybind11;
using needle::NotImplemented;

// ---------------------------------------------------------------------------------------- helpers
// You need none of these: everything may stand in softmax_regression_epoch_cpp, below. They are the
// reference's parts, the plain loops first, then what makes it fast.

// z = softmax(z) - onehot(label), for the k logits of one example.
inline void softmax_minus_label(float* z, size_t k, size_t label) {
  /// BEGIN YOUR SOLUTION hw0/softmax_regression_epoch_cpp
  throw NotImplemented("hw0/softmax_regression_epoch_cpp: softmax_minus_label is yours to write or not");
  /// END YOUR SOLUTION
}

// The whole epoch in plain loops, as the mathematics is written.
inline void epoch_plain(const float* X, const unsigned char* y, float* theta, size_t m, size_t n,
                        size_t k, float lr, size_t batch) {
  /// BEGIN YOUR SOLUTION hw0/softmax_regression_epoch_cpp
  throw NotImplemented("hw0/softmax_regression_epoch_cpp: epoch_plain is yours to write or not");
  /// END YOUR SOLUTION
}

// What makes it fast. First, the parameters are kept class by class (`weights`, classes x n), so
// that every inner loop runs along an example: neighbours in memory are neighbours in the loop,
// which vector instructions need. Second, both matrix products keep the sums of CLASSES classes in
// registers, so that each number of X that is loaded serves several multiplications. Classes are
// filled up with zeros to a multiple of CLASSES.
constexpr size_t LANES = 8, CLASSES = 10;
typedef float Lanes __attribute__((vector_size(LANES * sizeof(float)), aligned(4), may_alias));

inline const Lanes& lanes(const float* p) { return *reinterpret_cast<const Lanes*>(p); }

// to (columns x rows) = the transpose of from (rows x columns).
inline void transpose(const float* from, float* to, size_t rows, size_t columns) {
  /// BEGIN YOUR SOLUTION hw0/softmax_regression_epoch_cpp
  throw NotImplemented("hw0/softmax_regression_epoch_cpp: transpose is yours to write or not");
  /// END YOUR SOLUTION
}

// z[i, c] = sum_j X[i, j] weights[c, j], for `rows` examples from X on.
inline void logits(const float* X, const float* weights, float* z, size_t rows, size_t n,
                   size_t classes) {
  /// BEGIN YOUR SOLUTION hw0/softmax_regression_epoch_cpp
  throw NotImplemented("hw0/softmax_regression_epoch_cpp: logits is yours to write or not");
  /// END YOUR SOLUTION
}

// weights[c, j] -= step * sum_i errors[i, c] X[i, j], for LANES columns of X at a time.
inline void subtract_gradient(const float* X, const float* errors, float* weights, size_t rows,
                              size_t n, size_t classes, float step) {
  /// BEGIN YOUR SOLUTION hw0/softmax_regression_epoch_cpp
  throw NotImplemented("hw0/softmax_regression_epoch_cpp: subtract_gradient is yours to write or not");
  /// END YOUR SOLUTION
}

/**
 * One epoch of softmax regression by stochastic gradient descent: the same computation as
 * softmax_regression_epoch in simple_ml.py, on raw memory. theta is changed in place.
 *
 * Minibatches are taken in order, rows [0, batch), [batch, 2 batch), ...; the last one may be
 * smaller, and its gradient is the mean over the rows that it has. All matrices are stored row by
 * row: element (i, j) of a matrix with c columns is at [i * c + j].
 *
 * Args:
 *     X      the examples, m x n, float32; not to be changed
 *     y      the labels, m values in 0 ... k-1, uint8; not to be changed
 *     theta  the parameters, n x k, float32; changed in place
 *     m      number of examples
 *     n      number of values of an example (784 for MNIST)
 *     k      number of classes
 *     lr     step size (learning rate)
 *     batch  number of examples in a minibatch, at least 1
 */
void softmax_regression_epoch_cpp(const float* X, const unsigned char* y, float* theta, size_t m,
                                  size_t n, size_t k, float lr, size_t batch) {
  /// BEGIN YOUR SOLUTION hw0/softmax_regression_epoch_cpp
  throw NotImplemented("hw0/softmax_regression_epoch_cpp: softmax_regression_epoch_cpp is yours to write");
  /// END YOUR SOLUTION
}

// ------------------------------------------------------------------------- given: the way to
// Python

namespace {

std::string shape_of(const py::array& array) { return py::str(array.attr("shape")); }

// The array behind a Python object; TypeError unless it holds numbers of exactly this type.
template <typename T>
py::array array_of(const py::object& object, const std::string& name, const std::string& type) {
  if (!py::isinstance<py::array>(object))
    throw py::type_error(name + " must be a " + type + " NumPy array, got " +
                         std::string(py::str(py::type::of(object).attr("__name__"))));
  if (!py::isinstance<py::array_t<T>>(object))
    throw py::type_error(name + " must be " + type + ", got " +
                         std::string(py::str(object.attr("dtype"))) + ": pass " + name +
                         ".astype(np." + type + ")");
  return py::reinterpret_borrow<py::array>(object);
}

void require(bool fulfilled, const std::string& sentence) {
  if (!fulfilled) throw py::value_error(sentence);
}

void epoch(const py::object& X_given, const py::object& y_given, const py::object& theta_given,
           float lr, py::ssize_t batch) {
  const py::array X = array_of<float>(X_given, "X", "float32");
  const py::array y = array_of<unsigned char>(y_given, "y", "uint8");
  py::array theta = array_of<float>(theta_given, "theta", "float32");
  require(X.ndim() == 2, "X must have shape (examples, values), got " + shape_of(X));
  const size_t m = X.shape(0), n = X.shape(1);
  require(y.ndim() == 1 && size_t(y.shape(0)) == m, "y must hold one label for each of the " +
                                                        std::to_string(m) +
                                                        " rows of X, got shape " + shape_of(y));
  require(theta.ndim() == 2 && size_t(theta.shape(0)) == n,
          "theta must have one row for each of the " + std::to_string(n) +
              " columns of X, got shape " + shape_of(theta));
  require(batch >= 1, "batch must be at least 1, got " + std::to_string(batch));
  require(theta.writeable() && (theta.flags() & py::array::c_style),
          "theta is changed in place, so it must be writeable and stored row by row (C order): "
          "pass np.array(theta, order='C')");

  const size_t k = theta.shape(1);
  const auto rows = py::array_t<float, py::array::c_style>::ensure(X);
  const auto labels = py::array_t<unsigned char, py::array::c_style>::ensure(y);
  for (size_t i = 0; i < m; ++i)
    if (labels.data()[i] >= k)
      require(false, "y[" + std::to_string(i) + "] is " + std::to_string(labels.data()[i]) +
                         ", but theta has only " + std::to_string(k) +
                         " columns, one for each class");
  softmax_regression_epoch_cpp(rows.data(), labels.data(),
                               static_cast<float*>(theta.mutable_data()), m, n, k, lr,
                               static_cast<size_t>(batch));
}

}  // namespace

PYBIND11_MODULE(simple_ml_ext, module) {
  py::register_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const NotImplemented& error) {
      PyErr_SetString(PyExc_NotImplementedError, error.what());
    }
  });
  module.def("softmax_regression_epoch_cpp", &epoch,
             "One epoch of softmax regression in C++; theta (n, k) is changed in place.",
             py::arg("X"), py::arg("y"), py::arg("theta"), py::arg("lr"), py::arg("batch"));
}
