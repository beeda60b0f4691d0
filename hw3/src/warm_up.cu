// Warm-up: five CUDA puzzles of about five lines each, before the problems begin. Not graded.
//
// A program of its own, which prints the numbers that a kernel leaves in `out`. This compiles it
// for the checked device, which watches every access, and compares the numbers with NumPy's:
//
//   python3 -m pytest tests/hw3/test_warm_up.py
#include <cuda_runtime.h>

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

constexpr unsigned SIDE = 8;    // threads of a block along x and along y, puzzle 3
constexpr unsigned BLOCK = 32;  // threads of a block, all other puzzles

// 1, map. One block, and in it one thread for each element: out[i] = a[i] + 10.
__global__ void MapKernel(const float* a, float* out) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cuda_compact_setitem
  // hw3/ndarray_cuda_compact_setitem: MapKernel is yours to write or not
  /// END YOUR SOLUTION
}

// 2, guard. Several blocks, and more threads than elements: out[i] = 2 * a[i], nothing beyond size.
__global__ void GuardKernel(const float* a, float* out, unsigned size) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cuda_compact_setitem
  // hw3/ndarray_cuda_compact_setitem: GuardKernel is yours to write or not
  /// END YOUR SOLUTION
}

// 3, two dimensions. a is rows x columns, out its transpose, columns x rows, both row-major. x runs
// along the columns of a, y along its rows.
__global__ void TransposeKernel(const float* a, float* out, unsigned rows, unsigned columns) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cuda_compact_setitem
  // hw3/ndarray_cuda_compact_setitem: TransposeKernel is yours to write or not
  /// END YOUR SOLUTION
}

// 4, shared. Each block turns its own BLOCK elements round, by way of shared memory: every thread
// puts one into `tile` and takes another one out. There are as many threads as elements.
__global__ void ReverseKernel(const float* a, float* out) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cuda_compact_setitem
  // hw3/ndarray_cuda_compact_setitem: ReverseKernel is yours to write or not
  /// END YOUR SOLUTION
}

// 5, sum. Each block adds up its own BLOCK elements: half of the threads add the other half's, then
// a quarter, and so on. out[block] is the sum. There are as many threads as elements.
__global__ void SumKernel(const float* a, float* out) {
  /// BEGIN YOUR SOLUTION hw3/ndarray_cuda_compact_setitem
  // hw3/ndarray_cuda_compact_setitem: SumKernel is yours to write or not
  /// END YOUR SOLUTION
}

// Given: the host's part. ---------------------------------------------------------------------

static void check(cudaError_t status) {
  if (status != cudaSuccess) throw std::runtime_error(cudaGetErrorString(status));
}

static unsigned blocks(unsigned size, unsigned block) { return (size + block - 1) / block; }

// Element number i of a is i % 17.
static void run(const std::string& puzzle, unsigned rows, unsigned columns) {
  unsigned size = rows * columns;
  auto is = [&puzzle](const char* name) { return puzzle == name; };
  std::vector<float> values(size), results(is("sum") ? size / BLOCK : size);
  for (unsigned i = 0; i < size; i++) values[i] = i % 17;

  float *a, *out;
  check(cudaMalloc(&a, size * sizeof(float)));
  check(cudaMalloc(&out, results.size() * sizeof(float)));
  check(cudaMemcpy(a, values.data(), size * sizeof(float), cudaMemcpyHostToDevice));
  if (is("map")) MapKernel<<<1, size>>>(a, out);
  if (is("guard")) GuardKernel<<<blocks(size, BLOCK), BLOCK>>>(a, out, size);
  if (is("transpose")) {
    dim3 grid(blocks(columns, SIDE), blocks(rows, SIDE));
    TransposeKernel<<<grid, dim3(SIDE, SIDE)>>>(a, out, rows, columns);
  }
  if (is("reverse")) ReverseKernel<<<size / BLOCK, BLOCK>>>(a, out);
  if (is("sum")) SumKernel<<<size / BLOCK, BLOCK>>>(a, out);
  check(cudaGetLastError());
  check(cudaMemcpy(results.data(), out, results.size() * sizeof(float), cudaMemcpyDeviceToHost));
  for (float value : results) std::printf("%g\n", value);
  check(cudaFree(a));
  check(cudaFree(out));
}

// warm_up PUZZLE ROWS COLUMNS
int main(int count, char** words) {
  if (count != 4) return 2;
  try {
    run(words[1], std::atoi(words[2]), std::atoi(words[3]));
  } catch (const std::exception& fault) {  // the checked device says what is wrong
    std::printf("%s\n", fault.what());
    return 1;
  }
}
