// The Python module of the CPU device: which kernel stands under which name of the device table.
#include <cstring>

#include "kernels/fused/bindings.h"
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
  bind_kernels<A>(m);
  bind_strided<A>(m, Compact, EwiseSetitem, ScalarSetitem);
  bind_matmul<A>(m, "matmul", Matmul);
  bind_matmul<A>(m, "matmul_tiled", MatmulTiled, TILE);
  bind_shortcuts(m);
  fused::bind(m);
}
