// Kernels whose accesses can be counted by hand; one warp each, unless it says otherwise.
#include "cases.h"

__global__ void row(const float* a, float* out) { out[threadIdx.x] = a[threadIdx.x]; }
CASE(a_row) {
  Device<> a(counting(32)), out(32);
  row<<<1, 32>>>(a.ptr, out.ptr);
  finish();
}

__global__ void column(const float* a, float* out) { out[threadIdx.x] = a[32 * threadIdx.x]; }
CASE(a_column) {
  Device<> a(counting(32 * 32)), out(32);
  column<<<1, 32>>>(a.ptr, out.ptr);
  finish();
}

__global__ void wide(const float4* a, float4* out) {
  float4 four = a[threadIdx.x];
  four.x += 1;
  out[threadIdx.x] = four;
}
CASE(four_at_a_time) {
  Device<> a(counting(4 * 32)), out(4 * 32);
  wide<<<1, 32>>>(reinterpret_cast<const float4*>(a.ptr), reinterpret_cast<float4*>(out.ptr));
  finish();
}

// A tile of `width` columns that is written by rows and read by columns.
template <int width>
__global__ void turn(const float* a, float* out) {
  __shared__ float tile[32][width];
  for (int i = 0; i < 32; i++) tile[i][threadIdx.x] = a[32 * i + threadIdx.x];
  __syncthreads();
  for (int i = 0; i < 32; i++) out[32 * i + threadIdx.x] = tile[threadIdx.x][i];
}
CASE(a_tile_of_32_columns) {
  Device<> a(counting(32 * 32)), out(32 * 32);
  turn<32><<<1, 32>>>(a.ptr, out.ptr);
  finish();
}
CASE(a_tile_of_33_columns) {
  Device<> a(counting(32 * 32)), out(32 * 32);
  turn<33><<<1, 32>>>(a.ptr, out.ptr);
  finish();
}

__global__ void halves(const float* a, float* out, int first) {
  if (static_cast<int>(threadIdx.x) < first) {
    out[threadIdx.x] = expf(a[threadIdx.x]);
  } else {
    out[threadIdx.x] = logf(4 + a[threadIdx.x]);
  }
}
CASE(a_split_warp) {
  Device<> a(counting(64)), out(64);
  halves<<<1, 64>>>(a.ptr, out.ptr, 16);
  finish();
}
CASE(two_whole_warps) {
  Device<> a(counting(64)), out(64);
  halves<<<1, 64>>>(a.ptr, out.ptr, 32);
  finish();
}
