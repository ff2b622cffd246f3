//===- SafetensorsBuilder.h - Safetensors files for tests ---------*- C++ -*-===//
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>

#include <gtest/gtest.h>
#include <unistd.h>

namespace ingot::test {

/// A file's bytes: the header's length (or `length`), the header, `data`.
inline std::string safetensorsBytes(std::string_view header, std::string_view data,
                                    uint64_t length = UINT64_MAX) {
  if (length == UINT64_MAX)
    length = header.size();
  std::string file;
  for (unsigned i = 0; i < 8; ++i)
    file += char(length >> (8 * i) & 0xff);
  file += header;
  file += data;
  return file;
}

inline std::span<const std::byte> asBytes(std::string_view text) {
  return {reinterpret_cast<const std::byte *>(text.data()), text.size()};
}

/// Collects tensors and gives the file.
class SafetensorsBuilder {
public:
  SafetensorsBuilder &add(const std::string &name, const std::string &dtype,
                          const std::string &shape, std::string_view bytes) {
    header_ += (header_.empty() ? "" : ",") +
               ("\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape +
                ",\"data_offsets\":[" + std::to_string(data_.size()) + "," +
                std::to_string(data_.size() + bytes.size()) + "]}");
    data_ += bytes;
    return *this;
  }
  std::string bytes() const { return safetensorsBytes("{" + header_ + "}", data_); }

private:
  std::string header_, data_;
};

/// The bytes of some f32 values.
inline std::string floatBytes(std::initializer_list<float> values) {
  return std::string(reinterpret_cast<const char *>(values.begin()), values.size() * sizeof(float));
}

/// A folder that is removed, with the files written through it, at the end.
class TemporaryFolder {
public:
  TemporaryFolder() {
    path_ = testing::TempDir() + "ingot-weights-XXXXXX";
    if (!mkdtemp(path_.data()))
      ADD_FAILURE() << "cannot make the folder " << path_;
  }
  ~TemporaryFolder() {
    std::string command = "rm -rf '" + path_ + "'";
    [[maybe_unused]] int result = std::system(command.c_str());
  }

  const std::string &path() const { return path_; }
  std::string operator/(const std::string &name) const { return path_ + "/" + name; }
  void write(const std::string &name, std::string_view bytes) const {
    FILE *file = std::fopen((path_ + "/" + name).c_str(), "wb");
    std::fwrite(bytes.data(), 1, bytes.size(), file);
    std::fclose(file);
  }

private:
  std::string path_;
};

} // namespace ingot::test
