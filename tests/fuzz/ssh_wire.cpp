#include "tests/fuzz/ssh_wire.hpp"

#include <cstdlib>
#include <vector>

#include "server/ssh/host_keys.hpp"
#include "server/ssh/requests.hpp"
#include "server/ssh/transport.hpp"
#include "server/ssh/wire.hpp"

namespace berth::ssh {

namespace fuzz {

Wire& wire() {
  static Wire state;
  return state;
}

std::string frame(std::string_view packet) { return WireWriter().string(packet).bytes(); }

}  // namespace fuzz

namespace {

constexpr std::size_t kLongestPacket = 262144;  // libssh's MAX_PACKET_LEN
constexpr std::uint8_t kFirstOfUsers = 50;      // types below pass during a key exchange

// As libssh's packet filter has it.
bool passes(std::uint8_t type, const fuzz::Wire& wire) {
  if (type == kMsgUserauthRequest) return !wire.authenticated;
  if (type >= kMsgGlobalRequest) return wire.authenticated && type <= kMsgChannelFailure;
  return type == kMsgDisconnect || type == kMsgServiceRequest || type == kMsgKexInit || type == kMsgKexDhInit;
}

}  // namespace

Transport::Transport(Owner& owner) : owner_(owner) {}

Result<std::unique_ptr<Transport>> Transport::create(Owner& owner, const std::shared_ptr<const ServerOptions>& options) {
  auto identity = identity_of_this_thread(options);
  if (!identity) return identity.error();
  fuzz::wire() = fuzz::Wire{};
  std::unique_ptr<Transport> transport(new Transport(owner));
  transport->identity_ = *identity;
  ++fuzz::wire().transports;
  return transport;
}

Transport::~Transport() { --fuzz::wire().transports; }

void Transport::start() { keys_exchanged_ = true; }

void Transport::feed(std::string_view bytes) {
  fuzz::Wire& wire = fuzz::wire();
  wire.partial += bytes;
  std::size_t at = 0;
  while (!failed_ && wire.partial.size() - at >= 5) {
    const std::uint32_t length = WireReader(std::string_view(wire.partial).substr(at)).u32();
    if (length == 0 || length > kLongestPacket) {
      failed_ = true;
      failure_ = "a packet of a length that is not allowed";
      break;
    }
    if (wire.partial.size() - at - 4 < length) break;
    const auto type = static_cast<std::uint8_t>(wire.partial[at + 4]);
    const std::vector<char> payload(wire.partial.begin() + static_cast<std::ptrdiff_t>(at) + 5, wire.partial.begin() + static_cast<std::ptrdiff_t>(at + 4 + length));
    at += 4 + length;
    if (!passes(type, wire)) {
      failed_ = true;
      failure_ = "a packet that does not pass in this state";
      break;
    }
    if (owner_.on_packet(type, {payload.data(), payload.size()})) continue;
    if (type == kMsgUserauthRequest) {
      if (!wire.left_request.empty()) std::abort();  // the one before was to be settled first
      wire.left_request.assign(payload.begin(), payload.end());
    } else if (type == kMsgKexInit) {
      wire.rekeying = true;
    } else if (type == kMsgKexDhInit && wire.rekeying) {
      wire.rekeying = false;
      owner_.on_output(std::exchange(wire.held, {}));
    }
  }
  wire.partial.erase(0, at);
}

std::size_t Transport::next_read(std::size_t most) const { return most; }

bool Transport::send(std::string_view head, std::string_view body) {
  if (head.empty()) std::abort();
  const std::string packet = WireWriter().u32(static_cast<std::uint32_t>(head.size() + body.size())).raw(head).raw(body).bytes();
  fuzz::Wire& wire = fuzz::wire();
  if (wire.rekeying && static_cast<std::uint8_t>(head[0]) >= kFirstOfUsers) {
    wire.held += packet;
    return false;
  }
  owner_.on_output(packet);
  return true;
}

std::optional<PublicKey> Transport::take_verified_key() {
  const std::string request = std::exchange(fuzz::wire().left_request, {});
  if (request.empty()) return std::nullopt;
  const auto parsed = parse_userauth_request(request);
  if (!parsed || !parsed->request.is_signed) std::abort();
  session_id_ = "the session";
  const auto verdict = static_cast<fuzz::Signature>(request.back());
  if (verdict != fuzz::Signature::right && verdict != fuzz::Signature::of_another_key) return std::nullopt;
  PublicKey key = parsed->request.key;
  if (verdict == fuzz::Signature::of_another_key) key.blob += '!';
  fuzz::wire().verified.insert(key.blob);
  return key;
}

void Transport::send_auth_success() {
  if (fuzz::wire().verified.empty()) std::abort();
  fuzz::wire().authenticated = true;
  send(std::string(1, '\x34'));
}

std::string Transport::client_version() const { return "SSH-2.0-OpenSSH_fuzz"; }
std::string Transport::cipher() const { return "none"; }

}  // namespace berth::ssh
