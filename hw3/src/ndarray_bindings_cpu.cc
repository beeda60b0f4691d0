// The Python module of the CPU device: which kernel stands under which name of the device table.
#include <cstdlib>
#include <cstring>
#include <string>

#include "kernels/ndarray_bindings.h"
#include "kernels/shortcuts_bindings.h"
#include "ndarray_backend_cpu.h"

namespace {

using A = needle::cpu::AlignedArray;

using needle::cpu::MatrixView;
using needle::cpu::Rung;

// A rung of the matrix product as @ calls it, and for compact arrays.
template <Rung* rung>
void product(MatrixView a, MatrixView b, float* out, size_t m, size_t n, size_t p) {
  rung(a, b, {out, static_cast<ptrdiff_t>(p), 1}, m, n, p);
}

template <Rung* rung>
void compact(const A& a, const A& b, A* out, size_t m, size_t n, size_t p) {
  using needle::cpu::row_major;
  product<rung>(row_major(a.ptr, n), row_major(b.ptr, p), out->ptr, m, n, p);
}

// The rung that @ shall use in place of the one that MatmulViews names; "" if it may choose.
std::string wanted_rung() {
  const char* name = std::getenv("NEEDLE_RUNG");
  return name == nullptr ? "" : name;
}

// A rung under its name in Python.
template <Rung* rung>
void bind_rung(pybind11::module_& m, const char* name) {
  needle::bind_matmul<A>(m, name, compact<rung>);
  if (wanted_rung() == name) needle::cpu::multiply = product<rung>;
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
  bind_rung<MatmulNaive>(m, "matmul_naive");  // the rungs, for those who climb them
  bind_rung<MatmulRows>(m, "matmul_rows");
  bind_matmul<A>(m, "matmul_tiled", MatmulTiled, TILE);
  bind_rung<MatmulRegisters>(m, "matmul_registers");
  bind_rung<MatmulPackedB>(m, "matmul_packed_b");
  bind_rung<MatmulSlices>(m, "matmul_slices");
  bind_rung<MatmulPackedA>(m, "matmul_packed_a");
  bind_rung<MatmulThreads>(m, "matmul_threads");
  require(wanted_rung().empty() || multiply != MatmulViews, [] {
    return "NEEDLE_RUNG is '" + wanted_rung() +
           "'; it may be matmul_naive, matmul_rows, matmul_registers, matmul_packed_b, "
           "matmul_slices, matmul_packed_a or matmul_threads";
  });
  bind_shortcuts(m);
}
