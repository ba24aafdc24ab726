// Keys in libssh's hands: host keys and what the server offers, and the wire form of a public key.
#pragma once
#include <memory>
#include <optional>

#include "base/result.hpp"
#include "server/ssh/session.hpp"

struct ssh_bind_struct;
struct ssh_key_struct;

namespace berth::ssh {

// libssh's description of this server: host keys and algorithms. One per thread, made anew when `options` is another
// object. Sessions use its host keys, so each holds it.
Result<std::shared_ptr<ssh_bind_struct>> bind_of_this_thread(const std::shared_ptr<const ServerOptions>& options);

std::optional<PublicKey> public_key_of(ssh_key_struct* key);

}  // namespace berth::ssh
