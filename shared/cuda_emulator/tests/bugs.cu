// Seeded bugs. Every one is valid CUDA that nvcc compiles, and wrong. test_corpora.py says which
// report is expected; the number of the marked line ("// here") must be in it.
#include "cases.h"

// ------------------------------------------------------------------------------------ bounds

__global__ void no_guard(float* out, int size) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  out[i] = size;  // here: write_past_the_end
}
CASE(write_past_the_end) {
  Device<> out(100);
  no_guard<<<1, 128>>>(out.ptr, 100);
  finish();
}

__global__ void read_no_guard(const float* a, float* out, int size) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < size) out[i] = a[i];  // here: read_past_the_end
}
CASE(read_past_the_end) {
  Device<> a(counting(100)), out(128);
  read_no_guard<<<1, 128>>>(a.ptr, out.ptr, 128);
  finish();
}

__global__ void off_by_one(float* out, int size) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i <= size) out[i] = 1;  // here: guard_off_by_one
}
CASE(guard_off_by_one) {
  Device<> out(100);
  off_by_one<<<1, 128>>>(out.ptr, 100);
  finish();
}

__global__ void left_neighbour(const float* a, float* out, int size) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < size) out[i] = a[i] - a[i - 1];  // here: read_before_the_beginning
}
CASE(read_before_the_beginning) {
  Device<> a(counting(64)), out(64);
  left_neighbour<<<1, 64>>>(a.ptr, out.ptr, 64);
  finish();
}

__global__ void swapped_strides(const float* a, float* out, int columns) {
  int row = threadIdx.y, column = threadIdx.x;
  out[row * columns + column] = a[column * 100000 + row];  // here: far_out_of_bounds
}
CASE(far_out_of_bounds) {
  Device<> a(counting(12)), out(12);
  swapped_strides<<<1, dim3(4, 3)>>>(a.ptr, out.ptr, 4);
  finish();
}

__global__ void tile_index(float* out) {
  __shared__ float tile[16][16];
  tile[threadIdx.y][threadIdx.x + 1] = 1;  // here: shared_index_past_its_row
  __syncthreads();
  out[threadIdx.y * 16 + threadIdx.x] = tile[threadIdx.y][0];
}
CASE(shared_index_past_its_row) {
  Device<> out(256);
  tile_index<<<1, dim3(16, 16)>>>(out.ptr);
  finish();
}

__global__ void turned_tile(float* out) {
  __shared__ float tile[8][32];
  tile[threadIdx.x][threadIdx.y] = 1;  // here: shared_tile_turned_round
  __syncthreads();
  out[threadIdx.y * 32 + threadIdx.x] = tile[threadIdx.y][threadIdx.x];
}
CASE(shared_tile_turned_round) {
  Device<> out(256);
  turned_tile<<<1, dim3(32, 8)>>>(out.ptr);
  finish();
}

__global__ void through_a_pointer(float* out) {
  __shared__ float first[32];
  __shared__ float second[32];
  float* p = first;
  second[threadIdx.x] = 0;
  p[threadIdx.x + 1] = 1;  // here: shared_through_a_pointer
  __syncthreads();
  out[threadIdx.x] = first[threadIdx.x] + second[threadIdx.x];
}
CASE(shared_through_a_pointer) {
  Device<> out(32);
  through_a_pointer<<<1, 32>>>(out.ptr);
  finish();
}

__global__ void dynamic_overrun(float* out) {
  extern __shared__ float buffer[];
  buffer[threadIdx.x] = 1;  // here: dynamic_shared_too_small
  __syncthreads();
  out[threadIdx.x] = buffer[threadIdx.x];
}
CASE(dynamic_shared_too_small) {
  Device<> out(64);
  dynamic_overrun<<<1, 64, 32 * sizeof(float)>>>(out.ptr);
  finish();
}
CASE(dynamic_shared_forgotten) {
  Device<> out(64);
  dynamic_overrun<<<1, 64>>>(out.ptr);
  finish();
}

__global__ void registers(float* out) {
  float sums[4] = {0, 0, 0, 0};
  for (int i = 0; i <= static_cast<int>(threadIdx.x); i++) sums[i] += 1;  // here: local_array_index
  out[threadIdx.x] = sums[0];
}
CASE(local_array_index) {
  Device<> out(8);
  registers<<<1, 8>>>(out.ptr);
  finish();
}

// ---------------------------------------------------------------------------------- pointers

__global__ void scale(float* a, int size) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < size) a[i] *= 2;  // here: host_pointer null_pointer use_after_free
}
CASE(host_pointer) {
  std::vector<float> values(64, 1.0f);
  scale<<<1, 64>>>(values.data(), 64);
  finish();
}
CASE(null_pointer) {
  scale<<<1, 64>>>(static_cast<float*>(nullptr), 64);
  finish();
}
CASE(use_after_free) {
  Device<> keep(counting(64));
  float* gone;
  check(cudaMalloc(reinterpret_cast<void**>(&gone), 64 * sizeof(float)));
  check(cudaMemset(gone, 0, 64 * sizeof(float)));
  check(cudaFree(gone));
  scale<<<1, 64>>>(gone, 64);
  finish();
}

__global__ void vector_copy(const float* a, float* out) {
  *reinterpret_cast<float4*>(out + threadIdx.x * 4) =
      *reinterpret_cast<const float4*>(a + threadIdx.x * 5);  // here: misaligned_float4
}
CASE(misaligned_float4) {
  Device<> a(counting(64)), out(32);
  vector_copy<<<1, 8>>>(a.ptr, out.ptr);
  finish();
}

CASE(host_reads_device_memory) {
  Device<> a(counting(64));
  float first = a.ptr[0];  // here: host_reads_device_memory
  finish();
  expect("never reached on a GPU", first, first);
}

CASE(copy_in_the_wrong_direction) {
  std::vector<float> values(64);
  Device<> a(64);
  check(cudaMemcpy(a.ptr, values.data(), 64 * sizeof(float), cudaMemcpyDeviceToHost));
}
CASE(copy_too_long) {
  std::vector<float> values(128);
  Device<> a(64);
  check(cudaMemcpy(a.ptr, values.data(), 128 * sizeof(float), cudaMemcpyHostToDevice));
}
CASE(freed_twice) {
  float* a;
  check(cudaMalloc(reinterpret_cast<void**>(&a), 64));
  check(cudaFree(a));
  check(cudaFree(a));
}

// ----------------------------------------------------------------------------------- garbage

__global__ void shared_never_written(float* out) {
  __shared__ float tile[64];
  if (threadIdx.x < 32) tile[threadIdx.x] = 1;
  __syncthreads();
  out[threadIdx.x] = tile[threadIdx.x];  // here: shared_uninitialized
}
CASE(shared_uninitialized) {
  Device<> out(64);
  shared_never_written<<<1, 64>>>(out.ptr);
  finish();
  expect("out[63]", out.host()[63], 1.0f);
}

__global__ void accumulate(const float* a, float* out, int size) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < size) out[i] += a[i];  // here: global_uninitialized
}
CASE(global_uninitialized) {
  Device<> a(counting(64)), out(64);
  accumulate<<<1, 64>>>(a.ptr, out.ptr, 64);
  finish();
  expect("out[0]", out.host()[0], -3.0f);
}

__global__ void odd_tree(const float* a, float* out) {
  __shared__ float partial[128];
  partial[threadIdx.x] = a[threadIdx.x];
  __syncthreads();
  for (int half = 64; half > 0; half /= 2) {  // made for 128 threads, run with 100
    if (static_cast<int>(threadIdx.x) < half) {
      partial[threadIdx.x] += partial[threadIdx.x + half];  // here: reduction_of_an_odd_count
    }
    __syncthreads();
  }
  if (threadIdx.x == 0) *out = partial[0];
}
CASE(reduction_of_an_odd_count) {
  Device<> a(counting(100)), out(1);
  odd_tree<<<1, 100>>>(a.ptr, out.ptr);
  finish();
  float sum = 0;
  for (float value : a.host()) sum += value;
  expect("sum", out.host()[0], sum);
}

// ---------------------------------------------------------------------------- missing barriers

__global__ void reverse_block(const float* a, float* out) {
  __shared__ float tile[128];
  tile[threadIdx.x] = a[threadIdx.x];
  out[threadIdx.x] = tile[127 - threadIdx.x];  // here: no_barrier_after_loading
}
CASE(no_barrier_after_loading) {
  Device<> a(counting(128)), out(128);
  reverse_block<<<1, 128>>>(a.ptr, out.ptr);
  finish();
  expect("out[0]", out.host()[0], a.host()[127]);
}

__global__ void tree_without_barrier(const float* a, float* out) {
  __shared__ float partial[128];
  partial[threadIdx.x] = a[threadIdx.x];
  __syncthreads();
  for (int half = 64; half > 0; half /= 2) {
    if (static_cast<int>(threadIdx.x) < half) {
      partial[threadIdx.x] += partial[threadIdx.x + half];  // here: no_barrier_in_a_reduction
    }
  }
  if (threadIdx.x == 0) *out = partial[0];
}
CASE(no_barrier_in_a_reduction) {
  Device<> a(counting(128)), out(1);
  tree_without_barrier<<<1, 128>>>(a.ptr, out.ptr);
  finish();
  float sum = 0;
  for (float value : a.host()) sum += value;
  expect("sum", out.host()[0], sum);
}

__global__ void reused_tile(const float* a, float* out, int rounds) {
  __shared__ float tile[64];
  float sum = 0;
  for (int round = 0; round < rounds; round++) {
    tile[threadIdx.x] = a[round * 64 + threadIdx.x];  // here: no_barrier_before_overwriting
    __syncthreads();
    for (int i = 0; i < 64; i++) sum += tile[i];
  }
  out[threadIdx.x] = sum;
}
CASE(no_barrier_before_overwriting) {
  Device<> a(counting(192)), out(64);
  reused_tile<<<1, 64>>>(a.ptr, out.ptr, 3);
  finish();
  float sum = 0;
  for (float value : a.host()) sum += value;
  expect("out[63]", out.host()[63], sum);
}

__global__ void warp_tree(const float* a, float* out) {
  __shared__ float partial[64];
  partial[threadIdx.x] = a[threadIdx.x];
  partial[threadIdx.x + 32] = 0;
  for (int half = 16; half > 0; half /= 2) {
    partial[threadIdx.x] += partial[threadIdx.x + half];  // here: no_syncwarp_in_a_warp
  }
  if (threadIdx.x == 0) *out = partial[0];
}
CASE(no_syncwarp_in_a_warp) {
  Device<> a(counting(32)), out(1);
  warp_tree<<<1, 32>>>(a.ptr, out.ptr);
  finish();
  float sum = 0;
  for (float value : a.host()) sum += value;
  expect("sum", out.host()[0], sum);
}

// -------------------------------------------------------------------------- divergent barriers

__global__ void barrier_for_half(float* out) {
  if (threadIdx.x < 16) {
    out[threadIdx.x] = 1;
    __syncthreads();  // here: barrier_in_a_branch
  }
}
CASE(barrier_in_a_branch) {
  Device<> out(64);
  barrier_for_half<<<1, 64>>>(out.ptr);
  finish();
}

__global__ void two_barriers(float* out) {
  if (threadIdx.x % 2 == 0) {
    out[threadIdx.x] = 1;
    __syncthreads();  // here: two_different_barriers
  } else {
    __syncthreads();
    out[threadIdx.x] = 2;
  }
}
CASE(two_different_barriers) {
  Device<> out(64);
  two_barriers<<<1, 64>>>(out.ptr);
  finish();
}

__global__ void early_return(const float* a, float* out, int size) {
  __shared__ float tile[64];
  if (static_cast<int>(threadIdx.x) >= size) return;
  tile[threadIdx.x] = a[threadIdx.x];
  __syncthreads();  // here: return_before_a_barrier
  out[threadIdx.x] = tile[size - 1 - threadIdx.x];
}
CASE(return_before_a_barrier) {
  Device<> a(counting(50)), out(50);
  early_return<<<1, 64>>>(a.ptr, out.ptr, 50);
  finish();
}

__global__ void uneven_loop(float* out) {
  for (int i = 0; i < static_cast<int>(threadIdx.x) % 4; i++) {
    __syncthreads();  // here: barrier_in_an_uneven_loop
  }
  out[threadIdx.x] = 1;
}
CASE(barrier_in_an_uneven_loop) {
  Device<> out(64);
  uneven_loop<<<1, 64>>>(out.ptr);
  finish();
}

// --------------------------------------------------------------------------------------- races

__global__ void plain_counter(int* counter) {
  *counter += 1;  // here: counter_without_atomics
}
CASE(counter_without_atomics) {
  Device<int> counter(std::vector<int>{0});
  plain_counter<<<1, 64>>>(counter.ptr);
  finish();
  expect("counter", counter.host()[0], 64);
}

__global__ void last_one_wins(float* out) {
  out[threadIdx.x / 2] = threadIdx.x;  // here: two_threads_write_one_element
}
CASE(two_threads_write_one_element) {
  Device<> out(32);
  last_one_wins<<<1, 64>>>(out.ptr);
  finish();
}

__global__ void blocks_add(const float* a, float* out) {
  out[threadIdx.x] += a[blockIdx.x * blockDim.x + threadIdx.x];  // here: blocks_share_an_output
}
CASE(blocks_share_an_output) {
  Device<> a(counting(256)), out(std::vector<float>(64, 0.0f));
  blocks_add<<<4, 64>>>(a.ptr, out.ptr);
  finish();
}

__global__ void in_place_shift(float* a, int size) {
  int i = threadIdx.x;
  if (i + 1 < size) a[i] = a[i + 1];  // here: shift_in_place
}
CASE(shift_in_place) {
  Device<> a(counting(64));
  in_place_shift<<<1, 64>>>(a.ptr, 64);
  finish();
  expect("a[0]", a.host()[0], counting(64)[1]);
}

__global__ void half_atomic(int* counter, int* seen) {
  atomicAdd(counter, 1);
  seen[threadIdx.x] = *counter;  // here: atomic_write_plain_read
}
CASE(atomic_write_plain_read) {
  Device<int> counter(std::vector<int>{0}), seen(64);
  half_atomic<<<1, 64>>>(counter.ptr, seen.ptr);
  finish();
}

__global__ void wait_for_a_flag(volatile int* flag) {
  if (threadIdx.x == 1) *flag = 1;
  if (threadIdx.x == 0) {
    while (*flag == 0) {  // here: spins_on_a_flag
    }
  }
}
CASE(spins_on_a_flag) {
  Device<int> flag(std::vector<int>{0});
  wait_for_a_flag<<<1, 2>>>(flag.ptr);
  finish();
}

// --------------------------------------------------------------------------------------- warps

__global__ void mask_without_me(float* out) {
  float value = threadIdx.x;
  out[threadIdx.x] = __shfl_sync(0x0000ffffu, value, 0);  // here: lane_outside_its_mask
}
CASE(lane_outside_its_mask) {
  Device<> out(32);
  mask_without_me<<<1, 32>>>(out.ptr);
  finish();
}

__global__ void shuffle_for_half(float* out) {
  float value = threadIdx.x;
  if (threadIdx.x < 16) {
    value += __shfl_down_sync(0xffffffffu, value, 8);  // here: shuffle_in_a_branch
  }
  __syncthreads();
  out[threadIdx.x] = value;
}
CASE(shuffle_in_a_branch) {
  Device<> out(32);
  shuffle_for_half<<<1, 32>>>(out.ptr);
  finish();
}

__global__ void partial_warp(const float* a, float* out) {
  float sum = a[threadIdx.x];
  for (int offset = 16; offset > 0; offset /= 2) sum += __shfl_down_sync(0xffffffffu, sum, offset);
  if (threadIdx.x == 0) *out = sum;
}
CASE(shuffle_from_lanes_that_are_not_there) {
  Device<> a(counting(20)), out(1);
  partial_warp<<<1, 20>>>(a.ptr, out.ptr);
  finish();
  float sum = 0;
  for (float value : a.host()) sum += value;
  expect("sum", out.host()[0], sum);
}

// ------------------------------------------------------------------------------------ launches

CASE(too_many_threads) {
  Device<> out(counting(2048));
  scale<<<1, 2048>>>(out.ptr, 2048);
  finish();
}
CASE(empty_grid) {
  Device<> out(counting(64));
  scale<<<0, 64>>>(out.ptr, 64);
  finish();
}
CASE(grid_too_high) {
  Device<> out(counting(64));
  scale<<<dim3(1, 65536), 64>>>(out.ptr, 64);
  finish();
}
CASE(too_much_shared_memory) {
  Device<> out(64);
  dynamic_overrun<<<1, 64, 64 * 1024>>>(out.ptr);
  finish();
}

CASE(goes_on_after_a_fault) {
  Device<> out(64);
  bool told = false;
  try {
    two_barriers<<<2, 64>>>(out.ptr);
  } catch (const std::exception&) { told = true; }
  expect("told", told, true);
  Device<> a(counting(192));
  early_return<<<1, 64>>>(a.ptr, out.ptr, 64);
  finish();
  expect("out[0]", out.host()[0], a.host()[63]);
}

// ------------------------------------------------------------------------ loops without an end

__global__ void halves_by_one(float* out) {
  __shared__ float partial[16];
  partial[threadIdx.x] = 1;
  __syncthreads();
  for (unsigned half = blockDim.x / 2; half > 0; half /= 1) {
    if (threadIdx.x < half) partial[threadIdx.x] += partial[threadIdx.x + half];
    __syncthreads();
  }
  out[threadIdx.x] = partial[0];
}
CASE(loop_with_a_barrier_never_ends) {
  Device<> out(16);
  halves_by_one<<<1, 16>>>(out.ptr);
  finish();
}

__global__ void misses_its_end(int* out) {
  volatile unsigned i = threadIdx.x;
  while (i != 1) i = i + 2;  // here: loop_over_a_local_never_ends
  out[0] = static_cast<int>(i);
}
CASE(loop_over_a_local_never_ends) {
  Device<int> out(1);
  misses_its_end<<<1, 1>>>(out.ptr);
  finish();
}

CASE(a_loop_that_never_ends_again_and_again) {  // each sooner than the one before
  Device<int> out(1);
  for (int i = 0; i < 40; i++) {
    try {
      misses_its_end<<<1, 1>>>(out.ptr);
    } catch (const std::exception& error) {
      if (i == 39) throw;
    }
  }
}

// ---------------------------------------------------------------------------------- arithmetic

__global__ void counts_back(const int* shape, int* out) {
  out[threadIdx.x] = threadIdx.x % shape[0];  // here: an_axis_without_length
}
CASE(an_axis_without_length) {
  Device<int> shape(std::vector<int>{0}), out(4);
  counts_back<<<1, 4>>>(shape.ptr, out.ptr);
  finish();
}

// ----------------------------------------------------------------------------------- the stack

__device__ int calls_itself(int n) {
  volatile int kept[16] = {n};
  return n < 0 ? 0 : calls_itself(n + 1) + kept[n % 16];
}
__global__ void recurses(int* out) { out[threadIdx.x] = calls_itself(threadIdx.x); }
CASE(recursion_without_end) {
  Device<int> out(64);
  for (int again = 0; again < 3; again++) recurses<<<8, 64>>>(out.ptr);
  finish();
}

// --------------------------------------------------------------------- launches nobody asks about

CASE(launch_without_a_check) {
  Device<> out(64);
  no_guard<<<1, 2048>>>(out.ptr, 64);
  out.host();
}

CASE(launch_without_a_check_and_another) {
  Device<> out(64);
  no_guard<<<0, 64>>>(out.ptr, 64);
  off_by_one<<<1, 64>>>(out.ptr, 63);
  finish();
}

// ------------------------------------------------------------------------- names in the reports

enum class Kind { kFirst, kSecond };

template <Kind kind, int factor>
__global__ void of_a_kind(float* result, int size) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  result[i] = kind == Kind::kSecond ? factor * size : 0;  // here: template_without_a_guard
}
template <Kind kind, int factor>
static void launch_of_a_kind(Device<>& out) {
  of_a_kind<kind, factor><<<1, 128>>>(out.ptr, 100);
}
CASE(template_without_a_guard) {
  Device<> out(100);
  launch_of_a_kind<Kind::kSecond, 3>(out);
  finish();
}
