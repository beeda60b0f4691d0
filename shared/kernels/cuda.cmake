# The cuda() device: one students' file, src/ndarray_backend_cuda.cu, in up to three builds.
#
#   hardware   by nvcc, where there is one; for a GPU
#   emulated   by the host compiler; runs on the CPU
#   checked    the same with every memory access watched; slow, explains bugs
#
# NEEDLE_CUDA_BUILDS chooses among them. NEEDLE_REQUIRE_CUDA turns a missing or broken nvcc from a
# message into an error.
set(NEEDLE_CUDA_BUILDS "hardware;emulated;checked" CACHE STRING "Builds of the cuda() device")
option(NEEDLE_REQUIRE_CUDA "Fail when nvcc is missing or does not work" OFF)
string(REPLACE "," ";" cuda_builds "${NEEDLE_CUDA_BUILDS}")

add_library(bindings_cuda OBJECT src/ndarray_bindings_cuda.cc)
target_link_libraries(bindings_cuda PRIVATE pybind11::module)
set_target_properties(bindings_cuda PROPERTIES
  POSITION_INDEPENDENT_CODE ON CXX_VISIBILITY_PRESET hidden)

function(add_cuda_module name)
  pybind11_add_module(${name} MODULE NO_EXTRAS $<TARGET_OBJECTS:bindings_cuda> ${ARGN})
  target_link_libraries(${name} PRIVATE Threads::Threads)
  set_target_properties(${name} PROPERTIES LINKER_LANGUAGE CXX CXX_VISIBILITY_PRESET hidden
    LIBRARY_OUTPUT_DIRECTORY "$<1:${BACKEND_DIR}>" RUNTIME_OUTPUT_DIRECTORY "$<1:${BACKEND_DIR}>")
endfunction()

# ------------------------------------------------------------------------------------- hardware
if("hardware" IN_LIST cuda_builds OR NEEDLE_REQUIRE_CUDA)
  # Turing, Ampere (two), Ada, Hopper, and PTX for what came later. Before the language is enabled:
  # without a GPU, CMake's own choice may be one that this nvcc no longer knows.
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 86-real 89-real 90)
  endif()
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    set(CMAKE_CUDA_STANDARD 17)
    set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
    enable_language(CUDA)
    add_library(kernels_cuda OBJECT src/ndarray_backend_cuda.cu)
    set_target_properties(kernels_cuda PROPERTIES
      POSITION_INDEPENDENT_CODE ON CUDA_VISIBILITY_PRESET hidden)
    add_cuda_module(ndarray_backend_cuda $<TARGET_OBJECTS:kernels_cuda>)
    find_library(CUDART_STATIC cudart_static REQUIRED
      HINTS ${CMAKE_CUDA_IMPLICIT_LINK_DIRECTORIES} ${CMAKE_CUDA_HOST_IMPLICIT_LINK_DIRECTORIES})
    target_link_libraries(ndarray_backend_cuda PRIVATE ${CUDART_STATIC} ${CMAKE_DL_LIBS})
    if(UNIX AND NOT APPLE)
      target_link_libraries(ndarray_backend_cuda PRIVATE rt)
    endif()
  elseif(NEEDLE_REQUIRE_CUDA)
    message(FATAL_ERROR "NEEDLE_REQUIRE_CUDA is set, but there is no nvcc that works "
                        "(`pip install 'cuda-toolkit[nvcc]'` brings one)")
  else()
    message(STATUS "No nvcc that works: cuda() runs emulated on this machine")
  endif()
endif()

# ---------------------------------------------------------------------------- emulated, checked
if(WIN32)
  message(STATUS "The emulated cuda() device needs Linux or macOS; on Windows work inside WSL")
  return()
endif()

set(EMULATION "${CMAKE_CURRENT_SOURCE_DIR}/src/cuda_emulation")
set(kernels_cc "${CMAKE_CURRENT_BINARY_DIR}/ndarray_backend_cuda.cc")
add_custom_command(
  OUTPUT "${kernels_cc}"
  COMMAND "${Python_EXECUTABLE}" "${EMULATION}/rewrite.py"
          "${CMAKE_CURRENT_SOURCE_DIR}/src/ndarray_backend_cuda.cu" "${kernels_cc}"
  DEPENDS src/ndarray_backend_cuda.cu "${EMULATION}/rewrite.py"
  VERBATIM)
set(emulator_sources
  "${EMULATION}/fiber.cc" "${EMULATION}/memory.cc" "${EMULATION}/scheduler.cc"
  "${EMULATION}/sanitizer.cc" "${EMULATION}/crash.cc")
# Cheap checks, reported by sanitizer.cc.
set(kernel_checks -fsanitize=bounds,alignment,null)
if(NEEDLE_SANITIZE)  # then the compiler's own library reports, and the checked build has no place
  add_compile_definitions(NEEDLE_SANITIZE)
  set(kernel_checks "")
  list(REMOVE_ITEM cuda_builds checked)
endif()

# An object library for each part: the kernels get flags of their own.
function(add_emulated_device kind)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEFINITIONS;KERNEL_FLAGS")
  add_library(emulator_${kind} OBJECT ${emulator_sources} ${arg_SOURCES})
  add_library(kernels_${kind} OBJECT "${kernels_cc}")
  foreach(part emulator_${kind} kernels_${kind})
    target_include_directories(${part} PRIVATE "${EMULATION}" "${CMAKE_CURRENT_SOURCE_DIR}/src")
    target_compile_definitions(${part} PRIVATE ${arg_DEFINITIONS})
    set_target_properties(${part} PROPERTIES
      POSITION_INDEPENDENT_CODE ON CXX_VISIBILITY_PRESET hidden
      INTERPROCEDURAL_OPTIMIZATION OFF)  # a fiber's switch must stay a call
  endforeach()
  # No contraction to fused multiply-add here: results shall not depend on this machine's processor.
  target_compile_options(kernels_${kind} PRIVATE -ffp-contract=off ${arg_KERNEL_FLAGS})
  add_cuda_module(ndarray_backend_cuda_${kind}
    $<TARGET_OBJECTS:kernels_${kind}> $<TARGET_OBJECTS:emulator_${kind}>)
  target_link_libraries(ndarray_backend_cuda_${kind} PRIVATE ${CMAKE_DL_LIBS})
endfunction()

if("emulated" IN_LIST cuda_builds)
  add_emulated_device(emulated KERNEL_FLAGS -O2 ${kernel_checks})
endif()
if("checked" IN_LIST cuda_builds)
  add_emulated_device(checked
    SOURCES "${EMULATION}/checker.cc"
    DEFINITIONS NEEDLE_CUDA_CHECKED
    KERNEL_FLAGS -O1 -g1 -fsanitize=thread ${kernel_checks})
endif()
