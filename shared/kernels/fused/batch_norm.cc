// Batch norm of images (N, C, H, W), channel by channel.
#include <algorithm>
#include <cmath>

#include "fused.h"

namespace needle {
namespace cpu {
namespace fused {

namespace {

// Some images of a batch, and some channels of them. The numbers of neighbouring channels lie side
// by side in an image, and every loop below runs along them: with planes of 1x1 a loop over one
// channel would be a loop over nothing.
struct Block {
  const BatchNormShape& s;
  size_t part, begin, end;  // which images: those of a thread
  size_t first, count;      // which channels

  size_t width() const { return count * s.S; }
  size_t at(size_t n) const { return (n * s.C + first) * s.S; }  // in image n

  // Sums of term(where in the array, which of `width` numbers), one for each channel, to their
  // place among the sums of all parts and channels.
  template <class F>
  void sum(std::vector<float>& sums, F term) const {
    std::vector<float> along(width(), 0.0f);
    for (size_t n = begin; n < end; ++n) {
      float* __restrict to = along.data();
      for (size_t j = 0; j < width(); ++j) to[j] += term(at(n) + j, j);
    }
    for (size_t c = 0; c < count; ++c)
      sums[part * s.C + first + c] = sum_over(s.S, Sum{along.data() + c * s.S});
  }

  // value(c) of each channel, at each of its numbers.
  template <class F>
  std::vector<float> spread(F value) const {
    std::vector<float> values(width());
    for (size_t c = 0; c < count; ++c)
      std::fill_n(values.begin() + static_cast<ptrdiff_t>(c * s.S), s.S, value(first + c));
    return values;
  }

  // to[...] = value(where in the array, which of `width` numbers) for all numbers.
  template <class F>
  void fill(float* to, F value) const {
    for (size_t n = begin; n < end; ++n) {
      float* __restrict image = to + at(n);
      for (size_t j = 0; j < width(); ++j) image[j] = value(at(n) + j, j);
    }
  }
};

size_t batch_parts(const BatchNormShape& s) {
  return s.N * s.C * s.S <= kGrain ? 1 : thread_count();
}

// Calls body(block) for all images and channels. A thread has the same images each time, as in the
// convolutions and ReLUs before and after: what it needs is in its own cache.
template <class Body>
void for_blocks(const BatchNormShape& s, Body body) {
  const size_t parts = batch_parts(s), images = (s.N + parts - 1) / parts;
  const size_t channels = std::max<size_t>(1, 1024 / std::max<size_t>(1, s.S));
  parallel_for(parts, 1, [&](size_t from, size_t to) {
    for (size_t part = from; part < to; ++part) {
      const size_t begin = std::min(part * images, s.N), end = std::min(begin + images, s.N);
      for (size_t first = 0; first < s.C; first += channels)
        body(Block{s, part, begin, end, first, std::min(channels, s.C - first)});
    }
  });
}

// out[c] = the sum of the parts' sums of channel c, times `factor`.
void add_parts(const std::vector<float>& sums, float factor, float* out, size_t channels) {
  for (size_t c = 0; c < channels; ++c) {
    float total = 0;
    for (size_t i = c; i < sums.size(); i += channels) total += sums[i];
    out[c] = total * factor;
  }
}

}  // namespace

void BatchNorm(const float* x, const float* w, const float* b, float* y, float* mean, float* var,
               const BatchNormShape& s) {
  const float one = 1 / static_cast<float>(s.N * s.S);
  std::vector<float> sums(batch_parts(s) * s.C);
  for_blocks(s, [&](const Block& some) { some.sum(sums, [=](size_t i, size_t) { return x[i]; }); });
  add_parts(sums, one, mean, s.C);
  for_blocks(s, [&](const Block& some) {
    const std::vector<float> means = some.spread([=](size_t c) { return mean[c]; });
    const float* m = means.data();
    some.sum(sums, [=](size_t i, size_t j) { return (x[i] - m[j]) * (x[i] - m[j]); });
  });
  add_parts(sums, one, var, s.C);
  for_blocks(s, [&](const Block& some) {
    const std::vector<float> means = some.spread([=](size_t c) { return mean[c]; });
    const std::vector<float> scales =
        some.spread([=, &s](size_t c) { return w[c] / std::sqrt(var[c] + s.eps); });
    const std::vector<float> shifts = some.spread([=](size_t c) { return b[c]; });
    const float *m = means.data(), *scale = scales.data(), *shift = shifts.data();
    some.fill(y, [=](size_t i, size_t j) { return (x[i] - m[j]) * scale[j] + shift[j]; });
  });
}

void BatchNormBackward(const float* x, const float* w, const float* mean, const float* var,
                       const float* g, const NormGradients& d, const BatchNormShape& s) {
  const float one = 1 / static_cast<float>(s.N * s.S);
  std::vector<float> of_g(batch_parts(s) * s.C), of_product(of_g.size());
  for_blocks(s, [&](const Block& some) {
    const std::vector<float> means = some.spread([=](size_t c) { return mean[c]; });
    const float* m = means.data();
    some.sum(of_g, [=](size_t i, size_t) { return g[i]; });
    some.sum(of_product, [=](size_t i, size_t j) { return g[i] * (x[i] - m[j]); });
  });
  auto scale_of = [&](size_t c) { return 1 / std::sqrt(var[c] + s.eps); };
  add_parts(of_g, 1, d.b, s.C);
  add_parts(of_product, 1, d.w, s.C);
  for (size_t c = 0; c < s.C; ++c) d.w[c] *= scale_of(c);
  // dx = w scale (g - mean(g) - n mean(g n)), with n = (x - mean) scale.
  for_blocks(s, [&](const Block& some) {
    const std::vector<float> means = some.spread([=](size_t c) { return mean[c]; });
    const std::vector<float> firsts = some.spread([&](size_t c) { return d.b[c] * one; });
    const std::vector<float> seconds =
        some.spread([&](size_t c) { return d.w[c] * one * scale_of(c); });
    const std::vector<float> factors = some.spread([&](size_t c) { return w[c] * scale_of(c); });
    const float *m = means.data(), *a = firsts.data(), *b = seconds.data();
    const float* factor = factors.data();
    some.fill(d.x,
              [=](size_t i, size_t j) { return factor[j] * (g[i] - a[j] - (x[i] - m[j]) * b[j]); });
  });
}

}  // namespace fused
}  // namespace cpu
}  // namespace needle
