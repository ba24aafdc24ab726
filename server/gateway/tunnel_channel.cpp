#include "server/gateway/tunnel_channel.hpp"

#include <boost/asio/this_coro.hpp>

#include "server/gateway/relay.hpp"
#include "server/gateway/spawn.hpp"

namespace berth::server {
namespace asio = boost::asio;
namespace {

std::string describe(const ssh::ChannelOpen& opening) {
  if (const auto* tcp = std::get_if<ssh::DirectTcpip>(&opening)) return tcp->host + ":" + std::to_string(tcp->port);
  if (const auto* local = std::get_if<ssh::DirectStreamlocal>(&opening)) return local->path;
  return "";
}

asio::awaitable<Result<tunnels::WorkspaceSocket>> connect(tunnels::AgentLink& link, const ssh::ChannelOpen& opening) {
  if (const auto* tcp = std::get_if<ssh::DirectTcpip>(&opening)) {
    if (tcp->port == 0 || tcp->port > 65535) co_return Error{ErrorKind::invalid, "port " + std::to_string(tcp->port) + " is not from 1 to 65535"};
    co_return co_await link.connect_tcp(tcp->host, static_cast<std::uint16_t>(tcp->port));
  }
  co_return co_await link.connect_unix(std::get<ssh::DirectStreamlocal>(opening).path);
}

// Why this user may not connect there: for the audit trail, and for the client.
struct Refusal {
  std::string_view why;
  const char* words;
};

std::optional<Refusal> refusal_of(const Connection& connection, const ssh::ChannelOpen& opening) {
  const auth::ForwardPolicy policy = connection.forward_policy();
  const auto* tcp = std::get_if<ssh::DirectTcpip>(&opening);
  const std::string_view by_policy = tcp ? policy.refusal_to_connect(tcp->host, tcp->port) : policy.refusal_of("unix");
  if (by_policy == auth::kForwardNotByUser) return Refusal{by_policy, "You are not allowed this forward."};
  if (by_policy == auth::kForwardNotThereBySite) return Refusal{by_policy, "This server does not allow forwards there."};
  if (!by_policy.empty()) return Refusal{by_policy, "This server does not allow this kind of forward."};
  const bool by_key = tcp ? connection.permissions.may_connect(tcp->host, tcp->port) : connection.permissions.may_connect_unix();
  if (!by_key) return Refusal{kNotByKey, "Your key or certificate does not allow this forward."};
  return std::nullopt;
}

// A tunnel has no requests of its own; this notices its end.
asio::awaitable<void> watch_channel(std::shared_ptr<ssh::Channel> channel, std::shared_ptr<Relay> relay) {
  for (;;) {  // not `while (co_await …)`: g++ 12 compiles its condition, a Result, to a trap
    const Result<ssh::ChannelRequest> request = co_await channel->next_request();
    if (!request) break;
    channel->reply(false);
  }
  relay->client_left();
}

void kill_tunnel(const std::weak_ptr<ssh::Channel>& weak) {
  if (const auto channel = weak.lock()) channel->cut_off();
}

}  // namespace

asio::awaitable<std::string> run_tunnel(std::shared_ptr<ssh::Channel> channel, tunnels::WorkspaceSocket socket,
                                        std::shared_ptr<auth::LiveSession> live) {
  const auto executor = co_await asio::this_coro::executor;
  auto relay = Relay::of_socket(executor, channel, std::move(socket));
  relay->count_into(live);
  relay->start();
  spawn_logged(executor, watch_channel(channel, relay), "tunnel.watch");
  co_await relay->output_done();
  channel->send_eof();
  co_await relay->input_done();
  channel->close();
  relay->close();
  co_return "closed";
}

asio::awaitable<void> serve_tunnel(std::shared_ptr<Connection> connection, std::shared_ptr<ssh::Channel> channel) {
  const auto executor = co_await asio::this_coro::executor;
  if (const std::optional<Refusal> refused = refusal_of(*connection, channel->opening())) {
    channel->refuse(ssh::OpenFailure::prohibited, refused->words);
    connection->note_refused_forward("to " + describe(channel->opening()), std::string(refused->why));
    co_return;
  }
  const std::weak_ptr<ssh::Channel> weak = channel;
  auto live = connection->services.sessions.open(connection->record("tunnel", describe(channel->opening())), executor,
                                                 [weak](const std::string&) { kill_tunnel(weak); });
  auto link = co_await connection->services.workspaces.open(connection->lane.lane, connection->workspace, [](std::string_view) {});
  // No conditional expression around co_await: g++ 12 destroys its temporary twice, and the descriptor would be closed under us.
  Result<tunnels::WorkspaceSocket> socket = Error{ErrorKind::closed, ""};
  if (link) {
    socket = co_await connect(**link, channel->opening());
  } else {
    socket = link.error();
  }
  if (!socket) {
    channel->refuse(ssh::OpenFailure::connect_failed, socket.error().message);
    connection->services.sessions.close(live, socket.error().message);
    co_return;
  }
  channel->confirm();
  std::string outcome = co_await run_tunnel(channel, std::move(*socket), live);
  connection->services.sessions.close(live, std::move(outcome));
}

}  // namespace berth::server
