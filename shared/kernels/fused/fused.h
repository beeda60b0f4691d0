// Fused kernels: whole layers of homework 2 and 4 in one or two passes over memory.
//
// Nobody has to write or use them. They compute what the layers compute operator by operator, and
// are tested against that. Arrays are compact (row-major) float32; sizes have been checked. Where
// partial sums of several threads are added, the split is fixed, so that results repeat exactly.
#pragma once

#include <cstddef>
#include <vector>

#include "../aligned_array.h"
#include "../parallel.h"
#include "../vmath.h"

namespace needle {
namespace cpu {
namespace fused {

// Sums over a piece of memory, several lanes at a time.
template <class F>
inline float sum_over(size_t n, F term) {
  simd::Vec lanes = simd::splat(0.0f);
  size_t i = 0;
  for (; i + simd::kWidth <= n; i += simd::kWidth) lanes = lanes + term.vec(i);
  float parts[simd::kWidth], total = 0;
  simd::store(parts, lanes);
  for (float part : parts) total += part;
  for (; i < n; ++i) total += term.one(i);
  return total;
}

struct Sum {  // x[i]
  const float* x;
  simd::Vec vec(size_t i) const { return simd::load(x + i); }
  float one(size_t i) const { return x[i]; }
};

struct Squares {  // (x[i] - mean)^2
  const float* x;
  float mean;
  simd::Vec vec(size_t i) const {
    const simd::Vec d = simd::load(x + i) - mean;
    return d * d;
  }
  float one(size_t i) const { return (x[i] - mean) * (x[i] - mean); }
};

struct Product {  // x[i] * y[i]
  const float *x, *y;
  simd::Vec vec(size_t i) const { return simd::load(x + i) * simd::load(y + i); }
  float one(size_t i) const { return x[i] * y[i]; }
};

// Calls body(part, begin, end) for `thread_count()` fixed parts of 0..count.
template <class Body>
void for_parts(size_t count, Body body) {
  const size_t parts = thread_count(), size = (count + parts - 1) / parts;
  parallel_for(parts, 1, [&](size_t first, size_t last) {
    for (size_t part = first; part < last; ++part) {
      const size_t begin = part * size < count ? part * size : count;
      const size_t end = begin + size < count ? begin + size : count;
      body(part, begin, end);
    }
  });
}

// Linear layers one after the other, (rows, in) -> (rows, out), each perhaps with bias and ReLU.
struct LinearLayer {
  const float *w, *b;  // (in, out), (out) or null
  float* y;            // (rows, out)
  size_t in, out;
  bool relu;
};
struct LinearGradient {
  float *w, *b;
};
void Mlp(const float* x, size_t rows, const std::vector<LinearLayer>& layers);
void MlpBackward(const float* x, size_t rows, const std::vector<LinearLayer>& layers,
                 const float* g, float* dx, const std::vector<LinearGradient>& gradients);

// rows x columns: sums the rows of g.
void SumRows(const float* g, float* out, size_t rows, size_t columns);

void Relu(const float* x, float* y, size_t size);
void ReluBackward(const float* y, const float* g, float* dx, size_t size);

// Mean of log-sum-exp minus the logit of the true class; `lse` keeps each row's log-sum-exp.
void SoftmaxLoss(const float* logits, const float* classes, float* loss, float* lse, size_t rows,
                 size_t columns);
void SoftmaxLossBackward(const float* logits, const float* classes, const float* lse, float g,
                         float* dlogits, size_t rows, size_t columns);

// Vectors of a table by index, and the adjoint: each index's vector is added up.
void Gather(const float* table, const float* ids, float* out, size_t count, size_t width);
void ScatterAdd(const float* g, const float* ids, float* dtable, size_t count, size_t width,
                size_t table_size);

// Each of `rows` over its `width` features; `stats` keeps mean and 1/deviation of each row.
void LayerNorm(const float* x, const float* w, const float* b, float* y, float* stats, size_t rows,
               size_t width, float eps);
void LayerNormBackward(const float* x, const float* w, const float* stats, const float* g,
                       float* dx, float* dw, float* db, size_t rows, size_t width);

// Each of C channels of (N, C, S) over batch and space; `mean` and `var` (biased) are kept.
void BatchNorm(const float* x, const float* w, const float* b, float* y, float* mean, float* var,
               size_t N, size_t C, size_t S, float eps);
void BatchNormBackward(const float* x, const float* w, const float* mean, const float* var,
                       const float* g, float* dx, float* dw, float* db, size_t N, size_t C,
                       size_t S, float eps);

// Images (N, C, H, W), kernel (K, K, C, O), result (N, O, h, w).
struct ConvShape {
  size_t N, C, H, W, K, O, stride, padding, h, w;
};
void Conv(const float* x, const float* w, const float* bias, float* y, const ConvShape& s);
void ConvBackward(const float* x, const float* w, const float* g, float* dx, float* dw, float* db,
                  const ConvShape& s);

// A layer of LSTM over T steps. `gates` (T, B, 4H) keeps i, f, g, o; `cells` (T, B, H) keeps c.
struct LstmShape {
  size_t T, B, I, H;
};
void Lstm(const float* x, const float* h0, const float* c0, const float* W_ih, const float* W_hh,
          const float* b_ih, const float* b_hh, float* out, float* gates, float* cells,
          const LstmShape& s);
struct LstmGradients {
  float *x, *h0, *c0, *W_ih, *W_hh, *b;
};
void LstmBackward(const float* x, const float* h0, const float* c0, const float* W_ih,
                  const float* W_hh, const float* out, const float* gates, const float* cells,
                  const float* dout, const float* dh, const float* dc, const LstmGradients& d,
                  const LstmShape& s);

// `heads` independent heads (batch times heads): q (T, D), k and v (S, D), probs (T, S).
struct AttentionShape {
  size_t heads, T, S, D;
  bool causal;
};
void Attention(const float* q, const float* k, const float* v, float* out, float* probs,
               const AttentionShape& s);
void AttentionBackward(const float* q, const float* k, const float* v, const float* probs,
                       const float* dout, const float* dprobs, float* dq, float* dk, float* dv,
                       const AttentionShape& s);

// One step of an optimizer on one parameter; `out` is the new parameter, u, m, v change in place.
void SgdStep(const float* p, const float* g, float* u, float* out, size_t size, float lr,
             float momentum, float weight_decay);
struct AdamSettings {
  float lr, beta1, beta2, eps, weight_decay, correction1, correction2;
};
void AdamStep(const float* p, const float* g, float* m, float* v, float* out, size_t size,
              const AdamSettings& settings);

}  // namespace fused
}  // namespace cpu
}  // namespace needle
