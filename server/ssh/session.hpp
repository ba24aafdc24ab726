// SSH for a server, as the rest of Berth sees it: a Session (RFC 4253 transport, RFC 4252 authentication, by libssh) and
// its Channels (RFC 4254, Berth's own). Everything runs on the executor of the accepted socket: no threads, no locks.
// Every byte from the peer is hostile: a violation (state, length, window) disconnects with its reason.
#pragma once
#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.hpp"

namespace berth::ssh {

// A public key as on the wire (RFC 4253 6.6; for certificates, PROTOCOL.certkeys).
struct PublicKey {
  std::string type;  // "ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa", …
  std::string blob;  // binary
};

// What all channels of this process together may let their peers send unread, in bytes. It is taken in halves of what is left, down to a least window
// for each channel, which is never refused.
struct WindowPool {
  explicit WindowPool(std::uint64_t bytes) : most(bytes) {}
  const std::uint64_t most;
  std::atomic<std::uint64_t> granted{0};
  static std::shared_ptr<WindowPool> of_process();  // a quarter of the machine's memory
};

struct ServerOptions {
  // Private keys as generate_host_key makes them (or OpenSSH's), one per type; ed25519 and RSA are what ssh-audit calls good.
  std::vector<std::string> host_keys;
  // More of them, named to clients (hostkeys-00@openssh.com) and proven, but not used in key exchange.
  std::vector<std::string> announced_keys;
  // Set once others are used for new connections. A login that began with these names no keys then: the list is old, and a client
  // that had learned a newer key by another connection would forget it.
  std::shared_ptr<std::atomic<bool>> superseded = std::make_shared<std::atomic<bool>>(false);
  std::string software_version = "Berth_0.1";
  std::chrono::seconds login_grace{120};
  std::chrono::seconds keepalive_interval{30};  // 0: off
  int keepalive_limit = 3;                      // unanswered ones until the peer counts as dead
  std::chrono::seconds rekey_after{0};          // keys are exchanged anew; 0: not for that reason. Clients have limits of their own
  std::uint64_t rekey_bytes = 0;                // the same; 0: the cipher's own limit (RFC 4344 3.2). At least 1 MiB
  bool compression = false;                     // zlib@openssh.com, for clients that prefer it: after login only
  int max_auth_tries = 6;
  int max_channels = 256;
  std::uint32_t initial_window = 2 * 1024 * 1024;       // bytes, per channel; grows on long ways where it is the limit
  std::shared_ptr<WindowPool> windows = WindowPool::of_process();
  // Bytes buffered for a slow peer, per connection, on top of the kernel's send buffer; writers wait above it.
  std::size_t output_cap = 256 * 1024;
};

// One USERAUTH_REQUEST (RFC 4252 5). libssh has verified the signature when `is_signed`.
struct AuthRequest {
  std::string user;
  std::string method;  // "publickey"; every other ("none", "password", …) is to be refused
  PublicKey key;
  bool is_signed = false;  // false: "would this key do?" (RFC 4252 7)
  // Signed with a hardware key (sk-…): what the authenticator says that it checked (PROTOCOL.u2f), under the signature.
  std::optional<std::uint8_t> authenticator_flags;
};

inline constexpr std::uint8_t kUserPresent = 0x01;   // authenticator_flags: touched
inline constexpr std::uint8_t kUserVerified = 0x04;  // PIN or fingerprint

struct PtyRequest {  // RFC 4254 6.2
  std::string term;
  std::uint32_t columns = 80, rows = 24, width_pixels = 0, height_pixels = 0;
  std::string modes;  // encoded terminal modes, RFC 4254 8
};
struct EnvRequest { std::string name, value; };
struct ShellRequest {};
struct ExecRequest { std::string command; };
struct SubsystemRequest { std::string name; };
struct WindowChange { std::uint32_t columns = 0, rows = 0, width_pixels = 0, height_pixels = 0; };
struct SignalRequest { std::string name; };  // without "SIG", RFC 4254 6.9
struct BreakRequest { std::uint32_t milliseconds = 0; };  // RFC 4335
struct AgentForwardRequest {};               // auth-agent-req@openssh.com
struct X11Request {                          // RFC 4254 6.3.1
  bool single_connection = false;
  std::string protocol, cookie;  // "MIT-MAGIC-COOKIE-1", hexadecimal; clients send a false one and check it themselves
  std::uint32_t screen = 0;
};
struct EowRequest {};                        // eow@openssh.com: the client takes no more output
struct UnknownRequest { std::string type; };
using ChannelRequest = std::variant<PtyRequest, EnvRequest, ShellRequest, ExecRequest, SubsystemRequest, WindowChange,
                                    SignalRequest, BreakRequest, AgentForwardRequest, X11Request, EowRequest, UnknownRequest>;

// What the client asks to open; unknown types are refused inside the library (UNKNOWN_CHANNEL_TYPE).
struct SessionOpen {};
struct DirectTcpip { std::string host; std::uint32_t port = 0; std::string origin_host; std::uint32_t origin_port = 0; };  // RFC 4254 7.2
struct DirectStreamlocal { std::string path; };  // direct-streamlocal@openssh.com
struct ServerOpened { std::string type; };       // never asked by a client: what opening() says of an open_channel()
using ChannelOpen = std::variant<SessionOpen, DirectTcpip, DirectStreamlocal, ServerOpened>;

enum class OpenFailure : std::uint32_t { prohibited = 1, connect_failed = 2, unknown_type = 3, resource_shortage = 4 };  // RFC 4254 5.1

// Global requests that need an answer from above; the library itself answers keepalive@openssh.com,
// no-more-sessions@openssh.com, hostkeys-prove-00@openssh.com and refuses unknown ones.
struct TcpipForward { std::string bind_host; std::uint32_t port = 0; };
struct CancelTcpipForward { std::string bind_host; std::uint32_t port = 0; };
struct StreamlocalForward { std::string path; };
struct CancelStreamlocalForward { std::string path; };
using GlobalRequest = std::variant<TcpipForward, CancelTcpipForward, StreamlocalForward, CancelStreamlocalForward>;

class Session;

// One channel. Handles are shared: the object lives while either side uses it; after the connection ends every
// operation answers Error{closed}. Destroying the last handle closes the channel.
class Channel {
 public:
  virtual ~Channel() = default;

  virtual const ChannelOpen& opening() const = 0;
  // Before confirm() or refuse() nothing is read or written. Data that the peer sends early is kept, never lost.
  virtual void confirm() = 0;
  virtual void refuse(OpenFailure reason, std::string_view text) = 0;

  // The next channel request in order of arrival; Error{closed} after CHANNEL_CLOSE or the end of the connection.
  // Answer it with reply() before taking the next (a request with want_reply=false ignores the reply).
  virtual boost::asio::awaitable<Result<ChannelRequest>> next_request() = 0;
  virtual void reply(bool success) = 0;

  // Reads at least one byte, 0 at the peer's EOF (half-close: writing goes on). Opens the window as data is taken.
  virtual boost::asio::awaitable<Result<std::size_t>> read(boost::asio::mutable_buffer into) = 0;
  // The same without a copy: what has come, in place; empty at the peer's EOF. Good until the caller's next await: use what can be used at once,
  // and consume() it, which opens the window.
  virtual boost::asio::awaitable<Result<std::string_view>> peek() = 0;
  virtual void consume(std::size_t count) = 0;
  // What comes while nothing waits for peek() is first offered here, without a copy; the taker answers how much of it it has used, and the rest waits.
  // It is called while a packet is read, must not wait, and must call no function of this channel or session but bytes_in() and bytes_out(). None: all waits.
  using Taker = std::function<std::size_t(std::string_view data)>;
  virtual void take_at_once(Taker taker) = 0;
  // Sends all of `data` (as stderr: SSH_EXTENDED_DATA_STDERR), waiting while the peer's window or the output cap is full.
  virtual boost::asio::awaitable<Result<void>> write(boost::asio::const_buffer data, bool as_stderr = false) = 0;

  virtual void send_eof() = 0;
  // eow@openssh.com: nobody reads what the client sends any more. Only to clients that are OpenSSH, as sshd does.
  virtual void send_eow() {}
  virtual void send_exit_status(std::uint32_t code) = 0;
  virtual void send_exit_signal(std::string_view name, bool core_dumped, std::string_view message) = 0;  // name without "SIG"
  // From now on the client's CHANNEL_CLOSE is answered only by our close(), as sshd does it while a command runs: a client that has closed, since both
  // directions had ended, still waits for the exit status.
  virtual void hold_close() = 0;
  // After a CHANNEL_CLOSE that is held: returns when the connection has ended, or the channel by close() or cut_off().
  virtual boost::asio::awaitable<void> gone() = 0;
  // CHANNEL_CLOSE after everything written has been handed to the transport. Idempotent.
  virtual void close() = 0;
  // Ends it now, whether the client reads or not: CHANNEL_CLOSE at once, and whoever writes here or waits for a request gets Error{closed}.
  virtual void cut_off() = 0;

  // The client itself ended it: by CHANNEL_CLOSE, or with the connection by DISCONNECT. False after a lost connection.
  virtual bool ended_by_client() const = 0;

  virtual std::uint64_t bytes_in() const = 0;   // payload bytes from the client
  virtual std::uint64_t bytes_out() const = 0;  // payload bytes to the client, stdout and stderr together
};

class Session {
 public:
  virtual ~Session() = default;

  // Runs version and key exchange (RFC 4253). The socket must be connected; it becomes non-blocking, TCP_NODELAY set.
  static boost::asio::awaitable<Result<std::shared_ptr<Session>>> handshake(boost::asio::ip::tcp::socket socket,
                                                                            std::shared_ptr<const ServerOptions> options);

  // Authentication, one request at a time: take it, decide (it may take a while), answer. An invalid signature never
  // arrives here: the library answers FAILURE at once and counts it. After max_auth_tries, or login_grace, it disconnects.
  virtual boost::asio::awaitable<Result<AuthRequest>> next_auth_request() = 0;
  // For a query (is_signed false) accept means USERAUTH_PK_OK. After a signed accept the channels begin.
  virtual void answer_auth(bool accept) = 0;
  // USERAUTH_BANNER (RFC 4252 5.4); only before authentication ends.
  virtual void send_banner(std::string_view text) = 0;
  virtual int failed_auth_tries() const = 0;

  // The next channel that the client opens, once the global requests before it have been answered; Error{closed} when the connection has ended, with the reason as message.
  virtual boost::asio::awaitable<Result<std::shared_ptr<Channel>>> next_channel() = 0;
  // The next global request that needs the layer above; answer with reply_global before taking the next.
  virtual boost::asio::awaitable<Result<GlobalRequest>> next_global_request() = 0;
  virtual void reply_global(bool success, std::optional<std::uint32_t> port = std::nullopt) = 0;
  // Opens a channel to the client (forwarded-tcpip, forwarded-streamlocal@openssh.com, auth-agent@openssh.com, x11).
  virtual boost::asio::awaitable<Result<std::shared_ptr<Channel>>> open_channel(std::string_view type, std::string_view type_specific_data) = 0;

  // SSH_MSG_DISCONNECT (RFC 4253 11.1) with an English text that the client prints; then closes. Idempotent.
  virtual void disconnect(std::uint32_t reason_code, std::string_view text) = 0;

  // From now on the payload bytes of all channels are added to these two.
  using Counter = std::shared_ptr<std::atomic<std::uint64_t>>;
  virtual void count_into(Counter bytes_in, Counter bytes_out) = 0;

  virtual std::string client_version() const = 0;  // "SSH-2.0-OpenSSH_9.2p1 …", control characters removed
  virtual std::string cipher() const = 0;
};

// SSH_DISCONNECT_* used by Berth (RFC 4253 11.1).
inline constexpr std::uint32_t kDisconnectByApplication = 11;
inline constexpr std::uint32_t kDisconnectTooManyConnections = 12;
inline constexpr std::uint32_t kDisconnectNoMoreAuthMethods = 14;

// Makes a host key: type "ed25519", "ecdsa" or "rsa" (3072 bits). Private key in OpenSSH's PEM.
Result<std::string> generate_host_key(std::string_view type);
// The public half of a private key in OpenSSH's PEM.
Result<PublicKey> public_half(std::string_view private_key);

}  // namespace berth::ssh
