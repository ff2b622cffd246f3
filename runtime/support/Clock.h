//===- Clock.h - Seconds that only go forward --------------------*- C++ -*-===//
#pragma once

#include <ctime>

namespace ingot {

inline double monotonicSeconds() {
  timespec time;
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return double(time.tv_sec) + double(time.tv_nsec) * 1e-9;
}

} // namespace ingot
