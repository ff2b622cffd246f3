//===- KernelCache.cpp - What was compiled before, by content -------------===//
#include "codegen/host/KernelCache.h"

using namespace ingot;
using namespace ingot::host;

/// Guards `active` and the tables of what it points to.
static std::mutex mutex;
static KernelCache *active = nullptr;

KernelCache::KernelCache(Effort effort) : given(effort) {
  std::lock_guard<std::mutex> lock(mutex);
  active = this;
}

KernelCache::~KernelCache() {
  std::lock_guard<std::mutex> lock(mutex);
  active = nullptr;
}

Effort KernelCache::effort() {
  std::lock_guard<std::mutex> lock(mutex);
  return active ? active->given : Effort::Full;
}

uint64_t KernelCache::compiled() const {
  std::lock_guard<std::mutex> lock(mutex);
  return objectTable.size();
}

uint64_t KernelCache::reused() const {
  std::lock_guard<std::mutex> lock(mutex);
  return hits;
}

template <typename T>
Result<T> KernelCache::lookup(std::map<std::string, T> KernelCache::*table, const std::string &text,
                              const HostTarget &target, llvm::function_ref<Result<T>()> compute) {
  std::string key = target.level + "\n" + text;
  {
    std::lock_guard<std::mutex> lock(mutex);
    auto found =
        active ? (active->*table).find(key) : typename std::map<std::string, T>::iterator();
    if (active && found != (active->*table).end()) {
      if constexpr (std::is_same_v<T, HostObject>)
        ++active->hits;
      return found->second;
    }
  }
  Result<T> result = compute();
  std::lock_guard<std::mutex> lock(mutex);
  if (result.ok() && active)
    (active->*table).emplace(std::move(key), *result);
  return result;
}

Result<std::vector<int64_t>>
KernelCache::panels(const std::string &text, const HostTarget &target,
                    llvm::function_ref<Result<std::vector<int64_t>>()> compute) {
  return lookup(&KernelCache::panelTable, text, target, compute);
}

Result<KernelPlan> KernelCache::plan(const std::string &text, const HostTarget &target,
                                     llvm::function_ref<Result<KernelPlan>()> compute) {
  return lookup(&KernelCache::planTable, text, target, compute);
}

Result<HostObject> KernelCache::object(const std::string &text, const HostTarget &target,
                                       llvm::function_ref<Result<HostObject>()> compute) {
  return lookup(&KernelCache::objectTable, text, target, compute);
}
