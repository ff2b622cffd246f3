//===- KernelCache.h - What was compiled before, by content ------*- C++ -*-===//
//
// What comes out of a kernel function depends on its text and the target alone, so a process that
// compiles a model several times (ingot verify: once a pass) need not compile the same kernel
// twice. Nothing is kept unless a cache is alive:
//
//   host::KernelCache cache;        // from here on, of all threads
//   writeArtifact(...); writeArtifact(...);
//
//===----------------------------------------------------------------------===//
#pragma once

#include "codegen/host/HostImage.h"

#include <functional>
#include <map>
#include <mutex>

namespace ingot::host {

/// What LLVM does to a kernel: all it can for one that is run often, little for one that is run a
/// few times. Results do not depend on it: LLVM reorders no floating-point arithmetic.
enum class Effort { Full, Brief };

class KernelCache {
public:
  /// One at a time is alive; kernels are compiled with its effort.
  explicit KernelCache(Effort effort = Effort::Full);
  ~KernelCache();
  KernelCache(const KernelCache &) = delete;

  /// That of the cache that is alive; full without one.
  static Effort effort();

  /// Objects that were made, and those that were there already.
  uint64_t compiled() const;
  uint64_t reused() const;

  /// What `compute` gives for this kernel text and target: from the cache that is alive, if one is
  /// and has it. Failures are not kept.
  static Result<std::vector<int64_t>>
  panels(const std::string &text, const HostTarget &target,
         llvm::function_ref<Result<std::vector<int64_t>>()> compute);
  static Result<KernelPlan> plan(const std::string &text, const HostTarget &target,
                                 llvm::function_ref<Result<KernelPlan>()> compute);
  static Result<HostObject> object(const std::string &text, const HostTarget &target,
                                   llvm::function_ref<Result<HostObject>()> compute);

private:
  template <typename T>
  static Result<T> lookup(std::map<std::string, T> KernelCache::*table, const std::string &text,
                          const HostTarget &target, llvm::function_ref<Result<T>()> compute);

  const Effort given;
  std::map<std::string, std::vector<int64_t>> panelTable;
  std::map<std::string, KernelPlan> planTable;
  std::map<std::string, HostObject> objectTable;
  uint64_t hits = 0; // of objectTable
};

} // namespace ingot::host
