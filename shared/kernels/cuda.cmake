# The cuda() device: one students' file of kernels, CUDA_KERNELS, in up to three builds.
#
#   hardware   by nvcc, where there is one; for a GPU
#   emulated   by the host compiler; runs on the CPU
#   checked    the same with every memory access watched; slow, explains bugs
#
# CUDA_BINDINGS makes Python modules of them. NEEDLE_CUDA_BUILDS chooses among the builds: without a
# GPU nvcc, which takes longer than all the rest, is left alone unless it is asked for.
# NEEDLE_REQUIRE_CUDA turns a missing or broken nvcc from a message into an error.
file(GLOB gpus "/dev/nvidia[0-9]*" "/dev/dxg")
set(builds emulated checked)
if(gpus)
  list(PREPEND builds hardware)
endif()
set(NEEDLE_CUDA_BUILDS "${builds}" CACHE STRING "Builds of the cuda() device")
option(NEEDLE_REQUIRE_CUDA "Fail when nvcc is missing or does not work" OFF)
string(REPLACE "," ";" cuda_builds "${NEEDLE_CUDA_BUILDS}")

add_library(bindings_cuda OBJECT EXCLUDE_FROM_ALL ${CUDA_BINDINGS})
target_compile_options(bindings_cuda PRIVATE ${WARNINGS} ${BINDINGS_OPTIONS})
target_link_libraries(bindings_cuda PRIVATE pybind11::module)
set_target_properties(bindings_cuda PROPERTIES
  POSITION_INDEPENDENT_CODE ON CXX_VISIBILITY_PRESET hidden)

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
    add_library(kernels_cuda OBJECT ${CUDA_KERNELS})
    set_target_properties(kernels_cuda PROPERTIES
      POSITION_INDEPENDENT_CODE ON CUDA_VISIBILITY_PRESET hidden)
    add_backend_module(ndarray_backend_cuda
      $<TARGET_OBJECTS:bindings_cuda> $<TARGET_OBJECTS:kernels_cuda>)
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
if(NEEDLE_SANITIZE)  # then the compiler's own library reports, and the checked build has no place
  list(REMOVE_ITEM cuda_builds checked)
endif()
include("${NEEDLE_SHARED}/cuda_emulator/cuda_emulator.cmake")
foreach(kind emulated checked)
  if(kind IN_LIST cuda_builds)
    add_emulated_kernels(kernels_${kind} ${kind} ${CUDA_KERNELS})
    add_backend_module(ndarray_backend_cuda_${kind} $<TARGET_OBJECTS:bindings_cuda>)
    target_link_libraries(ndarray_backend_cuda_${kind} PRIVATE kernels_${kind} ${CMAKE_DL_LIBS})
  endif()
endforeach()
