// RFC 4251 section 5: the data types of SSH's packets, keys, signatures, certificates and revocation lists. Reading never goes past the end:
// the first field that does not fit makes the reader fail for good, and every later field is empty, so a parser checks once, at its end.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace berth {

class WireReader {
 public:
  explicit WireReader(std::string_view bytes) : rest_(bytes) {}

  // Big-endian, of 1 to 8 `bytes`.
  std::uint64_t number(std::size_t bytes) {
    std::uint64_t value = 0;
    for (const char byte : take(bytes)) value = value << 8 | static_cast<std::uint8_t>(byte);
    return value;
  }
  std::uint8_t u8() { return static_cast<std::uint8_t>(number(1)); }
  bool boolean() { return u8() != 0; }
  std::uint32_t u32() { return static_cast<std::uint32_t>(number(4)); }
  std::uint64_t u64() { return number(8); }
  std::string_view string() { return take(u32()); }
  // A string that must hold no NUL: everything that becomes a name, path, host or command.
  std::string_view text() {
    const std::string_view field = string();
    return field.find('\0') == std::string_view::npos ? field : fail();
  }
  std::string_view take(std::size_t length) {
    if (!ok_ || length > rest_.size()) return fail();
    const std::string_view field = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return field;
  }
  std::string_view rest() { return take(rest_.size()); }
  std::size_t left() const { return rest_.size(); }

  bool ok() const { return ok_; }
  // Everything was there and nothing is left over.
  bool complete() const { return ok_ && rest_.empty(); }

 private:
  std::string_view fail() {
    ok_ = false;
    rest_ = {};
    return {};
  }

  std::string_view rest_;
  bool ok_ = true;
};

class WireWriter {
 public:
  WireWriter() = default;
  explicit WireWriter(std::uint8_t message_type) { u8(message_type); }

  WireWriter& number(std::uint64_t value, std::size_t bytes) {
    for (std::size_t i = bytes; i > 0; --i) bytes_.push_back(static_cast<char>(value >> (8 * (i - 1)) & 0xff));
    return *this;
  }
  WireWriter& u8(std::uint8_t value) { return number(value, 1); }
  WireWriter& boolean(bool value) { return u8(value ? 1 : 0); }
  WireWriter& u32(std::uint32_t value) { return number(value, 4); }
  WireWriter& string(std::string_view value) {
    u32(static_cast<std::uint32_t>(value.size()));
    return raw(value);
  }
  WireWriter& raw(std::string_view value) {
    bytes_.append(value);
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

}  // namespace berth
