#include "server/ssh/transport.hpp"

#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <libssh/server.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdarg>
#include <cstring>
#include <utility>

#include "base/assert.hpp"
#include "server/ssh/host_keys.hpp"
#include "server/ssh/wire.hpp"

// NOLINTNEXTLINE(misc-redundant-expression): both sides are the same while it holds
static_assert(LIBSSH_VERSION_INT == SSH_VERSION_INT(0, 10, 6), "see server/ssh/redirect_libssh.cmake");

// In the archive, not in its headers; redirect_libssh.cmake checks that they are there.
extern "C" void ssh_packet_set_callbacks(ssh_session session, ssh_packet_callbacks callbacks);
struct ssh_signature_struct;
extern "C" int ssh_pki_signature_verify(ssh_session session, ssh_signature_struct* signature, ssh_key key, const unsigned char* input, size_t length);
extern "C" int ssh_buffer_pack_va(ssh_buffer buffer, const char* format, size_t argc, va_list arguments);

namespace berth::ssh {

// libssh keeps a descriptor number and passes it to recv, send, close and poll; no kernel descriptor has this number.
constexpr int kFakeDescriptor = 1 << 28;
constexpr std::uint64_t kLeastRekeyBytes = 1 << 20;
constexpr std::uint8_t kFirstPacketType = 1;
constexpr std::uint8_t kLastPacketType = 100;
// Room for the length fields that libssh puts in front of a packet; without it libssh moves the whole packet.
constexpr char kHeadroom[5] = {};

// The transport whose libssh session runs now on this thread. libssh calls the hooks only inside our calls of it.
thread_local Transport* t_current = nullptr;

struct Hooks {
  class Entered {
   public:
    explicit Entered(Transport* transport) : before_(std::exchange(t_current, transport)) {}
    ~Entered() { t_current = before_; }
    Entered(const Entered&) = delete;
    Entered& operator=(const Entered&) = delete;

   private:
    Transport* before_;
  };
  // libssh polls inside several calls; while muted it is told that nothing has come in, so that it never recurses into
  // the reading of packets.
  class Muted {
   public:
    explicit Muted(Transport& transport) : transport_(transport), before_(std::exchange(transport.input_muted_, true)) {}
    ~Muted() { transport_.input_muted_ = before_; }
    Muted(const Muted&) = delete;
    Muted& operator=(const Muted&) = delete;

   private:
    Transport& transport_;
    bool before_;
  };

  static ssize_t receive(void* into, size_t length) {
    if (!t_current || t_current->input_.empty()) {
      errno = EAGAIN;
      return -1;
    }
    const std::size_t size = std::min(length, t_current->input_.size());
    std::memcpy(into, t_current->input_.data(), size);
    t_current->input_.remove_prefix(size);
    return static_cast<ssize_t>(size);
  }
  static ssize_t send(const void* bytes, size_t length) {
    if (!t_current) {
      errno = EBADF;
      return -1;
    }
    t_current->emitted_ += length;
    t_current->owner_.on_output({static_cast<const char*>(bytes), length});
    return static_cast<ssize_t>(length);
  }
  static void close() {
    if (t_current) t_current->closed_by_libssh_ = true;
  }
  static int poll(pollfd* descriptors, nfds_t count) {
    const bool readable = t_current && !t_current->input_muted_ && !t_current->input_.empty();
    int ready = 0;
    for (nfds_t i = 0; i < count; ++i) {
      descriptors[i].revents = static_cast<short>(descriptors[i].events & (readable ? POLLIN | POLLOUT : POLLOUT));
      if (descriptors[i].revents != 0) ++ready;
    }
    return ready;
  }
  // Puts our packet in place of the SSH_MSG_IGNORE that libssh is about to build; nullopt when none is waiting.
  static std::optional<int> pack(ssh_buffer buffer) {
    if (!t_current || !t_current->outgoing_[0]) return std::nullopt;
    const std::string_view head = *std::exchange(t_current->outgoing_[0], nullptr);
    const std::string_view body = *std::exchange(t_current->outgoing_[1], nullptr);
    char ignored[sizeof kHeadroom];
    if (ssh_buffer_add_data(buffer, kHeadroom, sizeof kHeadroom) != 0 ||
        ssh_buffer_get_data(buffer, ignored, sizeof ignored) != sizeof ignored ||
        ssh_buffer_add_data(buffer, head.data(), static_cast<std::uint32_t>(head.size())) != 0 ||
        (!body.empty() && ssh_buffer_add_data(buffer, body.data(), static_cast<std::uint32_t>(body.size())) != 0))
      return SSH_ERROR;
    return SSH_OK;
  }
  // What is signed begins with the session's identifier (RFC 4252 7).
  static void signed_data(std::string_view data) {
    if (t_current) t_current->session_id_ = WireReader(data).string();
  }
  static int packet(ssh_session, std::uint8_t type, ssh_buffer packet, void*) {
    BERTH_ASSERT(t_current);
    const std::string_view payload(static_cast<const char*>(ssh_buffer_get(packet)), ssh_buffer_get_len(packet));
    return t_current->owner_.on_packet(type, payload) ? SSH_PACKET_USED : SSH_PACKET_NOT_USED;
  }
  // libssh does not copy the table, so it must live as long as any session.
  static ssh_packet_callbacks packet_table() {
    static ssh_packet_callback handlers[kLastPacketType - kFirstPacketType + 1];
    static ssh_packet_callbacks_struct table = [] {
      for (ssh_packet_callback& handler : handlers) handler = packet;
      return ssh_packet_callbacks_struct{kFirstPacketType, kLastPacketType - kFirstPacketType + 1, handlers, nullptr};
    }();
    return &table;
  }
};

}  // namespace berth::ssh

extern "C" {
using berth::ssh::Hooks;
using berth::ssh::kFakeDescriptor;

ssize_t berth_libssh_recv(int, void* into, size_t length, int) { return Hooks::receive(into, length); }
ssize_t berth_libssh_send(int, const void* bytes, size_t length, int) { return Hooks::send(bytes, length); }
int berth_libssh_close(int descriptor) {
  if (descriptor != kFakeDescriptor) return ::close(descriptor);
  Hooks::close();
  return 0;
}
int berth_libssh_poll(pollfd* descriptors, nfds_t count, int) { return Hooks::poll(descriptors, count); }
int berth_libssh_pki_signature_verify(ssh_session session, ssh_signature_struct* signature, ssh_key key, const unsigned char* input, size_t length) {
  Hooks::signed_data({reinterpret_cast<const char*>(input), length});
  return ssh_pki_signature_verify(session, signature, key, input, length);
}
// A session's host keys are those of its bind, which outlives it (Transport::identity_).
ssh_key berth_libssh_key_dup(const ssh_key key) { return key; }
void berth_libssh_key_free(ssh_key key) {
  if (!berth::ssh::t_current) ssh_key_free(key);
}
int berth_libssh_buffer_pack(ssh_buffer buffer, const char* format, size_t argc, ...) {
  if (const auto packed = Hooks::pack(buffer)) return *packed;
  va_list arguments;
  va_start(arguments, argc);
  const int rc = ssh_buffer_pack_va(buffer, format, argc, arguments);
  va_end(arguments);
  return rc;
}
}

namespace berth::ssh {

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
  if (event_) ssh_event_free(event_);
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
  input_ = bytes;
  // libssh takes at most 4 KiB a step. A step that takes nothing may only have written; three mean that it is stuck.
  int idle_steps = 0;
  while (!input_.empty() && !failed_) {
    const std::size_t before = input_.size();
    pump();
    check_failure();
    idle_steps = input_.size() == before ? idle_steps + 1 : 0;
    if (idle_steps == 3) {
      failed_ = true;
      failure_ = "the transport does not take input any more";
    }
  }
  input_ = {};
  if (!failed_) pump();  // writes what the last step left
}

void Transport::pump() {
  if (keys_exchanged_) {
    ssh_event_dopoll(event_, 0);
    return;
  }
  if (ssh_handle_key_exchange(session_) != SSH_OK) return;
  event_ = ssh_event_new();
  if (!event_ || ssh_event_add_session(event_, session_) != SSH_OK) {
    failed_ = true;
    failure_ = "out of memory";
    return;
  }
  keys_exchanged_ = true;
}

void Transport::check_failure() {
  if (failed_ || !(closed_by_libssh_ || (ssh_get_status(session_) & (SSH_CLOSED | SSH_CLOSED_ERROR)))) return;
  failed_ = true;
  failure_ = printable(ssh_get_error(session_));
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
  if (event_) ssh_event_dopoll(event_, 0);
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
