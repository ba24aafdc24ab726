#include "server/ssh/wire.hpp"

namespace berth::ssh {

std::string_view PacketReader::take(std::size_t length) {
  if (!ok_ || length > rest_.size()) {
    ok_ = false;
    rest_ = {};
    return {};
  }
  const std::string_view field = rest_.substr(0, length);
  rest_.remove_prefix(length);
  return field;
}

std::uint32_t PacketReader::u32() {
  const std::string_view field = take(4);
  std::uint32_t value = 0;
  for (const char byte : field) value = value << 8 | static_cast<std::uint8_t>(byte);
  return value;
}

std::string_view PacketReader::text() {
  const std::string_view field = string();
  if (field.find('\0') == std::string_view::npos) return field;
  ok_ = false;
  rest_ = {};
  return {};
}

PacketWriter& PacketWriter::u32(std::uint32_t value) {
  for (const int shift : {24, 16, 8, 0}) bytes_.push_back(static_cast<char>(value >> shift));
  return *this;
}

std::string printable(std::string_view text, std::size_t limit) {
  std::string clean;
  for (const char byte : text.substr(0, limit)) {
    const auto value = static_cast<unsigned char>(byte);
    clean.push_back(value < 0x20 || value == 0x7f ? '?' : byte);
  }
  return clean;
}

}  // namespace berth::ssh
