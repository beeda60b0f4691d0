// parallel_for: one loop over several threads.
#pragma once

#include <type_traits>
#include <cstddef>

namespace needle {

// Threads that parallel_for uses: NEEDLE_NUM_THREADS, else one for each processor this process may
// run on.
size_t thread_count();

// Elements worth handing to another thread: below this, waking it costs more than it saves.
constexpr size_t kGrain = size_t{1} << 15;

// A grain for `count` elements: at most kGrain, a multiple of 64, and as many pieces for each
// thread, so that none waits while another works on one piece more.
inline size_t even_grain(size_t count) {
  if (count <= kGrain) return kGrain;
  const size_t threads = thread_count(), rounds = (count - 1) / (kGrain * threads) + 1;
  return ((count - 1) / (rounds * threads) / 64 + 1) * 64;
}

namespace detail {
using ChunkFunction = void (*)(void* body, size_t begin, size_t end);
void parallel_chunks(size_t count, size_t grain, ChunkFunction run, void* body);
}  // namespace detail

// Calls body(begin, end) for pieces of `grain` indices that together cover 0..count, on several
// threads at a time. Pieces are handed out as threads become free; begin is always a multiple of
// `grain`. With no more than one piece, or inside another parallel_for, it is a plain call. An
// exception in a piece is thrown again here.
template <class Body>
void parallel_for(size_t count, size_t grain, Body&& body) {
  if (count <= grain || thread_count() == 1) {
    if (count > 0) body(size_t{0}, count);
    return;
  }
  detail::parallel_chunks(
      count, grain,
      [](void* pointer, size_t begin, size_t end) {
        (*static_cast<std::remove_reference_t<Body>*>(pointer))(begin, end);
      },
      const_cast<void*>(static_cast<const void*>(&body)));
}

}  // namespace needle
