// Context switches. In assembly on x86-64 and AArch64, where a switch saves only the registers that
// a function call must preserve (about 5 ns); by ucontext, which also asks the kernel for the
// signal mask and is some ten times slower, on any other processor.
#include "fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#define NEEDLE_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define NEEDLE_ASAN 1
#endif
#endif
#ifdef NEEDLE_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#if !defined(__x86_64__) && !defined(__aarch64__)
#include <ucontext.h>
#endif

#ifdef __APPLE__
#define NEEDLE_SYMBOL(name) "_" #name
#define NEEDLE_HIDDEN(name) ".private_extern _" #name "\n"
#else
#define NEEDLE_SYMBOL(name) #name
#define NEEDLE_HIDDEN(name) ".hidden " #name "\n"
#endif

extern "C" void needle_cuda_switch(void** save, void* load);

#if defined(__x86_64__)
asm(".text\n"
    ".globl " NEEDLE_SYMBOL(needle_cuda_switch) "\n"
    NEEDLE_HIDDEN(needle_cuda_switch)
    NEEDLE_SYMBOL(needle_cuda_switch) ":\n"
    "  pushq %rbp\n  pushq %rbx\n  pushq %r12\n  pushq %r13\n  pushq %r14\n  pushq %r15\n"
    "  movq %rsp, (%rdi)\n"
    "  movq %rsi, %rsp\n"
    "  popq %r15\n  popq %r14\n  popq %r13\n  popq %r12\n  popq %rbx\n  popq %rbp\n"
    "  ret\n");
#elif defined(__aarch64__)
asm(".text\n"
    ".p2align 2\n"
    ".globl " NEEDLE_SYMBOL(needle_cuda_switch) "\n"
    NEEDLE_HIDDEN(needle_cuda_switch)
    NEEDLE_SYMBOL(needle_cuda_switch) ":\n"
    "  sub sp, sp, #160\n"
    "  stp x19, x20, [sp, #0]\n  stp x21, x22, [sp, #16]\n  stp x23, x24, [sp, #32]\n"
    "  stp x25, x26, [sp, #48]\n  stp x27, x28, [sp, #64]\n  stp x29, x30, [sp, #80]\n"
    "  stp d8, d9, [sp, #96]\n  stp d10, d11, [sp, #112]\n"
    "  stp d12, d13, [sp, #128]\n  stp d14, d15, [sp, #144]\n"
    "  mov x9, sp\n  str x9, [x0]\n"
    "  mov sp, x1\n"
    "  ldp x19, x20, [sp, #0]\n  ldp x21, x22, [sp, #16]\n  ldp x23, x24, [sp, #32]\n"
    "  ldp x25, x26, [sp, #48]\n  ldp x27, x28, [sp, #64]\n  ldp x29, x30, [sp, #80]\n"
    "  ldp d8, d9, [sp, #96]\n  ldp d10, d11, [sp, #112]\n"
    "  ldp d12, d13, [sp, #128]\n  ldp d14, d15, [sp, #144]\n"
    "  add sp, sp, #160\n"
    "  ret\n");
#endif

namespace cuda_emulation {

Fiber* make_fiber() {
  static unsigned made = 0;
  const size_t guard = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void* memory =
      mmap(nullptr, guard + kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  mprotect(memory, guard, PROT_NONE);  // a kernel that needs more stack crashes here, not elsewhere
  Fiber* fiber = new Fiber;
  fiber->stack = static_cast<char*>(memory) + guard;
  // Stacks start at different offsets in a page, or all their tops would share a few cache lines.
  fiber->stack_bytes = kStackBytes - __atomic_fetch_add(&made, 1, __ATOMIC_RELAXED) % 16 * 192;
  return fiber;
}

void reset_fiber(Fiber* fiber, void (*entry)()) {
#ifdef NEEDLE_ASAN
  __asan_unpoison_memory_region(fiber->stack, fiber->stack_bytes);
#endif
  char* top = fiber->stack + fiber->stack_bytes;
  top -= reinterpret_cast<uintptr_t>(top) % 16;
#if defined(__x86_64__)
  void** frame = reinterpret_cast<void**>(top) - 8;  // six registers, the entry, its return address
  std::memset(frame, 0, 8 * sizeof(void*));
  std::memcpy(frame + 6, &entry, sizeof entry);
  fiber->context = frame;
#elif defined(__aarch64__)
  void** frame = reinterpret_cast<void**>(top) - 20;
  std::memset(frame, 0, 20 * sizeof(void*));
  std::memcpy(frame + 11, &entry, sizeof entry);  // x30, the link register
  fiber->context = frame;
#else
  if (fiber->context == nullptr) fiber->context = new ucontext_t;
  ucontext_t* context = static_cast<ucontext_t*>(fiber->context);
  getcontext(context);
  context->uc_stack.ss_sp = fiber->stack;
  context->uc_stack.ss_size = fiber->stack_bytes;
  context->uc_link = nullptr;
  makecontext(context, entry, 0);
#endif
}

#ifdef NEEDLE_ASAN
static thread_local Fiber* left_behind;  // the sanitizer tells us its stack on arrival
#endif

void switch_fiber(Fiber* from, Fiber* to) {
#ifdef NEEDLE_ASAN
  left_behind = from;
  __sanitizer_start_switch_fiber(&from->sanitizer_stack, to->stack, to->stack_bytes);
#endif
#if defined(__x86_64__) || defined(__aarch64__)
  needle_cuda_switch(&from->context, to->context);
#else
  if (from->context == nullptr) from->context = new ucontext_t;
  swapcontext(static_cast<ucontext_t*>(from->context), static_cast<ucontext_t*>(to->context));
#endif
  arrived(from);
}

void arrived(Fiber* here) {
#ifdef NEEDLE_ASAN
  const void* bottom;
  size_t bytes;
  __sanitizer_finish_switch_fiber(here->sanitizer_stack, &bottom, &bytes);
  if (left_behind->stack == nullptr) {
    left_behind->stack = static_cast<char*>(const_cast<void*>(bottom));
    left_behind->stack_bytes = bytes;
  }
#else
  (void)here;
#endif
}

}  // namespace cuda_emulation
