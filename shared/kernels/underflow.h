// Numbers too small for a normal float32 are zero to a matrix product and to whole layers and
// steps.
//
// Below 1.2e-38 a float32 is "subnormal": it has lost digits, and x86 processors compute with it
// some hundred times slower than with others. Training comes there by itself: weight decay shrinks
// a weight that gets no gradient, and Adam the memory of that gradient, a little at every step.
// After some thousand steps one weight in a hundred was subnormal, and a step ten times slower.
// Nothing is lost: beside any other weight they are zero.
#pragma once

#if defined(__x86_64__) || defined(_M_X64)
#include <xmmintrin.h>
#define NEEDLE_FLOAT_MODE 1
#endif

namespace needle {

// How this thread's processor treats such numbers. Others than x86 compute them as fast as any.
#ifdef NEEDLE_FLOAT_MODE
inline unsigned float_mode() { return _mm_getcsr(); }
inline void set_float_mode(unsigned mode) { _mm_setcsr(mode); }
#else
inline unsigned float_mode() { return 0; }
inline void set_float_mode(unsigned) {}
#endif

// Results and arguments below the normal numbers are zero, from construction to the end of the
// scope. Python's code, NumPy included, shall not find the mode changed.
class FlushToZero {
 public:
  FlushToZero() : before_(float_mode()) { set_float_mode(before_ | kResults | kArguments); }
  ~FlushToZero() { set_float_mode(before_); }
  FlushToZero(const FlushToZero&) = delete;
  FlushToZero& operator=(const FlushToZero&) = delete;

 private:
  static constexpr unsigned kResults = 0x8000, kArguments = 0x0040;  // bits of MXCSR: FTZ, DAZ
  unsigned before_;
};

}  // namespace needle
