// RFC 4253 and the signatures of RFC 4252, by libssh, without I/O: bytes from the peer go in by feed(), encrypted bytes
// come out of Owner::on_output, decrypted packets out of Owner::on_packet. Not thread-safe; all calls on one thread.
// This is the only unit that includes libssh's session headers.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "server/ssh/byte_queue.hpp"
#include "server/ssh/session.hpp"

struct ssh_session_struct;
struct ssh_buffer_struct;
struct ssh_message_struct;

namespace berth::ssh {

class HostIdentity;

class Transport {
 public:
  class Owner {
   public:
    // A packet, decrypted and allowed by libssh in its state; `payload` is without the type byte and dies with the call.
    // True: handled; false: libssh goes on with it. Must not call feed().
    virtual bool on_packet(std::uint8_t type, std::string_view payload) = 0;
    // Takes all of `bytes`, for the peer. Called from feed() and from every sending function.
    virtual void on_output(std::string_view bytes) = 0;

   protected:
    ~Owner() = default;
  };

  // Fails when `options` hold no usable host key.
  static Result<std::unique_ptr<Transport>> create(Owner& owner, const std::shared_ptr<const ServerOptions>& options);
  ~Transport();
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  // Sends the version line.
  void start();
  void feed(std::string_view bytes);
  // How much to read for the next feed(), from 1 to `most` bytes: to the end of a packet when those that come are as long as the last one, as in a
  // copy. A packet that a read cuts in two is copied once more.
  std::size_t next_read(std::size_t most) const;
  // One packet whose payload (type byte first) is `head` followed by `body`. False: libssh keeps it until the key exchange
  // under way has ended.
  bool send(std::string_view head, std::string_view body = {});

  bool keys_exchanged() const { return keys_exchanged_; }
  // libssh gave up (garbage, wrong MAC, packet in the wrong state…); `failure` is its reason.
  bool failed() const { return failed_; }
  const std::string& failure() const { return failure_; }

  // A signed USERAUTH_REQUEST that on_packet left to libssh: the key whose signature was right, or nothing if it was wrong.
  // Ask after each such packet, before the next one is handled.
  std::optional<PublicKey> take_verified_key();
  // USERAUTH_SUCCESS; only after take_verified_key answered a key.
  void send_auth_success();

  std::string client_version() const;
  std::string cipher() const;
  const HostIdentity& identity() const { return *identity_; }
  // The session's identifier (RFC 4253 7.2); known once a signed USERAUTH_REQUEST has been looked at, empty before.
  const std::string& session_id() const { return session_id_; }

 private:
  friend struct Hooks;
  explicit Transport(Owner& owner);
  std::string_view exchange_keys(std::string_view bytes);
  void take(std::string_view bytes);
  std::size_t take_packets(std::string_view bytes);
  void fail(std::string_view why);
  void check_failure();

  Owner& owner_;
  std::shared_ptr<const HostIdentity> identity_;
  std::string session_id_;
  ssh_session_struct* session_ = nullptr;
  ssh_message_struct* verified_message_ = nullptr;
  std::string_view input_;                     // until the keys are exchanged: what libssh may read
  ssh_buffer_struct* libssh_input_ = nullptr;  // where it reads to
  ByteQueue begun_;                            // after that: a packet whose end has not come yet
  std::size_t packets_ = 0;                    // that libssh has handed out
  std::size_t packet_size_ = 0;                // on the wire, of the last one that came in a call of its own
  // The packet that the next call of libssh's packing function is to hold, in place of its own.
  const std::string_view* outgoing_[2] = {nullptr, nullptr};
  std::uint64_t emitted_ = 0;
  bool input_muted_ = false;
  bool keys_exchanged_ = false;
  bool failed_ = false;
  bool closed_by_libssh_ = false;
  std::string failure_;
};

}  // namespace berth::ssh
