//===- SafetensorsWriter.cpp - Writes a safetensors file -------------------===//
#include "runtime/weights/SafetensorsWriter.h"

#include "runtime/weights/JsonWriter.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace ingot {

Status SafetensorsWriter::systemError(const char *what) const {
  int error = errno;
  bool usage = error == ENOENT || error == ENOTDIR || error == EACCES || error == EROFS ||
               error == EEXIST || error == ENAMETOOLONG;
  return Status(usage ? ExitCode::Usage : ExitCode::OutOfResources,
                std::string("cannot ") + what + " '" + temporary_ + "': " + std::strerror(error));
}

/// The reference reader wants to know whose layout it is: "pt", plain row-major tensors.
static std::string makeHeader(std::span<const SafetensorsWriter::Tensor> tensors) {
  JsonWriter json(0);
  json.beginObject().key("__metadata__").beginObject().member("format", "pt").endObject();
  uint64_t offset = 0;
  for (const SafetensorsWriter::Tensor &tensor : tensors) {
    json.key(tensor.name).beginObject();
    json.member("dtype", safetensorsName(tensor.type.elementType)).key("shape").beginArray();
    for (int64_t dim : tensor.type.shape)
      json.value(dim);
    uint64_t end = offset + *numBytes(tensor.type);
    json.endArray().key("data_offsets").beginArray().value(offset).value(end).endArray();
    json.endObject();
    offset = end;
  }
  std::string text = json.endObject().text();
  text.append((8 - text.size() % 8) % 8, ' '); // so that the data is aligned
  std::string header(8, '\0');
  for (unsigned i = 0; i < 8; ++i)
    header[i] = char(uint64_t(text.size()) >> (8 * i) & 0xff);
  return header + text;
}

Result<std::unique_ptr<SafetensorsWriter>>
SafetensorsWriter::create(const std::string &path, std::span<const Tensor> tensors) {
  struct stat info;
  if (::lstat(path.c_str(), &info) == 0)
    return Status(ExitCode::Usage,
                  "'" + path + "' is there already; name another folder, or remove it first");
  std::unique_ptr<SafetensorsWriter> writer(new SafetensorsWriter);
  writer->path_ = path;
  writer->temporary_ = path + ".tmp." + std::to_string(::getpid());
  writer->fd_ = ::open(writer->temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (writer->fd_ < 0)
    return writer->systemError("create");
  std::string header = makeHeader(tensors);
  if (Status status = writer->write(std::as_bytes(std::span(header))); !status.ok())
    return status;
  return writer;
}

SafetensorsWriter::~SafetensorsWriter() {
  if (fd_ < 0)
    return;
  ::close(fd_);
  ::unlink(temporary_.c_str());
}

Status SafetensorsWriter::write(std::span<const std::byte> bytes) {
  bytes_ += bytes.size();
  while (!bytes.empty()) {
    ssize_t written = ::write(fd_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      return systemError("write");
    bytes = bytes.subspan(size_t(written));
  }
  return Status();
}

Status SafetensorsWriter::commit() {
  if (::fsync(fd_) != 0)
    return systemError("sync");
  if (::rename(temporary_.c_str(), path_.c_str()) != 0)
    return systemError("rename");
  if (::close(std::exchange(fd_, -1)) != 0)
    return systemError("close");
  return Status();
}

} // namespace ingot
