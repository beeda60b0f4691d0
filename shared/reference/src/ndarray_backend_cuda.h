// What the CUDA backend offers to its Python bindings (ndarray_bindings_cuda.cc).
//
// The kernels and the host functions that launch them are in ndarray_backend_cuda.cu. No CUDA
// header is needed here, so one compilation of the bindings serves every build of the kernels.
// Sizes are in elements, shapes and strides too. The bindings check that sizes fit together
// before they call; the functions below may rely on it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/not_implemented.h"

namespace needle {
namespace cuda {

using scalar_t = float;
using Dims = std::vector<int64_t>;  // shapes and strides, in elements; strides may be 0 or negative

constexpr size_t ELEM_SIZE = sizeof(scalar_t);
constexpr int BASE_THREAD_NUM = 256;  // threads of a block in one-dimensional launches
constexpr int TILE = 4;               // a thread of the tiled matmul computes TILE x TILE results
constexpr size_t MAX_DIMS = 8;        // axes that fit into a kernel's CudaVec argument

// A flat buffer of `size` floats in the memory of the device. Its contents start undefined.
struct CudaArray {
  explicit CudaArray(size_t size);
  ~CudaArray();
  CudaArray(const CudaArray&) = delete;
  CudaArray& operator=(const CudaArray&) = delete;

  scalar_t* ptr;
  size_t size;
};

// Number of devices that can run these kernels. 0 where there is none; never an error.
int DeviceCount();

// Copies between the host and the device. `start` and `count` are in elements.
void CopyFromHost(const scalar_t* host, CudaArray* out);
void CopyToHost(const CudaArray& a, size_t start, size_t count, scalar_t* host);

void Fill(CudaArray* out, scalar_t val);
void Compact(const CudaArray& a, CudaArray* out, const Dims& shape, const Dims& strides,
             size_t offset);
void EwiseSetitem(const CudaArray& a, CudaArray* out, const Dims& shape, const Dims& strides,
                  size_t offset);
void ScalarSetitem(size_t size, scalar_t val, CudaArray* out, const Dims& shape,
                   const Dims& strides, size_t offset);

void EwiseAdd(const CudaArray& a, const CudaArray& b, CudaArray* out);
void ScalarAdd(const CudaArray& a, scalar_t val, CudaArray* out);
void EwiseMul(const CudaArray& a, const CudaArray& b, CudaArray* out);
void ScalarMul(const CudaArray& a, scalar_t val, CudaArray* out);
void EwiseDiv(const CudaArray& a, const CudaArray& b, CudaArray* out);
void ScalarDiv(const CudaArray& a, scalar_t val, CudaArray* out);
void ScalarPower(const CudaArray& a, scalar_t val, CudaArray* out);
void EwiseMaximum(const CudaArray& a, const CudaArray& b, CudaArray* out);
void ScalarMaximum(const CudaArray& a, scalar_t val, CudaArray* out);
void EwiseEq(const CudaArray& a, const CudaArray& b, CudaArray* out);
void ScalarEq(const CudaArray& a, scalar_t val, CudaArray* out);
void EwiseGe(const CudaArray& a, const CudaArray& b, CudaArray* out);
void ScalarGe(const CudaArray& a, scalar_t val, CudaArray* out);
void EwiseLog(const CudaArray& a, CudaArray* out);
void EwiseExp(const CudaArray& a, CudaArray* out);
void EwiseTanh(const CudaArray& a, CudaArray* out);

// (m, n) x (n, p) -> (m, p). Matmul is the one NDArray calls; the others are the rungs to it.
void Matmul(const CudaArray& a, const CudaArray& b, CudaArray* out, size_t m, size_t n, size_t p);
void MatmulNaive(const CudaArray& a, const CudaArray& b, CudaArray* out, size_t m, size_t n,
                 size_t p);
void MatmulSharedTiles(const CudaArray& a, const CudaArray& b, CudaArray* out, size_t m, size_t n,
                       size_t p);
void MatmulRegisterTiles(const CudaArray& a, const CudaArray& b, CudaArray* out, size_t m, size_t n,
                         size_t p);
void MatmulVectorLoads(const CudaArray& a, const CudaArray& b, CudaArray* out, size_t m, size_t n,
                       size_t p);

// out[i] = max / sum of the i-th run of reduce_size elements of a.
void ReduceMax(const CudaArray& a, CudaArray* out, size_t reduce_size);
void ReduceSum(const CudaArray& a, CudaArray* out, size_t reduce_size);

}  // namespace cuda
}  // namespace needle
