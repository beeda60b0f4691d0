// Reports of the compiler's cheap checks, told in a kernel's terms.
//
// Kernels are compiled with -fsanitize=bounds,alignment,null,integer-divide-by-zero. The calls that
// this option puts into the code would go to the compiler's own library, which prints to the
// terminal; here they end the launch with a KernelFault instead. Layout of the data: GCC's and
// Clang's ubsan_handlers.h.
#include <cstdint>
#include <string>

#include "runtime.h"

#ifndef NEEDLE_SANITIZE  // else the compiler's library is wanted: it watches the emulator itself

namespace {

struct SourceLocation {
  const char* file;
  uint32_t line, column;
};

struct TypeDescriptor {
  uint16_t kind;  // 0: integer
  uint16_t info;  // of an integer: lowest bit set if it is signed
  char name[1];   // quoted, with an explanation behind it: 'float [16]'

  std::string quoted() const {
    std::string text = name;
    size_t end = text.rfind('\'');
    return text.empty() || text[0] != '\'' || end == 0 ? text : text.substr(1, end - 1);
  }
};

struct OutOfBounds {
  SourceLocation where;
  const TypeDescriptor *array, *index;
};

struct Division {
  SourceLocation where;
  const TypeDescriptor* type;
};

struct TypeMismatch {
  SourceLocation where;
  const TypeDescriptor* type;
  unsigned char log_alignment, access;
};

template <typename Message>
void report(const SourceLocation& where, Message message) {
  if (cuda_emulation::runner == nullptr) return;  // host code: no kernel's business
  cuda_emulation::fault(message, {where.file, static_cast<int>(where.line)});
}

}  // namespace

extern "C" {

void __ubsan_handle_out_of_bounds(const OutOfBounds* data, uintptr_t index) {
  bool is_signed = data->index->kind == 0 && data->index->info % 2 == 1;
  int bits = 1 << (data->index->info >> 1);
  intptr_t value = static_cast<intptr_t>(index);
  if (bits < 64) value = is_signed ? static_cast<int32_t>(index) : static_cast<intptr_t>(index);
  report(data->where, [&] {
    return "index " + std::to_string(value) + " is out of bounds of an array of type " +
           data->array->quoted();
  });
}

void __ubsan_handle_type_mismatch_v1(const TypeMismatch* data, uintptr_t pointer) {
  report(data->where, [&]() -> std::string {
    if (pointer == 0) return "null pointer: nothing was allocated for it";
    uintptr_t alignment = uintptr_t{1} << data->log_alignment;
    return "misaligned access: " + data->type->quoted() + " must lie at a multiple of " +
           std::to_string(alignment) + " bytes, this address is " +
           std::to_string(pointer % alignment) + " bytes off";
  });
}

// A GPU goes on with some number; a processor may end the program.
void __ubsan_handle_divrem_overflow(const Division* data, uintptr_t, uintptr_t) {
  report(data->where, [] { return "an integer is divided by zero, by / or %: is a length 0?"; });
}

void __ubsan_handle_divrem_overflow_abort(const Division* data, uintptr_t left, uintptr_t right) {
  __ubsan_handle_divrem_overflow(data, left, right);
}

void __ubsan_handle_out_of_bounds_abort(const OutOfBounds* data, uintptr_t index) {
  __ubsan_handle_out_of_bounds(data, index);
}

void __ubsan_handle_type_mismatch_v1_abort(const TypeMismatch* data, uintptr_t pointer) {
  __ubsan_handle_type_mismatch_v1(data, pointer);
}

}  // extern "C"

#endif
