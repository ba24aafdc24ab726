#include "server/ssh/transport.hpp"

#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <libssh/server.h>

#include <algorithm>
#include <utility>

#include "base/assert.hpp"
#include "server/ssh/host_keys.hpp"
#include "server/ssh/transport_hooks.hpp"
#include "server/ssh/wire.hpp"

// NOLINTNEXTLINE(misc-redundant-expression): both sides are the same while it holds
static_assert(LIBSSH_VERSION_INT == SSH_VERSION_INT(0, 10, 6), "see server/ssh/redirect_libssh.cmake");

// In the archive, not in its headers; redirect_libssh.cmake checks that they are there.
extern "C" void ssh_packet_set_callbacks(ssh_session session, ssh_packet_callbacks callbacks);
extern "C" size_t ssh_packet_socket_callback(const void* data, size_t length, void* session);

namespace berth::ssh {
namespace {

constexpr std::uint64_t kLeastRekeyBytes = 1 << 20;
// What libssh is given at once: as much as the last packet had, within these, so that it takes one and tells its size. For each further packet in it,
// it calls itself.
constexpr std::size_t kLeastAtOnce = 4096;
constexpr std::size_t kMostAtOnce = 64 * 1024;
// Of a packet whose beginning came before: only libssh knows where it ends.
constexpr std::size_t kPiece = 4096;
constexpr std::size_t kLargestPacket = 256 * 1024 + 256;  // libssh's MAX_PACKET_LEN, with room for what is around it

}  // namespace

Transport::Transport(Owner& owner) : owner_(owner) {}

Result<std::unique_ptr<Transport>> Transport::create(Owner& owner, const std::shared_ptr<const ServerOptions>& options) {
  auto identity = identity_of_this_thread(options);
  if (!identity) return identity.error();
  std::unique_ptr<Transport> transport(new Transport(owner));
  transport->identity_ = *identity;
  ssh_bind_struct* const bind = transport->identity_->bind();
  const Hooks::Entered entered(transport.get());
  transport->session_ = ssh_new();
  if (!transport->session_) return Error{ErrorKind::internal, "out of memory"};
  // Compression costs more than it saves on a fast link. Where it is wanted: as sshd, never before login, and at its level. libssh inflates a packet to
  // at most 256 KiB, and starts afresh with each key exchange (RFC 4253 6.2).
  const char* const compression = options->compression ? "none,zlib@openssh.com" : "none";
  constexpr int kCompressionLevel = 6;
  ssh_options_set(transport->session_, SSH_OPTIONS_COMPRESSION_C_S, compression);
  ssh_options_set(transport->session_, SSH_OPTIONS_COMPRESSION_S_C, compression);
  ssh_options_set(transport->session_, SSH_OPTIONS_COMPRESSION_LEVEL, &kCompressionLevel);
  ssh_set_blocking(transport->session_, 0);
  if (ssh_bind_accept_fd(bind, transport->session_, kFakeDescriptor) != SSH_OK)
    return Error{ErrorKind::internal, std::string("libssh: ") + ssh_get_error(bind)};
  const std::uint64_t rekey_bytes = options->rekey_bytes == 0 ? 0 : std::max(options->rekey_bytes, kLeastRekeyBytes);
  const auto rekey_seconds = static_cast<std::uint32_t>(options->rekey_after.count());
  ssh_options_set(transport->session_, SSH_OPTIONS_REKEY_DATA, &rekey_bytes);
  ssh_options_set(transport->session_, SSH_OPTIONS_REKEY_TIME, &rekey_seconds);
  ssh_packet_set_callbacks(transport->session_, Hooks::packet_table());
  return transport;
}

Transport::~Transport() {
  const Hooks::Entered entered(this);
  const Hooks::Muted muted(*this);
  if (verified_message_) ssh_message_free(verified_message_);
  if (session_) ssh_free(session_);
}

void Transport::start() {
  const Hooks::Entered entered(this);
  ssh_handle_key_exchange(session_);
  check_failure();
}

void Transport::feed(std::string_view bytes) {
  const Hooks::Entered entered(this);
  BERTH_ASSERT(input_.empty());
  if (!keys_exchanged_) bytes = exchange_keys(bytes);
  if (keys_exchanged_) take(bytes);
}

// Up to the end of the first key exchange libssh reads by itself, 4 KiB a step. Answers what it has not read by then.
std::string_view Transport::exchange_keys(std::string_view bytes) {
  input_ = bytes;
  // A step that takes nothing may only have written; three mean that it is stuck.
  int idle_steps = 0;
  while (!input_.empty() && !keys_exchanged_ && !failed_) {
    const std::size_t before = input_.size();
    keys_exchanged_ = ssh_handle_key_exchange(session_) == SSH_OK;
    check_failure();
    idle_steps = input_.size() == before ? idle_steps + 1 : 0;
    if (idle_steps == 3) fail("the transport does not take input any more");
  }
  const std::string_view rest = std::exchange(input_, {});
  if (keys_exchanged_ && libssh_input_) {  // what it has read beyond
    std::string begun(ssh_buffer_get_len(libssh_input_), '\0');
    begun.resize(ssh_buffer_get_data(libssh_input_, begun.data(), static_cast<std::uint32_t>(begun.size())));
    begun_.append(begun);
  }
  return rest;
}

// From then on its reader of packets is called as its reader of sockets would, without that one's copy.
void Transport::take(std::string_view bytes) {
  while (!begun_.empty() && !bytes.empty() && !failed_) {
    const std::size_t had = begun_.size();
    const std::size_t piece = std::min(kPiece, bytes.size());
    begun_.append(bytes.substr(0, piece));
    const std::size_t taken = take_packets(begun_.view());
    bytes.remove_prefix(taken > had ? taken - had : piece);
    begun_.consume(taken > had ? begun_.size() : taken);
  }
  while (!bytes.empty() && !failed_) {
    const std::size_t taken = take_packets(bytes);
    if (taken == 0) break;
    bytes.remove_prefix(taken);
  }
  if (!bytes.empty() && !failed_) begun_.append(bytes);
  if (begun_.size() > kLargestPacket) fail("the transport does not take input any more");
}

// Answers how many bytes were whole packets; what remains must come again, with more after it.
std::size_t Transport::take_packets(std::string_view bytes) {
  for (std::size_t most = std::clamp(packet_size_, kLeastAtOnce, kMostAtOnce);; most *= 2) {
    const std::size_t packets_before = packets_;
    const std::size_t taken = ssh_packet_socket_callback(bytes.data(), std::min(most, bytes.size()), session_);
    check_failure();
    if (failed_) return 0;
    if (packets_ == packets_before + 1) packet_size_ = taken;
    if (taken > 0 || most >= bytes.size()) return taken;
  }
}

std::size_t Transport::next_read(std::size_t most) const {
  if (packet_size_ == 0 || packet_size_ > most) return most;
  const std::size_t begun = begun_.size() < packet_size_ ? begun_.size() : 0;
  return (most + begun) / packet_size_ * packet_size_ - begun;
}

void Transport::fail(std::string_view why) {
  failed_ = true;
  failure_ = why;
}

void Transport::check_failure() {
  if (failed_ || !(closed_by_libssh_ || (ssh_get_status(session_) & (SSH_CLOSED | SSH_CLOSED_ERROR)))) return;
  fail(printable(ssh_get_error(session_)));
}

bool Transport::send(std::string_view head, std::string_view body) {
  const Hooks::Entered entered(this);
  const Hooks::Muted muted(*this);
  const std::uint64_t before = emitted_;
  outgoing_[0] = &head;
  outgoing_[1] = &body;
  ssh_send_ignore(session_, "");
  outgoing_[0] = outgoing_[1] = nullptr;
  return emitted_ != before;
}

std::optional<PublicKey> Transport::take_verified_key() {
  const Hooks::Entered entered(this);
  const Hooks::Muted muted(*this);
  ssh_message message = ssh_message_get(session_);
  if (!message) return std::nullopt;
  std::optional<PublicKey> key;
  // Deprecated in favour of callbacks, which would have to decide at once.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  if (ssh_message_type(message) == SSH_REQUEST_AUTH && ssh_message_subtype(message) == SSH_AUTH_METHOD_PUBLICKEY &&
      ssh_message_auth_publickey_state(message) == SSH_PUBLICKEY_STATE_VALID)
    key = public_key_of(ssh_message_auth_pubkey(message));
#pragma GCC diagnostic pop
  if (!key) {
    ssh_message_free(message);
    return std::nullopt;
  }
  if (verified_message_) ssh_message_free(verified_message_);
  verified_message_ = message;
  return key;
}

void Transport::send_auth_success() {
  BERTH_ASSERT(verified_message_);
  const Hooks::Entered entered(this);
  const Hooks::Muted muted(*this);
  ssh_message_auth_reply_success(verified_message_, 0);
  ssh_message_free(std::exchange(verified_message_, nullptr));
}

std::string Transport::client_version() const {
  const char* banner = ssh_get_clientbanner(session_);
  return banner ? printable(banner) : std::string();
}

std::string Transport::cipher() const {
  const char* name = ssh_get_cipher_in(session_);
  return name ? name : std::string();
}

}  // namespace berth::ssh
