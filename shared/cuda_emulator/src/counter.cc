// Counts what a kernel asks of a GPU: NEEDLE_CUDA_COUNTS=FILE has the checked build append a line
// of JSON to FILE for each launch.
//
// The threads of a warp run here one after the other, on a GPU together. What belongs together is
// found afterwards: the n-th time that the threads of a warp come to the same place in the code is
// one instruction of the warp. A loop that some threads of a warp run more often than others is
// counted as if the extra turns were the last ones. The compiler takes a float4 apart into four
// loads of neighbours that stand at four places of one line: these are put together again.
#ifdef NEEDLE_CUDA_CHECKED
#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "runtime.h"

namespace cuda_emulation {
namespace {

constexpr size_t kLine = 128;  // bytes that global memory moves at a time
constexpr size_t kBanks = 32;  // of shared memory, a word of 4 bytes wide each

struct Counts {
  uint64_t global_loads = 0, floats_loaded = 0, global_stores = 0, transactions = 0;
  uint64_t shared_loads = 0, shared_stores = 0, bank_conflicts = 0, barriers = 0, split = 0;
};

// An instruction of a warp: the words that its threads asked for.
struct Instruction {
  bool shared = false;
  std::vector<uint64_t> words;
};

using Key = std::array<uint64_t, 3>;  // warp or thread, place in the code, how often before

// A thread's last access of memory.
struct Last {
  bool shared, write;
  uint32_t code;
  uint64_t end;  // the word behind it
  Key key;
};

struct Counter {
  Counts counts;
  std::map<Key, Instruction> accesses;
  std::map<Key, uint32_t> stretches;
  std::map<std::array<uint64_t, 2>, uint64_t> turns, stretch_turns;  // of a thread at a place
  std::map<int, Last> last;
};

// Blocks run one after the other in this build, so there is one.
Counter& counter() {
  static Counter* instance = new Counter;
  return *instance;
}

uint64_t warp_of(const Runner& r) { return static_cast<uint64_t>(r.current) / kWarp; }

bool same_line(uint32_t code, uint32_t other) {
  static std::map<uint32_t, std::string>* lines = new std::map<uint32_t, std::string>;
  for (uint32_t one : {code, other})
    if (lines->count(one) == 0) (*lines)[one] = source_line(one);
  return (*lines)[code] == (*lines)[other];
}

void finish(const Instruction& instruction, Counts& counts) {
  if (!instruction.shared) {
    std::set<uint64_t> lines;
    for (uint64_t word : instruction.words) lines.insert(word * 4 / kLine);
    counts.transactions += lines.size();
    return;
  }
  // The words of one bank are fetched one after the other; a word that several want, only once.
  std::set<uint64_t> words(instruction.words.begin(), instruction.words.end());
  std::array<uint64_t, kBanks> busy = {};
  uint64_t longest = 0;
  for (uint64_t word : words) longest = std::max(longest, ++busy[word % kBanks]);
  counts.bank_conflicts += longest - (words.size() + kBanks - 1) / kBanks;
}

}  // namespace

bool counting() {
  static const bool wanted = std::getenv("NEEDLE_CUDA_COUNTS") != nullptr;
  return wanted;
}

void count_access(const Runner& r, bool shared, const void* address, size_t bytes, bool write,
                  uint32_t code) {
  Counter& all = counter();
  Counts& counts = all.counts;
  const uint64_t first = reinterpret_cast<uint64_t>(address) / 4, end = first + (bytes + 3) / 4;
  if (!shared && !write) counts.floats_loaded += end - first;
  Last& last = all.last[r.current];
  const bool more = last.end == first && first % 4 != 0 && last.code != code &&
                    last.shared == shared && last.write == write && same_line(last.code, code);
  if (!more) {
    ++(shared  ? write ? counts.shared_stores : counts.shared_loads
       : write ? counts.global_stores
               : counts.global_loads);
    const uint64_t turn = all.turns[{static_cast<uint64_t>(r.current), code}]++;
    last.key = {warp_of(r), code, turn};
  }
  last.shared = shared;
  last.write = write;
  last.code = code;
  last.end = end;
  Instruction& instruction = all.accesses[last.key];
  instruction.shared = shared;
  for (uint64_t word = first; word < end; ++word) instruction.words.push_back(word);
}

void count_stretch(const Runner& r, const void* place) {
  Counter& all = counter();
  const uint64_t code = reinterpret_cast<uint64_t>(place);
  const uint64_t turn = all.stretch_turns[{static_cast<uint64_t>(r.current), code}]++;
  ++all.stretches[{warp_of(r), code, turn}];
}

void count_block(const Runner& r) {
  if (!counting()) return;
  Counter& all = counter();
  for (const auto& [key, instruction] : all.accesses) finish(instruction, all.counts);
  for (const auto& [key, lanes] : all.stretches) {
    const uint64_t in_warp = std::min<uint64_t>(kWarp, r.indices.size() - key[0] * kWarp);
    all.counts.split += lanes < in_warp;
  }
  all.counts.barriers += r.epoch;
  all.accesses.clear();
  all.stretches.clear();
  all.turns.clear();
  all.stretch_turns.clear();
  all.last.clear();
}

void count_launch(const Launch& launch) {
  if (!counting()) return;
  const Counts counts = counter().counts;
  counter() = Counter();
  std::FILE* file = std::fopen(std::getenv("NEEDLE_CUDA_COUNTS"), "a");
  if (file == nullptr) return;
  const dim3 grid = launch.config.grid, block = launch.config.block;
  std::fprintf(file, "{\"kernel\": \"%s\", \"grid\": [%u, %u, %u], \"block\": [%u, %u, %u]",
               launch.kernel, grid.x, grid.y, grid.z, block.x, block.y, block.z);
  const std::pair<const char*, uint64_t> rows[] = {{"global_loads", counts.global_loads},
                                                   {"floats_loaded", counts.floats_loaded},
                                                   {"global_stores", counts.global_stores},
                                                   {"transactions", counts.transactions},
                                                   {"shared_loads", counts.shared_loads},
                                                   {"shared_stores", counts.shared_stores},
                                                   {"bank_conflicts", counts.bank_conflicts},
                                                   {"barriers", counts.barriers},
                                                   {"split", counts.split}};
  for (const auto& [name, value] : rows)
    std::fprintf(file, ", \"%s\": %llu", name, static_cast<unsigned long long>(value));
  std::fprintf(file, "}\n");
  std::fclose(file);
}

}  // namespace cuda_emulation
#endif
