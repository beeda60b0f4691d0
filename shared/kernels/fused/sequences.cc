// A layer of LSTM over a whole sequence, and attention head by head.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "fused.h"

namespace needle {
namespace cpu {
namespace fused {

using simd::kWidth;
using simd::Vec;

namespace {

Vec sigmoid(Vec x) { return 1.0f / (1.0f + simd::exp(simd::splat(0.0f) - x)); }

// f on whole Vecs, also on a last incomplete one: `rows` pointers are read and written.
template <size_t reads, size_t writes, class F>
void for_lanes(size_t n, const float* const (&from)[reads], float* const (&to)[writes], F f) {
  for (size_t i = 0; i < n; i += kWidth) {
    const size_t lanes = std::min(kWidth, n - i);
    Vec in[reads], out[writes];
    float buffer[kWidth] = {};
    for (size_t k = 0; k < reads; ++k) {
      if (lanes == kWidth) {
        in[k] = simd::load(from[k] + i);
      } else {
        std::memcpy(buffer, from[k] + i, lanes * sizeof(float));
        in[k] = simd::load(buffer);
      }
    }
    f(in, out);
    for (size_t k = 0; k < writes; ++k) {
      simd::store(buffer, out[k]);
      std::memcpy(to[k] + i, buffer, lanes * sizeof(float));
    }
  }
}

}  // namespace

void Lstm(const LstmInput& in, const LstmSteps& made, const LstmShape& s) {
  const size_t H = s.H, width = 4 * H;
  multiply(row_major(in.x, s.I), row_major(in.W_ih, width), made.gates, s.T * s.B, s.I, width);
  std::vector<float> bias(width, 0.0f), recurrent(s.B * width);
  if (in.b_ih != nullptr)
    for (size_t j = 0; j < width; ++j) bias[j] = in.b_ih[j] + in.b_hh[j];
  for (size_t t = 0; t < s.T; ++t) {
    const float* h = t == 0 ? in.h0 : made.out + (t - 1) * s.B * H;
    const float* c = t == 0 ? in.c0 : made.cells + (t - 1) * s.B * H;
    multiply(row_major(h, H), row_major(in.W_hh, width), recurrent.data(), s.B, H, width);
    parallel_for(s.B, std::max<size_t>(1, 4096 / H), [&](size_t begin, size_t end) {
      for (size_t b = begin; b < end; ++b) {
        float* z = made.gates + (t * s.B + b) * width;
        const float* r = recurrent.data() + b * width;
        for (size_t j = 0; j < width; ++j) z[j] += r[j] + bias[j];
        for_lanes<5, 6>(H, {z, z + H, z + 2 * H, z + 3 * H, c + b * H},
                        {z, z + H, z + 2 * H, z + 3 * H, made.cells + (t * s.B + b) * H,
                         made.out + (t * s.B + b) * H},
                        [](const Vec* v, Vec* result) {
                          const Vec i = sigmoid(v[0]), f = sigmoid(v[1]), o = sigmoid(v[3]);
                          const Vec g = simd::tanh(v[2]), next = f * v[4] + i * g;
                          result[0] = i, result[1] = f, result[2] = g, result[3] = o;
                          result[4] = next, result[5] = o * simd::tanh(next);
                        });
      }
    });
  }
}

void LstmBackward(const LstmInput& in, const LstmSteps& made, const LstmAdjoints& g,
                  const LstmGradients& d, const LstmShape& s) {
  const size_t H = s.H, width = 4 * H, step = s.B * H;
  std::vector<float> turned(width * H);  // W_hh transposed, once for all steps
  for (size_t i = 0; i < H; ++i)
    for (size_t j = 0; j < width; ++j) turned[j * H + i] = in.W_hh[i * width + j];
  AlignedArray adjoints(s.T * s.B * width);  // of the gates before their functions
  std::memcpy(d.h0, g.h, step * sizeof(float));
  std::memcpy(d.c0, g.c, step * sizeof(float));
  for (size_t t = s.T; t-- > 0;) {
    const float* c = t == 0 ? in.c0 : made.cells + (t - 1) * step;
    parallel_for(s.B, std::max<size_t>(1, 4096 / H), [&](size_t begin, size_t end) {
      for (size_t b = begin; b < end; ++b) {
        const float* z = made.gates + (t * s.B + b) * width;
        float* a = adjoints.ptr + (t * s.B + b) * width;
        for_lanes<9, 5>(H,
                        {z, z + H, z + 2 * H, z + 3 * H, c + b * H, made.cells + t * step + b * H,
                         g.out + t * step + b * H, d.h0 + b * H, d.c0 + b * H},
                        {a, a + H, a + 2 * H, a + 3 * H, d.c0 + b * H},
                        [](const Vec* v, Vec* result) {
                          const Vec i = v[0], f = v[1], g = v[2], o = v[3], bent = simd::tanh(v[5]);
                          const Vec up = v[6] + v[7];
                          const Vec down = v[8] + up * o * (1.0f - bent * bent);
                          result[0] = down * g * i * (1.0f - i);
                          result[1] = down * v[4] * f * (1.0f - f);
                          result[2] = down * i * (1.0f - g * g);
                          result[3] = up * bent * o * (1.0f - o);
                          result[4] = down * f;
                        });
      }
    });
    multiply(row_major(adjoints.ptr + t * s.B * width, width), row_major(turned.data(), H), d.h0,
             s.B, width, H);
  }
  const size_t rows = s.T * s.B;
  if (d.x != nullptr)
    multiply(row_major(adjoints.ptr, width), transposed(in.W_ih, width), d.x, rows, width, s.I);
  multiply(transposed(in.x, s.I), row_major(adjoints.ptr, width), d.W_ih, s.I, rows, width);
  multiply(transposed(in.h0, H), row_major(adjoints.ptr, width), d.W_hh, H, s.B, width);
  if (s.T > 1) {
    AlignedArray later(H * width);
    multiply(transposed(made.out, H), row_major(adjoints.ptr + s.B * width, width), later.ptr, H,
             rows - s.B, width);
    for (size_t i = 0; i < H * width; ++i) d.W_hh[i] += later.ptr[i];
  }
  if (d.b != nullptr) SumRows(adjoints.ptr, d.b, rows, width);
}

// ------------------------------------------------------------------------------------- attention

void Attention(const AttentionInput& in, float* out, float* probs, const AttentionShape& s) {
  const float scale = 1 / std::sqrt(static_cast<float>(s.D));
  parallel_for(s.heads, 1, [&](size_t begin, size_t end) {
    for (size_t head = begin; head < end; ++head) {
      const size_t queries = head * s.T * s.D, keys = head * s.S * s.D;
      float* p = probs + head * s.T * s.S;
      multiply(row_major(in.q + queries, s.D), transposed(in.k + keys, s.D), p, s.T, s.D, s.S);
      for (size_t i = 0; i < s.T; ++i) {
        float* row = p + i * s.S;
        // Query i may look at keys up to i + S - T; a query that may look at none looks at all.
        const size_t reach = i + s.S + 1 > s.T ? i + s.S + 1 - s.T : s.S;
        const size_t seen = s.causal ? std::min(s.S, reach) : s.S;
        const bool none = s.causal && i + s.S + 1 <= s.T;
        float peak = -std::numeric_limits<float>::infinity();
        for (size_t j = 0; j < seen; ++j) peak = row[j] > peak ? row[j] : peak;
        peak = simd::finite(peak);
        const float factor = none ? 0.0f : scale;
        for_lanes<1, 1>(seen, {row}, {row}, [&](const Vec* v, Vec* result) {
          result[0] = simd::exp(simd::minimum(v[0] - peak, simd::splat(0.0f)) * factor);
        });
        const float total = sum_over(seen, Sum{row});
        // Scores that are all -inf look at nothing: zeros, and not 0 / 0.
        for (size_t j = 0; j < seen && total > 0; ++j) row[j] /= total;
        std::fill(row + seen, row + s.S, 0.0f);
      }
      multiply(row_major(p, s.S), row_major(in.v + keys, s.D), out + queries, s.T, s.S, s.D);
    }
  });
}

void AttentionBackward(const AttentionInput& in, const float* probs, const float* dout,
                       const float* dprobs, const AttentionGradients& d, const AttentionShape& s) {
  const float scale = 1 / std::sqrt(static_cast<float>(s.D));
  parallel_for(s.heads, 1, [&](size_t begin, size_t end) {
    std::vector<float> adjoint(s.T * s.S);
    for (size_t head = begin; head < end; ++head) {
      const size_t queries = head * s.T * s.D, keys = head * s.S * s.D, table = head * s.T * s.S;
      const float* p = probs + table;
      multiply(row_major(dout + queries, s.D), transposed(in.v + keys, s.D), adjoint.data(), s.T,
               s.D, s.S);
      for (size_t i = 0; i < s.T; ++i) {
        float* row = adjoint.data() + i * s.S;
        for (size_t j = 0; j < s.S; ++j) row[j] += dprobs[table + i * s.S + j];
        const float along = sum_over(s.S, Product{row, p + i * s.S});
        for (size_t j = 0; j < s.S; ++j) row[j] = p[i * s.S + j] * (row[j] - along) * scale;
      }
      multiply(row_major(adjoint.data(), s.S), row_major(in.k + keys, s.D), d.q + queries, s.T, s.S,
               s.D);
      multiply(transposed(adjoint.data(), s.S), row_major(in.q + queries, s.D), d.k + keys, s.S,
               s.T, s.D);
      multiply(transposed(p, s.S), row_major(dout + queries, s.D), d.v + keys, s.S, s.T, s.D);
    }
  });
}

}  // namespace fused
}  // namespace cpu
}  // namespace needle
