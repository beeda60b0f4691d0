// The checked build: watches every memory access of a kernel.
//
// Kernels are compiled with -fsanitize=thread, which puts a call before each load and store. Those
// calls are meant for a library that finds races between operating-system threads; here they come
// to the functions at the end of this file, which know about blocks, barriers and device memory:
//
//   bounds         device arrays and __shared__ variables lie between gaps that nobody may touch
//   host pointers  memory that cudaMalloc did not give out
//   garbage        words that are read before anything wrote them
//   races          each word remembers its last writer and two readers, with thread, block and the
//                  number of barriers before; two accesses by different threads with no barrier
//                  between them, at least one a write and not both atomic, are a race
//
// Not understood: order made by __threadfence and a flag between blocks. Such kernels are reported
// as races although they may be right.
#include <cstdlib>
#include <string>

#include "runtime.h"

namespace cuda_emulation {

constexpr size_t kWord = 4;

struct Access {
  uint32_t launch = 0, block, epoch, warp_time, code;  // code: offset in this module
  uint16_t thread;
  uint8_t bytes;  // which bytes of the word
  bool atomic;
};

struct Cell {
  uint32_t generation;  // shared memory: the block that used it
  uint8_t written;      // which bytes hold a value
  Access writer, readers[2];
};

Cell* make_cells(size_t bytes) {
  return static_cast<Cell*>(std::calloc((bytes + kWord - 1) / kWord, sizeof(Cell)));
}

void free_cells(Cell* cells) { std::free(cells); }

// Calls visit(cell index, byte mask) for each word of [offset, offset + bytes).
template <typename Visit>
static void for_each_word(size_t offset, size_t bytes, Visit visit) {
  for (size_t at = offset; at < offset + bytes; at = (at / kWord + 1) * kWord) {
    unsigned mask = 0;
    for (size_t b = at; b < offset + bytes && b / kWord == at / kWord; b++) mask |= 1u << b % kWord;
    visit(at / kWord, static_cast<uint8_t>(mask));
  }
}

void mark_written(Allocation* array, const void* address, size_t bytes) {
  if (array->cells == nullptr) return;
  size_t offset = static_cast<size_t>(static_cast<const char*>(address) - array->begin);
  for_each_word(offset, bytes, [&](size_t i, uint8_t mask) { array->cells[i].written |= mask; });
}

[[noreturn]] static void fault_at(uint32_t code, const std::string& what) {
  fault_with(source_line(code) + ": " + what);
}

// ---------------------------------------------------------------------------------- what is there

static std::string count(size_t n, const char* thing) {
  return std::to_string(n) + " " + thing + (n == 1 ? "" : "s");
}

static std::string describe(const Allocation& array) {
  std::string what = "an array of " + count(array.bytes, "byte");
  if (array.bytes % 4 == 0) what += " (" + count(array.bytes / 4, "float") + ")";
  for (int i = 0; i < runner->launch->argument_count; i++) {
    const char* pointer = static_cast<const char*>(runner->launch->pointers[i]);
    if (pointer != nullptr && pointer >= array.begin && pointer <= array.begin + array.bytes) {
      return what + ", the argument " + argument_name(*runner->launch, i);
    }
  }
  return what;
}

static std::string beyond(const char* address, const char* begin, size_t bytes) {
  if (address < begin) {
    return count(static_cast<size_t>(begin - address), "byte") + " before the beginning of ";
  }
  size_t past = static_cast<size_t>(address - begin) - bytes;
  return past == 0 ? "right behind the end of " : count(past, "byte") + " behind the end of ";
}

// ------------------------------------------------------------------------------------------ races

static bool is_ordered(const Access& earlier, const Runner& r) {
  if (earlier.launch != r.launch_number) return true;
  if (earlier.block != static_cast<uint32_t>(r.block)) return false;
  if (earlier.thread == r.current || earlier.epoch != r.epoch) return true;
  if (earlier.thread / kWarp != r.current / kWarp) return false;
  const Thread& me = r.threads[r.current];
  return (me.warp_mask >> earlier.thread % kWarp & 1) && earlier.warp_time < me.warp_time;
}

static std::string other_access(const Access& other, bool wrote, const Runner& r) {
  std::string who = "thread ";
  const uint3 index = r.indices[other.thread];
  who += "(" + std::to_string(index.x) + ", " + std::to_string(index.y) + ", " +
         std::to_string(index.z) + ")";
  if (other.block != static_cast<uint32_t>(r.block)) {
    who += " of block number " + std::to_string(other.block);
  }
  return who + (wrote ? " wrote" : " read") + " it at " + source_line(other.code) + ", and " +
         (other.block != static_cast<uint32_t>(r.block) ? "nothing orders the blocks of a launch"
                                                        : "no barrier lies between");
}

// The earlier access that races with `now`; null if there is none.
static const Access* find_race(const Cell& cell, const Access& now, bool write, const Runner& r) {
  auto conflicts = [&](const Access& earlier) {
    return (earlier.bytes & now.bytes) != 0 && !(earlier.atomic && now.atomic) &&
           !is_ordered(earlier, r);
  };
  if (conflicts(cell.writer)) return &cell.writer;
  for (const Access& reader : cell.readers) {
    if (write && conflicts(reader)) return &reader;
  }
  return nullptr;
}

static void remember(Cell& cell, const Access& now, bool write, const Runner& r) {
  if (write) {
    cell.writer = now;
    cell.written |= now.bytes;
  } else if (cell.readers[0].thread == now.thread || is_ordered(cell.readers[0], r)) {
    cell.readers[0] = now;
  } else {
    cell.readers[1] = now;
  }
}

// What concerns the words themselves: were they written, who else uses them. name(offset) tells
// the reader of a report which word it is.
template <typename Name>
static void check_words(Cell* cells, size_t offset, size_t bytes, bool write, bool atomic,
                        uint32_t code, uint32_t generation, Name name) {
  const Runner& r = *runner;
  Access now;
  now.launch = r.launch_number;
  now.block = static_cast<uint32_t>(r.block);
  now.epoch = r.epoch;
  now.warp_time = r.warp_time[static_cast<size_t>(r.current / kWarp)];
  now.code = code;
  now.thread = static_cast<uint16_t>(r.current);
  now.atomic = atomic;
  for_each_word(offset, bytes, [&](size_t i, uint8_t mask) {
    Cell& cell = cells[i];
    if (cell.generation != generation) {
      cell = Cell();
      cell.generation = generation;
    }
    now.bytes = mask;
    const Access* other = find_race(cell, now, write, r);
    if (other != nullptr) {
      fault_at(code, "race on " + name(i * kWord) + ": this thread " +
                         (write ? "writes" : "reads") + " it, " +
                         other_access(*other, other == &cell.writer, r) + ".");
    }
    if ((!write || atomic) && (cell.written & mask) != mask) {
      fault_at(code, "reads " + name(i * kWord) + ", which nothing has written yet");
    }
    remember(cell, now, write, r);
  });
}

// ---------------------------------------------------------------------------------- every access

// The element of a __shared__ variable that a byte lies in, as the student would write it.
static std::string element_name(const SharedVariable& variable, size_t byte) {
  const Shape& shape = variable.shape;
  if (shape.element == 0) {
    return "byte " + std::to_string(byte) + " of the __shared__ variable " + variable.name;
  }
  size_t index = byte / shape.element;
  std::string indices;
  for (int axis = shape.rank - 1; axis >= 0; axis--) {
    indices = "[" + std::to_string(index % shape.lengths[axis]) + "]" + indices;
    index /= shape.lengths[axis];
  }
  return "the __shared__ " + std::string(variable.name) + indices;
}

static void check_shared(char* address, size_t bytes, bool write, bool atomic, uint32_t code) {
  static thread_local Cell* cells = make_cells(2 * kSharedBytes);
  Runner& r = *runner;
  size_t offset = static_cast<size_t>(address - r.shared);
  const SharedVariable* nearest = nullptr;
  for (const SharedVariable& variable : r.variables) {
    if (variable.offset <= offset && (nearest == nullptr || variable.offset > nearest->offset)) {
      nearest = &variable;
    }
  }
  if (nearest == nullptr || offset + bytes > nearest->offset + nearest->bytes) {
    std::string name = nearest == nullptr ? "shared memory" : std::string(nearest->name);
    char* begin = r.shared + (nearest == nullptr ? 0 : nearest->offset);
    fault_at(code, std::string(write ? "writes " : "reads ") +
                       beyond(address, begin, nearest == nullptr ? 0 : nearest->bytes) +
                       "the __shared__ variable " + name);
  }
  check_words(cells, offset, bytes, write, atomic, code, r.block_number,
              [&](size_t at) { return element_name(*nearest, at - nearest->offset); });
}

static void check_array(Allocation& array, char* address, size_t bytes, bool write, bool atomic,
                        uint32_t code) {
  const char* verb = write ? "writes " : "reads ";
  if (array.freed) fault_at(code, verb + describe(array) + ", after cudaFree has taken it back");
  if (address < array.begin || address + bytes > array.begin + array.bytes) {
    const char* at = address < array.begin || address >= array.begin + array.bytes
                         ? address
                         : array.begin + array.bytes;
    fault_at(code, std::string("out of bounds: ") + verb + beyond(at, array.begin, array.bytes) +
                       describe(array));
  }
  if (array.cells == nullptr) return;  // no room to keep watch over an array this large
  check_words(
      array.cells, static_cast<size_t>(address - array.begin), bytes, write, atomic, code, 0,
      [&](size_t at) { return "element " + std::to_string(at / 4) + " of " + describe(array); });
}

static bool is_index_variable(const char* address) {
  for (const uint3* variable : {&threadIdx, &blockIdx, &blockDim, &gridDim}) {
    const char* begin = reinterpret_cast<const char*>(variable);
    if (address >= begin && address < begin + sizeof(uint3)) return true;
  }
  return false;
}

static thread_local std::string pending_host_fault;

void throw_pending_host_fault() {
  if (pending_host_fault.empty()) return;
  std::string message;
  message.swap(pending_host_fault);
  throw KernelFault(message);
}

static void check_host(void* address, bool write, uint32_t code) {
  Allocation* array = find_allocation(address);
  if (array == nullptr || !pending_host_fault.empty()) return;
  if (static_cast<char*>(address) < array->begin) return;
  pending_host_fault =
      "host code, " + source_line(code) + ": " + (write ? "writes" : "reads") +
      " device memory directly, which a GPU's memory does not allow: use cudaMemcpy"
      " or a kernel";
}

static void check_device(Runner& r, char* address, size_t bytes, bool write, bool atomic,
                         uint32_t code) {
  if (address >= r.shared && address < r.shared + 2 * kSharedBytes) {
    check_shared(address, bytes, write, atomic, code);
    if (counting()) count_access(r, true, address, bytes, write, code);
    return;
  }
  if (Allocation* array = find_allocation(address)) {
    check_array(*array, address, bytes, write, atomic, code);
    if (counting()) count_access(r, false, address, bytes, write, code);
    return;
  }
  const char* arguments = static_cast<const char*>(r.launch->arguments);
  if (address >= arguments && address < arguments + r.launch->arguments_size) return;
  if (is_index_variable(address) || in_module(address)) return;
  std::string verb = write ? "writes" : "reads";
  if (reinterpret_cast<uintptr_t>(address) < 4096) fault_at(code, verb + " through a null pointer");
  fault_at(code, verb +
                     " memory that cudaMalloc has not given out: a pointer of the host, or an "
                     "index far out of bounds");
}

static void check(void* pointer, size_t bytes, bool write, bool atomic, const void* caller) {
  Runner* r = runner;
  if (r == nullptr) return check_host(pointer, write, code_offset(caller));
  char* address = static_cast<char*>(pointer);
  if (address >= r->fiber->stack && address < r->fiber->stack + kStackBytes) return;
  if (!r->watching) return;
  r->watching = false;
  check_device(*r, address, bytes, write, atomic, code_offset(caller));
  r->watching = true;
}

void atomic_access(const void* address, size_t bytes) {
  check(const_cast<void*>(address), bytes, true, true, __builtin_return_address(0));
}

}  // namespace cuda_emulation

// --------------------------------------------------------------- what -fsanitize=thread calls

#define NEEDLE_CALLER __builtin_return_address(0)
#define NEEDLE_ACCESS(name, bytes, write) \
  void name(void* p) { cuda_emulation::check(p, bytes, write, false, NEEDLE_CALLER); }
#define NEEDLE_ACCESSES(bytes)                                    \
  NEEDLE_ACCESS(__tsan_read##bytes, bytes, false)                 \
  NEEDLE_ACCESS(__tsan_write##bytes, bytes, true)                 \
  NEEDLE_ACCESS(__tsan_unaligned_read##bytes, bytes, false)       \
  NEEDLE_ACCESS(__tsan_unaligned_write##bytes, bytes, true)       \
  NEEDLE_ACCESS(__tsan_volatile_read##bytes, bytes, false)        \
  NEEDLE_ACCESS(__tsan_volatile_write##bytes, bytes, true)        \
  void __tsan_read_write##bytes(void* p) {                        \
    cuda_emulation::check(p, bytes, false, false, NEEDLE_CALLER); \
    cuda_emulation::check(p, bytes, true, false, NEEDLE_CALLER);  \
  }

// Atomics of the host's C++ library; kernels use atomic_update, which is not instrumented.
#define NEEDLE_ATOMICS(bits, T)                                                            \
  T __tsan_atomic##bits##_load(const volatile T* p, int) { return __atomic_load_n(p, 5); } \
  void __tsan_atomic##bits##_store(volatile T* p, T v, int) { __atomic_store_n(p, v, 5); } \
  T __tsan_atomic##bits##_exchange(volatile T* p, T v, int) {                              \
    return __atomic_exchange_n(p, v, 5);                                                   \
  }                                                                                        \
  T __tsan_atomic##bits##_fetch_add(volatile T* p, T v, int) {                             \
    return __atomic_fetch_add(p, v, 5);                                                    \
  }                                                                                        \
  T __tsan_atomic##bits##_fetch_sub(volatile T* p, T v, int) {                             \
    return __atomic_fetch_sub(p, v, 5);                                                    \
  }                                                                                        \
  int __tsan_atomic##bits##_compare_exchange_strong(volatile T* p, T* c, T v, int, int) {  \
    return __atomic_compare_exchange_n(p, c, v, false, 5, 5);                              \
  }                                                                                        \
  int __tsan_atomic##bits##_compare_exchange_weak(volatile T* p, T* c, T v, int, int) {    \
    return __atomic_compare_exchange_n(p, c, v, false, 5, 5);                              \
  }

extern "C" {

NEEDLE_ACCESSES(1)
NEEDLE_ACCESSES(2)
NEEDLE_ACCESSES(4)
NEEDLE_ACCESSES(8)
NEEDLE_ACCESSES(16)
NEEDLE_ATOMICS(8, uint8_t)
NEEDLE_ATOMICS(16, uint16_t)
NEEDLE_ATOMICS(32, uint32_t)
NEEDLE_ATOMICS(64, uint64_t)

void __tsan_read_range(void* p, size_t bytes) {
  cuda_emulation::check(p, bytes, false, false, NEEDLE_CALLER);
}
void __tsan_write_range(void* p, size_t bytes) {
  cuda_emulation::check(p, bytes, true, false, NEEDLE_CALLER);
}
void* __tsan_memcpy(void* to, const void* from, size_t bytes) {
  cuda_emulation::check(const_cast<void*>(from), bytes, false, false, NEEDLE_CALLER);
  cuda_emulation::check(to, bytes, true, false, NEEDLE_CALLER);
  return std::memcpy(to, from, bytes);
}
void* __tsan_memmove(void* to, const void* from, size_t bytes) {
  cuda_emulation::check(const_cast<void*>(from), bytes, false, false, NEEDLE_CALLER);
  cuda_emulation::check(to, bytes, true, false, NEEDLE_CALLER);
  return std::memmove(to, from, bytes);
}
void* __tsan_memset(void* to, int value, size_t bytes) {
  cuda_emulation::check(to, bytes, true, false, NEEDLE_CALLER);
  return std::memset(to, value, bytes);
}
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
void __tsan_atomic_thread_fence(int) { __atomic_thread_fence(5); }
void __tsan_atomic_signal_fence(int) {}

}  // extern "C"
