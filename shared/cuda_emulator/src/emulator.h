// The emulated device as kernels see it: launches, shared memory, barriers, warps, atomics.
// Included by cuda_runtime.h; rewrite.py writes calls to launch() and shared_variable().
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <type_traits>

namespace cuda_emulation {

// A kernel did something that is an error on every GPU. The message names kernel, block, thread,
// and the line where it is known.
struct KernelFault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// A place in the student's file.
struct Site {
  const char* file;
  int line;
};

// ------------------------------------------------------------------------------------ launches

struct Config {
  dim3 grid, block;
  size_t shared_bytes;
  explicit Config(dim3 grid, dim3 block, size_t shared_bytes = 0, cudaStream_t = nullptr)
      : grid(grid), block(block), shared_bytes(shared_bytes) {}
};

constexpr int kMaxPointers = 16;

// One launch, its types erased: invoke(arguments) runs the kernel's body for the current thread.
struct Launch {
  const char* kernel;
  Site site;
  Config config;
  void (*invoke)(const void* arguments);
  const void* arguments;
  size_t arguments_size;
  const void* pointers[kMaxPointers];  // pointer arguments, in order; null for all others
  int argument_count;
  const char* caller;  // the function that launches, with its template's arguments: GCC's words
  const char* names;   // of the kernel's parameters, one a line
};

void run(const Launch& launch);

template <typename T>
const void* as_pointer(const T& argument) {
  if constexpr (std::is_pointer<T>::value) {
    return reinterpret_cast<const void*>(argument);
  } else {
    return nullptr;
  }
}

struct Launcher {
  const char* kernel;
  Site site;
  Config config;
  const char *caller, *names;

  template <typename Call, typename... Arguments>
  void operator()(Call call, const Arguments&... arguments) const {
    static_assert(std::is_void<decltype(call(arguments...))>::value,
                  "a __global__ function must return void");
    static_assert(sizeof...(arguments) <= kMaxPointers, "too many kernel arguments");
    // The arguments are copied once: every thread sees the values of the moment of the launch.
    auto body = [call, arguments...] { call(arguments...); };
    Launch launch = {kernel,
                     site,
                     config,
                     &invoke<decltype(body)>,
                     &body,
                     sizeof(body),
                     {as_pointer(arguments)...},
                     sizeof...(arguments),
                     caller,
                     names};
    run(launch);
  }

  template <typename Body>
  static void invoke(const void* body) {
    (*static_cast<const Body*>(body))();
  }
};

// ------------------------------------------------------------------------------- shared memory

// The block's copy of one __shared__ variable; every thread of a block gets the same address.
// `type` and `line` tell one declaration from another.
struct Shape {
  size_t element;  // bytes; 0: unknown
  int rank;
  size_t lengths[4];
};
void* shared_memory(const void* type, int line, const char* name, size_t bytes, Shape shape);
void* dynamic_shared_memory();

template <typename T>
struct Identity {
  static char anchor;
};
template <typename T>
char Identity<T>::anchor;

template <typename T>
T* shared_variable(const char* name, int line) {
  using Element = typename std::remove_all_extents<T>::type;
  constexpr int rank = std::rank<T>::value;
  Shape shape = {rank <= 4 ? sizeof(Element) : 0,
                 rank,
                 {std::extent<T, 0>::value, std::extent<T, 1>::value, std::extent<T, 2>::value,
                  std::extent<T, 3>::value}};
  return static_cast<T*>(shared_memory(&Identity<T>::anchor, line, name, sizeof(T), shape));
}
template <typename T>
T* dynamic_shared() {
  return static_cast<T*>(dynamic_shared_memory());
}
template <typename T>
struct DynamicShared {  // for an `extern __shared__` array outside of functions
  operator T*() const { return dynamic_shared<T>(); }
};

// ---------------------------------------------------------------------------- barriers and warps

struct BarrierResult {
  int count, all, any;  // of the threads' predicates
};
BarrierResult block_barrier(Site site, int predicate);

enum ShuffleKind { kIndex, kUp, kDown, kXor };

struct Votes {
  unsigned votes, voters;
  int all() const { return votes == voters; }
};
Votes ballot(Site site, unsigned mask, int predicate);
void warp_barrier(Site site, unsigned mask);
struct WarpBarrier {
  Site site;
  void operator()(unsigned mask = 0xffffffffu) const { warp_barrier(site, mask); }
};
unsigned live_lanes();
uint64_t shuffle_bits(Site site, unsigned mask, uint64_t bits, int source_lane);
int shuffle_source(ShuffleKind kind, int operand, int width);  // negative: the lane's own value

template <typename T>
T shuffle(Site site, ShuffleKind kind, unsigned mask, T value, int operand, int width = 32) {
  static_assert(sizeof(T) <= sizeof(uint64_t), "shuffles move at most 8 bytes");
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = shuffle_bits(site, mask, bits, shuffle_source(kind, operand, width));
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

// ------------------------------------------------------------------------------------- atomics

void memory_fence();

// Tells the checked build that the next access to these bytes is atomic.
void atomic_access(const void* address, size_t bytes);

template <typename T, typename Update>
inline __attribute__((always_inline)) T atomic_update(T* address, Update update) {
  atomic_access(address, sizeof(T));
  T old, changed;
  __atomic_load(address, &old, __ATOMIC_SEQ_CST);
  do {
    changed = update(old);
  } while (!__atomic_compare_exchange(address, &old, &changed, false, __ATOMIC_SEQ_CST,
                                      __ATOMIC_SEQ_CST));
  return old;
}

}  // namespace cuda_emulation
