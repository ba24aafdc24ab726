// OpenSSH's PROTOCOL 2.5: after login the server names its host keys, and a client that sees an unknown one among them asks for a proof.
#include <algorithm>

#include "server/ssh/connection.hpp"
#include "server/ssh/host_keys.hpp"
#include "server/ssh/wire.hpp"

namespace berth::ssh {
namespace {

constexpr std::size_t kKexCookie = 16;
constexpr int kMaxProofs = 32;  // of one connection: a signature by RSA costs milliseconds

}  // namespace

// Which signature a client expects of an RSA host key: the one that this key exchange settles on, the client's first that is served.
void Connection::on_kex_init(std::string_view payload) {
  if (rsa_sha256_ || !transport_ || payload.size() < kKexCookie) return;
  WireReader in(payload.substr(kKexCookie));
  in.string();  // key exchange methods
  std::string_view names = in.string();
  while (in.ok() && !names.empty()) {
    const std::string_view name = names.substr(0, names.find(','));
    if (serves_algorithm(transport_->identity().public_keys(), name)) {
      rsa_sha256_ = name == "rsa-sha2-256";
      return;
    }
    names.remove_prefix(std::min(names.size(), name.size() + 1));
  }
}

void Connection::announce_host_keys() {
  if (options_->superseded->load(std::memory_order_acquire)) return;
  WireWriter packet(kMsgGlobalRequest);
  packet.string("hostkeys-00@openssh.com").boolean(false);
  for (const PublicKey& key : transport_->identity().public_keys()) packet.string(key.blob);
  send(packet.bytes());
}

// The answer to hostkeys-prove-00@openssh.com; nullopt: refused.
std::optional<std::string> Connection::prove_host_keys(std::string_view payload) {
  WireReader in(payload);
  in.string();
  in.boolean();
  if (!authenticated_ || transport_->session_id().empty()) return std::nullopt;
  WireWriter answer(kMsgRequestSuccess);
  bool any = false;
  while (!in.complete()) {
    const std::string_view blob = in.string();
    if (!in.ok() || ++proofs_ > kMaxProofs) return std::nullopt;
    const std::string data =
        WireWriter().string("hostkeys-prove-00@openssh.com").string(transport_->session_id()).string(blob).bytes();
    const auto signature = transport_->identity().sign(blob, data, rsa_sha256_.value_or(false));
    if (!signature) return std::nullopt;
    answer.string(*signature);
    any = true;
  }
  return any ? std::optional(answer.bytes()) : std::nullopt;
}

}  // namespace berth::ssh
