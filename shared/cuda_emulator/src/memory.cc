// The emulated device's memory and the part of the runtime API that deals with it.
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <map>
#include <mutex>

#include "runtime.h"

namespace cuda_emulation {

static const unsigned char kZonePattern = 0xff;  // as float32: NaN. As int32: -1
static const size_t kQuarantine = 64;            // freed arrays that a checked build remembers

static std::mutex memory_mutex;
static std::map<uintptr_t, Allocation>& allocations() {
  static auto* map = new std::map<uintptr_t, Allocation>;  // by first byte of the red zone
  return *map;
}
static std::deque<uintptr_t> freed;
static size_t bytes_in_use = 0;
static thread_local cudaError_t last_error = cudaSuccess;

void set_last_error(cudaError_t status) { last_error = status; }

static thread_local std::string failed_launch;  // nobody has asked for it yet
static thread_local std::string refusal = "invalid configuration argument";  // of the last launch

void remember_failed_launch(const std::string& what) {
  last_error = cudaErrorInvalidConfiguration;
  failed_launch = what;
  refusal = "invalid configuration argument: " + what;  // what CUDA says, and why
}

void throw_pending() {
  throw_pending_host_fault();
  if (failed_launch.empty()) return;
  std::string message = failed_launch + ", and nobody asked for the error: check every launch";
  failed_launch.clear();
  last_error = cudaSuccess;
  throw KernelFault(message);
}

static cudaError_t failed(cudaError_t status) {
  last_error = status;
  return status;
}

// Half of the machine's memory: more than that, and the machine itself would come to a halt.
static size_t device_bytes() {
  static const size_t bytes = [] {
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? static_cast<size_t>(pages) * page / 2 : size_t{1} << 32;
  }();
  return bytes;
}

static void release(std::map<uintptr_t, Allocation>::iterator position) {
  free_cells(position->second.cells);
  std::free(reinterpret_cast<void*>(position->first));
  allocations().erase(position);
}

Allocation* find_allocation(const void* address) {
  std::lock_guard<std::mutex> lock(memory_mutex);
  uintptr_t key = reinterpret_cast<uintptr_t>(address);
  auto position = allocations().upper_bound(key);
  if (position == allocations().begin()) return nullptr;
  --position;
  Allocation& found = position->second;
  return key < position->first + found.bytes + 2 * kRedZone ? &found : nullptr;
}

static const char* dirty_byte(const char* zone) {
  static const std::string clean(kRedZone, static_cast<char>(kZonePattern));
  if (std::memcmp(zone, clean.data(), kRedZone) == 0) return nullptr;
  size_t i = 0;
  while (static_cast<unsigned char>(zone[i]) == kZonePattern) i++;
  return zone + i;
}

void check_red_zones(const Launch& launch) {
  for (int i = 0; i < launch.argument_count; i++) {
    if (launch.pointers[i] == nullptr) continue;
    Allocation* array = find_allocation(launch.pointers[i]);
    if (array == nullptr || array->freed) continue;
    char* before = array->begin - kRedZone;
    char* after = array->begin + array->bytes;
    const char* dirty = dirty_byte(before);
    if (dirty == nullptr) dirty = dirty_byte(after);
    if (dirty == nullptr) continue;
    std::memset(before, kZonePattern, kRedZone);
    std::memset(after, kZonePattern, kRedZone);
    long offset = static_cast<long>(dirty - array->begin);
    long past = offset - static_cast<long>(array->bytes);
    throw KernelFault(kernel_name(launch) + ", launched at " + place(launch.site) +
                      ": wrote outside of its argument " + argument_name(launch, i) + ", " +
                      (offset < 0  ? std::to_string(-offset) + " bytes before the beginning"
                       : past == 0 ? "right behind the end"
                                   : std::to_string(past) + " bytes behind the end") +
                      " of an array of " + std::to_string(array->bytes) +
                      " bytes. NEEDLE_CUDA=checked names thread and line.");
  }
}

}  // namespace cuda_emulation

using namespace cuda_emulation;

cudaError_t cudaMalloc(void** pointer, size_t bytes) {
  throw_pending();
  *pointer = nullptr;
  if (bytes == 0) return cudaSuccess;
  std::lock_guard<std::mutex> lock(memory_mutex);
  if (bytes > device_bytes() - std::min(bytes_in_use, device_bytes())) {
    return failed(cudaErrorMemoryAllocation);
  }
  void* block = nullptr;
  if (posix_memalign(&block, 256, bytes + 2 * kRedZone) != 0) {
    return failed(cudaErrorMemoryAllocation);
  }
  Allocation array = {static_cast<char*>(block) + kRedZone, bytes, false, make_cells(bytes)};
  // New memory holds garbage on a GPU; here it holds NaN, so that reading it shows in the result.
  std::memset(block, kZonePattern, kRedZone + std::min(bytes, size_t{1} << 26));
  std::memset(array.begin + bytes, kZonePattern, kRedZone);
  allocations()[reinterpret_cast<uintptr_t>(block)] = array;
  bytes_in_use += bytes;
  *pointer = array.begin;
  return cudaSuccess;
}

cudaError_t cudaFree(void* pointer) {
  if (pointer == nullptr) return cudaSuccess;
  Allocation* array = find_allocation(pointer);
  if (array == nullptr || array->begin != pointer || array->freed) {
    return failed(cudaErrorInvalidValue);
  }
  std::lock_guard<std::mutex> lock(memory_mutex);
  bytes_in_use -= array->bytes;
  array->freed = true;
  freed.push_back(reinterpret_cast<uintptr_t>(array->begin) - kRedZone);
  while (freed.size() > (kChecked ? kQuarantine : 0)) {
    release(allocations().find(freed.front()));
    freed.pop_front();
  }
  return cudaSuccess;
}

// Whether [pointer, pointer + bytes) lies in one array of the device.
static Allocation* device_range(const void* pointer, size_t bytes) {
  Allocation* array = find_allocation(pointer);
  const char* begin = static_cast<const char*>(pointer);
  if (array == nullptr || array->freed || begin < array->begin) return nullptr;
  size_t offset = static_cast<size_t>(begin - array->begin);
  return offset <= array->bytes && bytes <= array->bytes - offset ? array : nullptr;
}

cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  throw_pending();
  if (bytes == 0) return cudaSuccess;
  bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice ||
                   (kind == cudaMemcpyDefault && find_allocation(to) != nullptr);
  bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice ||
                     (kind == cudaMemcpyDefault && find_allocation(from) != nullptr);
  Allocation* target = device_range(to, bytes);
  Allocation* source = device_range(from, bytes);
  // A device pointer where a host pointer is due, or the reverse, or a range that is too long.
  if (to_device != (target != nullptr) || from_device != (source != nullptr)) {
    return failed(cudaErrorInvalidValue);
  }
  std::memmove(to, from, bytes);
  if (target != nullptr) mark_written(target, to, bytes);
  return cudaSuccess;
}

cudaError_t cudaMemset(void* pointer, int value, size_t bytes) {
  throw_pending();
  Allocation* array = device_range(pointer, bytes);
  if (array == nullptr) return bytes == 0 ? cudaSuccess : failed(cudaErrorInvalidValue);
  std::memset(pointer, value, bytes);
  mark_written(array, pointer, bytes);
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total_bytes) {
  std::lock_guard<std::mutex> lock(memory_mutex);
  *total_bytes = device_bytes();
  *free_bytes = device_bytes() - std::min(bytes_in_use, device_bytes());
  return cudaSuccess;
}

cudaError_t cudaGetLastError() {
  throw_pending_host_fault();
  failed_launch.clear();
  cudaError_t status = last_error;
  last_error = cudaSuccess;
  return status;
}

cudaError_t cudaPeekAtLastError() {
  failed_launch.clear();
  return last_error;
}

const char* cudaGetErrorString(cudaError_t status) {
  switch (status) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorInvalidConfiguration:
      return refusal.c_str();
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
  }
  return "unknown error";
}

const char* cudaGetErrorName(cudaError_t status) {
  switch (status) {
    case cudaSuccess:
      return "cudaSuccess";
    case cudaErrorInvalidValue:
      return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation:
      return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidConfiguration:
      return "cudaErrorInvalidConfiguration";
    case cudaErrorInvalidDevice:
      return "cudaErrorInvalidDevice";
  }
  return "unrecognized error code";
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int* device) {
  *device = 0;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) {
  return device == 0 ? cudaSuccess : failed(cudaErrorInvalidDevice);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device != 0) return failed(cudaErrorInvalidDevice);
  std::memset(properties, 0, sizeof *properties);
  std::strcpy(properties->name, "emulated by the CPU");
  properties->totalGlobalMem = device_bytes();
  properties->sharedMemPerBlock = kSharedBytes;
  properties->warpSize = kWarp;
  properties->maxThreadsPerBlock = kMaxThreads;
  properties->multiProcessorCount = 1;
  return cudaSuccess;
}
