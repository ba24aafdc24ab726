#include "auth/permissions.hpp"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <charconv>

namespace berth::auth {
namespace {
namespace ip = boost::asio::ip;

constexpr std::size_t kMostPatterns = 256;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

std::vector<std::string_view> entries_of(std::string_view list) {
  std::vector<std::string_view> entries;
  while (entries.size() <= kMostPatterns) {
    const std::size_t comma = list.find(',');
    entries.push_back(list.substr(0, comma));
    if (comma == std::string_view::npos) break;
    list.remove_prefix(comma + 1);
  }
  return entries;
}

// An address as 16 bytes: IPv4 as the mapped IPv6 one, so that one comparison does.
std::optional<ip::address_v6> parse_address(std::string_view text, bool* is_v4) {
  boost::system::error_code error;
  if (text.find('%') != std::string_view::npos) return std::nullopt;  // no zones
  const ip::address address = ip::make_address(std::string(text), error);
  if (error) return std::nullopt;
  *is_v4 = address.is_v4() || address.to_v6().is_v4_mapped();
  return address.is_v4() ? ip::make_address_v6(ip::v4_mapped, address.to_v4()) : address.to_v6();
}

struct Network {
  ip::address_v6 address;
  unsigned bits = 128;  // of the mapped form
};

// "10.0.0.0/8", "2001:db8::/32" or one address. As OpenSSH: no bits may be set to the right of the network.
std::optional<Network> parse_network(std::string_view text) {
  Network network;
  const std::size_t slash = text.find('/');
  bool is_v4 = false;
  const auto address = parse_address(text.substr(0, slash), &is_v4);
  if (!address) return std::nullopt;
  network.address = *address;
  if (slash == std::string_view::npos) return network;
  const std::string_view digits = text.substr(slash + 1);
  unsigned bits = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
  if (error != std::errc{} || end != digits.data() + digits.size() || bits > (is_v4 ? 32u : 128u)) return std::nullopt;
  network.bits = is_v4 ? bits + 96 : bits;
  const auto bytes = network.address.to_bytes();
  for (unsigned bit = network.bits; bit < 128; ++bit)
    if ((bytes[bit / 8] >> (7 - bit % 8) & 1) != 0) return std::nullopt;
  return network;
}

bool contains(const Network& network, const ip::address_v6& address) {
  const auto a = network.address.to_bytes(), b = address.to_bytes();
  const unsigned whole = network.bits / 8, rest = network.bits % 8;
  if (!std::equal(a.begin(), a.begin() + whole, b.begin())) return false;
  return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

// Characters that occur in addresses and wildcards for them.
bool is_wildcard_of_addresses(std::string_view text) {
  const bool has_colon = text.find(':') != std::string_view::npos;
  return text.find_first_of("*?") != std::string_view::npos && std::all_of(text.begin(), text.end(), [has_colon](char c) {
           const bool hex_letter = (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
           return (c >= '0' && c <= '9') || c == '.' || c == ':' || c == '*' || c == '?' || (hex_letter && has_colon);
         });
}

bool endpoint_matches(const std::vector<Endpoint>& allowed, std::string_view host, std::uint32_t port, bool with_wildcards) {
  const std::string wanted = lower(host);
  return std::any_of(allowed.begin(), allowed.end(), [&](const Endpoint& endpoint) {
    if (endpoint.port != 0 && endpoint.port != port) return false;
    return endpoint.host == "*" || (with_wildcards ? matches_wildcard(wanted, lower(endpoint.host)) : lower(endpoint.host) == wanted);
  });
}

}  // namespace

bool matches_wildcard(std::string_view text, std::string_view pattern) {
  // Greedy with one point to go back to: linear in practice, quadratic at worst, never exponential.
  std::size_t t = 0, p = 0, star = std::string_view::npos, mark = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      mark = t;
    } else if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++mark;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

std::string check_sources(std::string_view patterns) {
  const auto entries = entries_of(patterns);
  if (entries.size() > kMostPatterns) return "it has more than 256 entries";
  for (std::string_view entry : entries) {
    const std::string_view whole = entry;
    if (entry.starts_with('!')) entry.remove_prefix(1);
    if (parse_network(entry) || is_wildcard_of_addresses(entry)) continue;
    return "'" + std::string(whole) + "' is not an address, a network such as 10.0.0.0/8 or a wildcard such as 10.0.*; names of hosts are not looked up";
  }
  return {};
}

std::string check_networks(std::string_view networks) {
  const auto entries = entries_of(networks);
  if (entries.size() > kMostPatterns) return "it has more than 256 entries";
  for (const std::string_view entry : entries)
    if (!parse_network(entry)) return "'" + std::string(entry) + "' is not an address or a network such as 10.0.0.0/8";
  return {};
}

bool source_allowed(std::string_view patterns, std::string_view address) {
  if (!check_sources(patterns).empty()) return false;
  bool is_v4 = false;
  const auto source = parse_address(address, &is_v4);
  if (!source) return false;
  const std::string text = is_v4 ? ip::make_address_v4(ip::v4_mapped, *source).to_string() : source->to_string();
  bool matched = false;
  for (std::string_view entry : entries_of(patterns)) {
    const bool refuses = entry.starts_with('!');
    if (refuses) entry.remove_prefix(1);
    const auto network = parse_network(entry);
    const bool matches = network ? contains(*network, *source) : matches_wildcard(text, lower(entry));
    if (matches && refuses) return false;
    matched = matched || matches;
  }
  return matched;
}

bool Permissions::may_connect(std::string_view host, std::uint32_t port) const {
  return port_forwarding && (!connect_to || endpoint_matches(*connect_to, host, port, false));
}

bool Permissions::may_listen(std::string_view host, std::uint32_t port) const {
  return port_forwarding && (!listen_on || endpoint_matches(*listen_on, host, port, true));
}

std::string_view Permissions::restriction() const {
  if (forced_command) return "command";
  if (!pty) return "no-pty";
  if (!port_forwarding) return "no-port-forwarding";
  if (connect_to) return "permitopen";
  if (listen_on) return "permitlisten";
  if (!agent_forwarding) return "no-agent-forwarding";
  if (!x11_forwarding) return "no-X11-forwarding";
  return {};
}

}  // namespace berth::auth
