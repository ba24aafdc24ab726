// PROXY protocol version 2 (HAProxy's proxy-protocol.txt, section 2.2): a balancer says, before the first byte of a connection, for whom it connects.
// Believed only from balancers that the settings name.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <optional>
#include <string_view>
#include <vector>

#include "base/ip_network.hpp"
#include "base/result.hpp"

namespace berth::server {

inline constexpr std::size_t kProxyHeaderStart = 16;     // signature, version and command, family, length of the rest
inline constexpr std::size_t kProxyHeaderMost = 2048;    // of the rest: addresses and additions (TLVs), which are passed over

struct ProxyHeader {
  struct Ends {
    boost::asio::ip::tcp::endpoint client, server;
  };
  std::optional<Ends> ends;  // none: the balancer speaks for itself (LOCAL), or does not know
};

// The length of the rest, from the first 16 bytes. Error{protocol}: not such a header, or a longer one than is taken.
Result<std::size_t> proxy_header_length(std::string_view start);
// All of it; Error{protocol} when anything in it is not as it must be, Error{invalid} for what is no TCP.
Result<ProxyHeader> parse_proxy_header(std::string_view whole);

// Between whom the connection is: the socket's ends, or what one of `balancers` says. Error{closed} when it is gone already.
boost::asio::awaitable<Result<ProxyHeader::Ends>> connection_ends(boost::asio::ip::tcp::socket& socket, const std::vector<IpNetwork>& balancers);

// Reads exactly the header from `socket`; Error{timeout} when it is not there within 5 s.
boost::asio::awaitable<Result<ProxyHeader>> read_proxy_header(boost::asio::ip::tcp::socket& socket);

}  // namespace berth::server
