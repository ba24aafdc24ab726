// Keys in libssh's hands: host keys and what the server offers, and the wire form of a public key.
#pragma once
#include <memory>
#include <optional>
#include <vector>

#include "base/result.hpp"
#include "server/ssh/session.hpp"

struct ssh_bind_struct;
struct ssh_key_struct;

namespace berth::ssh {

// This server in libssh's hands.
class HostIdentity {
 public:
  // Fails when a key of `options` cannot be used, or there is none.
  static Result<std::shared_ptr<const HostIdentity>> make(const ServerOptions& options);
  ~HostIdentity();
  HostIdentity(const HostIdentity&) = delete;
  HostIdentity& operator=(const HostIdentity&) = delete;

  ssh_bind_struct* bind() const { return bind_.get(); }
  // host_keys and announced_keys of the options.
  const std::vector<PublicKey>& public_keys() const { return public_keys_; }
  // A signature (RFC 4253 6.6) by the key with this public half; RSA with SHA-512, or SHA-256 when `rsa_sha256`. nullopt: no such key.
  std::optional<std::string> sign(std::string_view public_blob, std::string_view data, bool rsa_sha256) const;

 private:
  HostIdentity() = default;
  std::shared_ptr<ssh_bind_struct> bind_;
  std::vector<PublicKey> public_keys_;
  std::vector<ssh_key_struct*> private_keys_;  // in the order of public_keys_
};

// One per thread, made anew when `options` is another object. Sessions use its keys, so each holds it.
Result<std::shared_ptr<const HostIdentity>> identity_of_this_thread(const std::shared_ptr<const ServerOptions>& options);

// Is this the name of a host key algorithm that these keys can serve?
bool serves_algorithm(const std::vector<PublicKey>& keys, std::string_view algorithm);

std::optional<PublicKey> public_key_of(ssh_key_struct* key);

}  // namespace berth::ssh
