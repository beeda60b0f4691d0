// A stack that a computation can leave and come back to: one for every CUDA thread that waits.
#pragma once

#include <cstddef>

namespace cuda_emulation {

constexpr size_t kStackBytes =
    256 * 1024;  // address space; only pages that are touched cost memory

struct Fiber {
  char* stack = nullptr;  // lowest address; null for an operating-system thread's own stack
  size_t stack_bytes = 0;
  void* context = nullptr;
  void* sanitizer_stack = nullptr;
};

// A fiber that will run `entry` when it is first switched to. `entry` must never return.
Fiber* make_fiber();
void reset_fiber(Fiber* fiber, void (*entry)());

// Leaves `from`, whose state is kept, and goes on in `to`.
void switch_fiber(Fiber* from, Fiber* to);

// Call it first thing in an entry.
void arrived(Fiber* here);

}  // namespace cuda_emulation
