// What a login may do: made from the options of a key (key_options.hpp) or from a certificate (certificate.hpp), and asked at each place
// where a channel, a forward or a terminal is opened. Plain values and pure functions.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace berth::auth {

// "HOST:PORT" of permitopen= and permitlisten=.
struct Endpoint {
  std::string host;        // "*": any
  std::uint16_t port = 0;  // 0: any
};

// "HOST:PORT" or "[IPv6]:PORT", each may be *; "PORT" alone (any host) where `port_alone` says so. The error says what is wrong, after a name.
Result<Endpoint> parse_endpoint(std::string_view text, bool port_alone);

struct Permissions {
  bool pty = true;
  bool port_forwarding = true;  // TCP ports and Unix sockets, both directions
  bool agent_forwarding = true;
  bool x11_forwarding = true;
  bool verify_required = false;  // a hardware key must have checked PIN or fingerprint
  std::optional<std::string> forced_command;       // runs in place of whatever is asked for
  std::optional<std::vector<Endpoint>> connect_to;  // none: anywhere
  std::optional<std::vector<Endpoint>> listen_on;
  std::optional<std::string> from;  // source_allowed() of this; none: from anywhere
  std::map<std::string, std::string> environment;

  // direct-tcpip, direct-streamlocal. With connect_to, Unix sockets are refused: the list names hosts and ports only.
  bool may_connect(std::string_view host, std::uint32_t port) const;
  bool may_connect_unix() const { return port_forwarding && !connect_to; }
  // tcpip-forward (port 0: the system chooses, so the list must allow any), streamlocal-forward.
  bool may_listen(std::string_view host, std::uint32_t port) const;
  bool may_listen_unix() const { return port_forwarding && !listen_on; }

  // The first thing that this login may not do and an ordinary one may ("no-pty", "command"…), in the words of authorized_keys; empty: it
  // is unrestricted. Only an unrestricted login may open the web or change keys: both would be a way around the restriction.
  std::string_view restriction() const;
};

// Does `address` ("203.0.113.7", "2001:db8::7"; "::ffff:…" counts as IPv4) match a list as in from= (sshd(8)): addresses, CIDR networks and
// wildcards (* and ?), comma-separated; an entry with ! refuses, whatever else matches. A malformed list matches nothing.
bool source_allowed(std::string_view patterns, std::string_view address);
// What is wrong with such a list; empty: nothing. Host names are refused, since Berth looks no names up.
std::string check_sources(std::string_view patterns);
// As source-address of certificates: addresses and CIDR networks only, without ! and wildcards.
std::string check_networks(std::string_view networks);

// OpenSSH's wildcards: * any run of characters, ? any one.
bool matches_wildcard(std::string_view text, std::string_view pattern);

}  // namespace berth::auth
