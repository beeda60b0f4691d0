// Runs a grid on the CPU. Every thread of a block is a fiber, made only when it is needed: a fiber
// runs one thread after the other to its end, and only when a thread must wait (at a barrier, for
// the lanes of a shuffle) does another fiber go on with the rest. A kernel without barriers is a
// plain loop. Blocks are spread over the processor's cores.
//
// When no thread can go on, either all that are left wait at the same barrier, which opens, or the
// kernel is wrong and the launch ends with a KernelFault.
#include <algorithm>
#include <atomic>
#include <cctype>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <numeric>
#include <random>
#include <thread>

#include <unistd.h>

#include "runtime.h"

NEEDLE_THREAD_LOCAL uint3 threadIdx;
NEEDLE_THREAD_LOCAL uint3 blockIdx;
NEEDLE_THREAD_LOCAL uint3 blockDim;
NEEDLE_THREAD_LOCAL uint3 gridDim;

namespace cuda_emulation {

thread_local Runner* runner = nullptr;

// ------------------------------------------------------------------------ one launch, its errors

// In which order threads start and continue: NEEDLE_CUDA_ORDER=forward|reverse|random[:SEED].
// A correct kernel gives the same result in each.
struct Order {
  bool reverse = false, random = false;
  unsigned seed = 0;

  static Order from_environment() {
    Order order;
    const char* text = std::getenv("NEEDLE_CUDA_ORDER");
    std::string name = text == nullptr || *text == 0 ? "forward" : text;
    order.reverse = name == "reverse";
    order.random = name.compare(0, 6, "random") == 0;
    if (!order.reverse && !order.random && name != "forward") {
      throw std::runtime_error("NEEDLE_CUDA_ORDER is '" + name +
                               "'; it may be forward, reverse, random or random:SEED");
    }
    if (name.size() > 7) order.seed = static_cast<unsigned>(std::strtoul(&name[7], nullptr, 10));
    return order;
  }
};

struct Grid {
  const Launch* launch;
  uint64_t blocks;
  Order order;
  uint32_t launch_number;
  std::atomic<uint64_t> next{0};
  std::atomic<bool> failed{false};
  std::mutex mutex;
  std::exception_ptr error;

  void fail(std::exception_ptr reason) {
    std::lock_guard<std::mutex> lock(mutex);
    if (!failed.exchange(true)) error = reason;
  }
};

static thread_local Grid* grid = nullptr;  // the launch this operating-system thread works for

static std::string triple(uint3 v) {
  return "(" + std::to_string(v.x) + ", " + std::to_string(v.y) + ", " + std::to_string(v.z) + ")";
}

static uint3 unflatten(uint64_t index, uint3 size) {
  return {static_cast<unsigned>(index % size.x), static_cast<unsigned>(index / size.x % size.y),
          static_cast<unsigned>(index / size.x / size.y)};
}

std::string place(Site site) {
  if (site.file == nullptr) return "an unknown line";
  const char* slash = std::strrchr(site.file, '/');
  return std::string(slash == nullptr ? site.file : slash + 1) + ":" + std::to_string(site.line);
}

std::string thread_name(const Runner& r, int thread) {
  return "thread " + triple(r.indices[thread]);
}

// The value of a template's argument: "needle::Reduction::kSum" in "... [with Reduction r =
// needle::Reduction::kSum; ...]" (GCC; Clang has no "with").
static std::string template_value(const std::string& caller, const std::string& name) {
  for (size_t at = caller.find('['); at != std::string::npos; at = caller.find(name, at + 1)) {
    const std::string equals = " = ";
    bool is_word = at > 0 && !std::isalnum(static_cast<unsigned char>(caller[at - 1])) &&
                   caller[at - 1] != '_';
    size_t value = at + name.size() + equals.size();
    if (caller.compare(at, name.size() + equals.size(), name + equals) != 0 || !is_word) continue;
    std::string text = caller.substr(value, caller.find_first_of(";,]", value) - value);
    size_t colon = text.rfind("::");
    return colon == std::string::npos ? name + " = " + text : text.substr(colon + 2);
  }
  return name;
}

std::string kernel_name(const Launch& launch) {
  std::string kernel = launch.kernel;
  size_t open = kernel.find('<'), close = kernel.rfind('>');
  if (open == std::string::npos || close == std::string::npos) return kernel;
  std::string values, word;
  for (char c : kernel.substr(open + 1, close - open - 1) + ",") {
    if (c != ',') {
      if (c != ' ') word += c;
      continue;
    }
    values += (values.empty() ? "" : ", ") + template_value(launch.caller, word);
    word.clear();
  }
  return kernel.substr(0, open + 1) + values + ">";
}

std::string argument_name(const Launch& launch, int number) {
  std::string names = launch.names;
  for (int i = 0; i < number; i++) names.erase(0, names.find('\n') + 1);
  return names.substr(0, names.find('\n'));
}

static void fail_with_message(const Runner& r, const std::string& who, Site site,
                              const std::string& what) {
  std::string at = site.file == nullptr ? "" : ", " + place(site);
  grid->fail(std::make_exception_ptr(KernelFault(
      kernel_name(*r.launch) + ", block " + triple(blockIdx) + ", " + who + at + ": " + what)));
}

// ----------------------------------------------------------------------------- choosing a thread

static void thread_fiber();

static void make_current(Runner& r, int thread) {
  r.current = thread;
  r.watching = true;
  r.threads[thread].state = State::kRunning;
  r.threads[thread].fiber = r.fiber;
  threadIdx = r.indices[thread];
}

static void open_barrier(Runner& r) {
  r.barrier_result = {0, 1, 0};
  r.ready.clear();
  r.ready_head = 0;
  for (uint16_t thread : r.order) {
    if (r.threads[thread].state == State::kExited) continue;
    int predicate = r.threads[thread].predicate;
    r.barrier_result.count += predicate;
    r.barrier_result.all &= predicate;
    r.barrier_result.any |= predicate;
    r.ready.push_back(thread);
  }
  r.at_barrier = 0;
  r.epoch++;
}

// Nothing can run and the barrier cannot open: says who waits where.
static void explain_stall(Runner& r) {
  r.watching = false;
  int first = -1, other = -1, left = -1;
  for (size_t i = 0; i < r.threads.size(); i++) {
    const Thread& thread = r.threads[i];
    if (thread.state == State::kExited) {
      if (left < 0) left = static_cast<int>(i);
    } else if (first < 0) {
      first = static_cast<int>(i);
    } else if (other < 0 &&
               (thread.site.line != r.threads[first].site.line ||
                thread.state != r.threads[first].state || thread.mask != r.threads[first].mask)) {
      other = static_cast<int>(i);
    }
  }
  auto waits = [&](int thread) {
    const Thread& t = r.threads[thread];
    return (t.state == State::kAtBarrier ? "waits at __syncthreads() in "
                                         : "waits for its warp in ") +
           place(t.site);
  };
  std::string what;
  if (other >= 0) {
    what = "divergent barrier: this thread " + waits(first) + ", but " + thread_name(r, other) +
           " " + waits(other) + ". Every thread must come to the same barriers in the same order.";
  } else if (left >= 0) {
    what = "divergent barrier: this thread " + waits(first) + ", but " + thread_name(r, left) +
           " has already returned from the kernel. Guard the work, not the barrier.";
  } else {
    what = "stalled: this thread " + waits(first) + " and no other thread can go on.";
  }
  fail_with_message(r, thread_name(r, first), r.threads[first].site, what);
}

// All live threads wait at one and the same barrier, and none left before it.
static bool barrier_is_complete(const Runner& r) {
  if (r.at_barrier != static_cast<int>(r.threads.size())) return false;
  const Site& site = r.threads[0].site;
  return std::all_of(r.threads.begin(), r.threads.end(), [&](const Thread& thread) {
    return thread.site.line == site.line && std::strcmp(thread.site.file, site.file) == 0;
  });
}

// The fiber that goes on now; the runner's own when the block is finished or has failed.
static Fiber* next_fiber(Runner& r) {
  if (grid->failed.load(std::memory_order_relaxed)) return &r.main;
  if (r.ready_head == r.ready.size() && r.unstarted == r.order.size() && r.live > 0) {
    if (!barrier_is_complete(r)) {
      explain_stall(r);
      return &r.main;
    }
    open_barrier(r);
  }
  if (r.ready_head < r.ready.size()) {
    int thread = r.ready[r.ready_head++];
    r.fiber = r.threads[thread].fiber;
    make_current(r, thread);
    return r.fiber;
  }
  if (r.unstarted < r.order.size()) {
    if (r.free_fibers.empty()) {
      r.fibers.push_back(make_fiber());
      reset_fiber(r.fibers.back(), &thread_fiber);
      r.free_fibers.push_back(r.fibers.back());
    }
    r.fiber = r.free_fibers.back();
    r.free_fibers.pop_back();
    return r.fiber;
  }
  return &r.main;
}

// The running thread cannot go on now.
static void wait(Runner& r) {
  Fiber* mine = r.fiber;
  Fiber* next = next_fiber(r);
  if (next != mine) switch_fiber(mine, next);
}

// Leaves the block for good. Fibers are made anew before the next one.
[[noreturn]] static void abandon(Runner& r) {
  switch_fiber(r.fiber, &r.main);
  std::abort();  // not reached: an abandoned fiber is never switched to
}

void fault_with(const std::string& what, Site site) {
  Runner& r = *runner;
  r.watching = false;
  fail_with_message(r, thread_name(r, r.current), site, what);
  abandon(r);
}

// --------------------------------------------------------------------------------- endless loops

constexpr uint32_t kStretches = 1 << 20;  // of code between two looks at the clock

// How long one block may compute, in seconds of processor time; NEEDLE_CUDA_SECONDS, 0: for ever.
static double patience() {
  const char* text = std::getenv("NEEDLE_CUDA_SECONDS");
  return text == nullptr || *text == 0 ? 5 : std::atof(text);
}

static double processor_seconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

// How long a block of this kernel may compute, after the loops that were endless so far. The next
// one is most often the same, and many failing tests shall not take minutes.
static double patience_with(const std::string& kernel, bool one_more) {
  static std::mutex mutex;
  static std::map<std::string, int> known;
  std::lock_guard<std::mutex> lock(mutex);
  int share = known.count(kernel) == 0 ? (known.empty() ? 1 : 5) : known[kernel] < 3 ? 10 : 50;
  if (one_more) known[kernel]++;
  return patience() / share;
}

static void look_at_the_clock(Runner& r, const void* caller) {
  r.until_look = kStretches;
  r.watching = false;
  double now = processor_seconds(), limit = patience_with(r.launch->kernel, false);
  if (r.began < 0) r.began = now;
  bool late = limit > 0 && now - r.began >= limit;
  std::string line = late ? source_line(code_offset(caller)) : "";
  r.watching = true;
  if (!late) return;
  if (line.find(".cu:") == std::string::npos && now - r.began < 2 * limit) {
    r.until_look = 7;  // not the student's own line: come again soon
    return;
  }
  fault([&] {
    patience_with(r.launch->kernel, true);
    char seconds[32];
    std::snprintf(seconds, sizeof seconds, "%g", limit);
    return line + ": still in this loop after " + seconds +
           " s. Does its condition ever become false? (NEEDLE_CUDA_SECONDS sets the limit)";
  });
}

// ------------------------------------------------------------------------------------ the warps

static void pass_warp(Runner& r, int warp, unsigned group);

// If every live lane of the waiting thread's mask has arrived, all of them go on.
static void try_to_pass_warp(Runner& r, int thread) {
  int first = thread / kWarp * kWarp;
  const Thread& mine = r.threads[thread];
  unsigned group = 0;
  for (int lane = 0; lane < kWarp && first + lane < static_cast<int>(r.threads.size()); lane++) {
    if (!(mine.mask >> lane & 1)) continue;
    const Thread& other = r.threads[first + lane];
    if (other.state == State::kExited) continue;
    if (other.state != State::kAtWarp || other.mask != mine.mask ||
        other.site.line != mine.site.line) {
      return;
    }
    group |= 1u << lane;
  }
  pass_warp(r, first / kWarp, group);
}

static void pass_warp(Runner& r, int warp, unsigned group) {
  Thread* lanes = &r.threads[warp * kWarp];
  uint64_t values[kWarp];
  Votes votes = {0, group};
  for (int lane = 0; lane < kWarp; lane++) {
    if (!(group >> lane & 1)) continue;
    values[lane] = lanes[lane].bits;
    if (lanes[lane].predicate) votes.votes |= 1u << lane;
  }
  r.warp_time[warp]++;
  for (int i = 0; i < kWarp; i++) {
    int lane = grid->order.reverse ? kWarp - 1 - i : i;
    if (!(group >> lane & 1)) continue;
    Thread& thread = lanes[lane];
    int source = thread.source < 0 ? lane : thread.source;
    // What a lane gets that asks one that is not there is undefined: all ones is NaN or -1.
    thread.bits = group >> source & 1 ? values[source] : ~uint64_t{0};
    thread.votes = votes;
    thread.warp_time = r.warp_time[warp];
    thread.warp_mask = group;
    thread.state = State::kRunning;
    r.at_warp--;
    if (warp * kWarp + lane != r.current) {
      r.ready.push_back(static_cast<uint16_t>(warp * kWarp + lane));
    }
  }
}

// A thread has returned: lanes of its warp that waited for it may go on.
static void pass_without(Runner& r, int thread) {
  int first = thread / kWarp * kWarp;
  int end = std::min<int>(first + kWarp, static_cast<int>(r.threads.size()));
  for (int lane = first; lane < end; lane++) {
    if (r.threads[lane].state == State::kAtWarp) try_to_pass_warp(r, lane);
  }
}

static Thread& wait_for_warp(Site site, unsigned mask) {
  Runner& r = *runner;
  int thread = r.current;
  Thread& mine = r.threads[thread];
  if (!(mask >> thread % kWarp & 1)) {
    fault([] { return "the mask of a warp operation leaves out the lane that calls it"; }, site);
  }
  mine.site = site;
  mine.mask = mask;
  mine.state = State::kAtWarp;
  r.at_warp++;
  try_to_pass_warp(r, thread);
  if (mine.state == State::kAtWarp) wait(r);
  return r.threads[thread];
}

void warp_barrier(Site site, unsigned mask) { wait_for_warp(site, mask); }

Votes ballot(Site site, unsigned mask, int predicate) {
  runner->threads[runner->current].predicate = predicate;
  return wait_for_warp(site, mask).votes;
}

uint64_t shuffle_bits(Site site, unsigned mask, uint64_t bits, int source) {
  Thread& mine = runner->threads[runner->current];
  mine.bits = bits;
  mine.source = source;
  return wait_for_warp(site, mask).bits;
}

// CUDA C++ Programming Guide, "Warp Shuffle Functions": a warp is cut into segments of `width`.
int shuffle_source(ShuffleKind kind, int operand, int width) {
  int lane = runner->current % kWarp;
  int begin = lane / width * width, end = begin + width;
  switch (kind) {
    case kIndex:
      return begin + (operand & (width - 1));
    case kUp:
      return lane - operand < begin ? -1 : lane - operand;
    case kDown:
      return lane + operand >= end ? -1 : lane + operand;
    case kXor:
      return (lane ^ operand) >= end ? -1 : lane ^ operand;
  }
  return -1;
}

unsigned live_lanes() {
  const Runner& r = *runner;
  int first = r.current / kWarp * kWarp;
  unsigned lanes = 0;
  for (int lane = 0; lane < kWarp && first + lane < static_cast<int>(r.threads.size()); lane++) {
    if (r.threads[first + lane].state != State::kExited) lanes |= 1u << lane;
  }
  return lanes;
}

// ---------------------------------------------------------------------------------- the barrier

BarrierResult block_barrier(Site site, int predicate) {
  Runner& r = *runner;
  Thread& mine = r.threads[r.current];
  mine.site = site;
  mine.predicate = predicate;
  mine.state = State::kAtBarrier;
  r.at_barrier++;
  wait(r);
  return r.barrier_result;
}

void memory_fence() { std::atomic_thread_fence(std::memory_order_seq_cst); }

// -------------------------------------------------------------------------------- shared memory

void* shared_memory(const void* type, int line, const char* name, size_t bytes, Shape shape) {
  Runner& r = *runner;
  for (const SharedVariable& variable : r.variables) {
    if (variable.type == type && variable.line == line && std::strcmp(variable.name, name) == 0) {
      return r.shared + variable.offset;
    }
  }
  size_t offset = (r.shared_used + 15) / 16 * 16;
  size_t taken = bytes;
  for (const SharedVariable& variable : r.variables) taken += variable.bytes;
  if (taken > kSharedBytes) {
    fault([&] {
      return "the __shared__ variables take " + std::to_string(taken) + " bytes; a block has " +
             std::to_string(kSharedBytes);
    });
  }
  r.variables.push_back({type, line, name, offset, bytes, shape});
  r.shared_used = offset + bytes + kSharedGap;
  return r.shared + offset;
}

void* dynamic_shared_memory() {
  if (runner->launch->config.shared_bytes == 0) {
    fault([] {
      return "extern __shared__ memory is used, but the launch gave it no size (the third value in "
             "<<< >>>)";
    });
  }
  return runner->shared;  // the first variable of every block: see begin_block
}

// --------------------------------------------------------------------------------------- blocks

static void thread_fiber() {
  Fiber* mine = runner->fiber;
  arrived(mine);
  for (;;) {
    Runner& r = *runner;
    while (r.unstarted < r.order.size()) {
      make_current(r, r.order[r.unstarted++]);
      bool thrown = false;
      try {
        r.launch->invoke(r.launch->arguments);
      } catch (...) {  // an untouched stub, for example
        grid->fail(std::current_exception());
        thrown = true;
      }
      if (thrown) abandon(r);
      r.threads[r.current].state = State::kExited;
      r.live--;
      if (r.at_warp > 0) pass_without(r, r.current);
      if (r.ready_head < r.ready.size()) break;  // somebody woke up: finish those first
    }
    r.free_fibers.push_back(mine);
    Fiber* next = next_fiber(r);
    if (next != mine) switch_fiber(mine, next);
  }
}

static void begin_block(Runner& r, uint64_t block) {
  const Config& config = r.launch->config;
  r.block = block;
  r.block_number++;
  r.until_look = kStretches;
  r.began = -1;
  blockIdx = unflatten(block, config.grid);
  Thread fresh = {};
  fresh.state = State::kUnstarted;
  r.threads.assign(r.indices.size(), fresh);
  r.warp_time.assign((r.indices.size() + kWarp - 1) / kWarp, 0);
  if (grid->order.random) {
    std::mt19937 random(grid->order.seed * 7919u + static_cast<unsigned>(block));
    std::shuffle(r.order.begin(), r.order.end(), random);
  }
  r.unstarted = 0;
  r.live = static_cast<int>(r.threads.size());
  r.at_barrier = r.at_warp = 0;
  r.ready.clear();
  r.ready_head = 0;
  r.epoch = 0;
  if (r.shared_used > 0) std::memset(r.shared, 0xff, r.shared_used);  // NaN, as new device memory
  r.shared_used = 0;
  r.variables.clear();
  if (config.shared_bytes > 0) {
    r.variables.push_back({nullptr, 0, "of the launch", 0, config.shared_bytes, {}});
    r.shared_used = config.shared_bytes + kSharedGap;
  }
}

static void begin_launch(Runner& r, const Launch& launch) {
  r.launch = &launch;
  r.launch_number = grid->launch_number;
  blockDim = launch.config.block;
  gridDim = launch.config.grid;
  size_t threads = static_cast<size_t>(blockDim.x) * blockDim.y * blockDim.z;
  r.indices.resize(threads);
  for (size_t i = 0; i < threads; i++) r.indices[i] = unflatten(i, blockDim);
  r.order.resize(threads);
  std::iota(r.order.begin(), r.order.end(), uint16_t{0});
  if (grid->order.reverse) std::reverse(r.order.begin(), r.order.end());
  if (r.shared == nullptr) {
    r.shared = static_cast<char*>(std::aligned_alloc(256, 2 * kSharedBytes));
    if (r.shared == nullptr) throw std::bad_alloc();
    std::memset(r.shared, 0xff, 2 * kSharedBytes);
  }
}

// Runs blocks of the grid until none is left.
static void work(Grid& job) {
  static thread_local Runner* mine = new Runner;  // keeps its fibers as long as its thread lives
  grid = &job;
  prepare_for_crashes();
  try {
    begin_launch(*mine, *job.launch);
    uint64_t taken;
    while (!job.failed && (taken = job.next.fetch_add(1)) < job.blocks) {
      uint64_t block = job.order.reverse ? job.blocks - 1 - taken : taken;
      if (job.order.random) block = (taken + job.order.seed) % job.blocks;
      begin_block(*mine, block);
      runner = mine;
      mine->fiber = &mine->main;
      Fiber* first = next_fiber(*mine);
      if (first != &mine->main) switch_fiber(&mine->main, first);
      runner = nullptr;
      count_block(*mine);
      if (job.failed) {
        mine->free_fibers = mine->fibers;
        for (Fiber* fiber : mine->fibers) reset_fiber(fiber, &thread_fiber);
      }
    }
  } catch (...) {
    runner = nullptr;
    job.fail(std::current_exception());
  }
  grid = nullptr;
}

// ------------------------------------------------------------------------------------- launches

// Helpers that sleep between launches. They live until the process ends, and are made anew in a
// forked child, which has none of its parent's threads.
class Helpers {
 public:
  explicit Helpers(int count) : process_(getpid()) {
    for (int i = 0; i < count; i++) std::thread([this] { loop(); }).detach();
    count_ = count;
  }

  static Helpers& get() {
    static Helpers* helpers = nullptr;
    if (helpers == nullptr || helpers->process_ != getpid()) {
      helpers =
          new Helpers(static_cast<int>(std::max(1u, std::thread::hardware_concurrency())) - 1);
    }
    return *helpers;
  }

  void run(Grid& job) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      job_ = &job;
      busy_ = count_;
      round_++;
    }
    wake_.notify_all();
    work(job);
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [this] { return busy_ == 0; });
  }

 private:
  void loop() {
    uint64_t seen = 0;
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return round_ != seen; });
      seen = round_;
      Grid* job = job_;
      lock.unlock();
      work(*job);
      lock.lock();
      if (--busy_ == 0) done_.notify_one();
    }
  }

  const pid_t process_;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  Grid* job_ = nullptr;
  uint64_t round_ = 0;
  int count_ = 0, busy_ = 0;
};

// What is wrong with a launch's numbers; "" if nothing.
static std::string misconfigured(const Config& config) {
  const dim3 &b = config.block, &g = config.grid;
  uint64_t threads = static_cast<uint64_t>(b.x) * b.y * b.z;
  auto limit = [](uint64_t count, const char* what, uint64_t most) {
    return std::to_string(count) + what + ", at most " + std::to_string(most);
  };
  if (g.x == 0 || g.y == 0 || g.z == 0) return "a grid of no blocks, " + triple(g);
  if (threads == 0) return "a block of no threads, " + triple(b);
  if (threads > kMaxThreads) return limit(threads, " threads in a block", kMaxThreads);
  if (b.z > kMaxBlockZ) return limit(b.z, " threads of a block along z", kMaxBlockZ);
  if (g.x > kMaxGridX) return limit(g.x, " blocks along x", kMaxGridX);
  if (g.y > kMaxGridYZ) return limit(g.y, " blocks along y", kMaxGridYZ);
  if (g.z > kMaxGridYZ) return limit(g.z, " blocks along z", kMaxGridYZ);
  if (config.shared_bytes > kSharedBytes) {
    return limit(config.shared_bytes, " bytes of shared memory", kSharedBytes);
  }
  return "";
}

void run(const Launch& launch) {
  static std::mutex one_launch_at_a_time;
  static uint32_t launches = 0;
  throw_pending();
  if (runner != nullptr)
    fault([] { return "a kernel launches a kernel, which this course does not use"; });
  std::string fault = misconfigured(launch.config);
  if (!fault.empty()) {
    return remember_failed_launch(kernel_name(launch) + " was not launched at " +
                                  place(launch.site) + " (" + fault + ")");
  }
  std::lock_guard<std::mutex> lock(one_launch_at_a_time);
  const Config& config = launch.config;
  Grid job;
  job.launch = &launch;
  job.blocks = static_cast<uint64_t>(config.grid.x) * config.grid.y * config.grid.z;
  job.order = Order::from_environment();
  job.launch_number = ++launches;
  uint64_t threads = static_cast<uint64_t>(config.block.x) * config.block.y * config.block.z;
  CrashGuard guard;
  // A checked build runs blocks one after the other, so that every report can be repeated.
  if (kChecked || job.blocks < 4 || job.blocks * threads < 16384) {
    work(job);
  } else {
    Helpers::get().run(job);
  }
  count_launch(launch);
  if (job.error) std::rethrow_exception(job.error);
  if (!kChecked) check_red_zones(launch);
}

#ifndef NEEDLE_CUDA_CHECKED
Cell* make_cells(size_t) { return nullptr; }
void free_cells(Cell*) {}
void mark_written(Allocation*, const void*, size_t) {}
void throw_pending_host_fault() {}
void atomic_access(const void*, size_t) {}
bool counting() { return false; }
void count_access(const Runner&, bool, const void*, size_t, bool, uint32_t) {}
void count_stretch(const Runner&, const void*) {}
void count_block(const Runner&) {}
void count_launch(const Launch&) {}
#endif

}  // namespace cuda_emulation

// Kernels are compiled with -fsanitize-coverage=trace-pc: every stretch of code between two
// branches begins with a call of this, so there is no loop that does not come by.
extern "C" void __sanitizer_cov_trace_pc() {
  cuda_emulation::Runner* r = cuda_emulation::runner;
  if (r == nullptr || !r->watching) return;
  if (cuda_emulation::kChecked && cuda_emulation::counting()) {
    r->watching = false;
    cuda_emulation::count_stretch(*r, __builtin_return_address(0));
    r->watching = true;
  }
  if (--r->until_look != 0) return;
  cuda_emulation::look_at_the_clock(*r, __builtin_return_address(0));
}
