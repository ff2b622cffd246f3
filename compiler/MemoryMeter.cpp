//===- MemoryMeter.cpp - Peak memory of this process, by phase -------------===//

#include "compiler/MemoryMeter.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/resource.h>

namespace ingot {

/// RssAnon of /proc/self/status; 0 where there is no such file.
static uint64_t anonymousBytes() {
  FILE *file = fopen("/proc/self/status", "re");
  if (!file)
    return 0;
  char line[256];
  uint64_t kib = 0;
  while (fgets(line, sizeof line, file))
    if (strncmp(line, "RssAnon:", 8) == 0)
      kib = strtoull(line + 8, nullptr, 10);
  fclose(file);
  return kib * 1024;
}

MemoryMeter::MemoryMeter() {
  sample();
  sampler = std::thread([this] {
    while (!stop.load(std::memory_order_relaxed)) {
      sample();
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  });
}

MemoryMeter::~MemoryMeter() {
  stop = true;
  sampler.join();
}

void MemoryMeter::sample() {
  uint64_t now = anonymousBytes();
  uint64_t seen = peak.load();
  while (now > seen && !peak.compare_exchange_weak(seen, now))
    ;
}

uint64_t MemoryMeter::takePeak() {
  sample();
  uint64_t taken = peak.exchange(0);
  sample();
  return taken;
}

uint64_t MemoryMeter::peakResident() {
  struct rusage usage = {};
  return getrusage(RUSAGE_SELF, &usage) == 0 ? uint64_t(usage.ru_maxrss) * 1024 : 0;
}

} // namespace ingot
