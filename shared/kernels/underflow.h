// While a kernel runs, a result too small for a normal float32 becomes zero.
//
// Below 1.2e-38 a float32 is "subnormal": it has lost digits, and x86 processors compute it some
// hundred times slower than other numbers. Training comes there by itself: weight decay shrinks a
// weight that gets no gradient, and Adam the memory of that gradient, a little at every step. After
// some thousand steps one weight in a hundred was subnormal, and a step ten times slower. Nothing
// is lost: against any other weight they are zero. Arguments are taken as they are.
#pragma once

#if defined(__x86_64__) || defined(_M_X64)
#include <xmmintrin.h>
#endif

namespace needle {

// The processor's mode of this thread, from construction to the end of the scope. Python code,
// NumPy's included, shall not find it changed.
class FlushToZero {
 public:
#if defined(__x86_64__) || defined(_M_X64)
  FlushToZero() : before_(_mm_getcsr()) { _mm_setcsr(before_ | _MM_FLUSH_ZERO_ON); }
  ~FlushToZero() { _mm_setcsr(before_); }

 private:
  unsigned before_;
#else
  FlushToZero() {}  // others compute subnormal numbers as fast as any
  ~FlushToZero() {}

 public:
#endif
  FlushToZero(const FlushToZero&) = delete;
  FlushToZero& operator=(const FlushToZero&) = delete;
};

}  // namespace needle
