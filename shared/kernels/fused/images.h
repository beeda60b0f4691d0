// Images and convolution kernels as matrices: for convolution.cc.
#pragma once

#include <algorithm>
#include <cstring>

#include "fused.h"

namespace needle {
namespace cpu {
namespace fused {

// The taps first..last-1 of a kernel that meet the image at any output position. The others only
// ever meet the padding: of a 3x3 kernel on a 1x1 image one tap of nine is left.
struct Range {
  size_t first, last;
  Range(size_t size, size_t length, size_t stride, size_t padding, size_t outputs) {
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

// to[j * to_row + i] = from[i * from_row + j] for i < rows, j < columns; by blocks of 8 x 8 as far
// as they go.
inline void transpose(const float* from, size_t from_row, float* to, size_t to_row, size_t rows,
                      size_t columns) {
  if (rows == 1 && to_row == 1) {
    std::memcpy(to, from, columns * sizeof(float));
  } else if (columns == 1 && from_row == 1) {
    std::memcpy(to, from, rows * sizeof(float));
  } else {
    const size_t down = rows / 8 * 8, along = columns / 8 * 8;
    for (size_t i = 0; i < down; i += 8)
      for (size_t j = 0; j < along; j += 8)
        simd::transpose8(from + i * from_row + j, static_cast<ptrdiff_t>(from_row),
                         to + j * to_row + i, static_cast<ptrdiff_t>(to_row));
    for (size_t i = 0; i < rows; ++i)
      for (size_t j = i < down ? along : 0; j < columns; ++j)
        to[j * to_row + i] = from[i * from_row + j];
  }
}

inline void add(const float* from, float* to, size_t count) {
  for (size_t i = 0; i < count; ++i) to[i] += from[i];
}

// The part of the kernel (K, K, C, O) that meets the image, as a matrix of O columns. Its rows are
// in the order kernel row, group of channels, kernel column, channel of the group. Many channels
// are one group; of few (colours) each is a group of its own, for which an image need not be turned
// round.
struct Kernel {
  explicit Kernel(const ConvShape& shape)
      : s(shape),
        rows(s.K, s.H, s.stride, s.padding, s.h),
        columns(s.K, s.W, s.stride, s.padding, s.w),
        group(s.C < 8 ? 1 : s.C),
        groups(s.C / group),
        run(columns.count() * group),
        depth(rows.count() * groups * run),
        pixels(s.h * s.w) {}

  // Calls f(where in the matrix, where in the kernel) for each piece that lies in one in both:
  // `group` channels with all outputs.
  template <class F>
  void for_pieces(F f) const {
    size_t position = 0;
    for (size_t i = rows.first; i < rows.last; ++i)
      for (size_t k = 0; k < groups; ++k)
        for (size_t j = columns.first; j < columns.last; ++j, position += group * s.O)
          f(position, ((i * s.K + j) * s.C + k * group) * s.O);
  }

  const ConvShape s;
  const Range rows, columns;
  const size_t group, groups;
  const size_t run;    // numbers side by side in an image and in a window
  const size_t depth;  // rows of the matrix
  const size_t pixels;
};

// `count` images, channels last, each a row of a matrix; `gap` numbers are free behind each row.
struct Images {
  Images(size_t count, size_t all_pixels, size_t all_channels, size_t gap = 0)
      : pixels(all_pixels),
        channels(all_channels),
        row(pixels * channels + gap),
        data(count * row) {}

  // From and to (count, channels, pixels).
  void load(const float* from, size_t count) {
    for (size_t n = 0; n < count; ++n)
      transpose(from + n * channels * pixels, pixels, at(n, 0), channels, channels, pixels);
  }
  void store(float* to, size_t count) {
    for (size_t n = 0; n < count; ++n)
      transpose(at(n, 0), channels, to + n * channels * pixels, pixels, pixels, channels);
  }

  // Every pixel of `count` images becomes `channels` numbers; zeros where there are none.
  void fill(const float* with, size_t count) {
    for (size_t n = 0; n < count; ++n)
      for (size_t pixel = 0; pixel < pixels; ++pixel)
        if (with == nullptr) {
          std::fill_n(at(n, pixel), channels, 0.0f);
        } else {
          std::memcpy(at(n, pixel), with, channels * sizeof(float));
        }
  }
  void add_pixels_to(float* sum, size_t count) {
    for (size_t n = 0; n < count; ++n)
      for (size_t pixel = 0; pixel < pixels; ++pixel) add(at(n, pixel), sum, channels);
  }

  float* at(size_t n, size_t pixel) { return data.ptr + n * row + pixel * channels; }
  // The columns of the matrix from number `first` of an image on.
  MatrixView from(size_t first) const { return {data.ptr + first, static_cast<ptrdiff_t>(row), 1}; }

  const size_t pixels, channels, row;
  AlignedArray data;
};

}  // namespace fused
}  // namespace cpu
}  // namespace needle
