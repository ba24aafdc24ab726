#include "server/ssh/transport_hooks.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstring>

#include "base/assert.hpp"
#include "server/ssh/wire.hpp"

// In the archive, not in its headers; redirect_libssh.cmake checks that they are there.
struct ssh_signature_struct;
struct ssh_socket_struct;
extern "C" int ssh_pki_signature_verify(ssh_session session, ssh_signature_struct* signature, ssh_key key, const unsigned char* input, size_t length);
extern "C" int ssh_buffer_pack_va(ssh_buffer buffer, const char* format, size_t argc, va_list arguments);
extern "C" void* ssh_buffer_allocate(ssh_buffer buffer, uint32_t length);

namespace berth::ssh {
namespace {

constexpr std::uint8_t kFirstPacketType = 1;
constexpr std::uint8_t kLastPacketType = 100;
// Room for the length fields that libssh puts in front of a packet; without it libssh moves the whole packet.
constexpr char kHeadroom[5] = {};

}  // namespace

ssize_t Hooks::receive(void* into, size_t length) {
  if (!t_current || t_current->input_.empty()) {
    errno = EAGAIN;
    return -1;
  }
  const std::size_t size = std::min(length, t_current->input_.size());
  std::memcpy(into, t_current->input_.data(), size);
  t_current->input_.remove_prefix(size);
  return static_cast<ssize_t>(size);
}

bool Hooks::send(std::string_view bytes) {
  if (!t_current || t_current->closed_by_libssh_) {
    errno = EBADF;
    return false;
  }
  t_current->emitted_ += bytes.size();
  t_current->owner_.on_output(bytes);
  return true;
}

void Hooks::close() {
  if (t_current) t_current->closed_by_libssh_ = true;
}

int Hooks::poll(pollfd* descriptors, nfds_t count) {
  const bool readable = t_current && !t_current->input_muted_ && !t_current->input_.empty();
  int ready = 0;
  for (nfds_t i = 0; i < count; ++i) {
    descriptors[i].revents = static_cast<short>(descriptors[i].events & (readable ? POLLIN | POLLOUT : POLLOUT));
    if (descriptors[i].revents != 0) ++ready;
  }
  return ready;
}

std::optional<int> Hooks::pack(ssh_buffer buffer) {
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

void Hooks::signed_data(std::string_view data) {
  if (t_current) t_current->session_id_ = WireReader(data).string();
}

void Hooks::reads_to(ssh_buffer buffer) {
  if (t_current) t_current->libssh_input_ = buffer;
}

int Hooks::packet(ssh_session, std::uint8_t type, ssh_buffer packet, void*) {
  BERTH_ASSERT(t_current);
  ++t_current->packets_;
  const std::string_view payload(static_cast<const char*>(ssh_buffer_get(packet)), ssh_buffer_get_len(packet));
  return t_current->owner_.on_packet(type, payload) ? SSH_PACKET_USED : SSH_PACKET_NOT_USED;
}

ssh_packet_callbacks Hooks::packet_table() {
  static ssh_packet_callback handlers[kLastPacketType - kFirstPacketType + 1];
  static ssh_packet_callbacks_struct table = [] {
    for (ssh_packet_callback& handler : handlers) handler = packet;
    return ssh_packet_callbacks_struct{kFirstPacketType, kLastPacketType - kFirstPacketType + 1, handlers, nullptr};
  }();
  return &table;
}

}  // namespace berth::ssh

extern "C" {
using berth::ssh::Hooks;
using berth::ssh::kFakeDescriptor;

ssize_t berth_libssh_recv(int, void* into, size_t length, int) { return Hooks::receive(into, length); }
ssize_t berth_libssh_send(int, const void* bytes, size_t length, int) {
  return Hooks::send({static_cast<const char*>(bytes), length}) ? static_cast<ssize_t>(length) : -1;
}
// libssh would copy each packet into a buffer of its own, for a socket that may not take it all; ours does.
int berth_libssh_socket_write(ssh_socket_struct*, const void* bytes, uint32_t length) {
  return Hooks::send({static_cast<const char*>(bytes), length}) ? SSH_OK : SSH_ERROR;
}
int berth_libssh_close(int descriptor) {
  if (descriptor != kFakeDescriptor) return ::close(descriptor);
  Hooks::close();
  return 0;
}
int berth_libssh_poll(pollfd* descriptors, nfds_t count, int) { return Hooks::poll(descriptors, count); }
void* berth_libssh_buffer_allocate(ssh_buffer buffer, uint32_t length) {
  Hooks::reads_to(buffer);
  return ssh_buffer_allocate(buffer, length);
}
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
