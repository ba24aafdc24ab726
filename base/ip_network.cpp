#include "base/ip_network.hpp"

#include <algorithm>
#include <charconv>

namespace berth {
namespace ip = boost::asio::ip;

std::array<unsigned char, 16> ip_bytes(const ip::address& address) {
  return (address.is_v4() ? ip::make_address_v6(ip::v4_mapped, address.to_v4()) : address.to_v6()).to_bytes();
}

Result<IpNetwork> parse_ip_network(std::string_view text) {
  const Error bad{ErrorKind::invalid, "'" + std::string(text) + "' is not an address or a network such as 10.0.0.0/8"};
  const std::size_t slash = text.find('/');
  boost::system::error_code error;
  const ip::address address = ip::make_address(std::string(text.substr(0, slash)), error);
  if (error || text.find('%') != std::string_view::npos) return bad;
  IpNetwork network{ip_bytes(address), 128};
  if (slash == std::string_view::npos) return network;
  const std::string_view digits = text.substr(slash + 1);
  unsigned bits = 0;
  const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
  if (problem != std::errc() || end != digits.data() + digits.size() || bits > (address.is_v4() ? 32u : 128u)) return bad;
  network.bits = address.is_v4() ? bits + 96 : bits;
  for (unsigned bit = network.bits; bit < 128; ++bit)
    if ((network.address[bit / 8] >> (7 - bit % 8) & 1) != 0) return bad;
  return network;
}

bool contains(const IpNetwork& network, const ip::address& address) {
  const auto bytes = ip_bytes(address);
  const unsigned whole = network.bits / 8, rest = network.bits % 8;
  if (!std::equal(bytes.begin(), bytes.begin() + whole, network.address.begin())) return false;
  return rest == 0 || (bytes[whole] ^ network.address[whole]) >> (8 - rest) == 0;
}

bool contains(const std::vector<IpNetwork>& networks, const ip::address& address) {
  return std::any_of(networks.begin(), networks.end(), [&address](const IpNetwork& network) { return contains(network, address); });
}

}  // namespace berth
