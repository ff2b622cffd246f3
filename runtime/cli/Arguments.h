//===- Arguments.h - Values on the command line -------------------*- C++ -*-===//
//
// The small languages of --input, --output and --ids.
//
//===----------------------------------------------------------------------===//
#pragma once

#include "runtime/cli/Npy.h"
#include "runtime/exec/Model.h"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace ingot {
class JsonWriter;
}

namespace ingot::commands {

struct ModelOptions;

/// "NAME=@FILE", "NAME=VALUES" or "NAME".
struct Assignment {
  std::string name;
  bool hasValue = false;
  bool isFile = false; // the value began with '@', which `value` lacks
  std::string value;
};
Result<Assignment> parseAssignment(const char *flag, const std::string &argument);

/// "1,2,3" as 64-bit integers. Usage error for anything else, an empty list among them.
Result<std::vector<int64_t>> parseIntegers(std::string_view text);

/// A caller's array for a port: a mapped .npy, or values from the command line.
struct ArrayArgument {
  std::string name;
  NpyFile file;
  std::vector<int64_t> integers; // values of an integer port
  std::vector<float> floats;     // values of a float port
  std::vector<int64_t> shape;

  InputTensor tensor() const;
};
/// Reads "NAME=@FILE.npy", or "NAME=1,2,3;4,5,6" for a port of rank 1 or 2.
Result<ArrayArgument> parseArray(const std::string &argument, Program &program);

/// The programs that a command needs of a plan, by name; none: all.
using ChoosePrograms = std::function<std::vector<std::string>(const format::Plan &)>;

/// Opens what `options` names and loads the programs that `choose` says.
Result<std::unique_ptr<Model>> loadModel(const ModelOptions &options, const ChoosePrograms &choose);

/// From opening the file to the loaded model.
double loadSeconds(const Model &model);
/// The member "load": all seconds, and those of each stage.
void reportLoad(const Model &model, JsonWriter &json);

} // namespace ingot::commands
