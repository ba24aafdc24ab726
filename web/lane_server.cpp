#include "web/lane_server.hpp"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>

#include "auth/shares.hpp"
#include "base/log.hpp"
#include "web/portal.hpp"
#include "web/workspace_origin.hpp"

namespace berth::web {
namespace asio = boost::asio;
namespace {

constexpr std::size_t kScratch = 64 * 1024;
constexpr std::chrono::seconds kHousekeeping{5}, kPresenceAge{60};
constexpr std::chrono::milliseconds kAcceptPause{100}, kEachSecond{1000};
constexpr std::chrono::milliseconds kDrainLook{10};
constexpr int kAcceptsPerWakeup = 64;

Peer peer_of(const sockaddr_storage& address) {
  char text[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET) {
    const auto& in = reinterpret_cast<const sockaddr_in&>(address);
    inet_ntop(AF_INET, &in.sin_addr, text, sizeof text);
    return {text, ntohs(in.sin_port)};
  }
  if (address.ss_family == AF_INET6) {
    const auto& in = reinterpret_cast<const sockaddr_in6&>(address);
    if (IN6_IS_ADDR_V4MAPPED(&in.sin6_addr)) inet_ntop(AF_INET, &in.sin6_addr.s6_addr[12], text, sizeof text);
    else inet_ntop(AF_INET6, &in.sin6_addr, text, sizeof text);
    return {text, ntohs(in.sin6_port)};
  }
  return {"unix", 0};
}

// Somebody ended the row of a browser in the session list: the login behind it ends too, or the page would just connect again.
asio::awaitable<void> end_login(SharedState& shared, std::string session_id) {
  auth::Actor actor{"berthd", auth::Role::admin, "session list", {}};
  auto ended = co_await shared.services.logins.end(std::move(actor), std::move(session_id));
  (void)ended;  // it may have ended before, with its key
}

asio::awaitable<void> serve_request(LaneServer& lane, Connection& connection, Listening what) {
  switch (what) {
    case Listening::portal: break;
    case Listening::workspaces: return serve_workspaces(lane, connection);
    case Listening::admin: return serve_admin(lane, connection);
    case Listening::ssh: return serve_ssh_face(lane, connection);
  }
  return serve_portal(lane, connection);
}

}  // namespace

LaneServer::LaneServer(Lane& own_lane, SharedState& state, SSL_CTX* tls)
    : lane(own_lane), shared(state), reader(state.services.store.open_reader()), deadlines(own_lane.io.get_executor(), state.options.limits.tick),
      scratch(kScratch), login_rate(state.options.limits.login_attempts),
      login_cache(state.services.logins, state.services.clock, *state.events), starts(own_lane, state.services.manager), upstreams(*this),
      presences(state.services.sessions, own_lane.io.get_executor(),
                [this](const auth::WebSession& session, std::string_view) {
                  end_web_session_everywhere(session.id);
                  asio::co_spawn(lane.io, end_login(shared, session.id), asio::detached);
                }),
      house_timer_(own_lane.io), second_timer_(own_lane.io) {
  use_tls(tls);
  running_ += 2;
  asio::co_spawn(lane.io, keep_house(), asio::detached);
  asio::co_spawn(lane.io, each_second(), asio::detached);
}

LaneServer::~LaneServer() = default;

void LaneServer::use_tls(SSL_CTX* context) {
  if (context) SSL_CTX_up_ref(context);
  tls_.reset(context);
}

void LaneServer::end_web_session_everywhere(const std::string& session_id) {
  for (const auto& other : shared.lanes)
    asio::post(other->executor(), [server = other.get(), session_id] { server->presences.end_web_session(session_id); });
}

void LaneServer::end_shares() {
  presences.end_shares([this](const Presences::Presence& presence, const std::string& share) { return services().shares.holds(*reader, share, presence.session.user); });
}

void LaneServer::end_shares_everywhere() {
  for (const auto& other : shared.lanes) asio::post(other->executor(), [server = other.get()] { server->end_shares(); });
}

void LaneServer::enter(Connection& connection) {
  connection.next_ = first_;
  if (first_) first_->previous_ = &connection;
  first_ = &connection;
  ++open_;
  ++counters.connections;
}

void LaneServer::leave(Connection& connection) {
  (connection.previous_ ? connection.previous_->next_ : first_) = connection.next_;
  if (connection.next_) connection.next_->previous_ = connection.previous_;
  --open_;
  --counters.connections;
}

void LaneServer::listen(FileDescriptor listener, Listening what, bool secure) {
  if (what != Listening::admin) {  // each accepted socket inherits these, which saves five system calls
    const auto set = [&](int level, int option, int value) { ::setsockopt(listener.get(), level, option, &value, sizeof value); };
    set(IPPROTO_TCP, TCP_NODELAY, 1);
    set(SOL_SOCKET, SO_KEEPALIVE, 1);  // a browser that vanished with its WebSocket open: noticed after two minutes
    set(IPPROTO_TCP, TCP_KEEPIDLE, 60);
    set(IPPROTO_TCP, TCP_KEEPINTVL, 15);
    set(IPPROTO_TCP, TCP_KEEPCNT, 4);
  }
  auto descriptor = std::make_shared<asio::posix::stream_descriptor>(lane.io, listener.release());
  descriptor->native_non_blocking(true);
  listeners_.push_back(descriptor);
  ++running_;
  asio::co_spawn(lane.io, accept_loop(std::move(descriptor), what, secure), asio::detached);
}

asio::awaitable<void> LaneServer::accept_loop(std::shared_ptr<asio::posix::stream_descriptor> listener, Listening what, bool secure) {
  asio::steady_timer pause(lane.io);
  while (!retired_) {
    auto [error] = co_await listener->async_wait(asio::posix::stream_descriptor::wait_read, asio::as_tuple(asio::use_awaitable));
    if (error || retired_) break;
    for (int i = 0; i < kAcceptsPerWakeup; ++i) {
      sockaddr_storage address{};
      socklen_t size = sizeof address;
      FileDescriptor socket(::accept4(listener->native_handle(), reinterpret_cast<sockaddr*>(&address), &size, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (socket) {
        take_connection(std::move(socket), peer_of(address), what, secure);
        continue;
      }
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno != EAGAIN) {  // no descriptors or no memory: others must end first
        log_warn("web.accept", {{"error", std::string_view(std::strerror(errno))}});
        pause.expires_after(kAcceptPause);
        co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
      }
      break;
    }
  }
  --running_;
}

void LaneServer::serve_ssh(FileDescriptor socket, SshLogin login) {
  if (stopping_ || open_ >= limits().connections_per_lane) return;
  auto connection = std::make_unique<Connection>(*this, std::move(socket), Peer{login.actor.source, 0}, false);
  connection->ssh_login = std::move(login);
  start_connection(std::move(connection), Listening::ssh);
}

void LaneServer::take_connection(FileDescriptor socket, Peer peer, Listening what, bool secure) {
  ++counters.accepted;
  if (open_ >= limits().connections_per_lane) return;
  start_connection(std::make_unique<Connection>(*this, std::move(socket), std::move(peer), secure), what);
}

void LaneServer::start_connection(std::unique_ptr<Connection> connection, Listening what) {
  ++running_;
  asio::co_spawn(lane.io, serve(std::move(connection), what), asio::detached);
}

asio::awaitable<void> LaneServer::serve(std::unique_ptr<Connection> connection, Listening what) {
  try {
    co_await serve_requests(*connection, what);
  } catch (const std::exception& error) {
    log_error("web.connection", {{"peer", connection->peer.label()}, {"error", std::string_view(error.what())}});
  }
  connection->stream.close();
  connection.reset();
  --running_;
}

asio::awaitable<void> LaneServer::serve_requests(Connection& connection, Listening what) {
  if (connection.secure) {
    auto shaken = co_await connection.stream.accept_tls(tls_.get(), limits().handshake);
    if (!shaken) {
      ++counters.handshake_failures;
      co_return;
    }
  }
  while (true) {
    auto next = co_await connection.next_head();
    if (!next) co_return;
    auto serving = serve_request(*this, connection, what);
    co_await std::move(serving);
    if (!connection.keeps_open()) break;
  }
  co_await connection.linger_close();
}

asio::awaitable<void> LaneServer::keep_house() {
  while (!stopping_) {
    house_timer_.expires_after(kHousekeeping);
    auto [error] = co_await house_timer_.async_wait(asio::as_tuple(asio::use_awaitable));
    if (error || stopping_) break;
    const auto now = std::chrono::steady_clock::now();
    upstreams.close_unused(now);
    presences.close_unused(now, kPresenceAge);
  }
  --running_;
}

asio::awaitable<void> LaneServer::each_second() {
  while (!stopping_) {
    second_timer_.expires_after(kEachSecond);
    auto [error] = co_await second_timer_.async_wait(asio::as_tuple(asio::use_awaitable));
    if (error) continue;
    counters.loop_lag.observe(std::chrono::steady_clock::now() - second_timer_.expiry());
    end_shares();  // by their time, their key or an account
    presences.end_expired(services().clock.now());
  }
  --running_;
}

void LaneServer::begin_stop() {
  stopping_ = true;
  house_timer_.cancel();
  second_timer_.cancel();
  retire();
}

void LaneServer::retire() {
  retired_ = true;
  for (EventListener* listener : listeners) listener->wake();
  for (const auto& listener : listeners_) {
    boost::system::error_code ignored;
    listener->close(ignored);
  }
  for (Connection* connection = first_; connection; connection = connection->next_) connection->retire();
}

asio::awaitable<bool> LaneServer::drain(std::chrono::steady_clock::time_point patience, std::chrono::steady_clock::time_point give_up) {
  asio::steady_timer timer(lane.io);
  while (open_ > 0 && std::chrono::steady_clock::now() < patience) {
    timer.expires_after(kDrainLook);
    co_await timer.async_wait(asio::use_awaitable);
  }
  upstreams.close_all();
  deadlines.close_all();
  while (running_ > 0 && std::chrono::steady_clock::now() < give_up) {
    timer.expires_after(kDrainLook);
    co_await timer.async_wait(asio::use_awaitable);
  }
  co_return running_ == 0;
}

}  // namespace berth::web
