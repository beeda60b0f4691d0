// The Python modules of the CUDA device: which kernel stands under which name of the device table.
//
// Compiled once, linked three times: with kernels that nvcc compiled (hardware), with the same
// kernels compiled for the emulated device, and with those that check every access. The name of
// the module tells which it is.
#include "kernels/ndarray_bindings.h"
#include "ndarray_backend_cuda.h"

namespace needle {
namespace cuda {
namespace {

using A = CudaArray;

void define(py::module_& m, const char* device_kind) {
  m.attr("device_kind") = device_kind;
  m.def("device_count", &DeviceCount, "Number of devices that can run the kernels; 0 without one.");

  bind_array<A>(m, "cuda", TILE);
  bind_numpy<A>(
      m,
      [](const A& a, size_t first, size_t end, std::vector<float>& staging) {
        staging.resize(end - first);
        CopyToHost(a, first, end - first, staging.data());
        return const_cast<const float*>(staging.data());
      },
      [](const float* host, A* out) { CopyFromHost(host, out); });
  bind_kernels<A>(m);
  bind_strided<A>(m, Compact, EwiseSetitem, ScalarSetitem);
  bind_matmul<A>(m, "matmul", Matmul);
  bind_matmul<A>(m, "matmul_naive", MatmulNaive);  // the rungs, for those who climb them
  bind_matmul<A>(m, "matmul_shared_tiles", MatmulSharedTiles);
  bind_matmul<A>(m, "matmul_register_tiles", MatmulRegisterTiles);
  bind_matmul<A>(m, "matmul_vector_loads", MatmulVectorLoads);
}

}  // namespace
}  // namespace cuda
}  // namespace needle

PYBIND11_MODULE(ndarray_backend_cuda, m) { needle::cuda::define(m, "hardware"); }
PYBIND11_MODULE(ndarray_backend_cuda_emulated, m) { needle::cuda::define(m, "emulated"); }
PYBIND11_MODULE(ndarray_backend_cuda_checked, m) { needle::cuda::define(m, "checked"); }
