// Vec: a handful of floats that one instruction works on.
//
// GCC and Clang turn their vector types into AVX-512, AVX2, SSE or NEON instructions, whichever the
// processor that is compiled for has. Other compilers get a plain array with the same operators.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#if defined(__GNUC__) && !defined(NEEDLE_PORTABLE_SIMD)
#define NEEDLE_VECTOR_TYPES 1
#endif

namespace needle {
namespace simd {

// Calls body(0), body(1), ..., body(N - 1), each of them written out: the compiler then knows every
// index of an array of Vecs, and can keep the array in registers.
template <class Body, size_t... I>
inline void unrolled(Body body, std::index_sequence<I...>) {
  (body(I), ...);
}
template <size_t N, class Body>
inline void unrolled(Body body) {
  unrolled(body, std::make_index_sequence<N>());
}

#if defined(__AVX512F__)
constexpr size_t kWidth = 16;  // floats in a Vec
#elif defined(__AVX__) || !defined(NEEDLE_VECTOR_TYPES)
constexpr size_t kWidth = 8;
#else
constexpr size_t kWidth = 4;
#endif

// Vector registers of the processor; a kernel that needs more spills them to memory.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr size_t kRegisters = 32;
#else
constexpr size_t kRegisters = 16;
#endif

#if defined(NEEDLE_VECTOR_TYPES)

typedef float Vec __attribute__((vector_size(kWidth * sizeof(float))));
typedef int32_t IntVec __attribute__((vector_size(kWidth * sizeof(int32_t))));
typedef float Vec8 __attribute__((vector_size(8 * sizeof(float))));  // eight, whatever kWidth is

inline Vec splat(float x) { return x - Vec{}; }  // x in every lane
inline IntVec splat(int32_t x) { return x - IntVec{}; }

#else

template <class T>
struct Lanes {
  T lane[kWidth];
};
using Vec = Lanes<float>;
using IntVec = Lanes<int32_t>;
using Vec8 = Vec;  // eight, as kWidth is here

template <class T>
inline Lanes<T> splat(T x) {
  Lanes<T> result;
  for (size_t i = 0; i < kWidth; ++i) result.lane[i] = x;
  return result;
}

#define NEEDLE_LANES(op)                                                    \
  template <class T>                                                        \
  inline Lanes<T> operator op(Lanes<T> a, Lanes<T> b) {                     \
    for (size_t i = 0; i < kWidth; ++i) a.lane[i] = a.lane[i] op b.lane[i]; \
    return a;                                                               \
  }                                                                         \
  template <class T>                                                        \
  inline Lanes<T> operator op(Lanes<T> a, T b) {                            \
    return a op splat(b);                                                   \
  }                                                                         \
  template <class T>                                                        \
  inline Lanes<T> operator op(T a, Lanes<T> b) {                            \
    return splat(a) op b;                                                   \
  }
NEEDLE_LANES(+)
NEEDLE_LANES(-)
NEEDLE_LANES(*)
NEEDLE_LANES(/)
NEEDLE_LANES(&)
NEEDLE_LANES(|)
#undef NEEDLE_LANES

#define NEEDLE_COMPARE(op)                                                          \
  template <class T>                                                                \
  inline IntVec operator op(Lanes<T> a, Lanes<T> b) {                               \
    IntVec result;                                                                  \
    for (size_t i = 0; i < kWidth; ++i) result.lane[i] = -(a.lane[i] op b.lane[i]); \
    return result;                                                                  \
  }                                                                                 \
  template <class T>                                                                \
  inline IntVec operator op(Lanes<T> a, T b) {                                      \
    return a op splat(b);                                                           \
  }
NEEDLE_COMPARE(<)
NEEDLE_COMPARE(>)
NEEDLE_COMPARE(==)
NEEDLE_COMPARE(!=)
#undef NEEDLE_COMPARE

inline IntVec operator~(IntVec a) {
  for (size_t i = 0; i < kWidth; ++i) a.lane[i] = ~a.lane[i];
  return a;
}
inline IntVec operator>>(IntVec a, int n) {
  for (size_t i = 0; i < kWidth; ++i) a.lane[i] >>= n;
  return a;
}
inline IntVec operator<<(IntVec a, int n) {
  for (size_t i = 0; i < kWidth; ++i)
    a.lane[i] = static_cast<int32_t>(static_cast<uint32_t>(a.lane[i]) << n);
  return a;
}
template <class T>
inline Lanes<T>& operator+=(Lanes<T>& a, Lanes<T> b) {
  return a = a + b;
}

#endif

inline Vec load(const float* from) {
  Vec result;
  std::memcpy(&result, from, sizeof(Vec));
  return result;
}
inline void store(float* to, Vec value) { std::memcpy(to, &value, sizeof(Vec)); }

// Says that the cache line at `address` will be used soon. It may be no address at all.
inline void prefetch(const float* address) {
#if defined(__GNUC__)
  __builtin_prefetch(address, 1);
#else
  static_cast<void>(address);
#endif
}

// The same 32 bits read as an integer, and back.
inline IntVec bits(Vec value) {
  IntVec result;
  std::memcpy(&result, &value, sizeof(Vec));
  return result;
}
inline Vec from_bits(IntVec value) {
  Vec result;
  std::memcpy(&result, &value, sizeof(Vec));
  return result;
}

// Lane by lane: a where the mask (the result of a comparison) is true, else b.
inline Vec select(IntVec mask, Vec a, Vec b) {
#if defined(NEEDLE_VECTOR_TYPES) && !defined(__clang__)
  return mask ? a : b;
#else
  return from_bits((mask & bits(a)) | (~mask & bits(b)));
#endif
}

// Of GCC's and Clang's vector extensions, putting lanes together anew came last.
#if defined(NEEDLE_VECTOR_TYPES) && defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define NEEDLE_SHUFFLES 1
#endif
#endif

// The transpose of an 8 x 8 block: to[j * to_row + i] = from[i * from_row + j].
inline void transpose8(const float* from, ptrdiff_t from_row, float* to, ptrdiff_t to_row) {
  Vec8 row[8];
  for (ptrdiff_t i = 0; i < 8; ++i) std::memcpy(&row[i], from + i * from_row, sizeof(Vec8));
#if defined(NEEDLE_SHUFFLES)
  // Of rows i and i + half, numbers change places: in pairs, in fours, in halves of a row.
  Vec8 pair[8], four[8];
  for (size_t i = 0; i < 8; i += 2) {
    pair[i] = __builtin_shufflevector(row[i], row[i + 1], 0, 8, 2, 10, 4, 12, 6, 14);
    pair[i + 1] = __builtin_shufflevector(row[i], row[i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
  }
  for (size_t k = 0; k < 4; ++k) {
    const size_t i = k / 2 * 4 + k % 2;
    four[i] = __builtin_shufflevector(pair[i], pair[i + 2], 0, 1, 8, 9, 4, 5, 12, 13);
    four[i + 2] = __builtin_shufflevector(pair[i], pair[i + 2], 2, 3, 10, 11, 6, 7, 14, 15);
  }
  for (size_t i = 0; i < 4; ++i) {
    row[i] = __builtin_shufflevector(four[i], four[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    row[i + 4] = __builtin_shufflevector(four[i], four[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
  for (ptrdiff_t i = 0; i < 8; ++i) std::memcpy(to + i * to_row, &row[i], sizeof(Vec8));
#else
  float block[8][8];
  std::memcpy(block, row, sizeof block);
  for (ptrdiff_t j = 0; j < 8; ++j)
    for (ptrdiff_t i = 0; i < 8; ++i) to[j * to_row + i] = block[i][j];
#endif
}

#if defined(NEEDLE_SHUFFLES)
// In each lane what was in lane i ^ distance: halves, fourths, ... change places.
template <size_t distance, size_t... i>
inline Vec exchanged(Vec value, std::index_sequence<i...>) {
  return __builtin_shufflevector(value, value, static_cast<int>(i ^ distance)...);
}
#endif

// All lanes and `start` combined to one number. Halves are combined until one is left: few steps
// that wait for one another. `combine` takes two numbers, or two Vecs, which is faster.
template <class F>
inline float fold(Vec value, float start, F combine) {
#if defined(NEEDLE_SHUFFLES)
  if constexpr (std::is_invocable_v<F, Vec, Vec>) {
    using Lanes = std::make_index_sequence<kWidth>;
    if constexpr (kWidth > 8) value = combine(value, exchanged<8>(value, Lanes()));
    if constexpr (kWidth > 4) value = combine(value, exchanged<4>(value, Lanes()));
    value = combine(value, exchanged<2>(value, Lanes()));
    value = combine(value, exchanged<1>(value, Lanes()));
    return combine(start, static_cast<float>(value[0]));
  }
#endif
  float lanes[kWidth];
  store(lanes, value);
  for (size_t half = kWidth / 2; half > 0; half /= 2)
    for (size_t i = 0; i < half; ++i) lanes[i] = combine(lanes[i], lanes[i + half]);
  return combine(start, lanes[0]);
}
inline float sum(Vec value) {
  return fold(value, 0.0f, [](auto x, auto y) { return x + y; });
}

// The larger; NaN where either is NaN, as NumPy's maximum.
inline Vec maximum(Vec a, Vec b) { return select((a > b) | (a != a), a, b); }
// For one number; | instead of || leaves no branch in a loop, so that it becomes vector code.
inline float maximum(float a, float b) { return ((a > b) | (a != a)) ? a : b; }

// The smaller; NaN where either is NaN.
inline Vec minimum(Vec a, Vec b) { return select((a < b) | (a != a), a, b); }

// x, or the largest or smallest number where x is infinite: exp(row - finite(max(row))) has no
// inf - inf in it.
inline float finite(float x) {
  const float largest = std::numeric_limits<float>::max();
  return x > largest ? largest : x < -largest ? -largest : x;
}

}  // namespace simd
}  // namespace needle
