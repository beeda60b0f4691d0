# Flags and libraries that NDArray's devices are built with. For a homework's CMakeLists.txt, which
# has found Python:
#
#   add_cpu_device(KERNELS file.cc... BINDINGS file.cc...)   module ndarray_backend_cpu
#   add_fused_kernels()                                      into the same module
#   include(cuda.cmake)                                      modules ndarray_backend_cuda*
#
# The modules go to python/needle/backend_ndarray/ of the homework. Options: NEEDLE_NATIVE,
# NEEDLE_SANITIZE, NEEDLE_OPTIMIZE, and those of cuda.cmake.
set(CMAKE_CXX_STANDARD 17)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release)
endif()
option(NEEDLE_NATIVE "Compile the kernels for this machine's processor" ON)
set(NEEDLE_SANITIZE "" CACHE STRING "Sanitizers, for example address,undefined")
set(NEEDLE_OPTIMIZE "" CACHE STRING "How far kernels are optimized: -O3 unless given, watched by sanitizers -O1")
if(NOT NEEDLE_OPTIMIZE)
  set(NEEDLE_OPTIMIZE -O3)
  if(NEEDLE_SANITIZE)
    set(NEEDLE_OPTIMIZE -O1)
  endif()
endif()

execute_process(
  COMMAND "${Python_EXECUTABLE}" -m pybind11 --cmakedir
  OUTPUT_VARIABLE pybind11_DIR OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE missing)
if(missing)
  message(FATAL_ERROR "pybind11 is not installed for ${Python_EXECUTABLE}: "
                      "run `${Python_EXECUTABLE} -m pip install pybind11`")
endif()
set(PYBIND11_FINDPYTHON ON)
find_package(pybind11 CONFIG REQUIRED)
find_package(Threads REQUIRED)

set(KERNELS "${CMAKE_CURRENT_LIST_DIR}")
set(BACKEND_DIR "${CMAKE_CURRENT_SOURCE_DIR}/python/needle/backend_ndarray")
include_directories("${NEEDLE_SHARED}")  # sources say: #include "kernels/parallel.h"

# Never -ffast-math: it breaks NaN, infinities and the hand-written exp. These flags change no result but
# to let a * b + c become one fused instruction; they say that nobody reads errno or FP flags.
include(CheckCXXCompilerFlag)
set(KERNEL_FLAGS "")
if(MSVC)
  set(WARNINGS /W3)
  list(APPEND KERNEL_FLAGS /O2)
  if(NEEDLE_NATIVE AND CMAKE_SYSTEM_PROCESSOR MATCHES "AMD64|x86_64")
    list(APPEND KERNEL_FLAGS /arch:AVX2)
  endif()
else()
  set(WARNINGS -Wall -Wextra)
  list(APPEND KERNEL_FLAGS ${NEEDLE_OPTIMIZE} -ffp-contract=fast -fno-math-errno
    -fno-trapping-math -fvisibility=hidden)
  foreach(flag -march=native -mcpu=native)
    string(MAKE_C_IDENTIFIER "HAS${flag}" known)
    check_cxx_compiler_flag(${flag} ${known})
    if(NEEDLE_NATIVE AND ${known})
      list(APPEND KERNEL_FLAGS ${flag})
      break()
    endif()
  endforeach()
  # Intel's processors of 2015 to 2019 decode a loop anew each time round whose jump crosses 32 bytes.
  set(aligned -Wa,-mbranches-within-32B-boundaries)
  check_cxx_compiler_flag(${aligned} HAS_ALIGNED_BRANCHES)
  if(HAS_ALIGNED_BRANCHES)
    list(APPEND KERNEL_FLAGS ${aligned})
  endif()
endif()
if(NEEDLE_SANITIZE)
  add_compile_options(-fsanitize=${NEEDLE_SANITIZE} -fno-sanitize-recover=all -g)
  add_link_options(-fsanitize=${NEEDLE_SANITIZE})
  set(BINDINGS_OPTIONS -O0)  # a third of the time: sanitizers make much of pybind11's templates
endif()

# Objects of kernels, to be linked into a module; the homework's and the given ones are apart, so
# that an edit of the one compiles nothing of the other.
function(add_kernels name)
  add_library(${name} OBJECT ${ARGN})
  target_compile_options(${name} PRIVATE ${KERNEL_FLAGS} ${WARNINGS})
  set_target_properties(${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
endfunction()

function(add_backend_module name)
  pybind11_add_module(${name} MODULE NO_EXTRAS ${ARGN})
  target_compile_options(${name} PRIVATE ${WARNINGS} ${BINDINGS_OPTIONS})
  target_link_libraries(${name} PRIVATE Threads::Threads)
  set_target_properties(${name} PROPERTIES LINKER_LANGUAGE CXX CXX_VISIBILITY_PRESET hidden
    LIBRARY_OUTPUT_DIRECTORY "$<1:${BACKEND_DIR}>" RUNTIME_OUTPUT_DIRECTORY "$<1:${BACKEND_DIR}>")
endfunction()

function(add_cpu_device)
  cmake_parse_arguments(arg "" "" "KERNELS;BINDINGS" ${ARGN})
  add_kernels(kernels_cpu ${arg_KERNELS})
  if(NOT MSVC)
    target_compile_options(kernels_cpu PRIVATE -Wno-unused-parameter)  # a function still to write
  endif()
  add_kernels(kernels_given
    "${KERNELS}/allocator.cc" "${KERNELS}/parallel.cc" "${KERNELS}/shortcuts.cc")
  add_backend_module(ndarray_backend_cpu ${arg_BINDINGS} "${KERNELS}/shortcuts_bindings.cc")
  target_link_libraries(ndarray_backend_cpu PRIVATE kernels_cpu kernels_given)
endfunction()

function(add_fused_kernels)
  add_kernels(kernels_fused "${KERNELS}/fused/rows.cc" "${KERNELS}/fused/convolution.cc"
    "${KERNELS}/fused/batch_norm.cc" "${KERNELS}/fused/sequences.cc" "${KERNELS}/fused/optimizers.cc")
  target_sources(ndarray_backend_cpu PRIVATE "${KERNELS}/fused/bindings.cc" "${KERNELS}/fused/bindings_arrays.cc")
  target_link_libraries(ndarray_backend_cpu PRIVATE kernels_fused)
endfunction()
