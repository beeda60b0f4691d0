// A layer of LSTM over a whole sequence, and attention head by head.
#include <algorithm>
#include <cmath>
#include <cstring>

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
      if (lanes == kWidth) {
        simd::store(to[k] + i, out[k]);
      } else {
        simd::store(buffer, out[k]);
        std::memcpy(to[k] + i, buffer, lanes * sizeof(float));
      }
    }
  }
}

}  // namespace

namespace {

// Hidden units are computed in blocks. A thread has the same blocks at every step, and for each the
// weights that lead to its units, copied together once for the whole sequence: they stay in the
// thread's cache, and the threads meet once a step.
constexpr size_t kUnits = 32;

struct Units {
  size_t first, count;
};

// Calls body(units) for each block of H hidden units, of which each costs `work` multiplications.
template <class Body>
void for_units(size_t H, size_t work, Body body) {
  const size_t blocks = (H + kUnits - 1) / kUnits;
  const size_t parts = std::min({thread_count(), blocks, 1 + H * work / (8 * kGrain)});
  parallel_for(parts, 1, [&](size_t begin, size_t end) {
    for (size_t i = begin * blocks / parts; i < end * blocks / parts; ++i)
      body(Units{i * kUnits, std::min(kUnits, H - i * kUnits)});
  });
}

// Copies a view of `rows` by `columns` to row-major order.
void copy_matrix(MatrixView from, float* to, size_t rows, size_t columns) {
  for (size_t i = 0; i < rows; ++i)
    for (size_t j = 0; j < columns; ++j) to[i * columns + j] = from(i, j);
}

}  // namespace

void Lstm(const LstmInput& in, const LstmSteps& made, const LstmShape& s) {
  const size_t H = s.H, width = 4 * H, step = s.B * H, work = 4 * step;
  multiply(row_major(in.x, s.I), row_major(in.W_ih, width), made.gates, s.T * s.B, s.I, width);
  std::vector<float> bias(width, 0.0f);
  if (in.b_ih != nullptr)
    for (size_t j = 0; j < width; ++j) bias[j] = in.b_ih[j] + in.b_hh[j];
  AlignedArray weights(H * width), recurrent(s.B * width);  // of each block: (H or B, 4, units)
  for_units(H, work, [&](Units u) {
    for (size_t i = 0; i < 4 * H; ++i)
      std::memcpy(weights.ptr + 4 * u.first * H + i * u.count, in.W_hh + i * H + u.first,
                  u.count * sizeof(float));
  });
  for (size_t t = 0; t < s.T; ++t) {
    const float* h = t == 0 ? in.h0 : made.out + (t - 1) * step;
    const float* c = t == 0 ? in.c0 : made.cells + (t - 1) * step;
    for_units(H, work, [&](Units u) {
      float* sums = recurrent.ptr + 4 * u.first * s.B;
      multiply(row_major(h, H), row_major(weights.ptr + 4 * u.first * H, 4 * u.count), sums, s.B, H,
               4 * u.count);
      for (size_t b = 0; b < s.B; ++b) {
        float* z = made.gates + (t * s.B + b) * width + u.first;
        for (size_t k = 0; k < 4; ++k) {
          const float *r = sums + (4 * b + k) * u.count, *more = bias.data() + k * H + u.first;
          for (size_t j = 0; j < u.count; ++j) z[k * H + j] += r[j] + more[j];
        }
        const size_t at = b * H + u.first;
        for_lanes<5, 6>(
            u.count, {z, z + H, z + 2 * H, z + 3 * H, c + at},
            {z, z + H, z + 2 * H, z + 3 * H, made.cells + t * step + at, made.out + t * step + at},
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
  const size_t H = s.H, width = 4 * H, step = s.B * H, rows = s.T * s.B, work = 4 * step;
  AlignedArray weights(H * width);      // W_hh transposed, block by block: (4H, units)
  AlignedArray adjoints(rows * width);  // of the gates before their functions
  AlignedArray up(step);                // of h, block by block: (B, units)
  std::memcpy(d.c0, g.c, step * sizeof(float));
  for_units(H, work, [&](Units u) {
    copy_matrix(transposed(in.W_hh + u.first * width, width), weights.ptr + u.first * width, width,
                u.count);
    copy_matrix(row_major(g.h + u.first, H), up.ptr + u.first * s.B, s.B, u.count);
  });
  // To h before step t, from the adjoints of the gates of step t.
  auto back_to_h = [&](size_t t, Units u) {
    multiply(row_major(adjoints.ptr + t * s.B * width, width),
             row_major(weights.ptr + u.first * width, u.count), up.ptr + u.first * s.B, s.B, width,
             u.count);
  };
  for (size_t t = s.T; t-- > 0;) {
    const float* c = t == 0 ? in.c0 : made.cells + (t - 1) * step;
    for_units(H, work, [&](Units u) {
      if (t + 1 < s.T) back_to_h(t + 1, u);
      for (size_t b = 0; b < s.B; ++b) {
        const size_t at = b * H + u.first;
        const float* z = made.gates + (t * s.B + b) * width + u.first;
        float* a = adjoints.ptr + (t * s.B + b) * width + u.first;
        for_lanes<9, 5>(u.count,
                        {z, z + H, z + 2 * H, z + 3 * H, c + at, made.cells + t * step + at,
                         g.out + t * step + at, up.ptr + u.first * s.B + b * u.count, d.c0 + at},
                        {a, a + H, a + 2 * H, a + 3 * H, d.c0 + at}, [](const Vec* v, Vec* result) {
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
  }
  multiply(row_major(adjoints.ptr, width), transposed(in.W_hh, width), d.h0, s.B, width, H);
  if (d.x != nullptr)
    multiply(row_major(adjoints.ptr, width), transposed(in.W_ih, width), d.x, rows, width, s.I);
  multiply(transposed(in.x, s.I), row_major(adjoints.ptr, width), d.W_ih, s.I, rows, width);
  AlignedArray before(rows * H);  // h before each step
  std::memcpy(before.ptr, in.h0, step * sizeof(float));
  std::memcpy(before.ptr + step, made.out, (rows - s.B) * H * sizeof(float));
  multiply(transposed(before.ptr, H), row_major(adjoints.ptr, width), d.W_hh, H, rows, width);
  if (d.b != nullptr) SumRows(adjoints.ptr, d.b, rows, width);
}

// ------------------------------------------------------------------------------------- attention

namespace {

// One head at a time. Where other heads lie between its rows they are copied together first: from
// all over a cache they would drive each other out of it.
class Head {
 public:
  Head(const AttentionShape& shape) : s(shape), size_(std::max(s.T, s.S) * s.D), room_(5 * size_) {}

  // Calls body(head, where its (T, S) begins in the table of weights) for all heads. A thread takes
  // neighbours, which were neighbours before and will be.
  template <class Body>
  static void for_all(const AttentionShape& s, Body body) {
    const size_t heads = s.B * s.H;
    parallel_for(heads, (heads - 1) / (4 * thread_count()) + 1, [&](size_t begin, size_t end) {
      Head head(s);
      for (head.number_ = begin; head.number_ < end; ++head.number_)
        body(head, head.number_ * s.T * s.S);
    });
  }

  float* start(const Heads& array) const { return array.at(number_ / s.H, number_ % s.H); }

  // Its (rows, D) of an array, in one piece. There is room for four arrays, by `place`. The rows of
  // the next head are asked for meanwhile.
  MatrixView load(const Heads& from, size_t rows, size_t place) {
    const float *here = start(from), *next = here + from.head;
    if (from.row == static_cast<ptrdiff_t>(s.D)) return row_major(here, s.D);
    float* to = room_.ptr + place * size_;
    for (size_t i = 0; i < rows; ++i, here += from.row, next += from.row) {
      std::memcpy(to + i * s.D, here, s.D * sizeof(float));
      for (size_t j = 0; j < s.D; j += kCacheLine / sizeof(float)) simd::prefetch(next + j);
    }
    return row_major(to, s.D);
  }

  // Its (rows, D) of an array become a (rows, n) times b.
  void multiply_to(const Heads& to, MatrixView a, MatrixView b, size_t rows, size_t n) {
    float* first = start(to);
    if (to.row == static_cast<ptrdiff_t>(s.D)) return multiply(a, b, first, rows, n, s.D);
    float* product = room_.ptr + 4 * size_;
    multiply(a, b, product, rows, n, s.D);
    for (size_t i = 0; i < rows; ++i)
      std::memcpy(first + static_cast<ptrdiff_t>(i) * to.row, product + i * s.D,
                  s.D * sizeof(float));
  }

 private:
  const AttentionShape& s;
  const size_t size_;
  AlignedArray room_;
  size_t number_ = 0;
};

}  // namespace

void Attention(const AttentionArrays& in, const Heads& out, float* probs, const AttentionShape& s) {
  const float scale = 1 / std::sqrt(static_cast<float>(s.D));
  Head::for_all(s, [&](Head& head, size_t table) {
    const MatrixView q = head.load(in.q, s.T, 0), k = head.load(in.k, s.S, 1);
    float* p = probs + table;
    multiply(q, k.transposed(), p, s.T, s.D, s.S);
    for (size_t i = 0; i < s.T; ++i) {
      float* row = p + i * s.S;
      // Query i may look at keys up to i + S - T; a query that may look at none looks at all.
      const size_t reach = i + s.S + 1 > s.T ? i + s.S + 1 - s.T : s.S;
      const size_t seen = s.causal ? std::min(s.S, reach) : s.S;
      const bool none = s.causal && i + s.S + 1 <= s.T;
      const float peak = simd::finite(max_over(seen, row));
      const float factor = none ? 0.0f : scale;
      for_lanes<1, 1>(seen, {row}, {row}, [&](const Vec* v, Vec* result) {
        result[0] = simd::exp(simd::minimum(v[0] - peak, simd::splat(0.0f)) * factor);
      });
      const float total = sum_over(seen, Sum{row});
      // Scores that are all -inf look at nothing: zeros, and not 0 / 0.
      for (size_t j = 0; j < seen && total > 0; ++j) row[j] /= total;
      std::fill(row + seen, row + s.S, 0.0f);
    }
    head.multiply_to(out, row_major(p, s.S), head.load(in.v, s.S, 2), s.T, s.S);
  });
}

void AttentionBackward(const AttentionArrays& in, const float* probs, const Heads& dout,
                       const Heads& dprobs, const AttentionArrays& d, const AttentionShape& s) {
  const float scale = 1 / std::sqrt(static_cast<float>(s.D));
  Head::for_all(s, [&](Head& head, size_t table) {
    const MatrixView q = head.load(in.q, s.T, 0), k = head.load(in.k, s.S, 1);
    const MatrixView v = head.load(in.v, s.S, 2), up = head.load(dout, s.T, 3);
    const float* p = probs + table;
    AlignedArray adjoint(s.T * s.S);
    multiply(up, v.transposed(), adjoint.ptr, s.T, s.D, s.S);
    for (size_t i = 0; i < s.T; ++i) {
      float* row = adjoint.ptr + i * s.S;
      const float* more = head.start(dprobs) + static_cast<ptrdiff_t>(i) * dprobs.row;
      for (size_t j = 0; j < s.S; ++j) row[j] += more[j];
      const float along = sum_over(s.S, Product{row, p + i * s.S});
      for (size_t j = 0; j < s.S; ++j) row[j] = p[i * s.S + j] * (row[j] - along) * scale;
    }
    const MatrixView g = row_major(adjoint.ptr, s.S), weights = row_major(p, s.S);
    head.multiply_to(d.q, g, k, s.T, s.S);
    head.multiply_to(d.k, g.transposed(), q, s.S, s.T);
    head.multiply_to(d.v, weights.transposed(), up, s.S, s.T);
  });
}

}  // namespace fused
}  // namespace cpu
}  // namespace needle
