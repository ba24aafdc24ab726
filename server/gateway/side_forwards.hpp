// What a session forwards beside its own bytes: the client's SSH agent and its X display (RFC 4254 6.3). Inside the workspace they are
// sockets of a directory that is private to the session and goes with it.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "server/gateway/context.hpp"
#include "tunnels/agent_link.hpp"

namespace berth::server {

// What the client asked for before it started something.
struct SideWish {
  bool agent = false;
  std::optional<ssh::X11Request> x11;
};

// Whether to grant what is asked, by the site's settings, the key's options, and for X11 the words of the cookie.
bool may_forward_agent(const Connection& connection);
bool may_forward_x11(const Connection& connection, const ssh::X11Request& request);

// The entries of an Xauthority file for display `number` (Xau(3)); "" when `request` holds no usable cookie.
std::string xauthority(const ssh::X11Request& request, unsigned number);

// Stop when it is destroyed; connections that were accepted go on.
class SideForwards {
 public:
  ~SideForwards();
  SideForwards() = default;
  SideForwards(const SideForwards&) = delete;
  SideForwards& operator=(const SideForwards&) = delete;

  // Listens in the workspace and says where in `env` (SSH_AUTH_SOCK, DISPLAY, XAUTHORITY). What cannot be had is logged and left out, as under
  // sshd. One at a time; `this` must live until it ends.
  boost::asio::awaitable<void> open(std::shared_ptr<Connection> connection, std::shared_ptr<tunnels::AgentLink> link, const SideWish& wish,
                                    std::map<std::string, std::string>& env);

 private:
  struct Listening;
  void serve(std::shared_ptr<Connection> connection, std::unique_ptr<tunnels::Listener> listener, std::string type, bool only_one);
  std::vector<std::shared_ptr<Listening>> listening_;
};

}  // namespace berth::server
