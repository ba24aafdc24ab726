// OpenSSH's key revocation lists (PROTOCOL.krl), as `ssh-keygen -k` writes them. A pure parser of hostile input.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace berth::auth {

struct Revocation {
  enum class Kind { serials, key_id, key_sha256, key_sha1 };
  Kind kind = Kind::serials;
  std::string authority_blob;         // serials and key_id: whose certificates; empty: everybody's
  std::uint64_t first = 0, last = 0;  // serials, both included
  std::string value;                  // the key id, or the hash of a plain key's blob (binary)
  bool operator==(const Revocation&) const = default;
};

// At most 200000 entries. Errors: not a KRL, a newer format, a signed one (its signature would have to be checked, and ssh-keygen makes none).
Result<std::vector<Revocation>> parse_krl(std::string_view bytes);

}  // namespace berth::auth
