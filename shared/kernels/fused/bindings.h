// Binds the fused kernels: the table `layers` and the steps of the optimizers.
#pragma once

#include <pybind11/pybind11.h>

namespace needle {
namespace cpu {
namespace fused {
void bind(pybind11::module_& m);
}  // namespace fused
}  // namespace cpu
}  // namespace needle
