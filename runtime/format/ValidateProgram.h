//===- ValidateProgram.h - Validation of one program -------------*- C++ -*-===//
//
// Internal to Validate.cpp. Rules are numbered in Validate.h.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/format/SizeMath.h"
#include "runtime/format/plan_generated.h"
#include "runtime/support/Status.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ingot::validation {

/// "PLACE: expected EXPECTED, got GOT" as MalformedInput.
Status expected(const std::string &where, std::string_view what, std::string_view got);

/// V1 for one name.
Status checkName(const std::string &where, const flatbuffers::String *name);

template <typename T> size_t count(const flatbuffers::Vector<T> *vector) {
  return vector ? vector->size() : 0;
}

/// V1 for a table of named things; `where` is "weights", and errors say "weights[3]".
template <typename T>
Status checkUniqueNames(const std::string &where,
                        const flatbuffers::Vector<flatbuffers::Offset<T>> *table);
Status checkUnique(const std::string &where, std::vector<std::string_view> names);

/// V2, V11 and V12 of plan.kernels()[index]; images are checked before.
Status checkKernel(const format::Plan &plan, unsigned index);

/// V12 of a kernel's own sizes for a launch (of it, or of the kernel that it is a variant of).
Status checkKernelSizes(const std::string &where, const format::Plan &plan, uint32_t kernel,
                        const format::Program &program, const format::Launch &launch);

/// V12 of a map without symbols, of a buffer argument of a launch of `kernel`.
Status checkConstantMap(const std::string &where, const format::Kernel &kernel,
                        const format::TensorMap &map, const format::Program &program,
                        const format::Launch &launch);

/// V4 for one size, and V2 for its symbols.
Status checkSize(const std::string &where, const format::Size &size, const SymbolBounds &bounds);

/// V2 to V8 and V13 to V15 of plan.programs()[index].
Status checkProgram(const format::Plan &plan, unsigned index);

/// V15 of a program whose steps have been checked.
Status checkStreams(const format::Plan &plan, const format::Program &program,
                    const SymbolBounds &bounds, const std::string &where);
/// V15 of what programs share.
Status checkStreamKernels(const format::Plan &plan);

/// V10.
Status checkGeneration(const format::Plan &plan);

template <typename T>
Status checkUniqueNames(const std::string &where,
                        const flatbuffers::Vector<flatbuffers::Offset<T>> *table) {
  std::vector<std::string_view> names;
  for (unsigned i = 0; i < count(table); ++i) {
    if (Status status = checkName(where + "[" + std::to_string(i) + "]", table->Get(i)->name());
        !status.ok())
      return status;
    names.push_back(table->Get(i)->name()->string_view());
  }
  return checkUnique(where, std::move(names));
}

} // namespace ingot::validation
