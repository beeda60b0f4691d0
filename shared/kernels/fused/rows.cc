// Bias, ReLU, softmax loss, embedding and layer norm: kernels that go row by row.
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
// How many rows of `columns` numbers a thread takes at a time.
size_t rows_per_task(size_t rows, size_t columns) {
  return (even_grain(rows * columns) - 1) / std::max<size_t>(1, columns) + 1;
}
}  // namespace

void Mlp(const float* x, size_t rows, const std::vector<LinearLayer>& layers) {
  for (const LinearLayer& layer : layers) {
    const size_t columns = layer.out;
    multiply(row_major(x, layer.in), row_major(layer.w, columns), layer.y, rows, layer.in, columns);
    if (layer.b != nullptr || layer.relu)
      parallel_for(rows, rows_per_task(rows, columns), [&](size_t begin, size_t end) {
        for (size_t i = begin; i < end; ++i) {
          float* y = layer.y + i * columns;
          if (layer.b != nullptr)
            for (size_t j = 0; j < columns; ++j) y[j] += layer.b[j];
          if (layer.relu)
            for (size_t j = 0; j < columns; ++j) y[j] = y[j] < 0 ? 0 : y[j];
        }
      });
    x = layer.y;
  }
}

namespace {
// dw (in, out) = x^T g, and db (out), the sum of g's rows. A bias is the weight of an input that is
// always 1: where g is much the larger, x gets a column of ones, and db is the last row of the same
// product, which reads g in any case. It is computed behind dw, if there is room.
void linear_gradient(const float* x, const float* g, const LinearGradient& d, size_t rows,
                     size_t in, size_t out) {
  const size_t weights = in * out;
  const bool room = room_of(weights * sizeof(float)) >= (weights + out) * sizeof(float);
  if (d.b == nullptr || out < 4 * in || !room) {
    multiply(transposed(x, in), row_major(g, out), d.w, in, rows, out);
    if (d.b != nullptr) SumRows(g, d.b, rows, out);
    return;
  }
  AlignedArray with_ones(rows * (in + 1));
  for (size_t i = 0; i < rows; ++i) {
    float* row = with_ones.ptr + i * (in + 1);
    std::memcpy(row, x + i * in, in * sizeof(float));
    row[in] = 1.0f;
  }
  multiply(transposed(with_ones.ptr, in + 1), row_major(g, out), d.w, in + 1, rows, out);
  std::memcpy(d.b, d.w + weights, out * sizeof(float));
}
}  // namespace

void MlpBackward(const float* x, size_t rows, const std::vector<LinearLayer>& layers,
                 const float* g, float* dx, const std::vector<LinearGradient>& gradients) {
  size_t widest = 0;
  for (const LinearLayer& layer : layers) widest = std::max({widest, layer.in, layer.out});
  const bool deep = layers.size() > 1;
  AlignedArray masked(layers.back().relu || deep ? rows * widest : 0),
      passed(deep ? rows * widest : 0);
  for (size_t k = layers.size(); k-- > 0;) {
    const LinearLayer& layer = layers[k];
    const float* input = k == 0 ? x : layers[k - 1].y;
    if (layer.relu) {
      ReluBackward(layer.y, g, masked.ptr, rows * layer.out);
      g = masked.ptr;
    }
    const MatrixView adjoint = row_major(g, layer.out);
    linear_gradient(input, g, gradients[k], rows, layer.in, layer.out);
    if (k == 0 && dx == nullptr) return;
    float* next = k == 0 ? dx : g == passed.ptr ? masked.ptr : passed.ptr;
    multiply(adjoint, transposed(layer.w, layer.out), next, rows, layer.out, layer.in);
    g = next;
  }
}

// Threads share out the columns, so that every sum has one fixed order. Each takes its share in one
// piece: memory is fast along a row.
void SumRows(const float* g, float* out, size_t rows, size_t columns) {
  const size_t share = (columns / thread_count() / kWidth + 1) * kWidth;
  const size_t grain = std::max(share, kGrain / std::max<size_t>(1, rows));
  parallel_for(columns, grain, [&](size_t begin, size_t end) {
    std::fill(out + begin, out + end, 0.0f);
    for (size_t i = 0; i < rows; ++i)
      for (size_t j = begin; j < end; ++j) out[j] += g[i * columns + j];
  });
}

void Relu(const float* x, float* y, size_t size) {
  parallel_for(size, even_grain(size), [=](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) y[i] = simd::maximum(x[i], 0.0f);
  });
}

void ReluBackward(const float* y, const float* g, float* dx, size_t size) {
  parallel_for(size, even_grain(size), [&](size_t begin, size_t end) {
    size_t i = begin;
    for (; i + kWidth <= end; i += kWidth)
      simd::store(dx + i,
                  simd::select(simd::load(y + i) > 0.0f, simd::load(g + i), simd::splat(0.0f)));
    for (; i < end; ++i) dx[i] = y[i] > 0 ? g[i] : 0.0f;
  });
}

// ---------------------------------------------------------------------------------- softmax loss

namespace {
// The adjoint of a row of logits: (softmax - one-hot) times `scale`, from the row's log-sum-exp.
void softmax_adjoint(const float* row, size_t columns, float lse, float scale, float* out) {
  const float shift = simd::finite(lse);
  const Vec zero = simd::splat(0.0f);
  size_t j = 0;
  for (; j + kWidth <= columns; j += kWidth)
    simd::store(out + j, simd::exp(simd::minimum(simd::load(row + j) - shift, zero)) * scale);
  for (; j < columns; ++j) out[j] = std::exp(std::min(row[j] - shift, 0.0f)) * scale;
}
}  // namespace

void SoftmaxLoss(const float* logits, const float* classes, float* loss, float* lse, float* dlogits,
                 size_t rows, size_t columns) {
  const float scale = 1 / static_cast<float>(rows);
  parallel_for(rows, rows_per_task(rows, 8 * columns), [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      const float* row = logits + i * columns;
      float* out = dlogits + i * columns;
      const float peak = simd::finite(max_over(columns, row));
      Vec lanes = simd::splat(0.0f);
      size_t j = 0;
      for (; j + kWidth <= columns; j += kWidth) {
        const Vec e = simd::exp(simd::load(row + j) - peak);
        lanes += e;
        simd::store(out + j, e);
      }
      float total = simd::sum(lanes);
      for (; j < columns; ++j) total += out[j] = std::exp(row[j] - peak);
      lse[i] = peak + std::log(total);
      const float factor = scale / total;
      if (std::isfinite(total) && std::isfinite(factor)) {
        for (j = 0; j < columns; ++j) out[j] *= factor;
      } else {  // infinite logits
        softmax_adjoint(row, columns, lse[i], scale, out);
      }
      out[static_cast<size_t>(classes[i])] -= scale;
    }
  });
  double sum = 0;
  for (size_t i = 0; i < rows; ++i)
    sum += lse[i] - logits[i * columns + static_cast<size_t>(classes[i])];
  *loss = static_cast<float>(sum / static_cast<double>(rows));
}

void SoftmaxLossBackward(const float* logits, const float* classes, const float* lse, float g,
                         float* dlogits, size_t rows, size_t columns) {
  const float scale = g / static_cast<float>(rows);
  parallel_for(rows, rows_per_task(rows, 8 * columns), [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      float* out = dlogits + i * columns;
      softmax_adjoint(logits + i * columns, columns, lse[i], scale, out);
      out[static_cast<size_t>(classes[i])] -= scale;
    }
  });
}

// ------------------------------------------------------------------------------------- embedding

void Gather(const float* table, const float* ids, float* out, size_t count, size_t width) {
  for (size_t i = 0; i < count; ++i)
    std::memcpy(out + i * width, table + static_cast<size_t>(ids[i]) * width,
                width * sizeof(float));
}

void ScatterAdd(const float* g, const float* ids, float* dtable, size_t count, size_t width,
                size_t table_size) {
  parallel_for(table_size, 2 * kGrain,
               [&](size_t begin, size_t end) { std::fill(dtable + begin, dtable + end, 0.0f); });
  for (size_t i = 0; i < count; ++i) {
    float* to = dtable + static_cast<size_t>(ids[i]) * width;
    for (size_t j = 0; j < width; ++j) to[j] += g[i * width + j];
  }
}

// ------------------------------------------------------------------------------------ layer norm

void LayerNorm(const float* x, const float* w, const float* b, float* y, float* stats, size_t rows,
               size_t width, float eps) {
  const float n = static_cast<float>(width);
  parallel_for(rows, rows_per_task(rows, width), [&](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      const float* row = x + i * width;
      const float mean = sum_over(width, Sum{row}) / n;
      const float scale = 1 / std::sqrt(sum_over(width, Squares{row, mean}) / n + eps);
      for (size_t j = 0; j < width; ++j) y[i * width + j] = (row[j] - mean) * scale * w[j] + b[j];
      stats[2 * i] = mean;
      stats[2 * i + 1] = scale;
    }
  });
}

// With n = (x - mean) * scale and a = w g: dx = scale (a - mean(a) - n mean(a n)).
void LayerNormBackward(const float* x, const float* w, const float* stats, const float* g,
                       const NormGradients& d, size_t rows, size_t width) {
  std::vector<float> partial(thread_count() * 2 * width, 0.0f);
  for_parts(rows, [&](size_t part, size_t begin, size_t end) {
    float* my_dw = partial.data() + part * 2 * width;
    float* my_db = my_dw + width;
    std::vector<float> normal(width), scaled(width);
    for (size_t i = begin; i < end; ++i) {
      const float mean = stats[2 * i], scale = stats[2 * i + 1];
      const float *row = x + i * width, *adjoint = g + i * width;
      // Short loops: in one, the compiler cannot rule out that what is written is also read, and
      // takes one number at a time.
      for (size_t j = 0; j < width; ++j) normal[j] = (row[j] - mean) * scale;
      for (size_t j = 0; j < width; ++j) scaled[j] = w[j] * adjoint[j];
      for (size_t j = 0; j < width; ++j) my_dw[j] += normal[j] * adjoint[j];
      for (size_t j = 0; j < width; ++j) my_db[j] += adjoint[j];
      const float n = static_cast<float>(width);
      const float first = sum_over(width, Sum{scaled.data()}) / n;
      const float second = sum_over(width, Product{scaled.data(), normal.data()}) / n;
      for (size_t j = 0; j < width; ++j)
        d.x[i * width + j] = scale * (scaled[j] - first - normal[j] * second);
    }
  });
  std::fill(d.w, d.w + width, 0.0f);
  std::fill(d.b, d.b + width, 0.0f);
  for (size_t part = 0; part < thread_count(); ++part)
    for (size_t j = 0; j < width; ++j) {
      d.w[j] += partial[part * 2 * width + j];
      d.b[j] += partial[(part * 2 + 1) * width + j];
    }
}

}  // namespace fused
}  // namespace cpu
}  // namespace needle
