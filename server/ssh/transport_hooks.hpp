// What takes the place of libssh's system calls, and of a few of its functions (redirect_libssh.cmake), while a Transport runs. Used by
// transport.cpp only; what needs no Transport is in libssh_crypto.cpp.
#pragma once
#include <libssh/callbacks.h>
#include <libssh/libssh.h>
#include <poll.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "server/ssh/transport.hpp"

namespace berth::ssh {

// libssh keeps a descriptor number and passes it to recv, send, close and poll; no kernel descriptor has this number.
inline constexpr int kFakeDescriptor = 1 << 28;

// The transport whose libssh session runs now on this thread. libssh calls the hooks only inside our calls of it.
inline constinit thread_local Transport* t_current = nullptr;

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

  static ssize_t receive(void* into, size_t length);
  static bool send(std::string_view bytes);
  static void close();
  static int poll(pollfd* descriptors, nfds_t count);
  // Puts our packet in place of the SSH_MSG_IGNORE that libssh is about to build; nullopt when none is waiting.
  static std::optional<int> pack(ssh_buffer buffer);
  // What is signed begins with the session's identifier (RFC 4252 7).
  static void signed_data(std::string_view data);
  // `buffer`: where libssh reads to.
  static void reads_to(ssh_buffer buffer);
  static int packet(ssh_session session, std::uint8_t type, ssh_buffer packet, void* user);
  // libssh does not copy the table, so it must live as long as any session.
  static ssh_packet_callbacks packet_table();
};

}  // namespace berth::ssh
