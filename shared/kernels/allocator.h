// Memory of the CPU device. Freed buffers are kept for the next array of about the same size: a
// fresh buffer of some megabytes comes from the operating system page by page, which costs several
// times more than adding two arrays of that size.
#pragma once

#include <cstddef>

namespace needle {
namespace cpu {

constexpr size_t kCacheLine = 64;  // bytes

// Room for `count` elements of `element_size` bytes, aligned to a cache line and rounded up to
// whole cache lines (at least one). Throws std::bad_alloc.
void* allocate(size_t count, size_t element_size);

// The bytes of the buffer that allocate() gives for `bytes`: as many or somewhat more.
size_t room_of(size_t bytes);

// Gives back a buffer of allocate(); `bytes` = count * element_size as it was asked for.
void deallocate(void* pointer, size_t bytes) noexcept;

}  // namespace cpu
}  // namespace needle
