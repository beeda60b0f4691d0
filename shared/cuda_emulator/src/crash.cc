// A kernel may touch memory that does not exist: an index far out of bounds, a wild pointer. The
// processor then interrupts the process. While a launch runs, the interrupt is turned into an
// ordinary KernelFault: the thread continues in a function that reports and never returns.
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include "runtime.h"

#if defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__))
#define NEEDLE_CATCHES_CRASHES 1
#include <ucontext.h>
#endif

namespace cuda_emulation {

#ifdef NEEDLE_CATCHES_CRASHES

static struct sigaction previous_segv, previous_bus;
static thread_local void* bad_address;
static const size_t kHandlersStackBytes = 64 << 10;
static const size_t kRoomToReport = 16 << 10;

[[noreturn]] static void report_crash() {
  fault([] {
    char text[32];
    std::snprintf(text, sizeof text, "%p", bad_address);
    return std::string("touches memory that does not exist, at address ") + text +
           ": an index far out of bounds or a wild pointer. NEEDLE_CUDA=checked names the line.";
  });
}

[[noreturn]] static void report_full_stack() {
  fault([] {
    return "its stack of " + std::to_string(kStackBytes / 1024) +
           " KiB is full: a function that calls itself without end, or a large local array";
  });
}

// A full stack has no room for the handler: every thread has another one for it.
struct HandlersStack {
  void* memory = nullptr;
  HandlersStack() {
    stack_t stack = {};
    sigaltstack(nullptr, &stack);
    if (!(stack.ss_flags & SS_DISABLE)) return;  // Python's faulthandler has made one
    memory = stack.ss_sp = std::malloc(kHandlersStackBytes);
    stack.ss_size = kHandlersStackBytes;
    stack.ss_flags = 0;
    sigaltstack(&stack, nullptr);
  }
  ~HandlersStack() {
    if (memory == nullptr) return;
    stack_t none = {};
    none.ss_flags = SS_DISABLE;
    sigaltstack(&none, nullptr);
    std::free(memory);
  }
};

void prepare_for_crashes() { static thread_local HandlersStack stack; }

static void handle(int signal, siginfo_t* information, void* context) {
  if (runner == nullptr) {  // not a kernel's doing: as if we had never been here
    sigaction(signal, signal == SIGSEGV ? &previous_segv : &previous_bus, nullptr);
    return;  // the same instruction faults again
  }
  bad_address = information->si_addr;
  auto& machine = static_cast<ucontext_t*>(context)->uc_mcontext;
  auto report = &report_crash;
  const uintptr_t bottom = reinterpret_cast<uintptr_t>(runner->fiber->stack);
  auto with_room = [&](uintptr_t stack) {
    if (bottom == 0 || stack > bottom + kRoomToReport) return stack;
    report = &report_full_stack;
    return bottom + kStackBytes / 2;  // over calls that nobody returns from
  };
#if defined(__x86_64__)
  uintptr_t stack = with_room(static_cast<uintptr_t>(machine.gregs[REG_RSP]));
  stack = (stack - 256) / 16 * 16 - 8;  // as after a call; 128 bytes below may be in use
  machine.gregs[REG_RSP] = static_cast<greg_t>(stack);
  machine.gregs[REG_RIP] = reinterpret_cast<greg_t>(report);
#else
  machine.sp = (with_room(machine.sp) - 256) / 16 * 16;
  machine.pc = reinterpret_cast<uintptr_t>(report);
#endif
}

CrashGuard::CrashGuard() {
  struct sigaction action = {};
  action.sa_sigaction = &handle;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  sigaction(SIGSEGV, &action, &previous_segv);
  sigaction(SIGBUS, &action, &previous_bus);
}

CrashGuard::~CrashGuard() {
  sigaction(SIGSEGV, &previous_segv, nullptr);
  sigaction(SIGBUS, &previous_bus, nullptr);
}

#else

void prepare_for_crashes() {}
CrashGuard::CrashGuard() {}
CrashGuard::~CrashGuard() {}

#endif

}  // namespace cuda_emulation
