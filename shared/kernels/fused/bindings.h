// Binds the fused kernels: class FusedLayer and function fused_step of the CPU device's module.
#pragma once

#include <pybind11/pybind11.h>

namespace needle {
namespace cpu {
namespace fused {
void bind(pybind11::module_& m);
}  // namespace fused
}  // namespace cpu
}  // namespace needle
