#include "parallel.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "underflow.h"

#if !defined(_WIN32)
#include <pthread.h>
#endif
#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace needle {
namespace {

// An idle thread looks for work for some 20 microseconds without a pause. Then it goes on looking,
// but offers its processor to others each time. Waking a thread costs 50 microseconds and more on a
// virtual machine: in a training step, where the next kernel follows soon, the threads should not
// sleep.
constexpr int kSpins = 1000;
constexpr std::chrono::microseconds kPatience{500};

void pause_briefly() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__) && !defined(_MSC_VER)
  asm volatile("yield");
#endif
}

size_t read_thread_count() {
  if (const char* text = std::getenv("NEEDLE_NUM_THREADS")) {
    const long wanted = std::strtol(text, nullptr, 10);
    if (wanted > 0) return static_cast<size_t>(std::min(wanted, 256L));
  }
#if defined(__linux__)
  cpu_set_t allowed;  // hardware_concurrency() counts processors that taskset has taken away, too
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) return CPU_COUNT(&allowed);
#endif
  return std::max(1u, std::thread::hardware_concurrency());
}

// One job at a time; every thread takes the next piece until none is left. A helper that wakes too
// late finds the job closed and goes back to sleep, so a busy machine slows nobody down.
class Pool {
 public:
  explicit Pool(size_t threads) {
    try {
      for (size_t i = 1; i < threads; ++i) {
        std::thread helper([this] { help(); });
        helpers_.push_back(helper.native_handle());
        helper.detach();
      }
    } catch (const std::system_error&) {
      // The system gives no more threads: those that there are do the work.
    }
  }

  void run(size_t count, size_t grain, detail::ChunkFunction function, void* body) {
    std::unique_lock<std::mutex> owner(owner_, std::try_to_lock);
    if (working_ || !owner.owns_lock()) {  // nested, or another Python thread has the pool
      function(body, 0, count);
      return;
    }
    count_ = count, grain_ = grain, function_ = function, body_ = body;
    mode_ = float_mode();
    error_ = nullptr;
    next_ = 0;
    open_ = true;
    round_.fetch_add(1);
    send_helpers_elsewhere();
    if (sleeping_ > 0) {
      std::lock_guard<std::mutex> lock(sleep_);
      wake_.notify_all();
    }
    take_pieces();
    open_ = false;
    for (int spins = 0; helping_ > 0; ++spins) {
      if (spins < kSpins) {
        pause_briefly();
      } else {
        std::this_thread::yield();
      }
    }
    if (error_) std::rethrow_exception(error_);
  }

 private:
  void take_pieces() {
    working_ = true;
    for (size_t begin; (begin = next_.fetch_add(grain_)) < count_;) {
      try {
        function_(body_, begin, std::min(begin + grain_, count_));
      } catch (...) {
        std::lock_guard<std::mutex> lock(sleep_);
        error_ = std::current_exception();
        next_ = count_;
      }
    }
    working_ = false;
  }

  // A thread that wakes may find itself on the processor of the one that woke it, and wait there
  // for many milliseconds while another is idle: virtual machines do not tell the system that their
  // processors are neighbours. So helpers may use all processors but the caller's.
  void send_helpers_elsewhere() {
#if defined(__linux__)
    const int here = sched_getcpu();
    if (here == callers_processor_) return;
    callers_processor_ = here;
    cpu_set_t others;
    if (here < 0 || sched_getaffinity(0, sizeof others, &others) != 0) return;
    CPU_CLR(here, &others);
    if (CPU_COUNT(&others) == 0) return;
    for (auto helper : helpers_) pthread_setaffinity_np(helper, sizeof others, &others);
#endif
  }

  void help() {
    for (unsigned seen = 0;;) {
      wait_for_round(seen);
      seen = round_;
      ++helping_;  // before looking at open_: run() closes first and counts helpers afterwards
      if (open_) {
        set_float_mode(mode_);
        take_pieces();
      }
      --helping_;
    }
  }

  void wait_for_round(unsigned seen) {
    for (int spins = 0; spins < kSpins; ++spins) {
      if (round_ != seen) return;
      pause_briefly();
    }
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (std::chrono::steady_clock::now() < end) {
      if (round_ != seen) return;
      std::this_thread::yield();
    }
    std::unique_lock<std::mutex> lock(sleep_);
    ++sleeping_;
    wake_.wait(lock, [&] { return round_ != seen; });
    --sleeping_;
  }

  static thread_local bool working_;  // this thread is inside a piece

  std::vector<std::thread::native_handle_type> helpers_;
#if defined(__linux__)
  int callers_processor_ = -1;
#endif
  std::mutex owner_, sleep_;
  std::condition_variable wake_;
  std::atomic<unsigned> round_{0};
  std::atomic<int> sleeping_{0}, helping_{0};
  std::atomic<bool> open_{false};
  std::atomic<size_t> next_{0};
  size_t count_ = 0, grain_ = 1;
  detail::ChunkFunction function_ = nullptr;
  void* body_ = nullptr;
  unsigned mode_ = 0;  // of the processor, for the thread that has the job and its helpers
  std::exception_ptr error_;
};

thread_local bool Pool::working_ = false;

// Never destroyed, since its threads never end. A forked child has none of its parent's threads
// and makes a pool of its own.
std::atomic<Pool*> shared_pool{nullptr};
std::mutex making;

Pool& pool() {
  if (Pool* existing = shared_pool) return *existing;
  std::lock_guard<std::mutex> lock(making);
  if (shared_pool == nullptr) {
#if !defined(_WIN32)
    static const int registered = pthread_atfork(nullptr, nullptr, [] { shared_pool = nullptr; });
    static_cast<void>(registered);
#endif
    shared_pool = new Pool(thread_count());
  }
  return *shared_pool;
}

}  // namespace

size_t thread_count() {
  static const size_t count = read_thread_count();
  return count;
}

namespace detail {

void parallel_chunks(size_t count, size_t grain, ChunkFunction run, void* body) {
  pool().run(count, std::max<size_t>(grain, 1), run, body);
}

}  // namespace detail
}  // namespace needle
