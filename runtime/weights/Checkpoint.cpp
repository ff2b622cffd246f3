//===- Checkpoint.cpp - The tensors of a model folder ---------------------===//
#include "runtime/weights/Checkpoint.h"
#include "runtime/weights/ShardIndex.h"
#include "runtime/weights/Utf8.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <dirent.h>
#include <sys/stat.h>

namespace ingot {
namespace {

constexpr char kSingleFile[] = "model.safetensors";
constexpr char kIndexFile[] = "model.safetensors.index.json";
constexpr uint64_t kMaxIndexBytes = 256ull << 20;

Status malformed(const std::string &message) { return Status(ExitCode::MalformedInput, message); }

bool exists(const std::string &path) {
  struct stat info;
  return lstat(path.c_str(), &info) == 0;
}

bool endsWith(std::string_view text, std::string_view suffix) {
  return text.size() >= suffix.size() && text.substr(text.size() - suffix.size()) == suffix;
}

/// Of an absolute path.
std::string parentOf(const std::string &path) {
  size_t slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}
std::string baseOf(const std::string &path) { return path.substr(path.rfind('/') + 1); }

/// The path with every link followed; empty, with errno set, where there is no such file.
std::string realPath(const std::string &path) {
  char *real = realpath(path.c_str(), nullptr);
  std::string text = real ? real : "";
  free(real);
  return text;
}

/// Says what is in a folder that holds no checkpoint.
Status noCheckpoint(const std::string &folder) {
  std::vector<std::string> names;
  if (DIR *stream = opendir(folder.c_str())) {
    while (const dirent *item = readdir(stream))
      names.push_back(item->d_name);
    closedir(stream);
  }
  std::sort(names.begin(), names.end());
  auto firstEndingIn =
      [&](std::initializer_list<std::string_view> suffixes) -> const std::string * {
    for (const std::string &name : names)
      for (std::string_view suffix : suffixes)
        if (endsWith(name, suffix))
          return &name;
    return nullptr;
  };
  std::string expected = folder + ": expected " + kSingleFile + " or " + kIndexFile + ", got ";
  if (const std::string *pickle =
          firstEndingIn({".bin", ".bin.index.json", ".pt", ".pth", ".ckpt"}))
    return malformed(
        expected + quoteShort(*pickle) +
        "; a pickle can run code when it is read and is refused: load the model with "
        "transformers and write it again with save_pretrained, which gives safetensors");
  if (const std::string *other = firstEndingIn({".gguf", ".h5", ".msgpack", ".onnx"}))
    return malformed(expected + quoteShort(*other) + "; convert the weights to safetensors");
  if (const std::string *other = firstEndingIn({".safetensors"}))
    return malformed(expected + quoteShort(*other) + "; give that file's path or rename it to " +
                     kSingleFile);
  return malformed(expected + "neither; is this a model folder, and are its weights downloaded?");
}

} // namespace

Result<std::string> resolveModelFile(const std::string &folder, const std::string &name) {
  std::string path = folder + "/" + name;
  std::string realFolder = realPath(folder);
  std::string real = realPath(path);
  if (realFolder.empty() || real.empty())
    return malformed(path + ": cannot open: " + std::strerror(errno));
  std::string holder = parentOf(real);
  std::string up = parentOf(realFolder);
  bool inCache = baseOf(up) == "snapshots" && holder == parentOf(up) + "/blobs";
  if (holder != realFolder && !inCache)
    return malformed(path + ": expected a file of this folder, got a link to " + quoteShort(real));
  struct stat info;
  if (stat(real.c_str(), &info) != 0)
    return malformed(path + ": cannot open: " + std::strerror(errno));
  if (!S_ISREG(info.st_mode))
    return malformed(path + ": expected a regular file, got a folder, device, pipe or socket");
  return real;
}

Result<Checkpoint> Checkpoint::open(const std::string &path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0)
    return malformed(path + ": expected a model folder, got nothing: " + std::strerror(errno));
  Checkpoint checkpoint;
  Status status;
  if (S_ISDIR(info.st_mode)) {
    status = checkpoint.addFolder(path);
  } else if (endsWith(path, ".safetensors")) {
    status = checkpoint.addFile(path, baseOf(path));
  } else if (endsWith(path, ".bin") || endsWith(path, ".pt") || endsWith(path, ".pth")) {
    status =
        malformed(path + ": expected a model folder or a .safetensors file, got a pickle, which "
                         "can run code when it is read and is refused; convert it to safetensors");
  } else {
    status = malformed(path + ": expected a model folder or a .safetensors file, got another file");
  }
  if (!status.ok())
    return status;

  for (uint32_t file = 0; file < checkpoint.files_.size(); ++file)
    for (const SafetensorsEntry &entry : checkpoint.files_[file]->header().tensors)
      checkpoint.tensors_.push_back(
          {entry.name, &entry.type, checkpoint.files_[file]->bytes(entry), file});
  std::sort(checkpoint.tensors_.begin(), checkpoint.tensors_.end(),
            [](const CheckpointTensor &a, const CheckpointTensor &b) { return a.name < b.name; });
  return checkpoint;
}

Status Checkpoint::addFolder(const std::string &folder) {
  if (exists(folder + "/" + kSingleFile)) {
    Result<std::string> real = resolveModelFile(folder, kSingleFile);
    return real.ok() ? addFile(*real, kSingleFile) : real.status();
  }
  return exists(folder + "/" + kIndexFile) ? addIndexed(folder) : noCheckpoint(folder);
}

Status Checkpoint::addFile(const std::string &path, const std::string &name) {
  Result<SafetensorsFile> file = SafetensorsFile::open(path);
  if (!file.ok())
    return file.status();
  files_.push_back(std::make_unique<SafetensorsFile>(*std::move(file)));
  fileNames_.push_back(name);
  return Status();
}

Status Checkpoint::addIndexed(const std::string &folder) {
  std::string indexPath = folder + "/" + kIndexFile;
  Result<std::string> real = resolveModelFile(folder, kIndexFile);
  if (!real.ok())
    return real.status();
  Result<MappedFile> mapped = MappedFile::open(*real);
  if (!mapped.ok())
    return mapped.status();
  if (mapped->bytes().size() > kMaxIndexBytes)
    return malformed(indexPath + ": expected at most " + std::to_string(kMaxIndexBytes) +
                     " bytes, got " + std::to_string(mapped->bytes().size()));
  Result<ShardIndex> index = parseShardIndex(mapped->text(), indexPath);
  if (!index.ok())
    return index.status();
  for (const std::string &shard : index->shards) {
    Result<std::string> realShard = resolveModelFile(folder, shard);
    if (!realShard.ok())
      return realShard.status().withContext(indexPath + ": ");
    if (Status status = addFile(*realShard, shard); !status.ok())
      return status;
  }

  // The index and the shards must tell the same story. Shard i of the index is file i.
  std::vector<size_t> listed(files_.size(), 0);
  for (const ShardIndex::Entry &entry : index->tensors) {
    ++listed[entry.shard];
    if (files_[entry.shard]->find(entry.tensor))
      continue;
    std::string message = indexPath + ": tensor " + quoteShort(entry.tensor) + ": expected in " +
                          quoteShort(fileNames_[entry.shard]) + ", got ";
    for (size_t file = 0; file < files_.size(); ++file)
      if (files_[file]->find(entry.tensor))
        return malformed(message + "it in " + quoteShort(fileNames_[file]));
    return malformed(message + "no such tensor in any file");
  }
  for (size_t file = 0; file < files_.size(); ++file) {
    if (listed[file] == files_[file]->header().tensors.size())
      continue;
    for (const SafetensorsEntry &entry : files_[file]->header().tensors) {
      auto at = std::lower_bound(
          index->tensors.begin(), index->tensors.end(), entry.name,
          [](const ShardIndex::Entry &a, const std::string &name) { return a.tensor < name; });
      bool found = at != index->tensors.end() && at->tensor == entry.name;
      if (!found || at->shard != file)
        return malformed(indexPath + ": tensor " + quoteShort(entry.name) + " of " +
                         quoteShort(fileNames_[file]) + ": expected it in weight_map, got " +
                         (found ? "another file there" : "nothing"));
    }
  }
  return Status();
}

Status Checkpoint::checkIntact() const {
  for (size_t file = 0; file < files_.size(); ++file)
    if (!files_[file]->intact())
      return malformed(fileNames_[file] + ": the file became shorter while it was read; is it still "
                                          "being written or downloaded?");
  return Status();
}

const CheckpointTensor *Checkpoint::find(std::string_view name) const {
  auto at = std::lower_bound(
      tensors_.begin(), tensors_.end(), name,
      [](const CheckpointTensor &tensor, std::string_view name) { return tensor.name < name; });
  return at != tensors_.end() && at->name == name ? &*at : nullptr;
}

} // namespace ingot
