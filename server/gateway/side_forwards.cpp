#include "server/gateway/side_forwards.hpp"

#include <algorithm>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>

#include "base/deadline.hpp"
#include "base/log.hpp"
#include "server/gateway/spawn.hpp"
#include "server/gateway/tunnel_channel.hpp"
#include "server/ssh/wire.hpp"

namespace berth::server {
namespace asio = boost::asio;
namespace {

constexpr std::string_view kAgentChannel = "auth-agent@openssh.com", kX11Channel = "x11";
constexpr std::uint16_t kFirstX11Port = 6000;
constexpr unsigned kFirstDisplay = 10, kDisplays = 100;  // as sshd: the workspace's own displays have low numbers
constexpr std::size_t kMostCookieBytes = 128;
constexpr std::uint32_t kMostScreen = 255;

bool is_protocol_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string bytes_of_hex(std::string_view hex) {
  if (hex.empty() || hex.size() % 2 != 0 || hex.size() > 2 * kMostCookieBytes) return "";
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    const int high = hex_digit(hex[i]), low = hex_digit(hex[i + 1]);
    if (high < 0 || low < 0) return "";
    bytes.push_back(static_cast<char>(high << 4 | low));
  }
  return bytes;
}

// One entry: family, then four counted strings, all with 16-bit numbers in network order.
void append_entry(std::string& out, unsigned family, std::string_view address, std::string_view number, std::string_view protocol, std::string_view cookie) {
  const auto append_u16 = [&out](std::size_t value) {
    out.push_back(static_cast<char>(value >> 8 & 0xff));
    out.push_back(static_cast<char>(value & 0xff));
  };
  append_u16(family);
  for (const std::string_view field : {address, number, protocol, cookie}) {
    append_u16(field.size());
    out += field;
  }
}

// Each connection inside becomes a channel to the client.
asio::awaitable<void> serve_one(std::shared_ptr<Connection> connection, tunnels::Listener::Accepted accepted, std::string type) {
  const auto executor = co_await asio::this_coro::executor;
  std::string data;
  if (type == kX11Channel) data = WireWriter().string(accepted.peer_host).u32(accepted.peer_port).bytes();
  auto channel = co_await connection->session->open_channel(type, data);
  if (!channel) co_return;
  const std::weak_ptr<ssh::Channel> weak = *channel;
  auto live = connection->services.sessions.open(connection->record("tunnel", "from " + type), executor, [weak](const std::string&) {
    if (const auto target = weak.lock()) target->cut_off();
  });
  std::string outcome = co_await run_tunnel(*channel, std::move(accepted.socket), live);
  connection->services.sessions.close(live, std::move(outcome));
}

bool may_forward(const Connection& connection, bool by_key, const char* kind) {
  const std::string_view refusal = by_key ? connection.forward_policy().refusal_of(kind) : kNotByKey;
  if (!refusal.empty()) connection.note_refused_forward(std::string("of ") + kind, std::string(refusal));
  return refusal.empty();
}

}  // namespace

struct SideForwards::Listening {
  std::unique_ptr<tunnels::Listener> listener;
  asio::steady_timer stop;
  std::string type;
  bool only_one;

  static asio::awaitable<void> run(std::shared_ptr<Connection> connection, std::shared_ptr<Listening> self) {
    const auto executor = co_await asio::this_coro::executor;
    for (;;) {
      auto accepted = co_await unless(self->listener->accept(), self->stop);
      if (!accepted || !*accepted) break;
      spawn_logged(executor, serve_one(connection, std::move(**accepted), self->type), "side_forward.connection");
      if (self->only_one) break;
    }
    self->listener.reset();
  }
};

bool may_forward_agent(const Connection& connection) { return may_forward(connection, connection.permissions.agent_forwarding, "agent"); }

bool may_forward_x11(const Connection& connection, const ssh::X11Request& request) {
  return may_forward(connection, connection.permissions.x11_forwarding, "x11") && !xauthority(request, kFirstDisplay).empty();
}

std::string xauthority(const ssh::X11Request& request, unsigned number) {
  const std::string cookie = bytes_of_hex(request.cookie);
  if (cookie.empty() || !is_protocol_name(request.protocol) || request.screen > kMostScreen) return "";
  constexpr unsigned kFamilyInternet = 0, kFamilyWild = 65535;
  std::string file;
  append_entry(file, kFamilyWild, "", std::to_string(number), request.protocol, cookie);  // what Xlib and xcb look for
  append_entry(file, kFamilyInternet, std::string_view("\x7f\0\0\x01", 4), std::to_string(number), request.protocol, cookie);
  return file;
}

SideForwards::~SideForwards() {
  for (const auto& each : listening_) each->stop.expires_at(asio::steady_timer::time_point::min());
}

void SideForwards::serve(std::shared_ptr<Connection> connection, std::unique_ptr<tunnels::Listener> listener, std::string type, bool only_one) {
  const auto executor = connection->lane.lane.io.get_executor();
  auto forward = std::make_shared<Listening>(
      Listening{std::move(listener), asio::steady_timer(executor, asio::steady_timer::time_point::max()), std::move(type), only_one});
  spawn_logged(executor, Listening::run(std::move(connection), forward), "side_forward.listen");
  listening_.push_back(std::move(forward));
}

asio::awaitable<void> SideForwards::open(std::shared_ptr<Connection> connection, std::shared_ptr<tunnels::AgentLink> link, const SideWish& wish,
                                         std::map<std::string, std::string>& env) {
  const auto left_out = [&connection](std::string_view what, const Error& why) {
    log_info("ssh.side_forward_failed", {{"user", connection->user.name}, {"what", what}, {"why", why.message}});
  };
  if (wish.agent) {
    const std::string name = "agent";
    auto listener = co_await link->listen_private(name);
    if (listener) {
      env["SSH_AUTH_SOCK"] = (*listener)->path();
      serve(connection, std::move(*listener), std::string(kAgentChannel), false);
    } else {
      left_out("agent", listener.error());
    }
  }
  if (!wish.x11) co_return;
  for (unsigned number = kFirstDisplay; number < kFirstDisplay + kDisplays; ++number) {
    const std::string host = "localhost";
    const std::map<std::string, std::string> files{{"Xauthority", xauthority(*wish.x11, number)}};
    auto listener = co_await link->listen_tcp_private(host, static_cast<std::uint16_t>(kFirstX11Port + number), files);
    if (!listener) {
      if (listener.error().kind == ErrorKind::conflict) continue;
      left_out("x11", listener.error());
      break;
    }
    env["DISPLAY"] = "localhost:" + std::to_string(number) + "." + std::to_string(wish.x11->screen);
    env["XAUTHORITY"] = (*listener)->path() + "/Xauthority";
    serve(connection, std::move(*listener), std::string(kX11Channel), wish.x11->single_connection);
    break;
  }
}

}  // namespace berth::server
