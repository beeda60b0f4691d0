// Convolution of images (N, C, H, W), by products of matrices over the images that fit the cache.
//
// There are two ways to get a matrix. `Windows`: its rows are the windows of a few images, gathered
// (im2col). `Taps`: its rows are images as they lie, channels last. For the taps of one kernel row
// lie side by side in an image as in the kernel, and each output pixel is a sum of such products:
// no number is copied for every window it is in, and no padding is multiplied. That is for many
// small images of many channels.
#include <algorithm>
#include <cstring>
#include <vector>

#include "images.h"

namespace needle {
namespace cpu {
namespace fused {

namespace {

constexpr size_t kWorth = size_t{1} << 17;  // multiplications that a product should have

// What a thread works with, one of two ways. Both have
//
//   images             how many it takes at a time
//   out                their results, or the adjoints of these
//   load(x, count)     takes `count` images
//   multiply_kernel    out = images times kernel, and the bias
//   multiply_adjoints  gradient of the kernel += images times adjoints
//   multiply_back      dx = adjoints times kernel

class Windows : public Kernel {
 public:
  Windows(const ConvShape& shape, const float* w, size_t share)
      : Kernel(shape),
        images(std::min(share, std::max<size_t>(1, 256 / pixels))),
        out(images, pixels, s.O),
        height(s.H + 2 * s.padding),
        width(s.W + 2 * s.padding),
        image(height * width * s.C + simd::kWidth, 0.0f),
        plane(1, groups == 1 ? s.H * s.W : 0, s.C),
        windows(images * pixels * depth + simd::kWidth),
        matrix(depth * s.O),
        some(depth * s.O) {
    for_pieces([&](size_t to, size_t from) {
      std::memcpy(matrix.ptr + to, w + from, group * s.O * sizeof(float));
    });
  }

  void load(const float* x, size_t count) {
    count_ = count;
    for (size_t n = 0; n < count; ++n)
      gather(x + n * s.C * s.H * s.W, &windows.ptr[n * pixels * depth]);
  }

  void multiply_kernel(const float* bias) {
    multiply(row_major(windows.ptr, depth), row_major(matrix.ptr, s.O), out.data.ptr,
             count_ * pixels, depth, s.O);
    if (bias != nullptr)
      for (size_t i = 0; i < count_ * pixels; ++i) add(bias, out.at(0, i), s.O);
  }

  void multiply_adjoints(float* gradient) {
    multiply(transposed(windows.ptr, depth), row_major(out.data.ptr, s.O),
             first_ ? gradient : some.ptr, depth, count_ * pixels, s.O);
    if (!first_) add(some.ptr, gradient, some.size);
    first_ = false;
  }

  void multiply_back(float* dx) {
    multiply(row_major(out.data.ptr, s.O), transposed(matrix.ptr, s.O), windows.ptr,
             count_ * pixels, s.O, depth);
    for (size_t n = 0; n < count_; ++n)
      scatter(&windows.ptr[n * pixels * depth], dx + n * s.C * s.H * s.W);
    std::fill(image.begin(), image.end(), 0.0f);  // the padding is zeros again
  }

  const size_t images;
  Images out;

 private:
  // The windows of an image: `pixels` rows of `depth` numbers.
  void gather(const float* x, float* to) {
    if (groups == 1) plane.load(x, 1);
    for_rows([&](size_t padded, size_t at) {
      std::memcpy(&image[padded], (groups == 1 ? plane.data.ptr : x) + at,
                  s.W * group * sizeof(float));
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
      add(from, to, run);
      from += run;
    });
    for_rows([&](size_t padded, size_t at) {
      std::memcpy((groups == 1 ? plane.data.ptr : dx) + at, &image[padded],
                  s.W * group * sizeof(float));
    });
    if (groups == 1) plane.store(dx, 1);
  }

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

  const size_t height, width;
  std::vector<float> image;  // (height, groups, width, group); zeros around it
  Images plane;              // the image without padding, where groups == 1
  AlignedArray windows, matrix, some;
  size_t count_ = 0;
  bool first_ = true;  // is nothing in the gradient yet?
};

class Taps : public Kernel {
 public:
  // How many images fit half of a cache of 1 MiB, with their results.
  static size_t fitting(const ConvShape& s) {
    return (size_t{1} << 17) / (s.C * s.H * s.W + s.O * s.h * s.w);
  }

  Taps(const ConvShape& shape, const float* weight, size_t share)
      : Kernel(shape),
        images(std::min(share, fitting(s))),
        out(images, pixels, s.O, simd::kWidth),  // rows of a power of two share places in a cache
        in(images, s.H * s.W, s.C, simd::kWidth),
        w(weight),
        some(std::max(images, run) * std::max(s.O, s.C)) {
    for (size_t j = columns.first; j < columns.last; ++j) order.push_back(j);
    forth = pieces({s.H, s.W, s.C}, {s.h, s.w, s.O},
                   [&](size_t output, size_t tap) { return output * s.stride + tap - s.padding; });
  }

  void load(const float* x, size_t count) {
    count_ = count;
    in.load(x, count);
  }

  void multiply_kernel(const float* bias) {
    if (matrix.empty())
      arrange([&](const float* tap, float* to) { std::copy_n(tap, s.C * s.O, to); });
    out.fill(bias, count_);
    multiply_pieces(forth, in, out);
  }

  void multiply_adjoints(float* gradient) {
    for (const Piece& piece : forth) {
      multiply(in.from(piece.input).transposed(), out.from(piece.output * s.O), some.data(),
               piece.length, count_, s.O);
      add(some.data(), gradient + piece.row * s.O, piece.length * s.O);
    }
  }

  // The same the other way round: from the pixels of the results to those of the image. Along a row
  // of results the taps that meet one pixel of the image go down, in steps of the stride.
  void multiply_back(float* dx) {
    if (back.empty()) {
      std::reverse(order.begin(), order.end());
      std::stable_sort(order.begin(), order.end(),
                       [&](size_t a, size_t b) { return a % s.stride < b % s.stride; });
      back = pieces({s.h, s.w, s.O}, {s.H, s.W, s.C}, [&](size_t output, size_t tap) {
        const size_t steps = output + s.padding - tap;
        return steps % s.stride == 0 ? steps / s.stride : ~size_t{0};
      });
      arrange([&](const float* tap, float* to) { transpose(tap, s.O, to, s.C, s.C, s.O); });
    }
    in.fill(nullptr, count_);
    multiply_pieces(back, out, in);
    in.store(dx, count_);
  }

  const size_t images;
  Images out;

 private:
  // Taps of one kernel row that meet an image, at one pixel of the other.
  struct Piece {
    size_t output;  // which pixel
    size_t input;   // which number of an image
    size_t row;     // of the matrix
    size_t length;  // numbers from there on, in both
  };
  struct Side {
    size_t height, width, channels;
  };

  // All pieces. meet(output, tap) says which input they meet, along rows and columns alike; if none
  // it is no input's number.
  template <class Meet>
  std::vector<Piece> pieces(Side from, Side to, Meet meet) const {
    std::vector<Piece> made;
    for (size_t y = 0; y < to.height; ++y)
      for (size_t x = 0; x < to.width; ++x)
        for (size_t i = rows.first; i < rows.last; ++i) {
          const size_t up = meet(y, i);
          if (up >= from.height) continue;
          Piece piece{y * to.width + x, 0, 0, 0};
          for (size_t j = 0; j < order.size(); ++j) {
            const size_t left = meet(x, order[j]);
            if (left >= from.width) continue;
            if (piece.length == 0) {
              piece.input = (up * from.width + left) * from.channels;
              piece.row = ((i - rows.first) * order.size() + j) * from.channels;
            }
            piece.length += from.channels;
          }
          if (piece.length > 0) made.push_back(piece);
        }
    return made;
  }

  // Makes the matrix: copy(a tap's (C, O) of the kernel, to where) for each, in their order.
  template <class Copy>
  void arrange(Copy copy) {
    matrix.resize(depth * s.O);
    float* to = matrix.data();
    for (size_t i = rows.first; i < rows.last; ++i)
      for (size_t j : order) {
        copy(w + (i * s.K + j) * s.C * s.O, to);
        to += s.C * s.O;
      }
  }

  void multiply_pieces(const std::vector<Piece>& all, const Images& from, Images& to) {
    for (const Piece& piece : all) {
      multiply(from.from(piece.input), row_major(&matrix[piece.row * to.channels], to.channels),
               some.data(), count_, piece.length, to.channels);
      for (size_t n = 0; n < count_; ++n)
        add(&some[n * to.channels], to.at(n, piece.output), to.channels);
    }
  }

  Images in;
  const float* const w;
  std::vector<float> some;    // a product
  std::vector<float> matrix;  // the kernel, its taps in the order of one way
  std::vector<size_t> order;  // of the taps of a kernel row
  std::vector<Piece> forth, back;
  size_t count_ = 0;
};

template <class Way>
void conv(const float* x, const float* w, const float* bias, float* y, const ConvShape& s) {
  for_parts(s.N, [&](size_t, size_t begin, size_t end) {
    if (begin == end) return;
    Way work(s, w, end - begin);
    for (size_t n = begin; n < end; n += work.images) {
      const size_t count = std::min(work.images, end - n);
      work.load(x + n * s.C * s.H * s.W, count);
      work.multiply_kernel(bias);
      work.out.store(y + n * s.O * s.h * s.w, count);
    }
  });
}

template <class Way>
void conv_backward(const float* x, const float* w, const float* g, float* dx, float* dw, float* db,
                   const ConvShape& s) {
  const Kernel kernel(s);
  const size_t size = s.C * s.H * s.W;
  std::vector<std::vector<float>> kernels(thread_count()), biases(thread_count());
  for_parts(s.N, [&](size_t part, size_t begin, size_t end) {
    if (begin == end) return;
    Way work(s, w, end - begin);
    kernels[part].assign(kernel.depth * s.O, 0.0f);
    biases[part].assign(s.O, 0.0f);
    for (size_t n = begin; n < end; n += work.images) {
      const size_t count = std::min(work.images, end - n);
      work.load(x + n * size, count);
      work.out.load(g + n * s.O * s.h * s.w, count);
      work.out.add_pixels_to(biases[part].data(), count);
      work.multiply_adjoints(kernels[part].data());
      if (dx != nullptr) work.multiply_back(dx + n * size);
    }
  });
  std::fill(dw, dw + s.K * s.K * s.C * s.O, 0.0f);
  std::fill(db, db + s.O, 0.0f);
  for (size_t part = 0; part < kernels.size(); ++part) {
    if (kernels[part].empty()) continue;
    kernel.for_pieces(
        [&](size_t from, size_t to) { add(&kernels[part][from], dw + to, kernel.group * s.O); });
    add(biases[part].data(), db, s.O);
  }
}

// Taps want products that are worth their calls, and windows that share pixels.
bool by_taps(const ConvShape& s) {
  const size_t images = std::min(s.N / thread_count(), Taps::fitting(s));
  return s.C >= 8 && s.h * s.w > 1 && images * s.K * s.C * s.O >= kWorth;
}

}  // namespace

void Conv(const float* x, const float* w, const float* bias, float* y, const ConvShape& s) {
  (by_taps(s) ? conv<Taps> : conv<Windows>)(x, w, bias, y, s);
}

void ConvBackward(const float* x, const float* w, const float* g, float* dx, float* dw, float* db,
                  const ConvShape& s) {
  (by_taps(s) ? conv_backward<Taps> : conv_backward<Windows>)(x, w, g, dx, dw, db, s);
}

}  // namespace fused
}  // namespace cpu
}  // namespace needle
