#include "server/ssh/wire.hpp"

namespace berth::ssh {

std::string printable(std::string_view text, std::size_t limit) {
  std::string clean;
  for (const char byte : text.substr(0, limit)) {
    const auto value = static_cast<unsigned char>(byte);
    clean.push_back(value < 0x20 || value == 0x7f ? '?' : byte);
  }
  return clean;
}

}  // namespace berth::ssh
