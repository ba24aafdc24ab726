// An IPv4 or IPv6 network, as settings and limits name it: "10.0.0.0/8", "2001:db8::/32", or one address.
#pragma once
#include <array>
#include <boost/asio/ip/address.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace berth {

struct IpNetwork {
  std::array<unsigned char, 16> address{};  // IPv4 as ::ffff:a.b.c.d
  unsigned bits = 128;                      // of these 128
  bool operator==(const IpNetwork&) const = default;
};

// Error{invalid} with a sentence; bits right of the network must be 0.
Result<IpNetwork> parse_ip_network(std::string_view text);
// IPv4 in IPv6 ("::ffff:…") counts as IPv4.
std::array<unsigned char, 16> ip_bytes(const boost::asio::ip::address& address);
bool contains(const IpNetwork& network, const boost::asio::ip::address& address);
bool contains(const std::vector<IpNetwork>& networks, const boost::asio::ip::address& address);

}  // namespace berth
