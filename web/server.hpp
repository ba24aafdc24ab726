// Berth's HTTPS side: the portal with its pages and HTTP API, the workspace origin with its reverse proxy, and the HTTP API
// on the admin socket (docs/api.md). A connection is accepted, served and closed on one lane.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/handles.hpp"
#include "base/lane.hpp"
#include "base/result.hpp"
#include "config/settings.hpp"

namespace berth {
class Clock;
class Store;
}  // namespace berth
namespace berth::auth {
class Audit;
class Authorities;
class Campaigns;
class Directory;
class HostKeys;
class Sessions;
class Shares;
class Tokens;
class WebLogins;
}  // namespace berth::auth
namespace berth::workspaces {
class EnvBuilds;
class UsageHistory;
class Images;
class Manager;
}

namespace berth::web {

// Deadlines and sizes of HTTP. The defaults are what production uses; tests shorten them.
struct WebLimits {
  std::chrono::milliseconds handshake{10'000};      // TLS, from accept to finished
  std::chrono::milliseconds head{15'000};           // first to last byte of a request head: else 408
  std::chrono::milliseconds idle{75'000};           // between requests of a kept connection
  std::chrono::milliseconds body{60'000};           // between two reads of a request body
  std::chrono::milliseconds write{60'000};          // a client that takes no byte for this long is gone
  std::chrono::milliseconds half_open{60'000};      // a WebSocket of which one side has ended: silence of the other
  std::chrono::milliseconds last_request{5'000};     // after an upgrade: for the first request of a connection that has had none
  std::chrono::milliseconds upstream_connect{10'000};
  std::chrono::milliseconds upstream_head{300'000};  // from a proxied request to the head of its answer: else 504
  std::chrono::milliseconds upstream_idle{15'000};   // how long an unused connection into a workspace is kept
  std::chrono::milliseconds tick{250};               // how often deadlines are looked at
  std::size_t head_bytes = 64 * 1024;                // of a request or response head
  std::size_t request_line_bytes = 8 * 1024;
  std::size_t api_body_bytes = 64 * 1024;
  std::size_t connections_per_lane = 10'000;         // more are closed at once
  std::size_t login_attempts = 20;                   // for one address in one minute
  std::chrono::milliseconds event_look{1'000};       // how often an event stream sees whether its login is still good
  std::chrono::milliseconds event_gather{150};       // what happens within this time is told as one
  std::chrono::milliseconds event_pulse{3'000};      // how often moved counters are told
  std::chrono::milliseconds event_heartbeat{15'000};
  std::size_t event_streams_per_login = 16;
};

struct WebOptions {
  std::string version;
  std::string host_name;  // what users type to reach this machine; in the self-signed certificate and in shown commands
  // "https://box.example" when users reach the portal through another proxy or port. Empty: the Host header of each request tells,
  // and the workspace origin is the same host with `workspace_port`.
  std::string portal_url;
  std::string workspace_url;          // likewise; both or none
  std::string link_url;               // where the links of `ssh HOST berth web` lead: "https://box.example:8443"
  std::uint16_t workspace_port = 0;   // 0: what the workspace listener is bound to
  std::string wildcard_domain;        // "apps.box.example[:PORT]": origins of their own below it; needs portal_url. Empty: none
  std::uint16_t ssh_port = 2222;      // in the commands that the pages show
  std::string ssh_address, web_address;  // as GET /status prints them
  std::filesystem::path state_dir;    // a self-signed certificate is kept in state_dir/tls
  std::filesystem::path ui_dir;       // the built portal app (index.html and assets/)
  std::filesystem::path certificate_file, private_key_file;  // PEM, reread when they change; both empty: self-signed
  std::vector<SettingInForce> settings;  // what GET /settings shows
  std::chrono::seconds session_lifetime{12 * 3600};          // Max-Age of the session cookie
  std::chrono::seconds keep_terminals{600};                  // that no page looks at any more
  bool watch_terminals = false;                              // administrators may look at users' terminals
  WebLimits limits;

  // How users reach us by SSH, in texts for them: "ssh -p 2222 gpu-box".
  std::string ssh_command() const { return "ssh " + ssh_destination(); }
  // The same without the program, for a command with options of its own: "-p 2222 gpu-box".
  std::string ssh_destination() const { return (ssh_port == 22 ? std::string() : "-p " + std::to_string(ssh_port) + " ") + host_name; }
};

// One of the berthds that serve this site: during an upgrade there are several.
struct Instance {
  std::string instance;
  std::int64_t pid = 0;
  std::string version;
  Timestamp started_at{};
  bool draining = false;         // it was replaced, and serves what it has
  std::int64_t connections = 0;  // by SSH and HTTP
  Timestamp until{};             // draining: when it ends what is left then
};

// What the handlers use. All must outlive the server.
struct WebServices {
  Store& store;
  const Clock& clock;
  auth::Directory& directory;
  auth::Campaigns& campaigns;
  auth::WebLogins& logins;
  auth::Tokens& tokens;
  auth::Shares& shares;
  auth::Sessions& sessions;
  auth::Audit& audit;
  workspaces::Manager& manager;
  // Why this berthd is not ready (one sentence each), for /readyz; may be empty. Called on any lane.
  std::function<std::vector<std::string>()> not_ready;
  // More lines for /metrics in Prometheus text form (SSH counters); may be empty. Called on any lane.
  std::function<std::string()> more_metrics;
  const workspaces::UsageHistory* usage = nullptr;  // none: event streams tell no figures
  workspaces::Images* images = nullptr;           // null: nothing to choose from
  bool sharing_by_admins = false;                 // only admins make environments of the team
  workspaces::EnvBuilds* environments = nullptr;  // null: the API answers that there are none
  // All berthds that serve this site, the one that answers first; may be empty. Called on any lane.
  std::function<std::vector<Instance>()> instances;
  auth::HostKeys* host_keys = nullptr;  // none: the API has no host keys to show
  auth::Authorities* authorities = nullptr;
};

struct SshLogin;

enum class Face { portal, workspaces };  // admin has its own kind of socket
enum class Transport { tls, plain };     // plain: behind another TLS proxy on this machine, and in tests

class WebServer {
 public:
  // Reads or makes certificate, page files and secrets (plain blocking I/O). Errors name the file.
  static Result<std::unique_ptr<WebServer>> create(WebOptions options, WebServices services);
  ~WebServer();

  // Serves connections of a bound and listening socket on `lane` until shutdown. Call before the lane runs or on its thread. With several
  // lanes, give each a socket of its own on the same port (SO_REUSEPORT). Every lane gets its own reader of the store.
  void listen(Lane& lane, boost::asio::ip::tcp::acceptor acceptor, Face face, Transport transport = Transport::tls);
  // The admin socket: whoever may connect acts as `admin-socket` with role admin.
  void listen_admin(Lane& lane, boost::asio::local::stream_protocol::acceptor acceptor);

  // The API for somebody who has logged in by SSH: `socket` is one end of a pair of connected Unix sockets, the other end is a command's. Call
  // on `lane`'s thread; a lane that serves nothing else closes it.
  void serve_ssh(Lane& lane, FileDescriptor socket, SshLogin login);

  // Another berthd serves from now on: stops accepting, and closes connections as soon as no request is under way on them. What is under way goes on, and so
  // does what has been sent, or is about to be by a client that has just connected.
  void retire();
  // Open now, over all lanes.
  std::int64_t connections() const;

  // Stops accepting on every lane, closes idle connections, waits at most `drain` for requests under way, then closes what is left. Await it
  // on any lane while all lanes still run. Afterwards the server may be destroyed.
  boost::asio::awaitable<void> shutdown(std::chrono::milliseconds drain);

  // SHA-256 of the served certificate as "AB:CD:…", which a start script prints so that users can compare.
  std::string certificate_fingerprint() const;

 private:
  struct Impl;
  explicit WebServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// A bound and listening TCP socket with SO_REUSEPORT; port 0 lets the system choose. `address` is numeric ("::" takes IPv4 too).
Result<boost::asio::ip::tcp::acceptor> listen_tcp(Lane& lane, const std::string& address, std::uint16_t port);
// A listening Unix socket with mode 0660; a stale socket file is replaced, one that answers is Error{conflict}.
Result<boost::asio::local::stream_protocol::acceptor> listen_unix(Lane& lane, const std::filesystem::path& path);

}  // namespace berth::web
