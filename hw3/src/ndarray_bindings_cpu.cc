// The Python module of the CPU device: which kernel stands under which name of the device table.
#include <cstring>

#include "kernels/ndarray_bindings.h"
#include "kernels/shortcuts_bindings.h"
#include "ndarray_backend_cpu.h"

namespace {

using A = needle::cpu::AlignedArray;

// A rung of the matrix product, for compact arrays.
template <needle::cpu::Rung* rung>
void compact(const A& a, const A& b, A* out, size_t m, size_t n, size_t p) {
  using needle::cpu::row_major;
  rung(row_major(a.ptr, n), row_major(b.ptr, p), {out->ptr, static_cast<ptrdiff_t>(p), 1}, m, n, p);
}

}  // namespace

PYBIND11_MODULE(ndarray_backend_cpu, m) {
  using namespace needle;
  using namespace needle::cpu;
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
  bind_matmul<A>(m, "matmul_naive", compact<MatmulNaive>);  // the rungs, for those who climb them
  bind_matmul<A>(m, "matmul_rows", compact<MatmulRows>);
  bind_matmul<A>(m, "matmul_tiled", MatmulTiled, TILE);
  bind_matmul<A>(m, "matmul_registers", compact<MatmulRegisters>);
  bind_matmul<A>(m, "matmul_packed_b", compact<MatmulPackedB>);
  bind_matmul<A>(m, "matmul_slices", compact<MatmulSlices>);
  bind_matmul<A>(m, "matmul_packed_a", compact<MatmulPackedA>);
  bind_matmul<A>(m, "matmul_threads", compact<MatmulThreads>);
  bind_shortcuts(m);
}
