#include "server/gateway/forwards.hpp"

#include <boost/asio/this_coro.hpp>

#include "base/deadline.hpp"
#include "base/log.hpp"
#include "server/gateway/spawn.hpp"
#include "server/gateway/tunnel_channel.hpp"

namespace berth::server {
namespace asio = boost::asio;
namespace {

constexpr std::size_t kMaxForwards = 64;  // listeners of one connection

std::string name_of(const std::string& host, std::uint32_t port) { return host + ":" + std::to_string(port); }

// Why this user may not listen there, as the audit trail says it; empty: they may.
std::string_view refusal_of_tcp(const Connection& connection, const std::string& host, std::uint32_t port) {
  const std::string_view by_policy = connection.forward_policy().refusal_to_listen(host, port);
  if (!by_policy.empty()) return by_policy;
  return connection.permissions.may_listen(host, port) ? "" : kNotByKey;
}

std::string_view refusal_of_unix(const Connection& connection) {
  const std::string_view by_policy = connection.forward_policy().refusal_of("unix");
  if (!by_policy.empty()) return by_policy;
  return connection.permissions.may_listen_unix() ? "" : kNotByKey;
}

Error refuse(const Connection& connection, const std::string& where, std::string_view why) {
  connection.note_refused_forward("on " + where, std::string(why));
  return {ErrorKind::denied, std::string(why)};
}

void append_uint32(std::string& out, std::uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xff);
}

void append_string(std::string& out, std::string_view value) {
  append_uint32(out, static_cast<std::uint32_t>(value.size()));
  out += value;
}

}  // namespace

asio::awaitable<Result<std::uint16_t>> Forwards::listen_tcp(std::string host, std::uint32_t port) {
  if (port > 65535) co_return Error{ErrorKind::invalid, "port is over 65535"};
  if (const std::string_view why = refusal_of_tcp(*connection_, host, port); !why.empty()) co_return refuse(*connection_, name_of(host, port), why);
  if (forwards_.size() >= kMaxForwards) co_return Error{ErrorKind::too_large, "too many forwards on one connection"};
  auto link = co_await connection_->services.workspaces.open(connection_->lane.lane, connection_->workspace, [](std::string_view) {});
  if (!link) co_return link.error();
  auto listener = co_await (*link)->listen_tcp(host, static_cast<std::uint16_t>(port));
  if (!listener) co_return listener.error();
  if (closed_) co_return Error{ErrorKind::closed, "the connection ended"};  // while the workspace was asked
  const std::uint16_t bound = (*listener)->port();
  add(name_of(host, bound), host, std::move(*listener));
  co_return bound;
}

asio::awaitable<Result<std::uint16_t>> Forwards::listen_unix(std::string path) {
  if (const std::string_view why = refusal_of_unix(*connection_); !why.empty()) co_return refuse(*connection_, path, why);
  if (forwards_.size() >= kMaxForwards) co_return Error{ErrorKind::too_large, "too many forwards on one connection"};
  auto link = co_await connection_->services.workspaces.open(connection_->lane.lane, connection_->workspace, [](std::string_view) {});
  if (!link) co_return link.error();
  auto listener = co_await (*link)->listen_unix(path);
  if (!listener) co_return listener.error();
  if (closed_) co_return Error{ErrorKind::closed, "the connection ended"};  // while the workspace was asked
  add(path, path, std::move(*listener));
  co_return std::uint16_t{0};
}

void Forwards::add(std::string name, std::string host, std::unique_ptr<tunnels::Listener> listener) {
  const auto executor = connection_->lane.lane.io.get_executor();
  auto live = connection_->services.sessions.open(connection_->record("listen", name), executor, [](const std::string&) {});
  auto forward = std::make_shared<Forward>(
      Forward{std::move(listener), std::move(host), asio::steady_timer(executor, asio::steady_timer::time_point::max()), std::move(live)});
  spawn_logged(executor, serve(connection_, forward), "forward.listen");
  forwards_[std::move(name)] = std::move(forward);
}

bool Forwards::cancel(const std::string& name) {
  const auto found = forwards_.find(name);
  if (found == forwards_.end()) return false;
  found->second->stop.expires_at(asio::steady_timer::time_point::min());  // also ends a wait that has not begun
  connection_->services.sessions.close(found->second->live, "cancelled");
  forwards_.erase(found);
  return true;
}

void Forwards::close_all() {
  closed_ = true;
  while (!forwards_.empty()) cancel(forwards_.begin()->first);
}

asio::awaitable<void> Forwards::serve(std::shared_ptr<Connection> connection, std::shared_ptr<Forward> forward) {
  const auto executor = co_await asio::this_coro::executor;
  for (;;) {
    auto accepted = co_await unless(forward->listener->accept(), forward->stop);
    if (!accepted || !*accepted) break;
    spawn_logged(executor, serve_one(connection, std::move(**accepted), forward->host, forward->listener->port()), "forward.connection");
  }
}

asio::awaitable<void> Forwards::serve_one(std::shared_ptr<Connection> connection, tunnels::Listener::Accepted accepted, std::string host,
                                          std::uint16_t port) {
  std::string type, data;
  append_string(data, host);
  if (port != 0) {
    type = "forwarded-tcpip";
    append_uint32(data, port);
    append_string(data, accepted.peer_host);
    append_uint32(data, accepted.peer_port);
  } else {
    type = "forwarded-streamlocal@openssh.com";
    append_string(data, "");
  }
  auto channel = co_await connection->session->open_channel(type, data);
  if (!channel) co_return;
  const std::weak_ptr<ssh::Channel> weak = *channel;
  // Named first: g++ 12 destroys what a lambda captured twice when another argument of the same call has co_await.
  const auto executor = co_await asio::this_coro::executor;
  auto live = connection->services.sessions.open(
      connection->record("tunnel", "from " + (port != 0 ? name_of(host, port) : host)), executor,
      [weak](const std::string&) {
        if (const auto target = weak.lock()) target->cut_off();
      });
  std::string outcome = co_await run_tunnel(*channel, std::move(accepted.socket), live);
  connection->services.sessions.close(live, std::move(outcome));
}

asio::awaitable<void> serve_global_requests(std::shared_ptr<Connection> connection, std::shared_ptr<Forwards> forwards) {
  for (;;) {
    const Result<ssh::GlobalRequest> request = co_await connection->session->next_global_request();
    if (!request) break;
    if (const auto* tcp = std::get_if<ssh::TcpipForward>(&*request)) {
      const Result<std::uint16_t> bound = co_await forwards->listen_tcp(tcp->bind_host, tcp->port);
      if (!bound) log_info("ssh.forward_refused", {{"user", connection->user.name}, {"why", bound.error().message}});
      // RFC 4254 7.1: the port is answered only when the client left the choice to us.
      connection->session->reply_global(bound.has_value(), bound && tcp->port == 0 ? std::optional<std::uint32_t>(*bound) : std::nullopt);
    } else if (const auto* cancel = std::get_if<ssh::CancelTcpipForward>(&*request)) {
      connection->session->reply_global(forwards->cancel(name_of(cancel->bind_host, cancel->port)));
    } else if (const auto* local = std::get_if<ssh::StreamlocalForward>(&*request)) {
      const Result<std::uint16_t> bound = co_await forwards->listen_unix(local->path);
      connection->session->reply_global(bound.has_value());
    } else if (const auto* gone = std::get_if<ssh::CancelStreamlocalForward>(&*request)) {
      connection->session->reply_global(forwards->cancel(gone->path));
    }
  }
}

}  // namespace berth::server
