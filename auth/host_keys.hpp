// SSH host keys and other server secrets, kept in the store (which is 0600).
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "base/store.hpp"

namespace berth::auth {

struct HostKey { std::string type, private_key; };  // type "ed25519", "ecdsa", "rsa"; OpenSSH's PEM

std::vector<HostKey> load_host_keys(SQLite::Database& reader);
Result<void> save_host_key(Store& store, const HostKey& key, Timestamp created_at);
// A named random secret of 32 bytes, made at first use (e.g. "jupyter").
Result<std::string> load_or_make_secret(Store& store, std::string_view name);

}  // namespace berth::auth
