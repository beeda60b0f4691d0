// Binds the kernels of shortcuts.h: matmul_views, ewise_add_views, ..., reduce_sum_views, ...
#pragma once

#include <pybind11/pybind11.h>

namespace needle {
namespace cpu {
void bind_shortcuts(pybind11::module_& m);
}  // namespace cpu
}  // namespace needle
