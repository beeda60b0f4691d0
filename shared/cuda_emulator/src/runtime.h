// What the parts of the emulator know of each other. Kernels see emulator.h only.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cuda_runtime.h"
#include "fiber.h"

namespace cuda_emulation {

// Limits of every GPU the course names (CUDA C++ Programming Guide, "Compute Capabilities").
constexpr unsigned kMaxThreads = 1024, kMaxBlockZ = 64, kMaxGridYZ = 65535;
constexpr size_t kSharedBytes = 48 * 1024;
constexpr unsigned kMaxGridX = 2147483647;
constexpr int kWarp = 32;

// ------------------------------------------------------------------------------- memory.cc

// Device memory, between two zones that no kernel may touch.
constexpr size_t kRedZone = 4096;
struct Cell;
struct Allocation {
  char* begin;
  size_t bytes;
  bool freed;
  Cell* cells;  // checked build: what happened to each word, see checker.cc
};

void set_last_error(cudaError_t status);

// The allocation whose memory or red zone holds the address; null if there is none.
Allocation* find_allocation(const void* address);

// A launch that did not happen is told by cudaGetLastError, or else by the next call.
void remember_failed_launch(const std::string& what);
void throw_pending();

// Throws KernelFault if the kernel wrote into the red zone of one of its pointer arguments.
void check_red_zones(const Launch& launch);

// ---------------------------------------------------------------------------- scheduler.cc

enum class State : uint8_t { kUnstarted, kRunning, kAtBarrier, kAtWarp, kExited };

struct Thread {
  State state;
  Fiber* fiber;
  Site site;           // where it waits
  int predicate;       // what it brought to the barrier or ballot
  unsigned mask;       // lanes it waits for
  uint64_t bits;       // the value it brought to a shuffle, then the one it gets
  int source;          // lane whose value it wants
  Votes votes;         // result of a ballot
  uint32_t warp_time;  // its warp's clock when it last passed a warp barrier
  unsigned warp_mask;  // and the lanes that passed with it
};

struct SharedVariable {
  const void* type;
  int line;
  const char* name;
  size_t offset, bytes;
  Shape shape;
};

// Runs blocks, one after the other, on one operating-system thread.
struct Runner {
  const Launch* launch = nullptr;
  uint64_t block = 0;
  uint32_t launch_number = 0;
  uint32_t block_number = 0;  // of all blocks this runner ever ran
  std::vector<Thread> threads;
  std::vector<uint3> indices;
  std::vector<uint16_t> order;  // in which threads start and pass barriers
  size_t unstarted = 0;         // position in `order`
  int live = 0, at_barrier = 0, at_warp = 0;
  std::vector<uint16_t> ready;
  size_t ready_head = 0;
  int current = -1;
  uint32_t until_look = 0;  // stretches of code until somebody looks at the clock
  double began = -1;        // seconds of this processor's time at the block's first look
  bool watching = true;     // checked build: off while the emulator itself is at work
  Fiber* fiber = nullptr;
  Fiber main;
  std::vector<Fiber*> fibers, free_fibers;
  BarrierResult barrier_result = {};
  uint32_t epoch = 0;               // barriers of the block so far
  std::vector<uint32_t> warp_time;  // warp barriers so far
  char* shared = nullptr;
  size_t shared_used = 0;
  std::vector<SharedVariable> variables;
};

extern thread_local Runner* runner;  // null outside of kernels

// Ends the launch with a KernelFault on behalf of the running thread. Never returns.
[[noreturn]] void fault_with(const std::string& what, Site site = {nullptr, 0});

// The same; `message` is a function, called when accesses are no longer watched. (The linker may
// have the emulator use the kernels' copy of std::string, whose accesses are.)
template <typename Message>
[[noreturn]] void fault(Message message, Site site = {nullptr, 0}) {
  runner->watching = false;
  fault_with(message(), site);
}

std::string thread_name(const Runner& runner, int thread);
std::string place(Site site);
std::string kernel_name(const Launch& launch);  // with the values of its template's arguments
std::string argument_name(const Launch& launch, int number);

// -------------------------------------------------------------------------------- lines.cc

bool in_module(const void* address);
uint32_t code_offset(const void* return_address);
std::string source_line(uint32_t code);  // "file.cu:12"; slow

// ---------------------------------------------------------------------------------- crash.cc

void prepare_for_crashes();  // in every thread that runs kernels

// While one of these lives, a kernel that touches memory that does not exist ends its launch, not
// the process.
class CrashGuard {
 public:
  CrashGuard();
  ~CrashGuard();
  CrashGuard(const CrashGuard&) = delete;
};

// ------------------------------------------------------------------------------ checker.cc

#ifdef NEEDLE_CUDA_CHECKED
constexpr bool kChecked = true;
#else
constexpr bool kChecked = false;
#endif
constexpr size_t kSharedGap = kChecked ? 64 : 0;  // between two __shared__ variables

Cell* make_cells(size_t bytes);
void free_cells(Cell* cells);
void mark_written(Allocation* allocation, const void* address, size_t bytes);
void throw_pending_host_fault();  // host code touched device memory since the last call

// ------------------------------------------------------------------------------ counter.cc

bool counting();  // checked build: has NEEDLE_CUDA_COUNTS named a file?
void count_access(const Runner& runner, bool shared, const void* address, size_t bytes, bool write,
                  uint32_t code);
void count_stretch(const Runner& runner, const void* place);  // of code between two branches
void count_block(const Runner& runner);                       // it has ended
void count_launch(const Launch& launch);                      // so has the launch

}  // namespace cuda_emulation
