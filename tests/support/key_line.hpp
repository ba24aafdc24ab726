// Public keys that nobody signs with.
#pragma once
#include <string>

#include "base/encoding.hpp"
#include "base/ssh_wire.hpp"

namespace berth {

// An ed25519 key in authorized_keys form; `seed` tells keys apart.
inline std::string key_line(int seed) {
  return "ssh-ed25519 " + base64_encode(WireWriter().string("ssh-ed25519").string(sha256("key " + std::to_string(seed))).bytes()) + " k" + std::to_string(seed);
}

}  // namespace berth
