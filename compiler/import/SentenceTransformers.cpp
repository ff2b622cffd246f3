//===- SentenceTransformers.cpp - modules.json and what it names -----------===//
#include "compiler/import/SentenceTransformers.h"

#include "compiler/import/Config.h"
#include "runtime/weights/Checkpoint.h"
#include "runtime/weights/Json.h"

#include <sys/stat.h>

namespace ingot::import {
namespace {

bool exists(const std::string &path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0;
}

/// A folder right below the model's: "1_Pooling".
bool isPlainName(const std::string &name) {
  return !name.empty() && name.size() < 200 && name[0] != '.' &&
         name.find('/') == std::string::npos && name.find('\\') == std::string::npos &&
         name.find('\0') == std::string::npos;
}

constexpr std::string_view kSupported =
    "supported: Transformer, Pooling (mean or cls token), Normalize, in this order";

/// 1_Pooling/config.json: one mode is true.
Status readPooling(const std::string &folder, const std::string &path, TransformerSpec &spec) {
  Result<std::string> file = resolveModelFile(folder + "/" + path, "config.json");
  if (!file.ok())
    return file.status();
  Result<JsonDocument> document = readJsonFile(*file, {.name = path + "/config.json"});
  if (!document.ok())
    return document.status();
  Config config(document->root());
  if (!config.root().is(JsonKind::Object))
    return config.root().expected("a dictionary");
  int64_t width = config.integer({"word_embedding_dimension"}, spec.hidden, 1, kMaxWidth);
  if (config.ok() && width != spec.hidden)
    config.malformed(config.root()["word_embedding_dimension"],
                     "the model's hidden size, " + std::to_string(spec.hidden));
  bool cls = config.flag({"pooling_mode_cls_token"}, false);
  // The class's default is mean; files of any age write the key.
  bool mean = config.flag({"pooling_mode_mean_tokens"}, !cls);
  for (std::string_view key : {"pooling_mode_max_tokens", "pooling_mode_mean_sqrt_len_tokens",
                               "pooling_mode_weightedmean_tokens", "pooling_mode_lasttoken"})
    config.expectNeutral(key);
  std::string mode = config.text({"pooling_mode"}, mean ? "mean" : "cls");
  if (config.has({"pooling_mode"})) {
    cls = mode == "cls", mean = mode == "mean";
    if (!cls && !mean)
      config.unsupported(config.root()["pooling_mode"],
                         "pooling mode " + mode + " is not supported; supported: mean, cls");
  }
  if (cls == mean)
    config.unsupported(config.root(), "expected exactly one of pooling_mode_mean_tokens and "
                                      "pooling_mode_cls_token to be true");
  spec.sentence->pooling = cls ? Pooling::FirstToken : Pooling::Mean;
  return config.status();
}

} // namespace

Status readSentenceTransformers(const std::string &folder, TransformerSpec &spec) {
  if (!exists(folder + "/modules.json"))
    return {};
  Result<std::string> file = resolveModelFile(folder, "modules.json");
  if (!file.ok())
    return file.status();
  Result<JsonDocument> document = readJsonFile(*file, {.name = "modules.json"});
  if (!document.ok())
    return document.status();
  JsonView root = document->root();
  if (!root.is(JsonKind::Array))
    return root.expected("a list of modules");
  Config config(root);
  size_t count = root.value()->elements().size();
  spec.sentence.emplace();
  // 0: Transformer, 1: Pooling, 2: Normalize.
  constexpr std::string_view kOrder[] = {"Transformer", "Pooling", "Normalize"};
  for (size_t i = 0; i < count; ++i) {
    JsonView module = root.at(i);
    if (!module.is(JsonKind::Object))
      return module.expected("a dictionary with type and path");
    std::string type = config.text(module["type"], "");
    std::string path = config.text(module["path"], "");
    std::string kind = type.substr(type.rfind('.') + 1);
    if (config.ok() && (i >= std::size(kOrder) || kind != kOrder[i]))
      config.unsupported(module["type"], "module " + (type.empty() ? "(none)" : type) +
                                             " is not supported here; " + std::string(kSupported) +
                                             ". Without modules.json the model itself compiles");
    if (config.ok() && i == 0 && !path.empty())
      config.unsupported(module["path"], "expected the model in the folder itself, got '" + path +
                                             "': compile that folder");
    if (config.ok() && i > 0 && !isPlainName(path))
      config.malformed(module["path"], "a folder below the model's");
    if (!config.ok())
      return config.status();
    if (i == 1)
      if (Status status = readPooling(folder, path, spec); !status.ok())
        return status;
    if (i == 2)
      spec.sentence->normalize = true;
  }
  if (count < 2)
    return Status(ExitCode::Unsupported,
                  "modules.json: expected a Pooling module; " + std::string(kSupported));
  if (!spec.hiddenStateOutput || spec.attention.causal)
    return Status(
        ExitCode::Unsupported,
        "modules.json: sentence embeddings are supported for encoders without a head, got " +
            spec.architecture + ". Without modules.json the model itself compiles");
  return {};
}

} // namespace ingot::import
