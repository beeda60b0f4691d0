// Views with fewer axes. Copying a view is faster the longer its rows are, and many views have more
// axes than they need: those of length 1, and neighbours that lie one after the other in memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace needle {
namespace cpu {

// One axis of a copy: `length` elements, `from` apart in the source and `to` in the destination.
struct Axis {
  size_t length;
  ptrdiff_t from;
  ptrdiff_t to;
};

// Row-major strides of a shape.
inline std::vector<int64_t> row_major_strides(const std::vector<int64_t>& shape) {
  std::vector<int64_t> strides(shape.size());
  int64_t stride = 1;
  for (size_t i = shape.size(); i-- > 0; stride *= shape[i]) strides[i] = stride;
  return strides;
}

// The axes of a copy, without those of length 1, neighbours merged where both sides allow it. The
// order of elements stays the same. Empty for a single element.
inline std::vector<Axis> merge_axes(const std::vector<int64_t>& shape,
                                    const std::vector<int64_t>& from,
                                    const std::vector<int64_t>& to) {
  std::vector<Axis> axes;
  axes.reserve(shape.size());
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] == 1) continue;
    const Axis axis{static_cast<size_t>(shape[i]), static_cast<ptrdiff_t>(from[i]),
                    static_cast<ptrdiff_t>(to[i])};
    const ptrdiff_t length = static_cast<ptrdiff_t>(axis.length);
    if (!axes.empty() && axes.back().from == axis.from * length &&
        axes.back().to == axis.to * length) {
      axes.back() = {axes.back().length * axis.length, axis.from, axis.to};
    } else {
      axes.push_back(axis);
    }
  }
  return axes;
}

}  // namespace cpu
}  // namespace needle
