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
  /// BEGIN SOLUTION hw3/ndarray_cuda_compact_setitem
  for (int axis = static_cast<int>(shape.size) - 1; axis >= 0; axis--) {
    position += index % shape.data[axis] * strides.data[axis];
    index /= shape.data[axis];
  }
  /// END SOLUTION
  return position;
}

// out (compact, `size` elements) = the view of a.
__global__ void CompactKernel(const scalar_t* a, scalar_t* out, size_t size, CudaVec shape,
                              CudaVec strides, size_t offset) {
  /// BEGIN SOLUTION hw3/ndarray_cuda_compact_setitem
  size_t gid = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (gid < size) out[gid] = a[strided_index(gid, shape, strides, offset)];
  /// END SOLUTION
}

void Compact(const CudaArray& a, CudaArray* out, const Dims& shape, const Dims& strides,
             size_t offset) {
  /// BEGIN SOLUTION hw3/ndarray_cuda_compact_setitem
  CudaDims dim = CudaOneDim(out->size);
  CompactKernel<<<dim.grid, dim.block>>>(a.ptr, out->ptr, out->size, VecToCuda(shape),
                                         VecToCuda(strides), offset);
  check_launch("CompactKernel", dim, shape);
  /// END SOLUTION
}

// The view of out = a (compact, `size` elements).
__global__ void EwiseSetitemKernel(const scalar_t* a, scalar_t* out, size_t size, CudaVec shape,
                                   CudaVec strides, size_t offset) {
  /// BEGIN SOLUTION hw3/ndarray_cuda_compact_setitem
  size_t gid = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (gid < size) out[strided_index(gid, shape, strides, offset)] = a[gid];
  /// END SOLUTION
}

void EwiseSetitem(const CudaArray& a, CudaArray* out, const Dims& shape, const Dims& strides,
                  size_t offset) {
  /// BEGIN SOLUTION hw3/ndarray_cuda_compact_setitem
  CudaDims dim = CudaOneDim(a.size);  // not out->size: out may be much larger than the view
  EwiseSetitemKernel<<<dim.grid, dim.block>>>(a.ptr, out->ptr, a.size, VecToCuda(shape),
                                              VecToCuda(strides), offset);
  check_launch("EwiseSetitemKernel", dim, shape);
  /// END SOLUTION
}

// The view of out = val, at all its `size` elements.
__global__ void ScalarSetitemKernel(size_t size, scalar_t val, scalar_t* out, CudaVec shape,
                                    CudaVec strides, size_t offset) {
  /// BEGIN SOLUTION hw3/ndarray_cuda_compact_setitem
  size_t gid = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (gid < size) out[strided_index(gid, shape, strides, offset)] = val;
  /// END SOLUTION
}

void ScalarSetitem(size_t size, scalar_t val, CudaArray* out, const Dims& shape,
                   const Dims& strides, size_t offset) {
  /// BEGIN SOLUTION hw3/ndarray_cuda_compact_setitem
  CudaDims dim = CudaOneDim(size);
  ScalarSetitemKernel<<<dim.grid, dim.block>>>(size, val, out->ptr, VecToCuda(shape),
                                               VecToCuda(strides), offset);
  check_launch("ScalarSetitemKernel", dim, shape);
  /// END SOLUTION
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
  /// BEGIN SOLUTION hw3/ndarray_cuda_ops
  switch (operation) {
    case Operation::kMul:
      result = a * b;
      break;
    case Operation::kDiv:
      result = a / b;
      break;
    case Operation::kPower:
      result = powf(a, b);
      break;
    case Operation::kMaximum:
      result = a > b || a != a ? a : b;
      break;
    case Operation::kEq:
      result = a == b;
      break;
    case Operation::kGe:
      result = a >= b;
      break;
    case Operation::kLog:
      result = logf(a);
      break;
    case Operation::kExp:
      result = expf(a);
      break;
    case Operation::kTanh:
      result = tanhf(a);
      break;
  }
  /// END SOLUTION
  return result;
}

// out[i] = apply(a[i], b[i])
template <Operation operation>
__global__ void EwiseKernel(const scalar_t* a, const scalar_t* b, scalar_t* out, size_t size) {
  /// BEGIN SOLUTION hw3/ndarray_cuda_ops
  size_t gid = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (gid < size) out[gid] = apply<operation>(a[gid], b[gid]);
  /// END SOLUTION
}

// out[i] = apply(a[i], val)
template <Operation operation>
__global__ void ScalarKernel(const scalar_t* a, scalar_t val, scalar_t* out, size_t size) {
  /// BEGIN SOLUTION hw3/ndarray_cuda_ops
  size_t gid = static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (gid < size) out[gid] = apply<operation>(a[gid], val);
  /// END SOLUTION
}

template <Operation operation>
static void launch_ewise(const char* name, const CudaArray& a, const CudaArray& b, CudaArray* out) {
  /// BEGIN SOLUTION hw3/ndarray_cuda_ops
  CudaDims dim = CudaOneDim(out->size);
  EwiseKernel<operation><<<dim.grid, dim.block>>>(a.ptr, b.ptr, out->ptr, out->size);
  check_launch(name, dim, {out->size});
  /// END SOLUTION
}

template <Operation operation>
static void launch_scalar(const char* name, const CudaArray& a, scalar_t val, CudaArray* out) {
  /// BEGIN SOLUTION hw3/ndarray_cuda_ops
  CudaDims dim = CudaOneDim(out->size);
  ScalarKernel<operation><<<dim.grid, dim.block>>>(a.ptr, val, out->ptr, out->size);
  check_launch(name, dim, {out->size});
  /// END SOLUTION
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
  /// BEGIN SOLUTION hw3/ndarray_cuda_reductions
  __shared__ scalar_t partial[BASE_THREAD_NUM];
  size_t part = static_cast<size_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  scalar_t result = identity<reduction>();
  if (part < parts) {
    const scalar_t* row = a + part / splits * reduce_size;
    size_t begin = part % splits * chunk;
    size_t end = begin + chunk < reduce_size ? begin + chunk : reduce_size;
    // Neighbouring threads read neighbouring elements, so that their loads coalesce.
    for (size_t i = begin + threadIdx.x; i < end; i += blockDim.x) {
      result = combine<reduction>(result, row[i]);
    }
  }
  // A tree over the threads of a part: half as many are busy after every barrier. Threads without
  // a part stay in the loop, because every thread of a block must come to each of its barriers.
  scalar_t* mine = partial + threadIdx.y * blockDim.x;
  mine[threadIdx.x] = result;
  __syncthreads();
  for (unsigned half = blockDim.x / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) {
      mine[threadIdx.x] = combine<reduction>(mine[threadIdx.x], mine[threadIdx.x + half]);
    }
    __syncthreads();
  }
  if (threadIdx.x == 0 && part < parts) out[part] = mine[0];
  /// END SOLUTION
}

// One level of the reduction: `parts` results out of rows of reduce_size elements.
template <Reduction reduction>
static void launch_reduce(const CudaArray& a, CudaArray* out, size_t reduce_size, size_t chunk,
                          size_t splits) {
  /// BEGIN SOLUTION hw3/ndarray_cuda_reductions
  size_t parts = out->size;
  unsigned threads = 1;  // for each part: no more than it has elements, or most would idle
  while (threads < BASE_THREAD_NUM && threads < chunk) threads *= 2;
  CudaDims dim;
  dim.block = dim3(threads, BASE_THREAD_NUM / threads, 1);
  dim.grid = dim3(static_cast<unsigned>((parts + dim.block.y - 1) / dim.block.y), 1, 1);
  ReduceKernel<reduction>
      <<<dim.grid, dim.block>>>(a.ptr, out->ptr, parts, reduce_size, chunk, splits);
  check_launch("ReduceKernel", dim, {parts / splits, reduce_size});
  /// END SOLUTION
}

// Long rows are first cut into chunks, so that more than one block works on each of them.
template <Reduction reduction>
static void reduce(const CudaArray& a, CudaArray* out, size_t reduce_size) {
  /// BEGIN SOLUTION hw3/ndarray_cuda_reductions
  const size_t chunk = 64 * BASE_THREAD_NUM;
  if (out->size == 0) return;
  if (reduce_size <= chunk) {
    launch_reduce<reduction>(a, out, reduce_size, reduce_size, 1);
    return;
  }
  size_t splits = (reduce_size + chunk - 1) / chunk;
  CudaArray partial(out->size * splits);
  launch_reduce<reduction>(a, &partial, reduce_size, chunk, splits);
  reduce<reduction>(partial, out, splits);
  /// END SOLUTION
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
  /// BEGIN SOLUTION hw3/ndarray_cuda_matmul
  // threadIdx.x, along which a warp runs, counts columns: its loads of b and stores are neighbours.
  // blockIdx.x counts rows, because a grid may be 2^31 - 1 blocks long in x, only 65535 in y.
  size_t row = static_cast<size_t>(blockIdx.x) * blockDim.y + threadIdx.y;
  size_t column = static_cast<size_t>(blockIdx.y) * blockDim.x + threadIdx.x;
  if (row >= m || column >= p) return;
  scalar_t sum = 0;
  for (size_t k = 0; k < n; k++) sum += a[row * n + k] * b[k * p + column];
  out[row * p + column] = sum;
  /// END SOLUTION
}

void MatmulNaive(const CudaArray& a, const CudaArray& b, CudaArray* out, size_t m, size_t n,
                 size_t p) {
  /// BEGIN SOLUTION hw3/ndarray_cuda_matmul
  if (out->size == 0) return;
  CudaDims dim;
  dim.block = dim3(16, 16, 1);
  dim.grid = dim3((m + 15) / 16, (p + 15) / 16, 1);
  MatmulNaiveKernel<<<dim.grid, dim.block>>>(a.ptr, b.ptr, out->ptr, m, n, p);
  check_launch("MatmulNaiveKernel", dim, {m, n, p});
  /// END SOLUTION
}

// Rung 2. A block computes a SIDE x SIDE tile of the result. Its threads copy one tile of a and one
// of b into shared memory together, then every loaded element is used SIDE times.
constexpr int SIDE = 16;

__global__ void MatmulSharedTilesKernel(const scalar_t* a, const scalar_t* b, scalar_t* out,
                                        uint32_t m, uint32_t n, uint32_t p) {
  /// BEGIN SOLUTION hw3/ndarray_cuda_matmul optional
  __shared__ scalar_t tile_a[SIDE][SIDE];
  __shared__ scalar_t tile_b[SIDE][SIDE];
  size_t row = static_cast<size_t>(blockIdx.x) * SIDE + threadIdx.y;
  size_t column = static_cast<size_t>(blockIdx.y) * SIDE + threadIdx.x;
  scalar_t sum = 0;
  for (size_t start = 0; start < n; start += SIDE) {
    // Outside the matrices a tile holds zeros: they add nothing, and no thread leaves the loop.
    size_t k_a = start + threadIdx.x, k_b = start + threadIdx.y;
    tile_a[threadIdx.y][threadIdx.x] = row < m && k_a < n ? a[row * n + k_a] : 0;
    tile_b[threadIdx.y][threadIdx.x] = k_b < n && column < p ? b[k_b * p + column] : 0;
    __syncthreads();  // the tiles are complete
    // The products of a tile are added up first, then to the others: rounding errors grow with the
    // number of tiles, not of products.
    scalar_t part = 0;
    for (int k = 0; k < SIDE; k++) part += tile_a[threadIdx.y][k] * tile_b[k][threadIdx.x];
    sum += part;
    __syncthreads();  // nobody reads them any more: they may be overwritten
  }
  if (row < m && column < p) out[row * p + column] = sum;
  /// END SOLUTION
}

void MatmulSharedTiles(const CudaArray& a, const CudaArray& b, CudaArray* out, size_t m, size_t n,
                       size_t p) {
  /// BEGIN SOLUTION hw3/ndarray_cuda_matmul optional
  if (out->size == 0) return;
  CudaDims dim;
  dim.block = dim3(SIDE, SIDE, 1);
  dim.grid = dim3((m + SIDE - 1) / SIDE, (p + SIDE - 1) / SIDE, 1);
  MatmulSharedTilesKernel<<<dim.grid, dim.block>>>(a.ptr, b.ptr, out->ptr, m, n, p);
  check_launch("MatmulSharedTilesKernel", dim, {m, n, p});
  /// END SOLUTION
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
  /// BEGIN SOLUTION hw3/ndarray_cuda_matmul optional
  __shared__ scalar_t tile_a[DEPTH][BLOCK];  // transposed: the inner loop reads along a row
  __shared__ scalar_t tile_b[DEPTH][BLOCK];
  const size_t first_row = static_cast<size_t>(blockIdx.x) * BLOCK;
  const size_t first_column = static_cast<size_t>(blockIdx.y) * BLOCK;
  const int thread = threadIdx.y * SIDE + threadIdx.x;
  scalar_t sums[TILE][TILE] = {};

  for (size_t start = 0; start < n; start += DEPTH) {
    // 256 threads fill 2 x 1024 elements, four each of a and of b.
    if (vector_loads) {
      size_t row = first_row + thread / 4, k = start + thread % 4 * 4;
      float4 four = make_float4(0, 0, 0, 0);
      if (row < m && k < n) four = *reinterpret_cast<const float4*>(a + row * n + k);
      tile_a[thread % 4 * 4 + 0][thread / 4] = four.x;
      tile_a[thread % 4 * 4 + 1][thread / 4] = four.y;
      tile_a[thread % 4 * 4 + 2][thread / 4] = four.z;
      tile_a[thread % 4 * 4 + 3][thread / 4] = four.w;
      k = start + thread / 16;
      size_t column = first_column + thread % 16 * 4;
      four = make_float4(0, 0, 0, 0);
      if (k < n && column < p) four = *reinterpret_cast<const float4*>(b + k * p + column);
      *reinterpret_cast<float4*>(&tile_b[thread / 16][thread % 16 * 4]) = four;
    } else {
      for (int i = thread; i < DEPTH * BLOCK; i += SIDE * SIDE) {
        size_t row = first_row + i / DEPTH, k = start + i % DEPTH;
        tile_a[i % DEPTH][i / DEPTH] = row < m && k < n ? a[row * n + k] : 0;
        size_t column = first_column + i % BLOCK;
        k = start + i / BLOCK;
        tile_b[i / BLOCK][i % BLOCK] = k < n && column < p ? b[k * p + column] : 0;
      }
    }
    __syncthreads();
    scalar_t parts[TILE][TILE] = {};  // of these tiles only, as in rung 2
    for (int k = 0; k < DEPTH; k++) {
      scalar_t left[TILE], right[TILE];
      for (int i = 0; i < TILE; i++) left[i] = tile_a[k][threadIdx.y * TILE + i];
      for (int j = 0; j < TILE; j++) right[j] = tile_b[k][threadIdx.x * TILE + j];
      for (int i = 0; i < TILE; i++) {
        for (int j = 0; j < TILE; j++) parts[i][j] += left[i] * right[j];
      }
    }
    for (int i = 0; i < TILE; i++) {
      for (int j = 0; j < TILE; j++) sums[i][j] += parts[i][j];
    }
    __syncthreads();
  }

  for (int i = 0; i < TILE; i++) {
    size_t row = first_row + threadIdx.y * TILE + i;
    for (int j = 0; j < TILE; j++) {
      size_t column = first_column + threadIdx.x * TILE + j;
      if (row < m && column < p) out[row * p + column] = sums[i][j];
    }
  }
  /// END SOLUTION
}

template <bool vector_loads>
static void launch_register_tiles(const CudaArray& a, const CudaArray& b, CudaArray* out, size_t m,
                                  size_t n, size_t p) {
  /// BEGIN SOLUTION hw3/ndarray_cuda_matmul optional
  if (out->size == 0) return;
  CudaDims dim;
  dim.block = dim3(SIDE, SIDE, 1);
  dim.grid = dim3((m + BLOCK - 1) / BLOCK, (p + BLOCK - 1) / BLOCK, 1);
  MatmulRegisterTilesKernel<vector_loads><<<dim.grid, dim.block>>>(a.ptr, b.ptr, out->ptr, m, n, p);
  check_launch("MatmulRegisterTilesKernel", dim, {m, n, p});
  /// END SOLUTION
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
  /// BEGIN SOLUTION hw3/ndarray_cuda_matmul
  if (m < BLOCK / 2 || p < BLOCK / 2) {  // most of a large block would compute nothing
    MatmulSharedTiles(a, b, out, m, n, p);
  } else if (n % 4 == 0 && p % 4 == 0) {
    MatmulVectorLoads(a, b, out, m, n, p);
  } else {
    MatmulRegisterTiles(a, b, out, m, n, p);
  }
  /// END SOLUTION
}

}  // namespace cuda
}  // namespace needle
