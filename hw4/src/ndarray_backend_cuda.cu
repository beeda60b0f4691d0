// NDArray's CUDA backend: kernels, and the host functions that launch them.
//
// Arrays are flat buffers of float32 in device memory. Views (shape, strides, offset) exist only
// in Compact and the two Setitem functions; all others see compact arrays, row-major. Python sees
// this file through ndarray_bindings_cuda.cc, which has checked every size beforehand.
//
// The same file is compiled by nvcc for a GPU and by the host compiler for the emulated device.
// Sources: NVIDIA, CUDA C++ Programming Guide (execution and memory model); Mark Harris,
// "Optimizing Parallel Reduction in CUDA" (the tree of the reductions).
#include <cuda_runtime.h>

#include <cmath>
#include <new>
#include <sstream>
#include <stdexcept>
#include <string>

#include "ndarray_backend_cuda.h"

namespace needle {
namespace cuda {

////////////////////////////////////////////////////////////////////////////////
// Given: memory, launches and their errors
////////////////////////////////////////////////////////////////////////////////

// Turns the status of a CUDA call into an exception that says what was being done.
static void check(cudaError_t status, const std::string& what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // the failure is told here: the next launch shall not report it again
  throw std::runtime_error(what + " failed: " + cudaGetErrorString(status) + " (CUDA error " +
                           std::to_string(static_cast<int>(status)) + ")");
}

struct OutOfDeviceMemory : std::bad_alloc {  // becomes Python's MemoryError
  explicit OutOfDeviceMemory(size_t size)
      : message("the CUDA device has no room for an array of " + std::to_string(size) +
                " float32 elements: free other arrays or ask for a smaller one") {}
  const char* what() const noexcept override { return message.c_str(); }
  std::string message;
};

CudaArray::CudaArray(size_t size) : ptr(nullptr), size(size) {
  if (size > SIZE_MAX / ELEM_SIZE) throw OutOfDeviceMemory(size);
  if (size == 0) return;
  cudaError_t status = cudaMalloc(reinterpret_cast<void**>(&ptr), size * ELEM_SIZE);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    throw OutOfDeviceMemory(size);
  }
  if (status != cudaSuccess && DeviceCount() == 0) {
    throw std::runtime_error("no CUDA device was found on this machine");
  }
  check(status, "allocating device memory");
  check(cudaGetLastError(), "a launch before this one, which no check_launch asked about,");
}

CudaArray::~CudaArray() { cudaFree(ptr); }

int DeviceCount() {
  int count = 0;
  if (cudaGetDeviceCount(&count) == cudaSuccess) return count;
  cudaGetLastError();
  return 0;
}

void CopyFromHost(const scalar_t* host, CudaArray* out) {
  if (out->size == 0) return;
  check(cudaMemcpy(out->ptr, host, out->size * ELEM_SIZE, cudaMemcpyHostToDevice),
        "copying an array to the device");
}

void CopyToHost(const CudaArray& a, size_t start, size_t count, scalar_t* host) {
  if (count == 0) return;
  // Kernels run asynchronously: an error inside one is reported by the first call that waits.
  check(cudaMemcpy(host, a.ptr + start, count * ELEM_SIZE, cudaMemcpyDeviceToHost),
        "copying an array from the device (or a kernel before it: CUDA_LAUNCH_BLOCKING=1 tells)");
}

// Grid and block of one launch.
struct CudaDims {
  dim3 block, grid;
};

// One thread for each of `size` elements. Threads beyond the last element must do nothing.
static CudaDims CudaOneDim(size_t size) {
  size_t blocks = (size + BASE_THREAD_NUM - 1) / BASE_THREAD_NUM;
  if (blocks > 2147483647) throw std::runtime_error("arrays this large need a different launch");
  CudaDims dim;
  dim.block = dim3(BASE_THREAD_NUM, 1, 1);
  dim.grid = dim3(blocks > 0 ? static_cast<unsigned>(blocks) : 1, 1, 1);  // a grid has >= 1 block
  return dim;
}

// A short vector that can be passed to a kernel by value (a std::vector lives on the host).
struct CudaVec {
  uint32_t size;
  int64_t data[MAX_DIMS];
};

[[maybe_unused]] static CudaVec VecToCuda(const Dims& x) {
  if (x.size() > MAX_DIMS) {
    throw std::runtime_error("an array with " + std::to_string(x.size()) +
                             " axes on the CUDA device, which takes at most " +
                             std::to_string(MAX_DIMS) + ": reshape it to fewer axes first");
  }
  CudaVec vec;
  vec.size = static_cast<uint32_t>(x.size());
  for (size_t i = 0; i < x.size(); i++) vec.data[i] = x[i];
  return vec;
}

// Call it after every launch: a launch itself returns nothing, its errors wait to be fetched.
// `shape` is whatever the kernel was launched for, for the message only.
template <typename Sizes>
static void check_launch(const char* kernel, const CudaDims& dim, const Sizes& shape) {
  cudaError_t status = cudaGetLastError();
  if (status == cudaSuccess) return;
  std::ostringstream what;
  what << kernel << "<<<(" << dim.grid.x << ", " << dim.grid.y << ", " << dim.grid.z << "), ("
       << dim.block.x << ", " << dim.block.y << ", " << dim.block.z << ")>>> for shape (";
  const char* separator = "";
  for (auto length : shape) {
    what << separator << length;
    separator = ", ";
  }
  what << ")";
  check(status, what.str());
}

static void check_launch(const char* kernel, const CudaDims& dim,
                         std::initializer_list<size_t> shape) {
  check_launch<std::initializer_list<size_t>>(kernel, dim, shape);
}

////////////////////////////////////////////////////////////////////////////////
// Given: three examples of a kernel and its launch
////////////////////////////////////////////////////////////////////////////////

__global__ void FillKernel(scalar_t* out, scalar_t val, size_t size) {
  size_t gid = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (gid < size) out[gid] = val;  // the last block may have threads without an element
}

void Fill(CudaArray* out, scalar_t val) {
  CudaDims dim = CudaOneDim(out->size);
  FillKernel<<<dim.grid, dim.block>>>(out->ptr, val, out->size);
  check_launch("FillKernel", dim, {out->size});
}

__global__ void EwiseAddKernel(const scalar_t* a, const scalar_t* b, scalar_t* out, size_t size) {
  size_t gid = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (gid < size) out[gid] = a[gid] + b[gid];
}

void EwiseAdd(const CudaArray& a, const CudaArray& b, CudaArray* out) {
  CudaDims dim = CudaOneDim(out->size);
  EwiseAddKernel<<<dim.grid, dim.block>>>(a.ptr, b.ptr, out->ptr, out->size);
  check_launch("EwiseAddKernel", dim, {out->size});
}

__global__ void ScalarAddKernel(const scalar_t* a, scalar_t val, scalar_t* out, size_t size) {
  size_t gid = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (gid < size) out[gid] = a[gid] + val;
}

void ScalarAdd(const CudaArray& a, scalar_t val, CudaArray* out) {
  CudaDims dim = CudaOneDim(out->size);
  ScalarAddKernel<<<dim.grid, dim.block>>>(a.ptr, val, out->ptr, out->size);
  check_launch("ScalarAddKernel", dim, {out->size});
}

////////////////////////////////////////////////////////////////////////////////
// Compact and setitem
////////////////////////////////////////////////////////////////////////////////

// Where element number `index` of a view (counted row-major over `shape`) lies in its buffer.
// Strides may be negative or zero.
__device__ int64_t strided_index(int64_t index, CudaVec shape, CudaVec strides, size_t offset) {
  int64_t position = offset;
  /// BEGIN YOUR SOLUTION hw3/ndarray_cuda_compact_setitem
  // hw3/ndarray_cuda_compact_setitem: strided_index is yours to write
  /// END YOUR SOLUTION
  return position;
}

// out (compact, `size` elements) = the view of a.
__global__ void CompactKernel(const scalar_t* a, scalar_t* out, size_t size, CudaVec shape,
                              CudaVec strides, size_t offset) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cuda_compact_setitem
  // hw3/ndarray_cuda_compact_setitem: CompactKernel is yours to write
  /// END YOUR SOLUTION
}

void Compact(const CudaArray& a, CudaArray* out, const Dims& shape, const Dims& strides,
             size_t offset) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cuda_compact_setitem
  throw NotImplemented("hw3/ndarray_cuda_compact_setitem: Compact is yours to write");
  /// END YOUR SOLUTION
}

// The view of out = a (compact, `size` elements).
__global__ void EwiseSetitemKernel(const scalar_t* a, scalar_t* out, size_t size, CudaVec shape,
                                   CudaVec strides, size_t offset) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cuda_compact_setitem
  // hw3/ndarray_cuda_compact_setitem: EwiseSetitemKernel is yours to write
  /// END YOUR SOLUTION
}

void EwiseSetitem(const CudaArray& a, CudaArray* out, const Dims& shape, const Dims& strides,
                  size_t offset) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cuda_compact_setitem
  throw NotImplemented("hw3/ndarray_cuda_compact_setitem: EwiseSetitem is yours to write");
  /// END YOUR SOLUTION
}

// The view of out = val, at all its `size` elements.
__global__ void ScalarSetitemKernel(size_t size, scalar_t val, scalar_t* out, CudaVec shape,
                                    CudaVec strides, size_t offset) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cuda_compact_setitem
  // hw3/ndarray_cuda_compact_setitem: ScalarSetitemKernel is yours to write
  /// END YOUR SOLUTION
}

void ScalarSetitem(size_t size, scalar_t val, CudaArray* out, const Dims& shape,
                   const Dims& strides, size_t offset) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cuda_compact_setitem
  throw NotImplemented("hw3/ndarray_cuda_compact_setitem: ScalarSetitem is yours to write");
  /// END YOUR SOLUTION
}

////////////////////////////////////////////////////////////////////////////////
// Elementwise and scalar operators
////////////////////////////////////////////////////////////////////////////////

// The operators, as a template argument: every operator gets a kernel of its own from one text,
// and the choice below is made by the compiler, not by each thread.
enum class Operation { kMul, kDiv, kPower, kMaximum, kEq, kGe, kLog, kExp, kTanh };

// One result. Comparisons give 1 or 0; maximum gives NaN if either operand is NaN, as NumPy does;
// log, exp and tanh look at `a` only.
template <Operation operation>
__device__ scalar_t apply(scalar_t a, scalar_t b) {
  scalar_t result = 0;
  /// BEGIN YOUR SOLUTION hw3/ndarray_cuda_ops
  // hw3/ndarray_cuda_ops: apply is yours to write
  /// END YOUR SOLUTION
  return result;
}

// out[i] = apply(a[i], b[i])
template <Operation operation>
__global__ void EwiseKernel(const scalar_t* a, const scalar_t* b, scalar_t* out, size_t size) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cuda_ops
  // hw3/ndarray_cuda_ops: EwiseKernel is yours to write
  /// END YOUR SOLUTION
}

// out[i] = apply(a[i], val)
template <Operation operation>
__global__ void ScalarKernel(const scalar_t* a, scalar_t val, scalar_t* out, size_t size) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cuda_ops
  // hw3/ndarray_cuda_ops: ScalarKernel is yours to write
  /// END YOUR SOLUTION
}

template <Operation operation>
static void launch_ewise(const char* name, const CudaArray& a, const CudaArray& b, CudaArray* out) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cuda_ops
  throw NotImplemented("hw3/ndarray_cuda_ops: launch_ewise is yours to write");
  /// END YOUR SOLUTION
}

template <Operation operation>
static void launch_scalar(const char* name, const CudaArray& a, scalar_t val, CudaArray* out) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cuda_ops
  throw NotImplemented("hw3/ndarray_cuda_ops: launch_scalar is yours to write");
  /// END YOUR SOLUTION
}

void EwiseMul(const CudaArray& a, const CudaArray& b, CudaArray* out) {
  launch_ewise<Operation::kMul>("EwiseMul", a, b, out);
}

void ScalarMul(const CudaArray& a, scalar_t val, CudaArray* out) {
  launch_scalar<Operation::kMul>("ScalarMul", a, val, out);
}

void EwiseDiv(const CudaArray& a, const CudaArray& b, CudaArray* out) {
  launch_ewise<Operation::kDiv>("EwiseDiv", a, b, out);
}

void ScalarDiv(const CudaArray& a, scalar_t val, CudaArray* out) {
  launch_scalar<Operation::kDiv>("ScalarDiv", a, val, out);
}

void ScalarPower(const CudaArray& a, scalar_t val, CudaArray* out) {
  launch_scalar<Operation::kPower>("ScalarPower", a, val, out);
}

void EwiseMaximum(const CudaArray& a, const CudaArray& b, CudaArray* out) {
  launch_ewise<Operation::kMaximum>("EwiseMaximum", a, b, out);
}

void ScalarMaximum(const CudaArray& a, scalar_t val, CudaArray* out) {
  launch_scalar<Operation::kMaximum>("ScalarMaximum", a, val, out);
}

void EwiseEq(const CudaArray& a, const CudaArray& b, CudaArray* out) {
  launch_ewise<Operation::kEq>("EwiseEq", a, b, out);
}

void ScalarEq(const CudaArray& a, scalar_t val, CudaArray* out) {
  launch_scalar<Operation::kEq>("ScalarEq", a, val, out);
}

void EwiseGe(const CudaArray& a, const CudaArray& b, CudaArray* out) {
  launch_ewise<Operation::kGe>("EwiseGe", a, b, out);
}

void ScalarGe(const CudaArray& a, scalar_t val, CudaArray* out) {
  launch_scalar<Operation::kGe>("ScalarGe", a, val, out);
}

void EwiseLog(const CudaArray& a, CudaArray* out) {
  launch_scalar<Operation::kLog>("EwiseLog", a, 0, out);
}

void EwiseExp(const CudaArray& a, CudaArray* out) {
  launch_scalar<Operation::kExp>("EwiseExp", a, 0, out);
}

void EwiseTanh(const CudaArray& a, CudaArray* out) {
  launch_scalar<Operation::kTanh>("EwiseTanh", a, 0, out);
}

////////////////////////////////////////////////////////////////////////////////
// Reductions
////////////////////////////////////////////////////////////////////////////////

// Given: the two reductions, as a template argument like the operators above.
enum class Reduction { kSum, kMax };

// What a reduction of no elements gives.
template <Reduction reduction>
__device__ scalar_t identity() {
  return reduction == Reduction::kSum ? 0 : -INFINITY;
}

// Two partial results made one.
template <Reduction reduction>
__device__ scalar_t combine(scalar_t a, scalar_t b) {
  if (reduction == Reduction::kSum) return a + b;
  return a > b || a != a ? a : b;  // NaN wins, as in NumPy
}

// out[row * splits + s] = the reduction of part s of row `row`, a part being `chunk` elements (the
// last one of a row may be shorter). blockDim.x threads, a power of two, share one part; the block
// works on blockDim.y parts. blockDim.x * blockDim.y must be BASE_THREAD_NUM.
template <Reduction reduction>
__global__ void ReduceKernel(const scalar_t* a, scalar_t* out, size_t parts, size_t reduce_size,
                             size_t chunk, size_t splits) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cuda_reductions
  // hw3/ndarray_cuda_reductions: ReduceKernel is yours to write
  /// END YOUR SOLUTION
}

// One level of the reduction: `parts` results out of rows of reduce_size elements.
template <Reduction reduction>
static void launch_reduce(const CudaArray& a, CudaArray* out, size_t reduce_size, size_t chunk,
                          size_t splits) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cuda_reductions
  throw NotImplemented("hw3/ndarray_cuda_reductions: launch_reduce is yours to write");
  /// END YOUR SOLUTION
}

// Long rows are first cut into chunks, so that more than one block works on each of them.
template <Reduction reduction>
static void reduce(const CudaArray& a, CudaArray* out, size_t reduce_size) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cuda_reductions
  throw NotImplemented("hw3/ndarray_cuda_reductions: reduce is yours to write");
  /// END YOUR SOLUTION
}

void ReduceMax(const CudaArray& a, CudaArray* out, size_t reduce_size) {
  reduce<Reduction::kMax>(a, out, reduce_size);
}

void ReduceSum(const CudaArray& a, CudaArray* out, size_t reduce_size) {
  reduce<Reduction::kSum>(a, out, reduce_size);
}

////////////////////////////////////////////////////////////////////////////////
// Matrix multiplication: (m, n) x (n, p) -> (m, p), row-major
////////////////////////////////////////////////////////////////////////////////

// Rung 1. One thread for one result; every operand comes from global memory each time.
__global__ void MatmulNaiveKernel(const scalar_t* a, const scalar_t* b, scalar_t* out, uint32_t m,
                                  uint32_t n, uint32_t p) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cuda_matmul
  // hw3/ndarray_cuda_matmul: MatmulNaiveKernel is yours to write
  /// END YOUR SOLUTION
}

void MatmulNaive(const CudaArray& a, const CudaArray& b, CudaArray* out, size_t m, size_t n,
                 size_t p) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cuda_matmul
  throw NotImplemented("hw3/ndarray_cuda_matmul: MatmulNaive is yours to write");
  /// END YOUR SOLUTION
}

// Rung 2. A block computes a SIDE x SIDE tile of the result. Its threads copy one tile of a and one
// of b into shared memory together, then every loaded element is used SIDE times.
constexpr int SIDE = 16;

__global__ void MatmulSharedTilesKernel(const scalar_t* a, const scalar_t* b, scalar_t* out,
                                        uint32_t m, uint32_t n, uint32_t p) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cuda_matmul
  // hw3/ndarray_cuda_matmul: MatmulSharedTilesKernel is yours to write or not
  /// END YOUR SOLUTION
}

void MatmulSharedTiles(const CudaArray& a, const CudaArray& b, CudaArray* out, size_t m, size_t n,
                       size_t p) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cuda_matmul
  throw NotImplemented("hw3/ndarray_cuda_matmul: MatmulSharedTiles is yours to write or not");
  /// END YOUR SOLUTION
}

// Rung 3. A block of SIDE x SIDE threads computes BLOCK x BLOCK results, each thread TILE x TILE of
// them in registers: for TILE + TILE loads from shared memory it does TILE * TILE multiplications.
// Rung 4. The same with float4 loads: one instruction moves four neighbours. It needs rows that
// start at multiples of four floats, so both n and p must be multiples of 4.
[[maybe_unused]] constexpr int BLOCK = SIDE * TILE;  // 64 x 64 results of one block
[[maybe_unused]] constexpr int DEPTH = 16;  // columns of a, rows of b in shared memory at a time

template <bool vector_loads>
__global__ void MatmulRegisterTilesKernel(const scalar_t* a, const scalar_t* b, scalar_t* out,
                                          uint32_t m, uint32_t n, uint32_t p) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cuda_matmul
  // hw3/ndarray_cuda_matmul: MatmulRegisterTilesKernel is yours to write or not
  /// END YOUR SOLUTION
}

template <bool vector_loads>
static void launch_register_tiles(const CudaArray& a, const CudaArray& b, CudaArray* out, size_t m,
                                  size_t n, size_t p) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cuda_matmul
  throw NotImplemented("hw3/ndarray_cuda_matmul: launch_register_tiles is yours to write or not");
  /// END YOUR SOLUTION
}

void MatmulRegisterTiles(const CudaArray& a, const CudaArray& b, CudaArray* out, size_t m, size_t n,
                         size_t p) {
  launch_register_tiles<false>(a, b, out, m, n, p);
}

void MatmulVectorLoads(const CudaArray& a, const CudaArray& b, CudaArray* out, size_t m, size_t n,
                       size_t p) {
  if (n % 4 != 0 || p % 4 != 0) {
    throw std::invalid_argument("vector loads need n and p to be multiples of 4, got n = " +
                                std::to_string(n) + ", p = " + std::to_string(p));
  }
  launch_register_tiles<true>(a, b, out, m, n, p);
}

// The rung that fits: what NDArray's @ calls.
void Matmul(const CudaArray& a, const CudaArray& b, CudaArray* out, size_t m, size_t n, size_t p) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cuda_matmul
  throw NotImplemented("hw3/ndarray_cuda_matmul: Matmul is yours to write");
  /// END YOUR SOLUTION
}

}  // namespace cuda
}  // namespace needle
