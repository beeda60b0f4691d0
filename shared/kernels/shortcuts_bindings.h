// Binds the kernels of shortcuts.h: matmul_strided, strided_add, ..., reduce_sum_axis, ...
#pragma once

#include <pybind11/pybind11.h>

namespace needle {
namespace cpu {
void bind_shortcuts(pybind11::module_& m);
}  // namespace cpu
}  // namespace needle
