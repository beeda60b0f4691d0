#include "bindings.h"

#include <optional>

#include "../ndarray_backend_cpu.h"
#include "../ndarray_bindings.h"
#include "fused.h"

namespace needle {
namespace cpu {
namespace fused {

namespace {

using Array = Ref<AlignedArray>;
using Maybe = std::optional<Array>;

float* pointer(const Maybe& array) { return array ? (*array)->ptr : nullptr; }

// `name` is given `array` of at least `size` elements, or raises.
void need(const char* name, const Array& array, size_t size) {
  require(array->size == size, std::string(name) + ": an array of " + std::to_string(array->size) +
                                   " elements, expected " + std::to_string(size));
}

// Every id is a row of a table of `rows` rows.
void need_ids(const char* name, const Array& ids, size_t rows) {
  for (size_t i = 0; i < ids->size; ++i) {
    const float id = ids->ptr[i];
    if (!(id >= 0 && id < static_cast<float>(rows)))
      throw std::out_of_range(std::string(name) + ": class or word id " + std::to_string(id) +
                              " is outside 0 to " + std::to_string(rows - 1));
  }
}

std::vector<LinearLayer> linear_layers(const Array& x, const std::vector<Array>& w,
                                       const std::vector<Maybe>& b, const std::vector<bool>& relu,
                                       const std::vector<Array>& y, size_t rows) {
  require(!w.empty() && rows > 0, "fused_mlp: no layers or no rows");
  std::vector<LinearLayer> layers(w.size());
  size_t in = x->size / rows;
  need("fused_mlp", x, rows * in);
  for (size_t k = 0; k < w.size(); ++k) {
    const size_t out = y.at(k)->size / rows;
    need("fused_mlp", w[k], in * out), need("fused_mlp", y[k], rows * out);
    if (b.at(k)) need("fused_mlp", *b[k], out);
    layers[k] = {w[k]->ptr, pointer(b[k]), y[k]->ptr, in, out, relu.at(k)};
    in = out;
  }
  return layers;
}

ConvShape conv_shape(const std::vector<size_t>& n, const Array& x, const Array& w, size_t out) {
  ConvShape s{n.at(0), n.at(1), n.at(2), n.at(3), n.at(4), n.at(5), n.at(6), n.at(7), 0, 0};
  require(s.N > 0 && s.K > 0 && s.stride > 0 && s.H + 2 * s.padding >= s.K &&
              s.W + 2 * s.padding >= s.K,
          "fused_conv: the kernel is larger than the padded images");
  s.h = (s.H + 2 * s.padding - s.K) / s.stride + 1;
  s.w = (s.W + 2 * s.padding - s.K) / s.stride + 1;
  need("fused_conv", x, s.N * s.C * s.H * s.W);
  need("fused_conv", w, s.K * s.K * s.C * s.O);
  require(out == s.N * s.O * s.h * s.w, "fused_conv: wrong size of the result");
  return s;
}

void bind_rows(py::module_& m) {
  m.def("fused_mlp", [](Array x, const std::vector<Array>& w, const std::vector<Maybe>& b,
                        const std::vector<bool>& relu, const std::vector<Array>& y, size_t rows) {
    const auto layers = linear_layers(x, w, b, relu, y, rows);
    run_kernel(x->size * layers[0].out * layers.size(), [&] { Mlp(x->ptr, rows, layers); });
  });
  m.def("fused_mlp_backward", [](Array x, const std::vector<Array>& w, const std::vector<Maybe>& b,
                                 const std::vector<bool>& relu, const std::vector<Array>& y,
                                 size_t rows, Array g, Maybe dx, const std::vector<Array>& dw,
                                 const std::vector<Maybe>& db) {
    const auto layers = linear_layers(x, w, b, relu, y, rows);
    std::vector<LinearGradient> gradients(layers.size());
    for (size_t k = 0; k < layers.size(); ++k) {
      need("fused_mlp", dw.at(k), w[k]->size);
      if (db.at(k)) need("fused_mlp", *db[k], layers[k].out);
      gradients[k] = {dw[k]->ptr, pointer(db[k])};
    }
    need("fused_mlp", g, rows * layers.back().out);
    if (dx) need("fused_mlp", *dx, x->size);
    run_kernel(x->size * layers[0].out * layers.size(),
               [&] { MlpBackward(x->ptr, rows, layers, g->ptr, pointer(dx), gradients); });
  });
  m.def("fused_relu_backward", [](Array y, Array g, Array dx) {
    need("fused_relu", g, y->size), need("fused_relu", dx, y->size);
    run_kernel(y->size, [&] { ReluBackward(y->ptr, g->ptr, dx->ptr, y->size); });
  });
  m.def("fused_softmax_loss", [](Array logits, Array classes, Array loss, Array lse) {
    const size_t rows = classes->size, columns = rows > 0 ? logits->size / rows : 0;
    require(columns > 0, "fused_softmax_loss: no samples");
    need("fused_softmax_loss", logits, rows * columns), need("fused_softmax_loss", lse, rows);
    need_ids("SoftmaxLoss", classes, columns);
    run_kernel(logits->size, [&] {
      SoftmaxLoss(logits->ptr, classes->ptr, loss->ptr, lse->ptr, rows, columns);
    });
  });
  m.def("fused_softmax_loss_backward",
        [](Array logits, Array classes, Array lse, Array g, Array dlogits) {
          const size_t rows = classes->size, columns = logits->size / rows;
          need("fused_softmax_loss", dlogits, rows * columns), need("fused_softmax_loss", g, 1);
          run_kernel(logits->size, [&] {
            SoftmaxLossBackward(logits->ptr, classes->ptr, lse->ptr, g->ptr[0], dlogits->ptr, rows,
                                columns);
          });
        });
  m.def("fused_gather", [](Array table, Array ids, Array out, size_t width) {
    need("fused_gather", out, ids->size * width);
    need_ids("Embedding", ids, table->size / width);
    Gather(table->ptr, ids->ptr, out->ptr, ids->size, width);
  });
  m.def("fused_scatter_add", [](Array g, Array ids, Array dtable, size_t width) {
    need("fused_scatter_add", g, ids->size * width);
    need_ids("Embedding", ids, dtable->size / width);
    run_kernel(dtable->size, [&] {
      ScatterAdd(g->ptr, ids->ptr, dtable->ptr, ids->size, width, dtable->size);
    });
  });
  m.def("fused_layer_norm", [](Array x, Array w, Array b, Array y, Array stats, float eps) {
    const size_t width = w->size, rows = x->size / width;
    need("fused_layer_norm", x, rows * width), need("fused_layer_norm", b, width);
    need("fused_layer_norm", y, x->size), need("fused_layer_norm", stats, 2 * rows);
    run_kernel(x->size,
               [&] { LayerNorm(x->ptr, w->ptr, b->ptr, y->ptr, stats->ptr, rows, width, eps); });
  });
  m.def("fused_layer_norm_backward",
        [](Array x, Array w, Array stats, Array g, Array dx, Array dw, Array db) {
          const size_t width = w->size, rows = x->size / width;
          need("fused_layer_norm", g, x->size), need("fused_layer_norm", dx, x->size);
          need("fused_layer_norm", dw, width), need("fused_layer_norm", db, width);
          need("fused_layer_norm", stats, 2 * rows);
          run_kernel(x->size, [&] {
            LayerNormBackward(x->ptr, w->ptr, stats->ptr, g->ptr, dx->ptr, dw->ptr, db->ptr, rows,
                              width);
          });
        });
}

void bind_images(py::module_& m) {
  m.def("fused_conv",
        [](Array x, Array w, Maybe bias, Array y, const std::vector<size_t>& sizes) {
          const ConvShape s = conv_shape(sizes, x, w, y->size);
          if (bias) need("fused_conv", *bias, s.O);
          run_kernel(y->size * s.K * s.K * s.C,
                     [&] { Conv(x->ptr, w->ptr, pointer(bias), y->ptr, s); });
        });
  m.def("fused_conv_backward", [](Array x, Array w, Array g, Maybe dx, Array dw, Array db,
                                  const std::vector<size_t>& sizes) {
    const ConvShape s = conv_shape(sizes, x, w, g->size);
    need("fused_conv", dw, w->size), need("fused_conv", db, s.O);
    if (dx) need("fused_conv", *dx, x->size);
    run_kernel(g->size * s.K * s.K * s.C, [&] {
      ConvBackward(x->ptr, w->ptr, g->ptr, pointer(dx), dw->ptr, db->ptr, s);
    });
  });
  m.def("fused_batch_norm", [](Array x, Array w, Array b, Array y, Array mean, Array var, size_t N,
                               size_t S, float eps) {
    const size_t C = w->size;
    require(N * S > 0, "fused_batch_norm: no samples");
    need("fused_batch_norm", x, N * C * S), need("fused_batch_norm", y, x->size);
    for (const Array& a : {b, mean, var}) need("fused_batch_norm", a, C);
    run_kernel(x->size, [&] {
      BatchNorm(x->ptr, w->ptr, b->ptr, y->ptr, mean->ptr, var->ptr, N, C, S, eps);
    });
  });
  m.def("fused_batch_norm_backward", [](Array x, Array w, Array mean, Array var, Array g, Array dx,
                                        Array dw, Array db, size_t N, size_t S, float eps) {
    const size_t C = w->size;
    for (const Array& a : {x, g, dx}) need("fused_batch_norm", a, N * C * S);
    for (const Array& a : {mean, var, dw, db}) need("fused_batch_norm", a, C);
    run_kernel(x->size, [&] {
      BatchNormBackward(x->ptr, w->ptr, mean->ptr, var->ptr, g->ptr, dx->ptr, dw->ptr, db->ptr, N,
                        C, S, eps);
    });
  });
}

void bind_sequences(py::module_& m) {
  m.def("fused_lstm", [](Array x, Array h0, Array c0, Array W_ih, Array W_hh, Maybe b_ih,
                         Maybe b_hh, Array out, Array gates, Array cells, size_t T, size_t B) {
    const LstmShape s{T, B, x->size / (T * B), h0->size / B};
    const char* name = "fused_lstm";
    need(name, x, T * B * s.I), need(name, h0, B * s.H), need(name, c0, B * s.H);
    need(name, W_ih, s.I * 4 * s.H), need(name, W_hh, s.H * 4 * s.H);
    if (b_ih) need(name, *b_ih, 4 * s.H), need(name, b_hh.value(), 4 * s.H);
    need(name, out, T * B * s.H), need(name, cells, out->size), need(name, gates, 4 * out->size);
    run_kernel(gates->size * (s.I + s.H), [&] {
      Lstm(x->ptr, h0->ptr, c0->ptr, W_ih->ptr, W_hh->ptr, pointer(b_ih), pointer(b_hh), out->ptr,
           gates->ptr, cells->ptr, s);
    });
  });
  m.def("fused_lstm_backward",
        [](Array x, Array h0, Array c0, Array W_ih, Array W_hh, Array out, Array gates, Array cells,
           Array dout, Array dh, Array dc, Maybe dx, Array dh0, Array dc0, Array dW_ih,
           Array dW_hh, Maybe db, size_t T, size_t B) {
          const LstmShape s{T, B, x->size / (T * B), h0->size / B};
          const char* name = "fused_lstm";
          for (const Array& a : {dout, out, cells}) need(name, a, T * B * s.H);
          for (const Array& a : {dh, dc, dh0, dc0, c0}) need(name, a, B * s.H);
          need(name, dW_ih, W_ih->size), need(name, dW_hh, W_hh->size);
          need(name, gates, 4 * out->size);
          if (dx) need(name, *dx, x->size);
          if (db) need(name, *db, 4 * s.H);
          run_kernel(gates->size * (s.I + s.H), [&] {
            LstmBackward(x->ptr, h0->ptr, c0->ptr, W_ih->ptr, W_hh->ptr, out->ptr, gates->ptr,
                         cells->ptr, dout->ptr, dh->ptr, dc->ptr,
                         {pointer(dx), dh0->ptr, dc0->ptr, dW_ih->ptr, dW_hh->ptr, pointer(db)}, s);
          });
        });
  m.def("fused_attention", [](Array q, Array k, Array v, Array out, Array probs, size_t heads,
                              size_t T, size_t S, bool causal) {
    const AttentionShape s{heads, T, S, q->size / (heads * T), causal};
    const char* name = "fused_attention";
    need(name, q, heads * T * s.D), need(name, k, heads * S * s.D), need(name, v, k->size);
    need(name, out, q->size), need(name, probs, heads * T * S);
    run_kernel(probs->size * s.D,
               [&] { Attention(q->ptr, k->ptr, v->ptr, out->ptr, probs->ptr, s); });
  });
  m.def("fused_attention_backward",
        [](Array q, Array k, Array v, Array probs, Array dout, Array dprobs, Array dq, Array dk,
           Array dv, size_t heads, size_t T, size_t S) {
          const AttentionShape s{heads, T, S, q->size / (heads * T), false};
          const char* name = "fused_attention";
          for (const Array& a : {q, dq, dout}) need(name, a, heads * T * s.D);
          for (const Array& a : {k, v, dk, dv}) need(name, a, heads * S * s.D);
          for (const Array& a : {probs, dprobs}) need(name, a, heads * T * S);
          run_kernel(probs->size * s.D, [&] {
            AttentionBackward(q->ptr, k->ptr, v->ptr, probs->ptr, dout->ptr, dprobs->ptr, dq->ptr,
                              dk->ptr, dv->ptr, s);
          });
        });
}

void bind_optimizers(py::module_& m) {
  m.def("fused_sgd", [](Array p, Array g, Maybe u, Array out, float lr, float momentum,
                        float weight_decay) {
    need("fused_sgd", g, p->size), need("fused_sgd", out, p->size);
    if (u) need("fused_sgd", *u, p->size);
    run_kernel(p->size, [&] {
      SgdStep(p->ptr, g->ptr, pointer(u), out->ptr, p->size, lr, momentum, weight_decay);
    });
  });
  m.def("fused_adam", [](Array p, Array g, Array mean, Array square, Array out, float lr,
                         float beta1, float beta2, float eps, float weight_decay,
                         float correction1, float correction2) {
    for (const Array& a : {g, mean, square, out}) need("fused_adam", a, p->size);
    run_kernel(p->size, [&] {
      AdamStep(p->ptr, g->ptr, mean->ptr, square->ptr, out->ptr, p->size,
               {lr, beta1, beta2, eps, weight_decay, correction1, correction2});
    });
  });
}

}  // namespace

void bind(py::module_& m) {
  bind_rows(m);
  bind_images(m);
  bind_sequences(m);
  bind_optimizers(m);
}

}  // namespace fused
}  // namespace cpu
}  // namespace needle
