// A case is a function that a test runs in a process of its own, by name. It prints a line
// beginning with "fault:", "error:" or "wrong:", or "fine".
#pragma once

#include <cuda_runtime.h>

#include <cmath>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

struct Case {
  const char* name;
  void (*run)();
  Case* next;
  static Case*& first() {
    static Case* cases = nullptr;
    return cases;
  }
  Case(const char* name, void (*run)()) : name(name), run(run), next(first()) { first() = this; }
};

#define CASE(name)                                   \
  static void name##_case();                         \
  static Case name##_registered(#name, name##_case); \
  static void name##_case()

struct CudaFailure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct WrongResult : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline void check(cudaError_t status) {
  if (status != cudaSuccess) throw CudaFailure(cudaGetErrorString(status));
}

inline void finish() {  // after a launch: its own error, then the kernel's
  check(cudaGetLastError());
  check(cudaDeviceSynchronize());
}

template <typename T = float>
struct Device {  // an array on the device
  T* ptr;
  size_t size;
  explicit Device(size_t size) : ptr(nullptr), size(size) {
    check(cudaMalloc(reinterpret_cast<void**>(&ptr), size * sizeof(T)));
  }
  explicit Device(const std::vector<T>& values) : Device(values.size()) {
    check(cudaMemcpy(ptr, values.data(), size * sizeof(T), cudaMemcpyHostToDevice));
  }
  Device(const Device&) = delete;
  ~Device() { cudaFree(ptr); }
  std::vector<T> host() const {
    std::vector<T> values(size);
    check(cudaMemcpy(values.data(), ptr, size * sizeof(T), cudaMemcpyDeviceToHost));
    return values;
  }
};

inline std::vector<float> counting(size_t size) {
  std::vector<float> values(size);
  for (size_t i = 0; i < size; i++) values[i] = static_cast<float>(i % 17) - 3;
  return values;
}

template <typename T>
void expect(const char* what, T got, T expected) {
  if (got == expected) return;
  throw WrongResult(std::string(what) + " is " + std::to_string(got) + ", expected " +
                    std::to_string(expected));
}

int main(int count, char** arguments) {
  for (Case* one = Case::first(); one != nullptr; one = one->next) {
    if (count == 1) {
      std::printf("%s\n", one->name);
    } else if (std::strcmp(one->name, arguments[1]) == 0) {
      try {
        one->run();
        std::puts("fine");
      } catch (const CudaFailure& error) {
        std::printf("error: %s\n", error.what());
      } catch (const WrongResult& error) {
        std::printf("wrong: %s\n", error.what());
      } catch (const std::exception& error) { std::printf("fault: %s\n", error.what()); }
      return 0;
    }
  }
  return count == 1 ? 0 : 2;
}
