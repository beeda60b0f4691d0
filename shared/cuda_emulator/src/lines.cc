// Which line of the student's file a place in the compiled code belongs to.
#include <dlfcn.h>

#include <cstdio>
#include <string>

#include "runtime.h"

namespace cuda_emulation {

static char anchor;  // any address of this module

static uintptr_t module_base() {
  static const uintptr_t base = [] {
    Dl_info info;
    return dladdr(&anchor, &info) ? reinterpret_cast<uintptr_t>(info.dli_fbase) : 0;
  }();
  return base;
}

bool in_module(const void* address) {
  static uintptr_t known_page = 0;
  uintptr_t page = reinterpret_cast<uintptr_t>(address) >> 12;
  if (page == known_page) return true;
  Dl_info info;
  if (!dladdr(address, &info)) return false;
  if (reinterpret_cast<uintptr_t>(info.dli_fbase) != module_base()) return false;
  known_page = page;
  return true;
}

// Asks the system's tool for file and line of a place in this module: slow, but only done once.
std::string source_line(uint32_t code) {
  Dl_info info;
  if (!dladdr(&anchor, &info)) return "an unknown line";
  std::string path;
  for (const char* c = info.dli_fname; *c; c++) path += *c == '\'' ? "'\\''" : std::string(1, *c);
  char command[64];
#ifdef __APPLE__
  std::snprintf(command, sizeof command, "' -l 0x%lx 0x%lx", static_cast<long>(module_base()),
                static_cast<long>(module_base() + code - 1));
  FILE* pipe = popen(("atos -i -o '" + path + command + " 2>/dev/null").c_str(), "r");
#else
  std::snprintf(command, sizeof command, "' 0x%lx", static_cast<long>(code - 1));
  FILE* pipe = popen(("addr2line -i -e '" + path + command + " 2>/dev/null").c_str(), "r");
#endif
  if (pipe == nullptr) return "an unknown line";
  std::string found;
  char row[4096];
  while (std::fgets(row, sizeof row, pipe) != nullptr) {  // innermost inlined function first
    std::string text = row;
    text = text.substr(0, text.find_first_of(" \n"));
    size_t slash = text.rfind('/');
    if (slash != std::string::npos) text = text.substr(slash + 1);
    size_t rewritten = text.find(".cc:");
    if (found.empty() && text.find(".cu:") != std::string::npos) {
      found = text;
    } else if (found.empty() && rewritten != std::string::npos && runner != nullptr) {
      // Of templates, compilers may name the rewritten file; its lines are those of the .cu file.
      std::string file = place(runner->launch->site);
      found = file.substr(0, file.rfind(':')) + text.substr(rewritten + 3);
    }
  }
  pclose(pipe);
  return found.empty() ? "an unknown line (is binutils' addr2line installed?)" : found;
}

uint32_t code_offset(const void* return_address) {
  return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(return_address) - module_base());
}

}  // namespace cuda_emulation
