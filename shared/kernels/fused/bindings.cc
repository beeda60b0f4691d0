// What Python sees of the fused kernels: a table `layers` of functions that make one call of a
// kernel (ops_composite.py says what they take), and the optimizers' steps. All that
// arrives are arrays (bindings_arrays.h) and numbers; it is checked here, once. The arrays of
// results and gradients are made here too.
#include "bindings.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "bindings_arrays.h"
#include "call_object.h"
#include "fused.h"

namespace needle {
namespace cpu {
namespace fused {

namespace {

// --------------------------------------------------------------------------- the layers' kernels

// One call of a layer's kernel.
struct Call {
  Arrays arrays;                 // by place; one that is not given (a bias) has no data
  std::vector<double> settings;  // numbers
  Arrays saved;                  // what `forward` keeps for `backward`, and that for the next
  Arrays adjoints;               // of the results
  bool needs_dx = true;          // whether `backward` must compute the adjoint of the first array

  const Array& operator[](size_t i) const { return arrays[i]; }
  bool given(size_t i) const { return arrays[i].data != nullptr; }
  // New arrays for the adjoints of the first `count` arrays that are given; the first may stay
  // empty.
  Arrays gradients(size_t count) const {
    Arrays result(count);
    for (size_t i = needs_dx ? 0 : 1; i < count; ++i)
      if (given(i)) result[i] = new_array_like(arrays[i]);
    return result;
  }
};

// A forward returns the results, and behind them constants; a backward the adjoints of the arrays.
using Function = Arrays (*)(Call&);

// x, then weight and perhaps bias of each layer; the settings say after which a ReLU follows. Saves
// the result of each layer, after its ReLU.
std::vector<LinearLayer> linear_layers(Call& call) {
  std::vector<LinearLayer> layers;
  const Array& x = call[0];
  require(x.shape.size() >= 2, "the input must have two axes or more");
  Shape shape = x.shape;
  layers.reserve(call.arrays.size() / 2), call.saved.reserve(call.arrays.size() / 2);
  for (size_t i = 1; i + 1 < call.arrays.size(); i += 2) {
    const Array &w = call[i], &b = call[i + 1];
    need("weight", w, {shape.back(), kAny});
    if (b.data) need_size("bias", b, w.last());
    const size_t in = shape.back(), k = layers.size();
    shape.back() = w.last();
    if (call.saved.size() == k) call.saved.push_back(new_array(shape));
    const bool relu = k < call.settings.size() && call.settings[k] != 0;
    layers.push_back({w.ptr(), pointer(b), call.saved[k].ptr(), in, w.last(), relu});
  }
  return layers;
}

// All that lies before the last axis, which may have no length.
size_t linear_rows(const Array& x) {
  Shape shape = x.shape;
  shape.back() = 1;
  return product(shape);
}

size_t linear_work(const Call& call) {
  return call[0].size() * call[1].last() * call.arrays.size() / 2;
}

Arrays linear(Call& call) {
  const auto layers = linear_layers(call);
  const Array& x = call[0];
  run_product(linear_work(call), [&] { Mlp(x.ptr(), linear_rows(x), layers); });
  return {call.saved.back()};
}

Arrays linear_backward(Call& call) {
  const auto layers = linear_layers(call);
  const Array& x = call[0];
  Arrays grads = call.gradients(call.arrays.size());
  std::vector<LinearGradient> pairs;
  for (size_t i = 1; i + 1 < grads.size(); i += 2)
    pairs.push_back({grads[i].ptr(), pointer(grads[i + 1])});
  run_product(linear_work(call), [&] {
    MlpBackward(x.ptr(), linear_rows(x), layers, call.adjoints[0].ptr(), pointer(grads[0]), pairs);
  });
  return grads;
}

Arrays relu(Call& call) {
  Array y = new_array_like(call[0]);
  run_product(y.size(), [&] { Relu(call[0].ptr(), y.ptr(), y.size()); });
  return call.saved = {y};
}

Arrays relu_backward(Call& call) {
  Arrays grads = call.gradients(1);
  const float *y = call.saved[0].ptr(), *g = call.adjoints[0].ptr();
  run_product(grads[0].size(), [&] { ReluBackward(y, g, grads[0].ptr(), grads[0].size()); });
  return grads;
}

// logits (B, classes), class ids (B,) -> (); saves the log-sum-exp of each row, and the adjoint of
// the logits for an adjoint of 1, which most losses have.
Arrays softmax_loss(Call& call) {
  const Array &logits = call[0], &classes = call[1];
  need("logits", logits, {kAny, kAny});
  require(logits.last() > 0, "there must be a class");
  need_size("y", classes, logits.shape[0]);
  need_ids("SoftmaxLoss", classes, logits.last());
  Array loss = new_array({});
  call.saved = {new_array({logits.shape[0]}), new_array_like(logits)};
  run_product(logits.size(), [&] {
    SoftmaxLoss(logits.ptr(), classes.ptr(), loss.ptr(), call.saved[0].ptr(), call.saved[1].ptr(),
                logits.shape[0], logits.last());
  });
  return {loss};
}

Arrays softmax_loss_backward(Call& call) {
  const Array &logits = call[0], &classes = call[1];
  const float g = *call.adjoints[0].ptr();
  // What was saved is given away, for its new owner may change it: another call computes it anew.
  if (g == 1 && call.saved[1].data) return {std::exchange(call.saved[1], {})};
  Arrays grads = call.gradients(1);
  run_product(logits.size(), [&] {
    SoftmaxLossBackward(logits.ptr(), classes.ptr(), call.saved[0].ptr(), g, grads[0].ptr(),
                        logits.shape[0], logits.last());
  });
  return grads;
}

// table (V, E), word ids of any shape -> (*shape of the ids, E).
Arrays embedding(Call& call) {
  const Array &table = call[0], &ids = call[1];
  need("weight", table, {kAny, kAny});
  need_ids("Embedding", ids, table.shape[0]);
  Shape shape = ids.shape;
  shape.push_back(table.last());
  Array out = new_array(shape);
  run_product(out.size(),
              [&] { Gather(table.ptr(), ids.ptr(), out.ptr(), ids.size(), table.last()); });
  return {out};
}

Arrays embedding_backward(Call& call) {
  Arrays grads = {new_array_like(call[0])};
  run_product(grads[0].size(), [&] {
    ScatterAdd(call.adjoints[0].ptr(), call[1].ptr(), grads[0].ptr(), call[1].size(),
               call[0].last(), grads[0].size());
  });
  return grads;
}

// x (..., F), weight and bias (F,); saves mean and 1/deviation of each row.
Arrays layer_norm(Call& call) {
  const Array &x = call[0], &w = call[1], &b = call[2];
  require(!x.shape.empty(), "the input must have an axis of features");
  need("weight", w, {x.last()}), need("bias", b, {x.last()});
  const size_t width = w.size(), rows = width > 0 ? x.size() / width : 0;
  Array y = new_array_like(x);
  call.saved = {new_array({rows, 2})};
  run_product(x.size(), [&] {
    LayerNorm(x.ptr(), w.ptr(), b.ptr(), y.ptr(), call.saved[0].ptr(), rows, width,
              static_cast<float>(call.settings.at(0)));
  });
  return {y};
}

NormGradients norm_gradients(const Arrays& grads) {
  return {grads[0].ptr(), grads[1].ptr(), grads[2].ptr()};
}

Arrays layer_norm_backward(Call& call) {
  call.needs_dx = true;
  Arrays grads = call.gradients(3);
  const Array &x = call[0], &w = call[1];
  run_product(x.size(), [&] {
    LayerNormBackward(x.ptr(), w.ptr(), call.saved[0].ptr(), call.adjoints[0].ptr(),
                      norm_gradients(grads), call.saved[0].shape[0], w.size());
  });
  return grads;
}

BatchNormShape batch_norm_shape(const Call& call) {
  Shape plane = call[0].shape;
  plane[0] = plane[1] = 1;
  const float eps = static_cast<float>(call.settings.at(0));
  return {call[0].shape[0], call[0].shape[1], product(plane), eps};
}

// x (N, C) or (N, C, H, W), weight, bias, running mean and variance (C,); settings are eps,
// momentum and training, which must be on. Saves mean and variance of the batch.
Arrays batch_norm(Call& call) {
  const Array &x = call[0], &w = call[1], &b = call[2];
  require(x.shape.size() == 2 || x.shape.size() == 4, "the input must have two axes or four");
  const BatchNormShape s = batch_norm_shape(call);
  const size_t C = s.C;
  for (size_t i = 1; i < 5; ++i) need("a parameter or running average", call[i], {C});
  const float momentum = static_cast<float>(call.settings.at(1));
  Array y = new_array_like(x);
  call.saved = {new_array({C}), new_array({C})};
  run_product(x.size(), [&] {
    BatchNorm(x.ptr(), w.ptr(), b.ptr(), y.ptr(), call.saved[0].ptr(), call.saved[1].ptr(), s);
  });
  Arrays result = {y, new_array({C}), new_array({C})};
  for (size_t k = 0; k < 2; ++k) {
    const float *old = call[3 + k].ptr(), *seen = call.saved[k].ptr();
    for (size_t c = 0; c < C; ++c)
      result[1 + k].ptr()[c] = (1 - momentum) * old[c] + momentum * seen[c];
  }
  return result;
}

Arrays batch_norm_backward(Call& call) {
  call.needs_dx = true;
  Arrays grads = call.gradients(3);
  const Array& x = call[0];
  run_product(x.size(), [&] {
    BatchNormBackward(x.ptr(), call[1].ptr(), call.saved[0].ptr(), call.saved[1].ptr(),
                      call.adjoints[0].ptr(), norm_gradients(grads), batch_norm_shape(call));
  });
  return grads;
}

// x (N, C, H, W), weight (K, K, C, O), perhaps bias (O,); settings are stride and padding.
ConvShape conv_shape(const Call& call) {
  const Array &x = call[0], &w = call[1];
  need("images", x, {kAny, kAny, kAny, kAny});
  need("weight", w, {kAny, kAny, x.shape[1], kAny});
  require(w.size() > 0, "there is nothing in the weight");
  need("weight", w, {w.shape[1], w.shape[0], x.shape[1], kAny});
  if (call.given(2)) need("bias", call[2], {w.last()});
  ConvShape s{x.shape[0], x.shape[1], x.shape[2], x.shape[3], w.shape[0], w.shape[3], 1, 0, 0, 0};
  const double stride = call.settings.at(0), padding = call.settings.at(1);
  require(stride >= 1 && padding >= 0, "a stride must be 1 or more, a padding 0 or more");
  s.stride = static_cast<size_t>(stride), s.padding = static_cast<size_t>(padding);
  require(s.H + 2 * s.padding >= s.K && s.W + 2 * s.padding >= s.K,
          "the kernel is larger than the padded images");
  s.h = (s.H + 2 * s.padding - s.K) / s.stride + 1;
  s.w = (s.W + 2 * s.padding - s.K) / s.stride + 1;
  return s;
}

Arrays conv(Call& call) {
  const ConvShape s = conv_shape(call);
  Array y = new_array({s.N, s.O, s.h, s.w});
  run_product(y.size() * s.K * s.K * s.C,
              [&] { Conv(call[0].ptr(), call[1].ptr(), pointer(call[2]), y.ptr(), s); });
  return {y};
}

Arrays conv_backward(Call& call) {
  const ConvShape s = conv_shape(call);
  Arrays grads = call.gradients(2);
  Array db = new_array({s.O});
  const Array& g = call.adjoints[0];
  run_product(g.size() * s.K * s.K * s.C, [&] {
    ConvBackward(call[0].ptr(), call[1].ptr(), g.ptr(), pointer(grads[0]), grads[1].ptr(), db.ptr(),
                 s);
  });
  grads.push_back(db);
  return grads;
}

// x (T, B, I), h and c (B, H), W_ih (I, 4H), W_hh (H, 4H), perhaps two biases (4H,)
// -> outputs (T, B, H), last h, last c. Saves outputs, gates and cells of all steps.
LstmShape lstm_shape(const Call& call) {
  need("x", call[0], {kAny, kAny, kAny}), need("h", call[1], {kAny, kAny});
  const LstmShape s{call[0].shape[0], call[0].shape[1], call[0].shape[2], call[1].shape[1]};
  require(s.T > 0 && s.H > 0, "there must be a step and a hidden unit");
  need("h", call[1], {s.B, s.H}), need("c", call[2], {s.B, s.H});
  need("W_ih", call[3], {s.I, 4 * s.H}), need("W_hh", call[4], {s.H, 4 * s.H});
  require(call.given(5) == call.given(6), "there must be two biases or none");
  for (size_t i = 5; i < 7 && call.given(i); ++i) need_size("bias", call[i], 4 * s.H);
  return s;
}

LstmInput lstm_input(const Call& call) {
  return {call[0].ptr(), call[1].ptr(),    call[2].ptr(),   call[3].ptr(),
          call[4].ptr(), pointer(call[5]), pointer(call[6])};
}

LstmSteps lstm_steps(const Call& call) {
  return {call.saved[0].ptr(), call.saved[1].ptr(), call.saved[2].ptr()};
}

Arrays lstm(Call& call) {
  const LstmShape s = lstm_shape(call);
  const Shape steps{s.T, s.B, s.H};
  call.saved = {new_array(steps), new_array({s.T, s.B, 4 * s.H}), new_array(steps)};
  const Array &out = call.saved[0], &cells = call.saved[2];
  run_product(4 * out.size() * (s.I + s.H), [&] { Lstm(lstm_input(call), lstm_steps(call), s); });
  const size_t last = (s.T - 1) * s.B * s.H;
  return {out, new_copy(out.ptr() + last, {s.B, s.H}), new_copy(cells.ptr() + last, {s.B, s.H})};
}

Arrays lstm_backward(Call& call) {
  const LstmShape s = lstm_shape(call);
  Arrays grads = call.gradients(6);
  const LstmAdjoints g{call.adjoints[0].ptr(), call.adjoints[1].ptr(), call.adjoints[2].ptr()};
  const LstmGradients d{pointer(grads[0]), grads[1].ptr(), grads[2].ptr(),
                        grads[3].ptr(),    grads[4].ptr(), pointer(grads[5])};
  run_product(4 * call.saved[0].size() * (s.I + s.H),
              [&] { LstmBackward(lstm_input(call), lstm_steps(call), g, d, s); });
  grads.push_back(grads[5]);  // both biases are added: one adjoint for both
  return grads;
}

// q (B, H, T, D), k and v (B, H, S, D) -> result (B, H, T, D), probs (B, H, T, S), which is saved.
// The setting says whether a query sees only keys up to its own time.
AttentionShape attention_shape(const Call& call) {
  const Array &q = call[0], &k = call[1], &v = call[2];
  need("q", q, {kAny, kAny, kAny, kAny});
  need("k", k, {q.shape[0], q.shape[1], kAny, q.last()});
  require(k.shape[2] > 0, "there must be a key");
  need("v", v, k.shape);
  return {q.shape[0], q.shape[1], q.shape[2], k.shape[2], q.last(), call.settings.at(0) != 0};
}

AttentionArrays heads_of_all(const Arrays& qkv) {
  return {heads_of(qkv[0]), heads_of(qkv[1]), heads_of(qkv[2])};
}

Arrays attention(Call& call) {
  const AttentionShape s = attention_shape(call);
  const Array& q = call[0];
  Array out = new_array_like(q);
  call.saved = {new_array({q.shape[0], q.shape[1], s.T, s.S})};
  const AttentionArrays in = heads_of_all(call.arrays);
  const Heads to = heads_of(out);
  run_product(out.size() * s.S, [&] { Attention(in, to, call.saved[0].ptr(), s); });
  return {out, call.saved[0]};
}

Arrays attention_backward(Call& call) {
  const AttentionShape s = attention_shape(call);
  call.needs_dx = true;
  Arrays grads = call.gradients(3);
  const AttentionArrays in = heads_of_all(call.arrays), d = heads_of_all(grads);
  const Heads dout = heads_of(call.adjoints[0]), dprobs = heads_of(call.adjoints[1]);
  run_product(grads[0].size() * s.S,
              [&] { AttentionBackward(in, call.saved[0].ptr(), dout, dprobs, d, s); });
  return grads;
}

// A kernel, and what its function of Tensors takes.
struct Kernel {
  using Names = std::vector<std::string>;
  Function forward, backward;
  size_t arrays;                 // how many, if all are given; 0: any number
  Names settings;                // in the order in which the kernel reads them
  size_t results = 1;            // that have a gradient
  size_t rest = 0;               // how many behind them have none
  size_t constants = 0;          // how many of the arrays, the last ones, have none
  const char* always = nullptr;  // a setting without which the kernel does not compute this
  bool rows = false;             // does it take views whose last axis lies in one piece?
};

const Kernel kAttention = {
    attention, attention_backward, 3, {"causal", "dropout"}, 2, 0, 0, nullptr, true};
const Kernel kBatchNorm = {
    batch_norm, batch_norm_backward, 5, {"eps", "momentum", "training"}, 1, 2, 2, "training"};

const std::map<std::string, Kernel> kernels = {
    {"linear", {linear, linear_backward, 3, {}}},
    {"linears", {linear, linear_backward, 0, {"relus"}}},
    {"relu", {relu, relu_backward, 1, {}}},
    {"softmax_loss", {softmax_loss, softmax_loss_backward, 2, {}, 1, 0, 1}},
    {"embedding", {embedding, embedding_backward, 2, {}, 1, 0, 1}},
    {"layer_norm", {layer_norm, layer_norm_backward, 3, {"eps"}}},
    {"batch_norm", kBatchNorm},
    {"batch_norm2d", kBatchNorm},
    {"conv2d", {conv, conv_backward, 3, {"stride", "padding"}}},
    {"lstm", {lstm, lstm_backward, 7, {}, 3}},
    {"attention", kAttention},
};

// One call, forward and then, any number of times, backward. It holds buffers and numbers only,
// nothing of Python's that could lead back to it.
class LayerCall {
 public:
  LayerCall(const Kernel& kernel, std::vector<bool> given, std::vector<double> settings)
      : kernel_(kernel), given_(std::move(given)), settings_(std::move(settings)) {}

  size_t results() const { return kernel_.results; }
  size_t rest() const { return kernel_.rest; }
  size_t constants() const { return kernel_.constants; }

  // Takes the arrays that are given; returns the results, and constants behind them.
  py::tuple forward(const py::sequence& arrays) {
    Call call{by_place(from_python(arrays, kernel_.rows)), settings_, {}, {}};
    const Arrays made = kernel_.forward(call);
    saved_ = std::move(call.saved);
    shapes_.clear();
    for (size_t k = 0; k < results(); ++k) shapes_.push_back(made[k].shape);
    return to_python(made, arrays[0]);
  }

  // Takes the adjoints of the results and then the arrays that `forward` took; returns the adjoints
  // of those arrays that are needed.
  py::tuple backward(const py::sequence& adjoints_and_arrays, const std::vector<bool>& needed) {
    require(!shapes_.empty(), "backward comes after forward");
    Arrays adjoints = from_python(adjoints_and_arrays, kernel_.rows);
    require(adjoints.size() >= results() + needed.size(),
            "backward needs an adjoint for each result");
    const auto arrays_begin = adjoints.begin() + static_cast<ptrdiff_t>(results());
    Arrays arrays(std::make_move_iterator(arrays_begin), std::make_move_iterator(adjoints.end()));
    adjoints.resize(results());
    for (size_t k = 0; k < results(); ++k) need("the adjoint", adjoints[k], shapes_[k]);
    Call call{by_place(std::move(arrays)), settings_, saved_, std::move(adjoints), needed.at(0)};
    Arrays grads = kernel_.backward(call);
    saved_ = std::move(call.saved);
    Arrays wanted;
    wanted.reserve(grads.size());
    for (size_t i = 0, k = 0; k < needed.size(); ++i)
      if (given_[i] && needed[k++]) wanted.push_back(std::move(grads.at(i)));
    return to_python(wanted, adjoints_and_arrays[0]);
  }

 private:
  // Arrays that are not given have no data.
  Arrays by_place(Arrays arrays) const {
    Arrays all(given_.size());
    size_t next = 0;
    for (size_t i = 0; i < all.size(); ++i)
      if (given_[i]) all[i] = std::move(arrays.at(next++));
    return all;
  }

  const Kernel& kernel_;
  std::vector<bool> given_;
  std::vector<double> settings_;
  Arrays saved_;
  std::vector<Shape> shapes_;  // of the results
};

// What a dict has by a name; null if nothing. They are a few: to look at each costs less than to
// make a string of Python's for the name.
py::handle find(const py::dict& settings, const std::string& name) {
  PyObject *key = nullptr, *value = nullptr;
  for (Py_ssize_t at = 0; PyDict_Next(settings.ptr(), &at, &key, &value);)
    if (PyUnicode_CompareWithASCIIString(key, name.c_str()) == 0) return value;
  return {};
}

// The numbers of the settings, in the kernel's order: one, several in a tuple, or 0 for None.
// Returns false for settings that the kernel does not have, and for what is no number.
bool read_settings(const Kernel& kernel, const py::dict& settings, std::vector<double>* numbers) {
  const auto add = [numbers](py::handle number) {
    if (!number.is_none() && !PyNumber_Check(number.ptr())) return false;
    numbers->push_back(number.is_none() ? 0.0 : number.cast<double>());
    return true;
  };
  if (settings.size() != kernel.settings.size()) return false;
  for (const std::string& name : kernel.settings) {
    const py::handle value = find(settings, name);
    if (!value) return false;
    if (py::isinstance<py::tuple>(value)) {
      for (py::handle number : py::reinterpret_borrow<py::tuple>(value))
        if (!add(number)) return false;
    } else if (!add(value)) {
      return false;
    }
    if (kernel.always && name == kernel.always && numbers->back() == 0) return false;
  }
  return true;
}

// A call of the kernel, or None if it does not compute this.
py::object call_of(const Kernel& kernel, std::vector<bool> given, const py::dict& settings) {
  std::vector<double> numbers;
  if (!read_settings(kernel, settings, &numbers)) return py::none();
  if (kernel.arrays > 0) {
    if (given.size() > kernel.arrays) return py::none();
    given.resize(kernel.arrays, false);
  }
  return CallObject<LayerCall>::make(LayerCall(kernel, std::move(given), std::move(numbers)));
}

// Adds the kernel to `layers`: a function of a list and a dict, see ops_composite.py.
void add_layer(const py::dict& layers, const std::string& name, const Kernel& kernel) {
  constexpr auto call = [](PyObject* self, PyObject* const* given, Py_ssize_t count) -> PyObject* {
    try {
      if (count != 2 || !PyDict_Check(given[1]))
        throw py::type_error("a kernel takes a list, which Tensors are given, and a dict");
      const auto& own = *static_cast<const Kernel*>(PyCapsule_GetPointer(self, nullptr));
      const auto settings = py::reinterpret_borrow<py::dict>(given[1]);
      return call_of(own, truths(given[0]), settings).release().ptr();
    } catch (...) { return raise_in_python(); }
  };
  PyObject* (*const function)(PyObject*, PyObject* const*, Py_ssize_t) = call;
  // It lives as long as Python, and so do the kernels.
  auto* method = new PyMethodDef{
      name.c_str(), reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function)),
      METH_FASTCALL, nullptr};
  const py::capsule self(&kernel);
  layers[name.c_str()] = py::reinterpret_steal<py::object>(PyCFunction_New(method, self.ptr()));
}

// What an optimizer's step reads at most: parameters, gradients, two averages.
constexpr size_t kMostColumns = 4;

void need_columns(const std::vector<py::list>& columns, size_t averages) {
  require(columns.size() == 2 + averages, [&] {
    return "a step needs parameters, gradients and " + std::to_string(averages) +
           " averages of each";
  });
}

// One step of an optimizer on all its parameters. `columns` has the parameters, their gradients,
// and their averages, which change in place. Returns new arrays for the parameters. All of them are
// one job for the threads: one by one most are too small to be shared out. `one` makes a piece,
// from a pointer for each column, null behind the last.
template <class Step>
py::tuple step(const std::vector<py::list>& columns, Step one) {
  std::vector<Arrays> c;
  c.reserve(columns.size());
  for (const py::list& column : columns) c.push_back(from_python(column));
  struct Piece {
    size_t parameter, begin, size;
  };
  std::vector<Piece> pieces;
  Arrays results;
  results.reserve(c[0].size()), pieces.reserve(c[0].size());
  size_t work = 0;
  for (size_t i = 0; i < c[0].size(); ++i) {
    const size_t size = c[0][i].size();
    for (const Arrays& column : c)
      need("the gradient or an average of a parameter", column.at(i), c[0][i].shape);
    results.push_back(new_array_like(c[0][i]));
    for (size_t begin = 0; begin < size; begin += kGrain)
      pieces.push_back({i, begin, std::min(kGrain, size - begin)});
    work += size;
  }
  run_product(work, [&] {
    const size_t at_once = work <= kGrain ? pieces.size() : 1;
    parallel_for(pieces.size(), at_once, [&](size_t first, size_t last) {
      for (size_t k = first; k < last; ++k) {
        const Piece& piece = pieces[k];
        float* from[kMostColumns] = {};
        for (size_t j = 0; j < c.size(); ++j) from[j] = c[j][piece.parameter].ptr() + piece.begin;
        one(from, results[piece.parameter].ptr() + piece.begin, piece.size);
      }
    });
  });
  return to_python(results, columns[0][0]);
}

py::tuple sgd(std::vector<py::list> columns, float lr, float momentum, float weight_decay) {
  if (momentum == 0 && columns.size() > 2) columns.pop_back();  // an average has no use
  need_columns(columns, momentum == 0 ? 0 : 1);
  return step(columns, [&](float* const* from, float* out, size_t size) {
    SgdStep(from[0], from[1], from[2], out, size, {lr, momentum, weight_decay});
  });
}

// `t` is the number of this step, 1 for the first.
py::tuple adam(const std::vector<py::list>& columns, double lr, double beta1, double beta2,
               double eps, double weight_decay, double t) {
  const AdamSettings settings = {static_cast<float>(lr),
                                 static_cast<float>(beta1),
                                 static_cast<float>(beta2),
                                 static_cast<float>(eps),
                                 static_cast<float>(weight_decay),
                                 static_cast<float>(1 - std::pow(beta1, t)),
                                 static_cast<float>(1 - std::pow(beta2, t))};
  need_columns(columns, 2);
  return step(columns, [&](float* const* from, float* out, size_t size) {
    AdamStep(from[0], from[1], from[2], from[3], out, size, settings);
  });
}

}  // namespace

void bind(py::module_& m) {
  CallObject<LayerCall>::prepare("needle.LayerCall");
  py::dict layers;
  for (const auto& [name, kernel] : kernels) add_layer(layers, name, kernel);
  m.attr("layers") = layers;
  m.def("sgd_step", sgd, py::arg("columns"), py::kw_only(), py::arg("lr"), py::arg("momentum"),
        py::arg("weight_decay"));
  m.def("adam_step", adam, py::arg("columns"), py::kw_only(), py::arg("lr"), py::arg("beta1"),
        py::arg("beta2"), py::arg("eps"), py::arg("weight_decay"), py::arg("t"));
}

}  // namespace fused
}  // namespace cpu
}  // namespace needle
