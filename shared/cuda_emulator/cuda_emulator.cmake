# CUDA kernels that run on the CPU:
#
#   add_emulated_kernels(NAME emulated|checked file.cu)
#
# makes a library NAME of the file's functions with the emulator in it; see README.md.
#
#   add_emulated_program(NAME emulated|checked file.cu)
#
# makes a program of a file with a main(), when it is asked for by name. Both need Python_EXECUTABLE.
# With NEEDLE_SANITIZE the compiler's own library reports, and nothing is checked here. With
# NEEDLE_OPTIMIZE=-O0 emulated kernels are not optimized either.
set(CUDA_EMULATOR "${CMAKE_CURRENT_LIST_DIR}/src")

function(add_emulated_kernels name kind source)
  set(rewritten "${CMAKE_CURRENT_BINARY_DIR}/${name}.cc")
  add_custom_command(
    OUTPUT "${rewritten}"
    COMMAND "${Python_EXECUTABLE}" "${CUDA_EMULATOR}/rewrite.py"
            "${CMAKE_CURRENT_SOURCE_DIR}/${source}" "${rewritten}"
    DEPENDS "${source}" "${CUDA_EMULATOR}/rewrite.py"
    VERBATIM)

  set(emulator fiber.cc memory.cc scheduler.cc sanitizer.cc crash.cc lines.cc)
  set(definitions "")
  set(flags -O2 -g1)  # -g1: reports name lines
  if("${NEEDLE_OPTIMIZE}" STREQUAL -O0)
    list(APPEND flags -O0)
  endif()
  if(kind STREQUAL "checked")
    list(APPEND emulator checker.cc counter.cc)
    set(definitions NEEDLE_CUDA_CHECKED)
    set(flags -O1 -g1 -fsanitize=thread)
  endif()
  if(NEEDLE_SANITIZE)
    list(APPEND definitions NEEDLE_SANITIZE)
  else()
    # Cheap checks, reported by sanitizer.cc.
    list(APPEND flags -fsanitize=bounds,alignment,null,integer-divide-by-zero)
  endif()
  list(APPEND flags -fsanitize-coverage=trace-pc)  # scheduler.cc ends loops that never do
  list(TRANSFORM emulator PREPEND "${CUDA_EMULATOR}/")

  # Two libraries: the kernels get flags of their own.
  get_filename_component(folder "${CMAKE_CURRENT_SOURCE_DIR}/${source}" DIRECTORY)
  add_library(${name}_emulator OBJECT ${emulator})
  add_library(${name}_code OBJECT "${rewritten}")
  foreach(part ${name}_emulator ${name}_code)
    target_include_directories(${part} PRIVATE "${CUDA_EMULATOR}" "${folder}")
    target_compile_definitions(${part} PRIVATE ${definitions})
    set_target_properties(${part} PROPERTIES
      POSITION_INDEPENDENT_CODE ON CXX_VISIBILITY_PRESET hidden
      INTERPROCEDURAL_OPTIMIZATION OFF)  # a fiber's switch must stay a call
  endforeach()
  # No contraction to fused multiply-add here: results shall not depend on this machine's processor.
  target_compile_options(${name}_code PRIVATE
    -ffp-contract=off ${flags} -Wall -Wextra -Wno-unused-parameter)
  target_compile_options(${name}_emulator PRIVATE -Wall -Wextra)
  add_library(${name} INTERFACE)
  target_sources(${name} INTERFACE $<TARGET_OBJECTS:${name}_emulator> $<TARGET_OBJECTS:${name}_code>)
endfunction()

function(add_emulated_program name kind source)
  add_emulated_kernels(${name}_kernels ${kind} ${source})
  set_target_properties(${name}_kernels_emulator ${name}_kernels_code PROPERTIES EXCLUDE_FROM_ALL ON)
  add_executable(${name} EXCLUDE_FROM_ALL $<TARGET_OBJECTS:${name}_kernels_emulator>
                                          $<TARGET_OBJECTS:${name}_kernels_code>)
  target_link_libraries(${name} PRIVATE Threads::Threads ${CMAKE_DL_LIBS})
endfunction()
