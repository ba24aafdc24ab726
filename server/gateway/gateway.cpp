#include "server/gateway/gateway.hpp"

#include <malloc.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "base/log.hpp"
#include "server/gateway/credentials.hpp"
#include "server/gateway/forwards.hpp"
#include "server/gateway/proxy_protocol.hpp"
#include "server/gateway/reactor_room.hpp"
#include "server/gateway/session_channel.hpp"
#include "server/gateway/spawn.hpp"
#include "server/gateway/tunnel_channel.hpp"

namespace berth::server {
namespace asio = boost::asio;
using asio::ip::tcp;
namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds kAcceptPause{100};  // after "too many open files", so that the loop does not spin

std::string describe(const tcp::endpoint& endpoint) {
  // IPv4 clients of a dual-stack socket are shown as IPv4.
  asio::ip::address address = endpoint.address();
  if (address.is_v6() && address.to_v6().is_v4_mapped()) address = asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
  return (address.is_v6() ? "[" + address.to_string() + "]" : address.to_string()) + ":" + std::to_string(endpoint.port());
}

// A line before the version, as RFC 4253 4.2 has it, for those who look; best effort.
void say_and_close(tcp::socket socket) {
  static constexpr std::string_view kLine = "Not allowed at this time\r\n";
  (void)::send(socket.native_handle(), kLine.data(), kLine.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

asio::awaitable<void> serve_channels(std::shared_ptr<Connection> connection) {
  const auto executor = co_await asio::this_coro::executor;
  for (;;) {
    Result<std::shared_ptr<ssh::Channel>> channel = co_await connection->session->next_channel();
    if (!channel) break;
    if (std::holds_alternative<ssh::SessionOpen>((*channel)->opening())) {
      spawn_logged(executor, serve_session(connection, *channel), "channel.session");
    } else {
      spawn_logged(executor, serve_tunnel(connection, *channel), "channel.tunnel");
    }
  }
}

// From the login to the end of the connection.
asio::awaitable<void> serve_user(GatewayServices services, std::shared_ptr<Connection> connection) {
  const std::shared_ptr<ssh::Session> session = connection->session;
  log_info("ssh.login", {{"user", connection->user.name}, {"workspace", connection->workspace.name}, {"key", connection->key.fingerprint},
                         {"from", connection->client_address}, {"client", session->client_version()}});
  const auto executor = co_await asio::this_coro::executor;
  const std::weak_ptr<ssh::Session> weak = session;
  auto live = services.sessions.open(connection->record("connection", session->client_version()), executor, [weak](const std::string& reason) {
    if (auto target = weak.lock()) target->disconnect(ssh::kDisconnectByApplication, reason);
  });
  session->count_into({live, &live->bytes_in}, {live, &live->bytes_out});
  // The key may have been revoked between the decision and the row that a revocation would have found.
  if (!connection->certificate_blob.empty())
    services.authorities.note_use(live->record().id, connection->user.name, connection->certificate_blob, address_of(connection->client_address));
  if (!still_allowed(*connection)) session->disconnect(ssh::kDisconnectByApplication, "This key was revoked just now.");
  auto forwards = std::make_shared<Forwards>(connection);
  spawn_logged(executor, serve_global_requests(connection, forwards), "ssh.global_requests");
  co_await serve_channels(connection);
  forwards->close_all();
  if (!connection->certificate_blob.empty()) services.authorities.forget_use(live->record().id);
  services.sessions.close(live, "closed");
  log_info("ssh.logout", {{"user", connection->user.name}, {"from", connection->client_address}});
}

}  // namespace

bool still_allowed(const Connection& connection) {
  if (!connection.certificate_blob.empty())
    return connection.services.authorities.decide(*connection.lane.reader, connection.user.name, connection.certificate_blob, address_of(connection.client_address)).allowed;
  return connection.services.directory.decide_login(*connection.lane.reader, connection.user.name, connection.key.blob).allowed();
}

auth::SessionRecord Connection::record(std::string kind, std::string detail) const {
  auth::SessionRecord row;
  row.user = user.name;
  row.workspace = workspace.name;
  row.kind = std::move(kind);
  row.detail = std::move(detail);
  row.key_fingerprint = key.fingerprint;
  row.client_address = client_address;
  row.certificate = certificate;
  return row;
}

auth::ForwardPolicy Connection::forward_policy() const {
  const std::optional<auth::User> now = services.directory.find_user(*lane.reader, user.name);
  return {services.options.forwards, now ? now->forwards : user.forwards};
}

void Connection::note_refused_forward(const std::string& what, std::string why) const {
  services.audit.note_refusal(actor(), "ssh.forward", user.name + " " + what, std::move(why));
}

Gateway::Gateway(GatewayServices services, std::shared_ptr<const ssh::ServerOptions> ssh_options)
    : services_(services), ssh_options_(std::move(ssh_options)) {}

asio::awaitable<void> Gateway::accept_loop(ServerLane& lane, std::shared_ptr<tcp::acceptor> acceptor) {
  const auto executor = co_await asio::this_coro::executor;
  while (acceptor->is_open()) {
    auto [error, socket] = co_await acceptor->async_accept(kTuple);
    if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor) break;
    if (error) {
      log_warn("ssh.accept_failed", {{"error", error.message()}});
      asio::steady_timer pause(executor, kAcceptPause);
      co_await pause.async_wait(kTuple);
      continue;
    }
    accepted_.fetch_add(1, std::memory_order_relaxed);
    ConnectionLimits::Place place = services_.limits.before_login();
    if (!place) {
      // As sshd's MaxStartups: closed at once, before any work is spent on it.
      refused_full_.fetch_add(1, std::memory_order_relaxed);
      log_warn("ssh.too_many_startups", {});
      continue;
    }
    spawn_logged(executor, serve(*this, lane, std::move(socket), std::move(place)), "ssh.connection");
  }
}

// From acceptance to the handshake: who is there, and may they try to log in?
struct Gateway::Arrival {
  std::string client, server;  // addresses
  SourceTries::Attempt attempt;
};

asio::awaitable<std::optional<Gateway::Arrival>> Gateway::let_in(tcp::socket& socket, std::chrono::steady_clock::time_point began) {
  const Result<ProxyHeader::Ends> ends = co_await connection_ends(socket, services_.options.proxy_protocol_from);
  if (!ends) {
    handshakes_failed_.fetch_add(1, std::memory_order_relaxed);
    log_info("ssh.no_proxy_header", {{"error", ends.error().message}});
    co_return std::nullopt;
  }
  Arrival arrival{describe(ends->client), describe(ends->server), services_.limits.tries().begin(ends->client.address(), began)};
  if (arrival.attempt.refused()) {
    refused_sources_.fetch_add(1, std::memory_order_relaxed);
    log_info("ssh.source_refused", {{"from", arrival.client}});
    say_and_close(std::move(socket));
    co_return std::nullopt;
  }
  if (arrival.attempt.delay().count() > 0) {
    asio::steady_timer wait(co_await asio::this_coro::executor, arrival.attempt.delay());
    co_await wait.async_wait(kTuple);
  }
  co_return std::optional<Arrival>(std::move(arrival));
}

void Gateway::connection_began(ServerLane& lane) {
  constexpr int kRoom = 64, kDescriptorsEach = 4;  // a socket and a command's pipes
  if (++lane.connections > lane.room_for) {
    make_room_in_reactor(lane.lane.io, std::size_t{kRoom} * kDescriptorsEach);
    lane.room_for += kRoom;
  }
  const int now = connections_.fetch_add(1, std::memory_order_relaxed) + 1;
  if (now > connections_most_.load(std::memory_order_relaxed)) connections_most_.store(now, std::memory_order_relaxed);
}

// After a crowd has gone the allocator would keep nearly all that it took; each time that half have left, it returns it to the system, and down
// to the last one: what few connections still hold keeps whole pages of the others' from being returned.
void Gateway::connection_ended(ServerLane& lane) {
  constexpr int kCrowd = 64;
  --lane.connections;
  const int now = connections_.fetch_sub(1, std::memory_order_relaxed) - 1;
  int most = connections_most_.load(std::memory_order_relaxed);
  if (most >= kCrowd) crowd_.store(true, std::memory_order_relaxed);
  if (!crowd_.load(std::memory_order_relaxed) || now > most / 2 || !connections_most_.compare_exchange_strong(most, now)) return;
  if (now == 0) crowd_.store(false, std::memory_order_relaxed);
  ::malloc_trim(0);
  if (!settling_.exchange(true)) spawn_logged(lane.lane.io.get_executor(), trim_when_settled(*this), "ssh.trim");
}

// What those who left had asked for ends after them: rows, processes, what was on its way.
asio::awaitable<void> Gateway::trim_when_settled(Gateway& gateway) {
  constexpr std::chrono::seconds kSettle{10};
  asio::steady_timer settled(co_await asio::this_coro::executor, kSettle);
  co_await settled.async_wait(kTuple);
  gateway.settling_.store(false);
  ::malloc_trim(0);
}

asio::awaitable<void> Gateway::serve(Gateway& gateway, ServerLane& lane, tcp::socket socket, ConnectionLimits::Place place) {
  const auto began = std::chrono::steady_clock::now();
  gateway.connection_began(lane);
  const std::shared_ptr<void> counted(nullptr, [&gateway, &lane](void*) { gateway.connection_ended(lane); });
  std::optional<Arrival> arrival = co_await gateway.let_in(socket, began);
  if (!arrival) co_return;
  auto session = co_await ssh::Session::handshake(std::move(socket), gateway.ssh_options_.load());
  if (!session) {
    gateway.handshakes_failed_.fetch_add(1, std::memory_order_relaxed);
    log_info("ssh.handshake_failed", {{"from", arrival->client}, {"error", session.error().message}});
    co_return;
  }
  std::shared_ptr<Connection> connection = co_await gateway.log_in(lane, *session, arrival->client, arrival->server);
  if (!connection) {
    arrival->attempt.failed((*session)->failed_auth_tries(), std::chrono::steady_clock::now());
    co_return;
  }
  arrival->attempt.succeeded(std::chrono::steady_clock::now());
  gateway.login_latency_.observe(std::chrono::steady_clock::now() - began);
  place.give_back();
  const ConnectionLimits::Place user_place = gateway.services_.limits.of_user(connection->user.name);
  if (!user_place) {
    (*session)->disconnect(ssh::kDisconnectTooManyConnections, "You have too many connections open; close some first.");
    co_return;
  }
  co_await serve_user(gateway.services_, std::move(connection));
}

std::string Gateway::metrics() const {
  const auto line = [](std::string_view name, std::string_view type, std::string_view help, std::uint64_t value) {
    std::string text = "# HELP " + std::string(name) + " " + std::string(help) + "\n# TYPE " + std::string(name) + " " + std::string(type) + "\n";
    return text + std::string(name) + " " + std::to_string(value) + "\n";
  };
  std::string latency = "# HELP berth_ssh_login_seconds From accepting a connection to its login.\n# TYPE berth_ssh_login_seconds histogram\n";
  login_latency_.append_to(latency, "berth_ssh_login_seconds", "");
  return latency + line("berth_ssh_connections", "gauge", "SSH connections open now.", static_cast<std::uint64_t>(std::max(0, connections()))) +
         line("berth_ssh_accepted_total", "counter", "SSH connections accepted.", accepted_.load()) +
         line("berth_ssh_refused_startups_total", "counter", "SSH connections closed because too many had not logged in.", refused_full_.load()) +
         line("berth_ssh_refused_sources_total", "counter", "SSH connections refused because logins from there failed too often.", refused_sources_.load()) +
         line("berth_ssh_failed_handshakes_total", "counter", "SSH connections that ended before they could log in.", handshakes_failed_.load()) +
         line("berth_ssh_logins_total", "counter", "Successful SSH logins.", logins_.load()) +
         line("berth_ssh_failed_logins_total", "counter", "SSH connections that ended without a login.", failed_logins_.load());
}

}  // namespace berth::server
