// RFC 4251 section 5, for what auth/ reads of it: keys, signatures, certificates, revocation lists. The first field that does not fit makes
// the reader fail for good, and every later field is empty: a parser checks once, at its end.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace berth::auth {

class WireFields {
 public:
  explicit WireFields(std::string_view bytes) : rest_(bytes) {}

  std::uint64_t number(std::size_t bytes) {
    std::uint64_t value = 0;
    for (const char byte : take(bytes)) value = value << 8 | static_cast<std::uint8_t>(byte);
    return value;
  }
  std::uint8_t u8() { return static_cast<std::uint8_t>(number(1)); }
  std::uint32_t u32() { return static_cast<std::uint32_t>(number(4)); }
  std::uint64_t u64() { return number(8); }
  std::string_view string() { return take(u32()); }
  std::string_view take(std::size_t length) {
    if (!ok_ || length > rest_.size()) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    const std::string_view field = rest_.substr(0, length);
    rest_.remove_prefix(length);
    return field;
  }
  std::size_t left() const { return rest_.size(); }
  bool ok() const { return ok_; }
  // Everything was there and nothing is left over.
  bool complete() const { return ok_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool ok_ = true;
};

class WireBytes {
 public:
  WireBytes& number(std::uint64_t value, std::size_t bytes) {
    for (std::size_t i = bytes; i > 0; --i) bytes_.push_back(static_cast<char>(value >> (8 * (i - 1)) & 0xff));
    return *this;
  }
  WireBytes& string(std::string_view value) {
    number(value.size(), 4);
    bytes_.append(value);
    return *this;
  }
  WireBytes& raw(std::string_view value) {
    bytes_.append(value);
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

}  // namespace berth::auth
