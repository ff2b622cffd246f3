//===- JsonParser.cpp - A strict JSON reader for untrusted bytes ----------===//
//
// Recursive descent; JsonOptions::maxDepth, itself capped, bounds the recursion here and in the
// destructor.
//
//===----------------------------------------------------------------------===//
#include "runtime/weights/Json.h"
#include "runtime/weights/JsonWriter.h"
#include "runtime/weights/MappedFile.h"
#include "runtime/weights/Utf8.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace ingot {

namespace {
constexpr unsigned kMaxDepth = 512; // whatever the options say
} // namespace

struct JsonValue::Object {
  std::vector<Member> members;
  std::vector<uint32_t> byKey; // indices into members
};

JsonValue::~JsonValue() {
  switch (kind_) {
  case JsonKind::String:
    delete payload_.string;
    break;
  case JsonKind::Array:
    delete payload_.array;
    break;
  case JsonKind::Object:
    delete payload_.object;
    break;
  default:
    break;
  }
}

const std::vector<JsonValue::Member> &JsonValue::members() const {
  return payload_.object->members;
}

const JsonValue *JsonValue::find(std::string_view key) const {
  if (kind_ != JsonKind::Object)
    return nullptr;
  const Object &object = *payload_.object;
  auto at = std::lower_bound(
      object.byKey.begin(), object.byKey.end(), key,
      [&](uint32_t index, std::string_view key) { return object.members[index].first < key; });
  if (at == object.byKey.end() || object.members[*at].first != key)
    return nullptr;
  return &object.members[*at].second;
}

/// Each parse function reads one thing at `at_`; false means that `status_` says what was wrong.
class JsonParser {
public:
  JsonParser(std::string_view text, const JsonOptions &options) : text_(text), options_(options) {}

  Status parse(JsonValue &root) {
    if (text_.size() > UINT32_MAX)
      return Status(ExitCode::MalformedInput, prefix() + "expected at most 4 GiB of JSON, got " +
                                                  std::to_string(text_.size()) + " bytes");
    if (parseValue(root, 0)) {
      skipSpace();
      if (at_ != text_.size())
        fail("expected the end of the text");
    }
    return status_;
  }

private:
  std::string prefix() const { return options_.name.empty() ? "" : options_.name + ": "; }
  bool atEnd() const { return at_ == text_.size(); }
  /// The next byte, or NUL at the end: no token holds a NUL.
  char peek() const { return atEnd() ? '\0' : text_[at_]; }
  static bool isDigit(char c) { return c >= '0' && c <= '9'; }

  void skipSpace() {
    while (!atEnd() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t'))
      ++at_;
  }

  std::string got() const {
    if (atEnd())
      return "the end of the text";
    unsigned char c = static_cast<unsigned char>(text_[at_]);
    if (c > 0x20 && c < 0x7f)
      return std::string("'") + char(c) + "'";
    constexpr char digits[] = "0123456789abcdef";
    return std::string("byte 0x") + digits[c >> 4] + digits[c & 15];
  }

  bool fail(const std::string &what) { return failAt(at_, what + ", got " + got()); }

  bool failAt(size_t offset, const std::string &message) {
    size_t line = 1, lineStart = 0;
    for (size_t i = 0; i < offset; ++i)
      if (text_[i] == '\n') {
        ++line;
        lineStart = i + 1;
      }
    std::string where = options_.name.empty() ? "line " : options_.name + ":";
    status_ = Status(ExitCode::MalformedInput,
                     where + std::to_string(line) + ":" + std::to_string(offset - lineStart + 1) +
                         " (byte " + std::to_string(offset) + "): " + message);
    return false;
  }

  bool parseValue(JsonValue &value, unsigned depth) {
    skipSpace();
    if (++numValues_ > options_.maxValues)
      return failAt(at_,
                    "expected at most " + std::to_string(options_.maxValues) + " values, got more");
    value.offset_ = uint32_t(at_);
    switch (peek()) {
    case '{':
      return enter(depth) && parseObject(value, depth + 1);
    case '[':
      return enter(depth) && parseArray(value, depth + 1);
    case '"': {
      std::string text;
      if (!parseString(text))
        return false;
      value.payload_.string = new std::string(std::move(text));
      value.kind_ = JsonKind::String;
      return true;
    }
    case 't':
      return parseWord("true") && setBool(value, true);
    case 'f':
      return parseWord("false") && setBool(value, false);
    case 'n':
      return parseWord("null");
    case 'N':
      return options_.allowNonFinite ? parseWord("NaN") && setDouble(value, std::nan(""))
                                     : fail("expected a JSON value");
    case 'I':
      return options_.allowNonFinite ? parseWord("Infinity") && setDouble(value, HUGE_VAL)
                                     : fail("expected a JSON value");
    default:
      return parseNumber(value);
    }
  }

  bool enter(unsigned depth) {
    unsigned limit = std::min(options_.maxDepth, kMaxDepth);
    return depth < limit || failAt(at_, "expected at most " + std::to_string(limit) +
                                            " levels of nesting, got more");
  }

  bool setBool(JsonValue &value, bool boolean) {
    value.payload_.boolean = boolean;
    value.kind_ = JsonKind::Bool;
    return true;
  }

  bool setDouble(JsonValue &value, double number) {
    value.payload_.number = number;
    value.kind_ = JsonKind::Double;
    return true;
  }

  bool parseWord(std::string_view word) {
    if (text_.substr(at_, word.size()) != word)
      return failAt(at_, "expected " + std::string(word) + ", got another word");
    at_ += word.size();
    return true;
  }

  bool skipDigits(const char *what) {
    if (!isDigit(peek()))
      return fail(what);
    while (isDigit(peek()))
      ++at_;
    return true;
  }

  bool parseNumber(JsonValue &value) {
    size_t start = at_;
    bool negative = peek() == '-';
    if (negative)
      ++at_;
    if (negative && peek() == 'I' && options_.allowNonFinite)
      return parseWord("Infinity") && setDouble(value, -HUGE_VAL);
    size_t firstDigit = at_;
    if (!skipDigits(negative ? "expected a digit behind '-'" : "expected a JSON value"))
      return false;
    if (text_[firstDigit] == '0' && at_ - firstDigit > 1)
      return failAt(start, "expected a number without leading zeros, got one with");
    bool whole = true;
    if (peek() == '.') {
      whole = false;
      ++at_;
      if (!skipDigits("expected a digit behind '.'"))
        return false;
    }
    bool tinyExponent = false;
    if (peek() == 'e' || peek() == 'E') {
      whole = false;
      ++at_;
      if (peek() == '+' || peek() == '-')
        tinyExponent = text_[at_++] == '-';
      if (!skipDigits("expected a digit in the exponent"))
        return false;
    }
    const char *first = text_.data() + start, *last = text_.data() + at_;
    if (whole && parseInteger(value, first, last))
      return true;
    double number = 0;
    std::from_chars_result read = std::from_chars(first, last, number);
    if (read.ec == std::errc::result_out_of_range) {
      // Too small rounds to zero, as everywhere; too large is refused.
      if (!tinyExponent && text_[firstDigit] != '0')
        return failAt(start, "expected a number within double's range, got a larger one");
      number = negative ? -0.0 : 0.0;
    } else if (read.ec != std::errc() || read.ptr != last) {
      return failAt(start, "expected a number, got something else");
    }
    return setDouble(value, number);
  }

  static bool parseInteger(JsonValue &value, const char *first, const char *last) {
    if (std::from_chars(first, last, value.payload_.integer).ec == std::errc()) {
      value.kind_ = JsonKind::Int;
      return true;
    }
    if (*first != '-' &&
        std::from_chars(first, last, value.payload_.unsignedInteger).ec == std::errc()) {
      value.kind_ = JsonKind::UInt;
      return true;
    }
    return false;
  }

  /// The four digits of a \u escape.
  bool parseHex(uint32_t &unit) {
    unit = 0;
    for (unsigned i = 0; i < 4; ++i, ++at_) {
      char c = peek();
      unsigned digit;
      if (isDigit(c))
        digit = unsigned(c - '0');
      else if (c >= 'a' && c <= 'f')
        digit = unsigned(c - 'a' + 10);
      else if (c >= 'A' && c <= 'F')
        digit = unsigned(c - 'A' + 10);
      else
        return fail("expected four hexadecimal digits behind \\u");
      unit = unit * 16 + digit;
    }
    return true;
  }

  bool parseEscape(std::string &text) {
    size_t start = at_++; // the backslash
    char c = peek();
    constexpr std::string_view letters = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
    if (size_t index = letters.find(c); index != std::string_view::npos) {
      text += meanings[index];
      ++at_;
      return true;
    }
    if (c != 'u')
      return fail("expected one of \" \\ / b f n r t u behind a backslash");
    ++at_;
    uint32_t point, low;
    if (!parseHex(point))
      return false;
    if (point >= 0xdc00 && point <= 0xdfff)
      return failAt(start, "expected a high surrogate first, got a low one alone");
    if (point >= 0xd800 && point <= 0xdbff) {
      if (text_.substr(at_, 2) != "\\u")
        return fail("expected a low surrogate behind a high one");
      at_ += 2;
      if (!parseHex(low))
        return false;
      if (low < 0xdc00 || low > 0xdfff)
        return failAt(start, "expected a low surrogate behind a high one, got another character");
      point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
    }
    appendUtf8(text, point);
    return true;
  }

  bool parseString(std::string &text) {
    size_t start = at_++; // the quote
    while (true) {
      size_t plain = at_;
      while (!atEnd() && text_[at_] != '"' && text_[at_] != '\\' &&
             static_cast<unsigned char>(text_[at_]) - 0x20u < 0x60u)
        ++at_;
      text.append(text_, plain, at_ - plain);
      if (atEnd())
        return failAt(start, "expected a string's closing quote, got the end of the text");
      unsigned char c = static_cast<unsigned char>(text_[at_]);
      if (c == '"') {
        ++at_;
        return true;
      }
      if (c == '\\') {
        if (!parseEscape(text))
          return false;
        continue;
      }
      if (c < 0x20)
        return fail("expected control characters in strings to be escaped");
      size_t length = utf8Length(text_.substr(at_));
      if (length == 0)
        return fail("expected UTF-8");
      text.append(text_, at_, length);
      at_ += length;
    }
  }

  bool parseArray(JsonValue &value, unsigned depth) {
    value.payload_.array = new std::vector<JsonValue>();
    value.kind_ = JsonKind::Array;
    std::vector<JsonValue> &elements = *value.payload_.array;
    ++at_; // '['
    skipSpace();
    if (peek() == ']') {
      ++at_;
      return true;
    }
    while (true) {
      JsonValue element;
      if (!parseValue(element, depth))
        return false;
      elements.push_back(std::move(element));
      skipSpace();
      if (peek() == ']') {
        ++at_;
        return true;
      }
      if (peek() != ',')
        return fail("expected ',' or ']' behind an array's element");
      ++at_;
    }
  }

  bool parseObject(JsonValue &value, unsigned depth) {
    value.payload_.object = new JsonValue::Object();
    value.kind_ = JsonKind::Object;
    JsonValue::Object &object = *value.payload_.object;
    ++at_; // '{'
    skipSpace();
    if (peek() == '}') {
      ++at_;
      return true;
    }
    while (true) {
      skipSpace();
      if (peek() != '"')
        return fail("expected a key in quotes");
      JsonValue::Member member;
      if (!parseString(member.first))
        return false;
      skipSpace();
      if (peek() != ':')
        return fail("expected ':' behind a key");
      ++at_;
      if (!parseValue(member.second, depth))
        return false;
      object.members.push_back(std::move(member));
      skipSpace();
      if (peek() == '}') {
        ++at_;
        return indexObject(object);
      }
      if (peek() != ',')
        return fail("expected ',' or '}' behind a member");
      ++at_;
    }
  }

  bool indexObject(JsonValue::Object &object) {
    const std::vector<JsonValue::Member> &members = object.members;
    object.byKey.resize(members.size());
    for (uint32_t i = 0; i < members.size(); ++i)
      object.byKey[i] = i;
    std::sort(object.byKey.begin(), object.byKey.end(), [&](uint32_t a, uint32_t b) {
      int order = members[a].first.compare(members[b].first);
      return order != 0 ? order < 0 : a < b;
    });
    for (size_t i = 1; i < object.byKey.size(); ++i)
      if (members[object.byKey[i - 1]].first == members[object.byKey[i]].first)
        return failAt(members[object.byKey[i]].second.offset(),
                      "expected each key once, got " + quoteShort(members[object.byKey[i]].first) +
                          " again");
    return true;
  }

  std::string_view text_;
  const JsonOptions &options_;
  size_t at_ = 0;
  uint64_t numValues_ = 0;
  Status status_;
};

Result<JsonDocument> parseJson(std::string_view text, const JsonOptions &options) {
  JsonDocument document;
  document.root_ = std::make_unique<JsonValue>();
  document.name_ = options.name;
  if (Status status = JsonParser(text, options).parse(*document.root_); !status.ok())
    return status;
  return document;
}

Result<JsonDocument> readJsonFile(const std::string &path, JsonOptions options) {
  Result<MappedFile> file = MappedFile::open(path);
  if (!file.ok())
    return file.status();
  if (options.name.empty())
    options.name = path.substr(path.rfind('/') + 1); // npos + 1 is 0
  if (file->bytes().size() > options.maxFileBytes)
    return Status(ExitCode::MalformedInput,
                  path + ": expected at most " + std::to_string(options.maxFileBytes) +
                      " bytes of JSON, got " + std::to_string(file->bytes().size()));
  return parseJson(file->text(), options);
}

} // namespace ingot
