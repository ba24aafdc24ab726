#include "server/gateway/gateway.hpp"

#include <malloc.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "auth/key_clock.hpp"
#include "base/human.hpp"
#include "base/log.hpp"
#include "server/gateway/credentials.hpp"
#include "server/gateway/forwards.hpp"
#include "server/gateway/proxy_protocol.hpp"
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

// A refusal that says something about a known key, or a certificate of a trusted authority, gets a row; unknown names and keys are only
// counted and logged. A client that is told that a key will not do never signs with it, so the mere offer counts too, and is called that.
void note_refusal(GatewayServices& services, const auth::Actor& actor, const std::string& why, bool proven) {
  const auto left_out = services.refused_uses.take(actor.key_fingerprint, actor.source, proven, services.clock.now());
  if (!left_out) return;
  std::string outcome = why + (proven ? "" : " (offered)");
  if (*left_out > 0) outcome += ", and " + std::to_string(*left_out) + " times more before";
  services.audit.note(actor, "ssh.login", actor.name, std::move(outcome));
}

// The first login with a key: those that it replaced, and that were to go then, go.
asio::awaitable<void> retire_older(GatewayServices services, auth::Actor actor, std::int64_t key_id) {
  auto retired = co_await services.directory.retire_older(actor, key_id);
  if (!retired) {
    log_error("keys.retire", {{"user", actor.name}, {"error", retired.error().message}});
    co_return;
  }
  for (const auth::Key& key : *retired) services.sessions.kill_key(key.fingerprint, auth::words_for_ended(key, services.directory.judge(key)));
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

std::shared_ptr<Connection> Gateway::try_certificate(ServerLane& lane, const std::shared_ptr<ssh::Session>& session, const ssh::AuthRequest& request,
                                                     const std::string& client, const std::string& server, std::string& why, bool& is_known) {
  const auto id = workspaces::parse_login_name(request.user);
  auth::CertificateDecision decision = services_.authorities.decide(*lane.reader, id ? id->user : "-", request.key.blob, address_of(client));
  why = decision.allowed ? refusal_by(decision.permissions, request, client) : "certificate: " + decision.why;
  if (decision.allowed && why.empty()) {
    // The certified key is held to the policy like one that was added just now.
    decision.key.added_at = services_.clock.now();
    decision.key.exceptions = decision.user.key_exceptions;
    auth::KeyRefusal refusal = services_.directory.judge(decision.key).refusal;
    if (refusal == auth::KeyRefusal::none && request.is_signed)
      refusal = auth::check_touch(decision.key, services_.directory.policy(), services_.clock.now(), request.authenticator_flags.value_or(0));
    if (refusal != auth::KeyRefusal::none) why = auth::words_of(refusal);
  }
  const bool allowed = id && decision.allowed && why.empty();
  const std::string name = decision.user.name.empty() && decision.by_authority ? cut_to_width(printable(request.user), 64) : decision.user.name;
  const auth::Actor actor{name, decision.user.role, client, decision.key.fingerprint, decision.certificate};
  is_known = decision.by_authority;
  if (!allowed && is_known) note_refusal(services_, actor, why, request.is_signed);
  if (allowed && request.is_signed) services_.audit.note(actor, "ssh.login", name, "ok");
  session->answer_auth(allowed);
  if (!allowed || !request.is_signed) return nullptr;
  logins_.fetch_add(1, std::memory_order_relaxed);
  Connection connection{services_, lane, session, std::move(decision.user), std::move(decision.key), *id, client, server};
  connection.permissions = std::move(decision.permissions);
  connection.certificate = std::move(decision.certificate);
  connection.certificate_blob = request.key.blob;
  return std::make_shared<Connection>(std::move(connection));
}

asio::awaitable<std::shared_ptr<Connection>> Gateway::log_in(ServerLane& lane, std::shared_ptr<ssh::Session> session, std::string client,
                                                             std::string server) {
  const auto executor = co_await asio::this_coro::executor;
  if (!services_.options.banner.empty()) session->send_banner(services_.options.banner);
  std::string last_user;
  std::string last_why = "no key was tried";
  bool known_key = false;
  for (;;) {
    Result<ssh::AuthRequest> request = co_await session->next_auth_request();
    if (!request) {
      failed_logins_.fetch_add(1, std::memory_order_relaxed);
      // Who spoke no SSH or gave no name was no login; known keys have had their row.
      if (!last_user.empty() && !known_key) services_.audit.note_refusal({{}, auth::Role::user, client, {}}, "ssh.login", last_user, last_why);
      log_info("ssh.login_failed", {{"user", last_user.substr(0, 64)}, {"from", client}, {"why", last_why}, {"end", request.error().message}});
      co_return nullptr;
    }
    last_user = request->user;
    if (request->method == "publickey" && auth::is_certificate_type(request->key.type)) {
      auto connection = try_certificate(lane, session, *request, client, server, last_why, known_key);
      if (connection) co_return connection;
      continue;
    }
    const auto id = workspaces::parse_login_name(request->user);
    // An impossible name takes the same path as an unknown one: the same work, the same answer.
    const auth::LoginDecision decision = services_.directory.decide_login(*lane.reader, id ? id->user : "-", request->key.blob);
    auth::KeyRefusal touch = auth::KeyRefusal::none;
    if (request->is_signed) touch = auth::check_touch(decision.key, services_.directory.policy(), services_.clock.now(), request->authenticator_flags.value_or(0));
    auth::Permissions permissions;
    const std::string options_refuse = decision.allowed() ? refusal_by_options(decision.key, *request, client, permissions) : "";
    const bool allowed = id && request->method == "publickey" && decision.allowed() && touch == auth::KeyRefusal::none && options_refuse.empty();
    last_why = decision.allowed() ? auth::words_of(touch) : decision.why();
    if (!options_refuse.empty()) last_why = options_refuse;
    known_key = decision.key.id != 0;
    if (!allowed || !request->is_signed) {
      const auth::Actor actor{decision.user.name, decision.user.role, client, decision.key.fingerprint};
      if (!allowed && known_key) note_refusal(services_, actor, last_why, request->is_signed);
      // Whoever signs with a known key is its holder, and may know why it will not do; whoever only names one may not.
      if (!allowed && known_key && request->is_signed) session->send_banner("berth: this login was refused: " + last_why + "\r\n");
      session->answer_auth(allowed);
      continue;
    }
    session->answer_auth(true);
    logins_.fetch_add(1, std::memory_order_relaxed);
    services_.directory.note_key_use(decision.key.id, client);
    const auth::Actor actor{decision.user.name, decision.user.role, client, decision.key.fingerprint};
    if (decision.key.retires_older) spawn_logged(executor, retire_older(services_, actor, decision.key.id), "keys.retire");
    services_.audit.note(actor, "ssh.login", decision.user.name, "ok");
    co_return std::make_shared<Connection>(Connection{services_, lane, session, decision.user, decision.key, *id, client, server, std::move(permissions)});
  }
}

void Gateway::connection_began() {
  const int now = connections_.fetch_add(1, std::memory_order_relaxed) + 1;
  if (now > connections_most_.load(std::memory_order_relaxed)) connections_most_.store(now, std::memory_order_relaxed);
}

// After a crowd has gone the allocator would keep nearly all that it took; each time that half have left, it returns it to the system.
void Gateway::connection_ended() {
  constexpr int kCrowd = 64;
  const int now = connections_.fetch_sub(1, std::memory_order_relaxed) - 1;
  int most = connections_most_.load(std::memory_order_relaxed);
  if (most < kCrowd || now > most / 2 || !connections_most_.compare_exchange_strong(most, now)) return;
  ::malloc_trim(0);
}

asio::awaitable<void> Gateway::serve(Gateway& gateway, ServerLane& lane, tcp::socket socket, ConnectionLimits::Place place) {
  const auto executor = co_await asio::this_coro::executor;
  const auto began = std::chrono::steady_clock::now();
  gateway.connection_began();
  const std::shared_ptr<void> counted(nullptr, [&gateway](void*) { gateway.connection_ended(); });

  const Result<ProxyHeader::Ends> ends = co_await connection_ends(socket, gateway.services_.options.proxy_protocol_from);
  if (!ends) {
    gateway.handshakes_failed_.fetch_add(1, std::memory_order_relaxed);
    log_info("ssh.no_proxy_header", {{"error", ends.error().message}});
    co_return;
  }
  const std::string client = describe(ends->client), server = describe(ends->server);
  SourceTries::Attempt attempt = gateway.services_.limits.tries().begin(ends->client.address(), began);
  if (attempt.refused()) {
    gateway.refused_sources_.fetch_add(1, std::memory_order_relaxed);
    log_info("ssh.source_refused", {{"from", client}});
    say_and_close(std::move(socket));
    co_return;
  }
  if (attempt.delay().count() > 0) {
    asio::steady_timer wait(executor, attempt.delay());
    co_await wait.async_wait(kTuple);
  }
  auto session = co_await ssh::Session::handshake(std::move(socket), gateway.ssh_options_.load());
  if (!session) {
    gateway.handshakes_failed_.fetch_add(1, std::memory_order_relaxed);
    log_info("ssh.handshake_failed", {{"from", client}, {"error", session.error().message}});
    co_return;
  }
  std::shared_ptr<Connection> connection = co_await gateway.log_in(lane, *session, client, server);
  if (!connection) {
    attempt.failed((*session)->failed_auth_tries(), std::chrono::steady_clock::now());
    co_return;
  }
  attempt.succeeded(std::chrono::steady_clock::now());
  gateway.login_latency_.observe(std::chrono::steady_clock::now() - began);
  place.give_back();
  const ConnectionLimits::Place user_place = gateway.services_.limits.of_user(connection->user.name);
  if (!user_place) {
    (*session)->disconnect(ssh::kDisconnectTooManyConnections, "You have too many connections open; close some first.");
    co_return;
  }
  log_info("ssh.login", {{"user", connection->user.name}, {"workspace", connection->workspace.name}, {"key", connection->key.fingerprint},
                         {"from", client}, {"client", (*session)->client_version()}});

  const std::weak_ptr<ssh::Session> weak = *session;
  auto live = gateway.services_.sessions.open(connection->record("connection", (*session)->client_version()), executor,
                                              [weak](const std::string& reason) {
                                                if (auto target = weak.lock()) target->disconnect(ssh::kDisconnectByApplication, reason);
                                              });
  (*session)->count_into({live, &live->bytes_in}, {live, &live->bytes_out});
  // The key may have been revoked between the decision and the row that a revocation would have found.
  if (!connection->certificate_blob.empty())
    gateway.services_.authorities.note_use(live->record().id, connection->user.name, connection->certificate_blob, address_of(client));
  if (!still_allowed(*connection)) (*session)->disconnect(ssh::kDisconnectByApplication, "This key was revoked just now.");
  auto forwards = std::make_shared<Forwards>(connection);
  spawn_logged(executor, serve_global_requests(connection, forwards), "ssh.global_requests");
  co_await serve_channels(connection);
  forwards->close_all();
  if (!connection->certificate_blob.empty()) gateway.services_.authorities.forget_use(live->record().id);
  gateway.services_.sessions.close(live, "closed");
  log_info("ssh.logout", {{"user", connection->user.name}, {"from", client}});
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
