#include "allocator.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <limits>
#include <mutex>
#include <new>
#include <vector>

#if defined(_WIN32)
#include <malloc.h>
#endif
#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace needle {
namespace cpu {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;

void* system_allocate(size_t bytes) {
  const size_t alignment = bytes >= kHugePage ? kHugePage : kCacheLine;
#if defined(_WIN32)
  return _aligned_malloc(bytes, alignment);
#else
  void* pointer = nullptr;
  if (posix_memalign(&pointer, alignment, bytes) != 0) return nullptr;
#if defined(__linux__) && defined(MADV_HUGEPAGE)
  if (bytes >= kHugePage) madvise(pointer, bytes, MADV_HUGEPAGE);  // fewer page faults
#endif
  return pointer;
#endif
}

void system_free(void* pointer) {
#if defined(_WIN32)
  _aligned_free(pointer);
#else
  free(pointer);
#endif
}

// Buffers are kept by size class: multiples of 64 bytes up to 1 KiB, then eight classes to each
// power of two, so that at most an eighth of a buffer is waste.
struct SizeClass {
  size_t index;
  size_t bytes;
};

SizeClass size_class(size_t bytes) {
  if (bytes <= 1024) {
    const size_t lines = bytes == 0 ? 1 : (bytes + kCacheLine - 1) / kCacheLine;
    return {lines - 1, lines * kCacheLine};
  }
  size_t power = 10;  // 2^power < bytes <= 2^(power + 1)
  while (power < 62 && (size_t{1} << (power + 1)) < bytes) ++power;
  const size_t step = size_t{1} << (power - 3);
  const size_t steps = (bytes - (size_t{1} << power) + step - 1) / step;  // 1 to 8
  return {16 + (power - 10) * 8 + (steps - 1), (size_t{1} << power) + steps * step};
}

class Cache {
 public:
  void* take(SizeClass wanted) {
    std::lock_guard<std::mutex> lock(mutex_);
    auto& kept = free_[wanted.index];
    if (kept.empty()) return nullptr;
    void* pointer = kept.back();
    kept.pop_back();
    held_ -= wanted.bytes;
    return pointer;
  }

  bool keep(void* pointer, SizeClass size) noexcept {
    std::lock_guard<std::mutex> lock(mutex_);
    if (held_ + size.bytes > limit_) return false;
    try {
      free_[size.index].push_back(pointer);
    } catch (const std::bad_alloc&) { return false; }
    held_ += size.bytes;
    return true;
  }

  bool keeps() const { return limit_ > 0; }

  void release_all() {
    std::lock_guard<std::mutex> lock(mutex_);
    for (auto& kept : free_) {
      for (void* pointer : kept) system_free(pointer);
      kept.clear();
    }
    held_ = 0;
  }

 private:
  // NEEDLE_CACHE_MB bounds what is kept (512 by default); 0 keeps nothing, which lets
  // AddressSanitizer see each buffer's end of life.
  static size_t read_limit() {
    const char* text = std::getenv("NEEDLE_CACHE_MB");
    return (text != nullptr ? std::strtoull(text, nullptr, 10) : 512) << 20;
  }

  std::mutex mutex_;
  std::vector<void*> free_[16 + 8 * 53];
  size_t held_ = 0;
  size_t limit_ = read_limit();
};

// Never destroyed: arrays may outlive every other static object when the interpreter ends.
Cache& cache() {
  static Cache* instance = new Cache;
  return *instance;
}

void give_back(void* pointer, SizeClass size) noexcept {
  if (!cache().keep(pointer, size)) system_free(pointer);
}

// A thread's own last few blocks, the newest last: small products, of which threads compute many at
// a time, each need room for a moment, and would all meet at the lock of the cache.
class Stash {
 public:
  ~Stash() {
    while (count_ > 0) drop_oldest();
    open_ = false;  // what is freed while the thread ends
  }

  void* take(SizeClass wanted) {
    for (size_t i = count_; i-- > 0;)
      if (kept_[i].size.index == wanted.index) return remove(i);
    return nullptr;
  }

  bool keep(void* pointer, SizeClass size) noexcept {
    if (!open_ || size.bytes > kMost || !cache().keeps()) return false;
    if (count_ == kBlocks) drop_oldest();
    kept_[count_++] = {pointer, size};
    return true;
  }

 private:
  static constexpr size_t kBlocks = 4, kMost = size_t{1} << 18;
  struct Block {
    void* pointer;
    SizeClass size;
  };

  void* remove(size_t i) {
    void* pointer = kept_[i].pointer;
    std::copy(kept_ + i + 1, kept_ + count_--, kept_ + i);
    return pointer;
  }
  void drop_oldest() {
    const SizeClass size = kept_[0].size;
    give_back(remove(0), size);
  }

  Block kept_[kBlocks];
  size_t count_ = 0;
  bool open_ = true;
};

thread_local Stash stash;

}  // namespace

void* allocate(size_t count, size_t element_size) {
  if (count > (std::numeric_limits<size_t>::max() >> 2) / element_size) throw std::bad_alloc();
  const SizeClass size = size_class(count * element_size);
  if (void* pointer = stash.take(size)) return pointer;
  if (void* pointer = cache().take(size)) return pointer;
  void* pointer = system_allocate(size.bytes);
  if (pointer == nullptr) {
    cache().release_all();
    pointer = system_allocate(size.bytes);
  }
  if (pointer == nullptr) throw std::bad_alloc();
  return pointer;
}

size_t room_of(size_t bytes) { return size_class(bytes).bytes; }

void deallocate(void* pointer, size_t bytes) noexcept {
  if (pointer == nullptr) return;
  const SizeClass size = size_class(bytes);
  if (!stash.keep(pointer, size)) give_back(pointer, size);
}

}  // namespace cpu
}  // namespace needle
