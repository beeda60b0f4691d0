// The Python module of the CPU device: which kernel stands under which name of the device table.
#include <cstring>

#include "kernels/ndarray_bindings.h"
#include "kernels/shortcuts_bindings.h"
#include "ndarray_backend_cpu.h"

PYBIND11_MODULE(ndarray_backend_cpu, m) {
  using namespace needle;
  using namespace needle::cpu;
  using A = AlignedArray;
  m.doc() = "NDArray's kernels on the CPU.";

  bind_array<A>(m, "cpu", TILE);
  bind_numpy<A>(
      m, [](const A& a, size_t first, size_t, std::vector<float>&) { return a.ptr + first; },
      [](const float* host, A* out) {
        if (out->size > 0) std::memcpy(out->ptr, host, out->size * ELEM_SIZE);
      });
  bind_fill<A>(m, Fill);
  bind_strided<A>(m, Compact, EwiseSetitem, ScalarSetitem);
  bind_binary<A>(m, {{"ewise_add", EwiseAdd},
                     {"ewise_mul", EwiseMul},
                     {"ewise_div", EwiseDiv},
                     {"ewise_maximum", EwiseMaximum},
                     {"ewise_eq", EwiseEq},
                     {"ewise_ge", EwiseGe}});
  bind_scalar<A>(m, {{"scalar_add", ScalarAdd},
                     {"scalar_mul", ScalarMul},
                     {"scalar_div", ScalarDiv},
                     {"scalar_power", ScalarPower},
                     {"scalar_maximum", ScalarMaximum},
                     {"scalar_eq", ScalarEq},
                     {"scalar_ge", ScalarGe}});
  bind_unary<A>(m, {{"ewise_log", EwiseLog}, {"ewise_exp", EwiseExp}, {"ewise_tanh", EwiseTanh}});
  bind_reduction<A>(m, {{"reduce_max", ReduceMax}, {"reduce_sum", ReduceSum}});
  bind_matmul<A>(m, "matmul", Matmul);
  bind_matmul<A>(m, "matmul_tiled", MatmulTiled, TILE);
  bind_shortcuts(m);
}
