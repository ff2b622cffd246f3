//===- Family.cpp - Dispatch on model_type and architecture ----------------===//
#include "compiler/import/Family.h"

#include <optional>

namespace ingot::import {
namespace {

struct TaskSuffix {
  std::string_view suffix;
  Task task;
};
constexpr TaskSuffix kTaskSuffixes[] = {
    {"ForCausalLM", Task::CausalLM},
    {"ForMaskedLM", Task::MaskedLM},
    {"ForSequenceClassification", Task::SequenceClassification},
    {"Model", Task::Base},
};

std::string_view suffixOf(Task task) {
  for (const TaskSuffix &entry : kTaskSuffixes)
    if (entry.task == task)
      return entry.suffix;
  return "Model";
}

const Family *findFamily(std::string_view modelType) {
  for (const Family *family : families())
    for (std::string_view name : family->modelTypes)
      if (name == modelType)
        return family;
  return nullptr;
}

std::string supportedModelTypes() {
  std::vector<std::string> names;
  for (const Family *family : families())
    for (std::string_view name : family->modelTypes)
      names.emplace_back(name);
  return joinNames(names);
}

std::string supportedTasks(const Family &family) {
  std::vector<std::string> names;
  for (Task task : family.tasks)
    names.push_back("..." + std::string(suffixOf(task)));
  return joinNames(names);
}

/// The task by architectures[0], or the family's default.
Task readTask(Config &config, const Family &family, std::string &architecture) {
  JsonView list = config.root()["architectures"];
  if (list.isAbsentOrNull())
    return family.defaultTask;
  if (!list.is(JsonKind::Array)) {
    config.malformed(list, "a list of class names");
    return family.defaultTask;
  }
  JsonView first = list.at(0);
  if (!first.exists())
    return family.defaultTask;
  if (!first.is(JsonKind::String)) {
    config.malformed(first, "a class name");
    return family.defaultTask;
  }
  architecture = first.value()->string();
  std::string_view name = architecture;
  for (const TaskSuffix &entry : kTaskSuffixes)
    if (name.ends_with(entry.suffix))
      for (Task task : family.tasks)
        if (task == entry.task)
          return task;
  config.unsupported(first, "architecture " + first.value()->describe() + " is not supported for " +
                                std::string(family.modelTypes[0]) +
                                "; supported: " + supportedTasks(family));
  return family.defaultTask;
}

} // namespace

std::span<const Family *const> families() {
  static const Family *const all[] = {&llamaFamily, &mistralFamily,    &qwen2Family,  &qwen3Family,
                                      &bertFamily,  &distilBertFamily, &robertaFamily};
  return all;
}

Result<TransformerSpec> readSpec(const JsonView &root) {
  if (!root.is(JsonKind::Object))
    return root.expected("a dictionary");
  Config config(root);
  JsonView type = root["model_type"];
  if (type.isAbsentOrNull())
    return Status(ExitCode::MalformedInput,
                  type.path() + ": expected the name of a model family, got nothing; supported: " +
                      supportedModelTypes());
  std::string modelType = config.text(type, "");
  if (!config.ok())
    return config.status();
  const Family *family = findFamily(modelType);
  if (!family) {
    config.unsupported(type, "model type " + type.value()->describe() +
                                 " is not supported; supported: " + supportedModelTypes());
    return config.status();
  }

  TransformerSpec spec;
  spec.modelType = modelType;
  spec.task = readTask(config, *family, spec.architecture);
  if (!config.ok())
    return config.status();
  refuseForeignKeys(config);
  family->fill(config, spec);
  if (!config.ok())
    return config.status();
  if (spec.architecture.empty())
    spec.architecture = "..." + std::string(suffixOf(spec.task));
  return spec;
}

} // namespace ingot::import
