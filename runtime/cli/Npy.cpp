//===- Npy.cpp --------------------------------------------------*- C++ -*-===//
#include "runtime/cli/Npy.h"

#include "runtime/support/CheckedMath.h"
#include "runtime/support/Text.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ingot {

static Status malformed(std::string_view what) {
  return Status(ExitCode::MalformedInput, text("not a readable .npy array: ", what));
}

namespace {

struct Descr {
  const char *name;
  ElementType type;
};

constexpr Descr kDescrs[] = {
    {"<f4", ElementType::F32}, {"<f2", ElementType::F16}, {"<f8", ElementType::F64},
    {"<i4", ElementType::I32}, {"<i8", ElementType::I64}, {"|b1", ElementType::I1},
    {"|i1", ElementType::I8},  {"|u1", ElementType::U8},  {"<i2", ElementType::I16},
    {"<u2", ElementType::U16}, {"<u4", ElementType::U32}, {"<u8", ElementType::U64},
};

/// {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
class HeaderParser {
public:
  explicit HeaderParser(std::string_view header) : rest_(header) {}

  Status parse(NpyArray &array, bool &fortran) {
    bool seen[3] = {};
    if (!accept('{'))
      return malformed("expected a dictionary as its header");
    while (!accept('}')) {
      std::string_view key;
      if (!string(key) || !accept(':'))
        return malformed("expected a key and ':' in its header");
      Status status;
      size_t which = key == "descr" ? 0 : key == "fortran_order" ? 1 : key == "shape" ? 2 : 3;
      if (which == 3 || seen[which])
        return malformed("expected the keys descr, fortran_order and shape, once each");
      seen[which] = true;
      status = which == 0 ? descr(array.type) : which == 1 ? order(fortran) : shape(array.shape);
      if (!status.ok())
        return status;
      if (!accept(',') && peek() != '}')
        return malformed("expected ',' or '}' in its header");
    }
    if (peek() != 0 || !seen[0] || !seen[1] || !seen[2])
      return malformed("expected the keys descr, fortran_order and shape, then the header's end");
    return {};
  }

private:
  /// The next character behind blanks; 0 at the end.
  char peek() {
    while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\n'))
      rest_.remove_prefix(1);
    return rest_.empty() ? '\0' : rest_[0];
  }

  bool accept(char c) {
    if (peek() != c || rest_.empty())
      return false;
    rest_.remove_prefix(1);
    return true;
  }

  bool string(std::string_view &out) {
    char quote = peek();
    if (quote != '\'' && quote != '"')
      return false;
    size_t end = rest_.find(quote, 1);
    if (end == std::string_view::npos)
      return false;
    out = rest_.substr(1, end - 1);
    rest_.remove_prefix(end + 1);
    return true;
  }

  Status descr(ElementType &type) {
    std::string_view name;
    if (string(name))
      for (const Descr &descr : kDescrs)
        if (name == descr.name) {
          type = descr.type;
          return {};
        }
    return malformed(text("expected one of the element types <f4 <f2 <f8 <i4 <i8 |b1 |i1 |u1 <i2 "
                          "<u2 <u4 <u8, got ",
                          quoted(name)));
  }

  Status order(bool &fortran) {
    peek();
    for (std::string_view word : {std::string_view("False"), std::string_view("True")})
      if (rest_.substr(0, word.size()) == word) {
        fortran = word == "True";
        rest_.remove_prefix(word.size());
        return {};
      }
    return malformed("expected True or False for fortran_order");
  }

  Status shape(std::vector<int64_t> &dims) {
    if (!accept('('))
      return malformed("expected a tuple of sizes for shape");
    while (!accept(')')) {
      peek();
      int64_t dim = 0;
      auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), dim);
      if (error != std::errc() || dim < 0)
        return malformed("expected sizes from 0 to 2^63 - 1 for shape");
      rest_.remove_prefix(size_t(end - rest_.data()));
      if (dims.size() == 32)
        return malformed("expected a rank of at most 32");
      dims.push_back(dim);
      if (!accept(',') && peek() != ')')
        return malformed("expected ',' or ')' in the shape");
    }
    return {};
  }

  std::string_view rest_;
};

} // namespace

Result<NpyArray> parseNpy(std::span<const std::byte> bytes) {
  if (bytes.size() < 10 || std::memcmp(bytes.data(), "\x93NUMPY", 6) != 0)
    return malformed("expected it to begin with \\x93NUMPY and a version");
  unsigned major = unsigned(bytes[6]), minor = unsigned(bytes[7]);
  if (major < 1 || major > 3 || minor != 0)
    return malformed(text("expected format version 1.0, 2.0 or 3.0, got ", major, ".", minor));
  size_t lengthBytes = major == 1 ? 2 : 4, begin = 8 + lengthBytes;
  if (bytes.size() < begin)
    return malformed("it ends inside its header");
  uint32_t length = 0;
  std::memcpy(&length, bytes.data() + 8, lengthBytes);
  if (length > 65535 || length > bytes.size() - begin)
    return malformed(
        text("expected a header of at most 65535 bytes inside the file, got ", length));
  NpyArray array;
  bool fortran = false;
  HeaderParser parser({reinterpret_cast<const char *>(bytes.data()) + begin, length});
  if (Status status = parser.parse(array, fortran); !status.ok())
    return status;
  if (fortran && array.shape.size() > 1)
    return malformed("expected C order, got Fortran order; save numpy.ascontiguousarray(...)");
  array.data = bytes.subspan(begin + length);
  auto size = numBytes({array.type, array.shape});
  if (!size || *size != array.data.size())
    return malformed(text("expected ", size ? *size : UINT64_MAX, " bytes for ", nameOf(array.type),
                          shapeStr(array.shape), ", got ", array.data.size()));
  return array;
}

Result<NpyFile> readNpy(const std::string &path) {
  auto file = MappedFile::open(path);
  if (!file.ok())
    return file.status();
  NpyFile out;
  out.file = std::move(*file);
  auto array = parseNpy(out.file.bytes());
  if (!array.ok())
    return array.status().withContext(path + ": ");
  out.array = std::move(*array);
  return out;
}

std::string npyHeader(ElementType type, std::span<const int64_t> shape) {
  const char *descr = "";
  for (const Descr &candidate : kDescrs)
    if (candidate.type == type)
      descr = candidate.name;
  std::string dict = text("{'descr': '", descr, "', 'fortran_order': False, 'shape': (");
  for (size_t i = 0; i < shape.size(); ++i)
    dict += text(i ? ", " : "", shape[i]);
  dict += shape.size() == 1 ? ",), }" : "), }";
  size_t total = (10 + dict.size() + 1 + 63) / 64 * 64;
  dict.append(total - 10 - dict.size() - 1, ' ');
  dict += '\n';
  std::string out("\x93NUMPY\x01\x00", 8);
  out += char(dict.size() & 0xff);
  out += char(dict.size() >> 8);
  return out + dict;
}

static Status writeAll(int fd, const void *data, size_t bytes, const std::string &path) {
  const char *at = static_cast<const char *>(data);
  while (bytes != 0) {
    ssize_t written = ::write(fd, at, bytes);
    if (written < 0 && errno == EINTR)
      continue;
    if (written <= 0)
      return Status(ExitCode::OutOfResources,
                    text("cannot write ", quoted(path), ": ", std::strerror(errno)));
    at += written;
    bytes -= size_t(written);
  }
  return {};
}

Status writeNpy(const std::string &path, format::DType dtype, std::span<const int64_t> shape,
                const void *data) {
  auto type = ElementType(dtype);
  std::vector<float> widened;
  if (type == ElementType::BF16) {
    widened.resize(size_t(*numElements(shape)));
    for (size_t i = 0; i < widened.size(); ++i) {
      uint16_t half;
      std::memcpy(&half, static_cast<const char *>(data) + 2 * i, 2);
      uint32_t bits = uint32_t(half) << 16;
      std::memcpy(&widened[i], &bits, 4);
    }
    type = ElementType::F32;
    data = widened.data();
  }
  // A device or a pipe is written to, not replaced.
  struct stat info;
  bool inPlace = ::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode);
  std::string temporary = inPlace ? path : text(path, ".tmp.", uint64_t(::getpid()));
  int fd =
      ::open(temporary.c_str(), O_WRONLY | O_CLOEXEC | (inPlace ? 0 : O_CREAT | O_TRUNC), 0666);
  if (fd < 0)
    return Status(ExitCode::Usage, text("cannot write ", quoted(path), ": ", std::strerror(errno)));
  std::string header = npyHeader(type, shape);
  Status status = writeAll(fd, header.data(), header.size(), path);
  if (status.ok())
    status = writeAll(fd, data, size_t(*numBytes({type, {shape.begin(), shape.end()}})), path);
  bool closed = ::close(fd) == 0;
  if (status.ok() && (!closed || (!inPlace && ::rename(temporary.c_str(), path.c_str()) != 0)))
    status = Status(ExitCode::OutOfResources,
                    text("cannot write ", quoted(path), ": ", std::strerror(errno)));
  if (!status.ok() && !inPlace)
    ::unlink(temporary.c_str());
  return status;
}

} // namespace ingot
