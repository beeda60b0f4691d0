// Convolution of images (N, C, H, W).
//
// It gathers the windows of a few images as rows (im2col), multiplies them with the kernel
// while they are in the cache, and goes on to the next few. Taps of the kernel that only ever meet
// the padding are left out: of a 3x3 kernel on a 1x1 image one tap of nine is left.
#include <algorithm>
#include <cstring>

#include "fused.h"

namespace needle {
namespace cpu {
namespace fused {

namespace {

// The taps first..last-1 of a kernel that meet the image at any output position.
struct Taps {
  size_t first, last;
  Taps(size_t size, size_t length, size_t stride, size_t padding, size_t outputs) {
    auto meets = [&](size_t tap) {
      for (size_t y = 0; y < outputs; ++y) {
        const size_t at = y * stride + tap;
        if (at >= padding && at < padding + length) return true;
      }
      return false;
    };
    first = 0, last = size;
    while (last > first + 1 && !meets(last - 1)) --last;
    while (first + 1 < last && !meets(first)) ++first;
  }
  size_t count() const { return last - first; }
};

// (pixels, channels) of one image <-> (channels, pixels), by blocks of 8 x 8 as far as they go
void transpose(const float* from, float* to, size_t rows, size_t columns) {
  if (rows == 1 || columns == 1) {
    std::memcpy(to, from, rows * columns * sizeof(float));
    return;
  }
  const ptrdiff_t from_row = static_cast<ptrdiff_t>(columns), to_row = static_cast<ptrdiff_t>(rows);
  const size_t down = rows / 8 * 8, along = columns / 8 * 8;
  for (size_t i = 0; i < down; i += 8)
    for (size_t j = 0; j < along; j += 8)
      simd::transpose8(from + i * columns + j, from_row, to + j * rows + i, to_row);
  for (size_t i = 0; i < rows; ++i)
    for (size_t j = i < down ? along : 0; j < columns; ++j)
      to[j * rows + i] = from[i * columns + j];
}

// How the windows of a convolution lie in memory: a window is a row of `depth` numbers, in the
// order kernel row, group of channels, kernel column, channel of the group. Many channels are one
// group, so that a run of them is read in one go; of few (colours) each is a group of its own, for
// which an image need not be turned round.
struct Windows {
  explicit Windows(const ConvShape& shape)
      : s(shape),
        rows(s.K, s.H, s.stride, s.padding, s.h),
        columns(s.K, s.W, s.stride, s.padding, s.w),
        group(s.C < 8 ? 1 : s.C),
        groups(s.C / group),
        run(columns.count() * group),
        depth(rows.count() * groups * run) {}

  // Calls f(in the windows' order, in the kernel (K, K, C, O)) for each piece of both that lies in
  // one: `group` channels with all outputs.
  template <class F>
  void for_kernel(F f) const {
    size_t position = 0;
    for (size_t i = rows.first; i < rows.last; ++i)
      for (size_t k = 0; k < groups; ++k)
        for (size_t j = columns.first; j < columns.last; ++j, position += group * s.O)
          f(position, ((i * s.K + j) * s.C + k * group) * s.O);
  }

  const ConvShape s;
  const Taps rows, columns;
  const size_t group, groups;
  const size_t run;    // numbers side by side in an image and in a window
  const size_t depth;  // numbers in a window
};

// What one thread works with: a padded image, windows, products.
class Workspace : public Windows {
 public:
  Workspace(const ConvShape& shape, const float* w)
      : Windows(shape),
        pixels(shape.h * shape.w),
        images(std::max<size_t>(1, 256 / pixels)),
        height(shape.H + 2 * shape.padding),
        width(shape.W + 2 * shape.padding),
        image(height * width * shape.C + simd::kWidth, 0.0f),
        plane(groups == 1 ? shape.H * shape.W * shape.C : 0),
        windows(images * pixels * depth + simd::kWidth),
        product(images * pixels * shape.O),
        kernel(depth * shape.O) {
    for_kernel([&](size_t to, size_t from) {
      std::memcpy(kernel.ptr + to, w + from, group * s.O * sizeof(float));
    });
  }

  // The windows of an image: `pixels` rows of `depth` numbers.
  void gather(const float* x, float* to) {
    if (groups == 1) transpose(x, plane.ptr, s.C, s.H * s.W);
    for_rows([&](size_t padded, size_t row) {
      std::memcpy(&image[padded], (groups == 1 ? plane.ptr : x) + row, s.W * group * sizeof(float));
    });
    // Whole Vecs: what is too much of a run is written over by the next one.
    for_windows([&](const float* from) {
      for (size_t j = 0; j < run; j += simd::kWidth) simd::store(to + j, simd::load(from + j));
      to += run;
    });
  }

  // The adjoint of gather: adds up what windows share, and drops the padding.
  void scatter(const float* from, float* dx) {
    std::fill(image.begin(), image.end(), 0.0f);
    for_windows([&](float* to) {
      for (size_t j = 0; j < run; ++j) to[j] += from[j];
      from += run;
    });
    for_rows([&](size_t padded, size_t row) {
      std::memcpy((groups == 1 ? plane.ptr : dx) + row, &image[padded],
                  s.W * group * sizeof(float));
    });
    if (groups == 1) transpose(plane.ptr, dx, s.H * s.W, s.C);
  }

  const size_t pixels, images, height, width;
  std::vector<float> image;  // (height, groups, width, group)
  AlignedArray plane;        // the image without padding, channels last
  AlignedArray windows, product, kernel;

 private:
  // Calls f with where each row of the image lies, with and without padding.
  template <class F>
  void for_rows(F f) const {
    for (size_t k = 0; k < groups; ++k)
      for (size_t y = 0; y < s.H; ++y)
        f((((y + s.padding) * groups + k) * width + s.padding) * group,
          (k * s.H + y) * s.W * group);
  }

  // Calls f with each run of a window: the taps of one kernel row, over the channels of a group.
  template <class F>
  void for_windows(F f) {
    for (size_t y = 0; y < s.h; ++y)
      for (size_t x = 0; x < s.w; ++x)
        for (size_t i = rows.first * groups; i < rows.last * groups; ++i)
          f(&image[((y * s.stride * groups + i) * width + x * s.stride + columns.first) * group]);
  }
};

}  // namespace

void Conv(const float* x, const float* w, const float* bias, float* y, const ConvShape& s) {
  const size_t image_size = s.C * s.H * s.W;
  for_parts(s.N, [&](size_t, size_t begin, size_t end) {
    if (begin == end) return;
    Workspace work(s, w);
    for (size_t n = begin; n < end; n += work.images) {
      const size_t count = std::min(work.images, end - n);
      for (size_t k = 0; k < count; ++k)
        work.gather(x + (n + k) * image_size, &work.windows.ptr[k * work.pixels * work.depth]);
      multiply(row_major(work.windows.ptr, work.depth), row_major(work.kernel.ptr, s.O),
               work.product.ptr, count * work.pixels, work.depth, s.O);
      if (bias != nullptr)
        for (size_t i = 0; i < count * work.pixels; ++i)
          for (size_t o = 0; o < s.O; ++o) work.product.ptr[i * s.O + o] += bias[o];
      for (size_t k = 0; k < count; ++k)
        transpose(&work.product.ptr[k * work.pixels * s.O], y + (n + k) * s.O * work.pixels,
                  work.pixels, s.O);
    }
  });
}

void ConvBackward(const float* x, const float* w, const float* g, float* dx, float* dw, float* db,
                  const ConvShape& s) {
  const size_t image_size = s.C * s.H * s.W, kernel_size = s.K * s.K * s.C * s.O;
  std::vector<std::vector<float>> kernels(thread_count()), biases(thread_count());
  for_parts(s.N, [&](size_t part, size_t begin, size_t end) {
    if (begin == end) return;
    Workspace work(s, w);
    kernels[part].resize(work.depth * s.O);
    biases[part].assign(s.O, 0.0f);
    // What every round of images but the first adds to the kernel's gradient.
    AlignedArray some(work.images < end - begin ? work.depth * s.O : 0);
    for (size_t n = begin; n < end; n += work.images) {
      const size_t count = std::min(work.images, end - n), rows = count * work.pixels;
      for (size_t k = 0; k < count; ++k) {
        work.gather(x + (n + k) * image_size, &work.windows.ptr[k * work.pixels * work.depth]);
        transpose(g + (n + k) * s.O * work.pixels, &work.product.ptr[k * work.pixels * s.O], s.O,
                  work.pixels);
      }
      multiply(transposed(work.windows.ptr, work.depth), row_major(work.product.ptr, s.O),
               n == begin ? kernels[part].data() : some.ptr, work.depth, rows, s.O);
      if (n != begin)
        for (size_t i = 0; i < some.size; ++i) kernels[part][i] += some.ptr[i];
      float* __restrict sums = biases[part].data();
      for (size_t i = 0; i < rows; ++i)
        for (size_t o = 0; o < s.O; ++o) sums[o] += work.product.ptr[i * s.O + o];
      if (dx == nullptr) continue;
      multiply(row_major(work.product.ptr, s.O), transposed(work.kernel.ptr, s.O), work.windows.ptr,
               rows, s.O, work.depth);
      for (size_t k = 0; k < count; ++k)
        work.scatter(&work.windows.ptr[k * work.pixels * work.depth], dx + (n + k) * image_size);
      std::fill(work.image.begin(), work.image.end(), 0.0f);
    }
  });
  std::fill(dw, dw + kernel_size, 0.0f);
  std::fill(db, db + s.O, 0.0f);
  const Windows order(s);
  for (size_t part = 0; part < kernels.size(); ++part) {
    if (kernels[part].empty()) continue;
    order.for_kernel([&](size_t from, size_t to) {
      for (size_t j = 0; j < order.group * s.O; ++j) dw[to + j] += kernels[part][from + j];
    });
    for (size_t o = 0; o < s.O; ++o) db[o] += biases[part][o];
  }
}

}  // namespace fused
}  // namespace cpu
}  // namespace needle
