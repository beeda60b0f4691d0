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
  float total = simd::sum(lanes);
  for (; i < n; ++i) total += term.one(i);
  return total;
}

// The larger of two, lane by lane; the first where the second is NaN.
struct Larger {
  float operator()(float a, float b) const { return b > a ? b : a; }
  simd::Vec operator()(simd::Vec a, simd::Vec b) const { return simd::select(b > a, b, a); }
};

// The largest of n > 0 numbers; a NaN among them does not count.
inline float max_over(size_t n, const float* x) {
  float peak = x[0];
  size_t i = 0;
  if (n >= simd::kWidth) {
    simd::Vec lanes = simd::load(x);
    for (; i + simd::kWidth <= n; i += simd::kWidth) lanes = Larger()(lanes, simd::load(x + i));
    peak = simd::fold(lanes, peak, Larger());
  }
  for (; i < n; ++i) peak = Larger()(peak, x[i]);
  return peak;
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

// Mean of log-sum-exp minus the logit of the true class. `lse` keeps each row's log-sum-exp, and
// `dlogits` the adjoint of the logits where that of the loss is 1: each exp serves both, and a row
// is in the cache.
void SoftmaxLoss(const float* logits, const float* classes, float* loss, float* lse, float* dlogits,
                 size_t rows, size_t columns);
void SoftmaxLossBackward(const float* logits, const float* classes, const float* lse, float g,
                         float* dlogits, size_t rows, size_t columns);

// Vectors of a table by index, and the adjoint: each index's vector is added up.
void Gather(const float* table, const float* ids, float* out, size_t count, size_t width);
void ScatterAdd(const float* g, const float* ids, float* dtable, size_t count, size_t width,
                size_t table_size);

// Each of `rows` over its `width` features; `stats` keeps mean and 1/deviation of each row.
void LayerNorm(const float* x, const float* w, const float* b, float* y, float* stats, size_t rows,
               size_t width, float eps);
struct NormGradients {
  float *x, *w, *b;
};
void LayerNormBackward(const float* x, const float* w, const float* stats, const float* g,
                       const NormGradients& d, size_t rows, size_t width);

// Each of C channels of (N, C, S) over batch and space; `mean` and `var` (biased) are kept.
struct BatchNormShape {
  size_t N, C, S;
  float eps;
};
void BatchNorm(const float* x, const float* w, const float* b, float* y, float* mean, float* var,
               const BatchNormShape& s);
void BatchNormBackward(const float* x, const float* w, const float* mean, const float* var,
                       const float* g, const NormGradients& d, const BatchNormShape& s);

// Images (N, C, H, W), kernel (K, K, C, O), result (N, O, h, w).
struct ConvShape {
  size_t N, C, H, W, K, O, stride, padding, h, w;
};
void Conv(const float* x, const float* w, const float* bias, float* y, const ConvShape& s);
void ConvBackward(const float* x, const float* w, const float* g, float* dx, float* dw, float* db,
                  const ConvShape& s);

// A layer of LSTM over T steps.
struct LstmShape {
  size_t T, B, I, H;
};
struct LstmInput {  // x (T, B, I), h0 and c0 (B, H), weights (I, 4H), (H, 4H), biases (4H) or null
  const float *x, *h0, *c0, *W_ih, *W_hh, *b_ih, *b_hh;
};
struct LstmSteps {  // what each step made: out and cells (T, B, H); gates i, f, g, o (T, B, 4H)
  float *out, *gates, *cells;
};
struct LstmAdjoints {  // of out, and of h and c after the last step
  const float *out, *h, *c;
};
struct LstmGradients {  // x and b may be null
  float *x, *h0, *c0, *W_ih, *W_hh, *b;
};
void Lstm(const LstmInput& in, const LstmSteps& made, const LstmShape& s);
void LstmBackward(const LstmInput& in, const LstmSteps& made, const LstmAdjoints& g,
                  const LstmGradients& d, const LstmShape& s);

// Where the matrices of an array (B, H, rows, columns) lie; the numbers of a row are side by side.
struct Heads {
  float* data;
  ptrdiff_t batch, head, row;  // from one to the next

  float* at(size_t b, size_t h) const {
    return data + static_cast<ptrdiff_t>(b) * batch + static_cast<ptrdiff_t>(h) * head;
  }
};

// B times H independent heads: q (T, D), k and v (S, D), probs (T, S), these in one piece.
struct AttentionShape {
  size_t B, H, T, S, D;
  bool causal;
};
struct AttentionArrays {  // the inputs, or their gradients
  Heads q, k, v;
};
void Attention(const AttentionArrays& in, const Heads& out, float* probs, const AttentionShape& s);
void AttentionBackward(const AttentionArrays& in, const float* probs, const Heads& dout,
                       const Heads& dprobs, const AttentionArrays& d, const AttentionShape& s);

// One step of an optimizer on a piece of a parameter; `out` is the new piece, u, m, v change in
// place.
struct SgdSettings {
  float lr, momentum, weight_decay;
};
void SgdStep(const float* p, const float* g, float* u, float* out, size_t size,
             const SgdSettings& settings);
struct AdamSettings {
  float lr, beta1, beta2, eps, weight_decay, correction1, correction2;
};
void AdamStep(const float* p, const float* g, float* m, float* v, float* out, size_t size,
              const AdamSettings& settings);

}  // namespace fused
}  // namespace cpu
}  // namespace needle
