// Stand-in for NVIDIA's cuda_runtime.h: with this one first on the include path, and after
// rewrite.py has turned `<<< >>>` and `__shared__` into C++, the host compiler accepts a .cu file
// and its kernels run on the CPU. Only what a course needs is here; anything else is a compile
// error, never a silent difference.
//
// What runs where: emulator.h declares the runtime, scheduler.cc runs a grid, memory.cc is the
// device memory, checker.cc (checked build only) watches every access.
#pragma once

#include <cassert>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <type_traits>

#define __host__
#define __device__
#define __global__
#define __constant__
#define __managed__
#define __forceinline__ inline
#define __noinline__
#define __launch_bounds__(...)
#define __align__(bytes) alignas(bytes)

// ------------------------------------------------------------------------------ vector types

#define CUDA_VECTOR_TYPES(T, name)                                   \
  struct name##2 { T x, y; }                                         \
  __attribute__((aligned(2 * sizeof(T))));                           \
  struct name##3 { T x, y, z; };                                     \
  struct name##4 { T x, y, z, w; }                                   \
  __attribute__((aligned(16)));                                      \
  inline name##2 make_##name##2(T x, T y) { return {x, y}; }         \
  inline name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; } \
  inline name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }
CUDA_VECTOR_TYPES(float, float)
CUDA_VECTOR_TYPES(double, double)
CUDA_VECTOR_TYPES(int, int)
CUDA_VECTOR_TYPES(unsigned, uint)
#undef CUDA_VECTOR_TYPES

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
  constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
  constexpr operator uint3() const { return {x, y, z}; }
};

// Indices of the running thread. The scheduler sets them before it lets a thread go on.
#if defined(__linux__)
#define NEEDLE_THREAD_LOCAL __thread __attribute__((tls_model("initial-exec")))
#else
#define NEEDLE_THREAD_LOCAL __thread
#endif
extern NEEDLE_THREAD_LOCAL uint3 threadIdx;
extern NEEDLE_THREAD_LOCAL uint3 blockIdx;
extern NEEDLE_THREAD_LOCAL uint3 blockDim;
extern NEEDLE_THREAD_LOCAL uint3 gridDim;
static const int warpSize = 32;

// --------------------------------------------------------------------------- host: runtime API

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorInvalidDevice = 101,
};
typedef cudaError_t cudaError;
enum cudaMemcpyKind {
  cudaMemcpyHostToHost = 0,
  cudaMemcpyHostToDevice = 1,
  cudaMemcpyDeviceToHost = 2,
  cudaMemcpyDeviceToDevice = 3,
  cudaMemcpyDefault = 4,
};
enum cudaFuncAttribute {
  cudaFuncAttributeMaxDynamicSharedMemorySize = 8,
  cudaFuncAttributePreferredSharedMemoryCarveout = 9,
};
typedef struct CUstream_st* cudaStream_t;
struct cudaDeviceProp {
  char name[256];
  size_t totalGlobalMem, sharedMemPerBlock;
  int major, minor, warpSize, maxThreadsPerBlock, multiProcessorCount;
};

cudaError_t cudaMalloc(void** pointer, size_t bytes);
cudaError_t cudaFree(void* pointer);
cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind);
cudaError_t cudaMemset(void* pointer, int value, size_t bytes);
cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total_bytes);
cudaError_t cudaGetLastError();
cudaError_t cudaPeekAtLastError();
const char* cudaGetErrorString(cudaError_t status);
const char* cudaGetErrorName(cudaError_t status);
cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaGetDevice(int* device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);

// Everything here happens at once, in order: nothing is left to wait for.
inline cudaError_t cudaDeviceSynchronize() { return cudaGetLastError(); }
inline cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaGetLastError(); }
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind,
                                   cudaStream_t = nullptr) {
  return cudaMemcpy(to, from, bytes, kind);
}
inline cudaError_t cudaMemsetAsync(void* pointer, int value, size_t bytes, cudaStream_t = nullptr) {
  return cudaMemset(pointer, value, bytes);
}
template <typename T>
cudaError_t cudaMalloc(T** pointer, size_t bytes) {
  return cudaMalloc(reinterpret_cast<void**>(pointer), bytes);
}
template <typename T>
cudaError_t cudaMemcpyToSymbol(T& symbol, const void* from, size_t bytes, size_t offset = 0,
                               cudaMemcpyKind = cudaMemcpyHostToDevice) {
  if (offset > sizeof(T) || bytes > sizeof(T) - offset) return cudaErrorInvalidValue;
  std::memcpy(reinterpret_cast<char*>(&symbol) + offset, from, bytes);
  return cudaSuccess;
}
template <typename Function>
cudaError_t cudaFuncSetAttribute(Function*, cudaFuncAttribute, int) {
  return cudaSuccess;
}

#include "emulator.h"

// -------------------------------------------------------------------- device: barriers, warps

#define __syncthreads() (void)::cuda_emulation::block_barrier({__FILE__, __LINE__}, 0)
#define __syncthreads_count(p) ::cuda_emulation::block_barrier({__FILE__, __LINE__}, !!(p)).count
#define __syncthreads_and(p) ::cuda_emulation::block_barrier({__FILE__, __LINE__}, !!(p)).all
#define __syncthreads_or(p) ::cuda_emulation::block_barrier({__FILE__, __LINE__}, !!(p)).any

#define __syncwarp                \
  ::cuda_emulation::WarpBarrier { \
    { __FILE__, __LINE__ }        \
  }
#define __shfl_sync(...) \
  ::cuda_emulation::shuffle({__FILE__, __LINE__}, ::cuda_emulation::kIndex, __VA_ARGS__)
#define __shfl_up_sync(...) \
  ::cuda_emulation::shuffle({__FILE__, __LINE__}, ::cuda_emulation::kUp, __VA_ARGS__)
#define __shfl_down_sync(...) \
  ::cuda_emulation::shuffle({__FILE__, __LINE__}, ::cuda_emulation::kDown, __VA_ARGS__)
#define __shfl_xor_sync(...) \
  ::cuda_emulation::shuffle({__FILE__, __LINE__}, ::cuda_emulation::kXor, __VA_ARGS__)
#define __ballot_sync(mask, p) ::cuda_emulation::ballot({__FILE__, __LINE__}, mask, !!(p)).votes
#define __any_sync(mask, p) (::cuda_emulation::ballot({__FILE__, __LINE__}, mask, !!(p)).votes != 0)
#define __all_sync(mask, p) ::cuda_emulation::ballot({__FILE__, __LINE__}, mask, !!(p)).all()
#define __activemask() ::cuda_emulation::live_lanes()

inline void __threadfence() { ::cuda_emulation::memory_fence(); }
inline void __threadfence_block() { ::cuda_emulation::memory_fence(); }
inline void __threadfence_system() { ::cuda_emulation::memory_fence(); }

// ---------------------------------------------------------------------------- device: atomics

// Always inlined, so that a report names the line that uses them.
#define NEEDLE_INLINE inline __attribute__((always_inline))
#define NEEDLE_ATOMIC(name, expression)                                          \
  template <typename T>                                                          \
  NEEDLE_INLINE T name(T* address, typename std::common_type<T>::type operand) { \
    return ::cuda_emulation::atomic_update(                                      \
        address, [&]([[maybe_unused]] T old) -> T { return expression; });       \
  }
NEEDLE_ATOMIC(atomicAdd, old + operand)
NEEDLE_ATOMIC(atomicSub, old - operand)
NEEDLE_ATOMIC(atomicExch, operand)
NEEDLE_ATOMIC(atomicMin, operand < old ? operand : old)
NEEDLE_ATOMIC(atomicMax, operand > old ? operand : old)
NEEDLE_ATOMIC(atomicAnd, (old & operand))
NEEDLE_ATOMIC(atomicOr, old | operand)
NEEDLE_ATOMIC(atomicXor, old ^ operand)
NEEDLE_ATOMIC(atomicInc, old >= operand ? 0 : old + 1)
NEEDLE_ATOMIC(atomicDec, old == 0 || old > operand ? operand : old - 1)
#undef NEEDLE_ATOMIC
template <typename T>
NEEDLE_INLINE T atomicCAS(T* address, typename std::common_type<T>::type compare,
                          typename std::common_type<T>::type value) {
  return ::cuda_emulation::atomic_update(address,
                                         [&](T old) { return old == compare ? value : old; });
}

// ------------------------------------------------------------------------ device: mathematics

template <typename A, typename B>
constexpr typename std::common_type<A, B>::type min(A a, B b) {
  typedef typename std::common_type<A, B>::type T;
  return static_cast<T>(b) < static_cast<T>(a) ? static_cast<T>(b) : static_cast<T>(a);
}
template <typename A, typename B>
constexpr typename std::common_type<A, B>::type max(A a, B b) {
  typedef typename std::common_type<A, B>::type T;
  return static_cast<T>(a) < static_cast<T>(b) ? static_cast<T>(b) : static_cast<T>(a);
}
inline float rsqrtf(float x) { return 1 / std::sqrt(x); }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __powf(float x, float y) { return std::pow(x, y); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __fmaf_rn(float x, float y, float z) { return std::fma(x, y, z); }
inline int __float_as_int(float x) {
  int bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}
inline float __int_as_float(int bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
inline int __ffs(int x) { return __builtin_ffs(x); }
template <typename T>
T __ldg(const T* pointer) {
  return *pointer;
}
