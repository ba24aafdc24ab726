#include "auth/permissions.hpp"

#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <charconv>

#include "base/ip_network.hpp"

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

std::optional<ip::address> parse_address(std::string_view text) {
  boost::system::error_code error;
  const ip::address address = ip::make_address(std::string(text), error);
  if (error || text.find('%') != std::string_view::npos) return std::nullopt;  // no zones
  if (address.is_v6() && address.to_v6().is_v4_mapped()) return ip::make_address_v4(ip::v4_mapped, address.to_v6());
  return address;
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

Result<Endpoint> parse_endpoint(std::string_view text, bool port_alone) {
  const auto bad = [](const char* why) { return Error{ErrorKind::invalid, why}; };
  const std::size_t colon = text.rfind(':');
  std::string_view host = "*", port = text;
  if (colon != std::string_view::npos) {
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
  } else if (!port_alone) {
    return bad("it is HOST:PORT");
  }
  const bool in_brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (in_brackets) host = host.substr(1, host.size() - 2);
  if (host.empty() || (!in_brackets && host.find(':') != std::string_view::npos)) return bad("it is HOST:PORT, an IPv6 address in [ ]");
  Endpoint endpoint{std::string(host), 0};
  if (port != "*") {
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), endpoint.port);
    if (error != std::errc{} || end != port.data() + port.size() || endpoint.port == 0) return bad("its port is not * or from 1 to 65535");
  }
  return endpoint;
}

std::string check_sources(std::string_view patterns) {
  const auto entries = entries_of(patterns);
  if (entries.size() > kMostPatterns) return "it has more than 256 entries";
  for (std::string_view entry : entries) {
    const std::string_view whole = entry;
    if (entry.starts_with('!')) entry.remove_prefix(1);
    if (parse_ip_network(entry) || is_wildcard_of_addresses(entry)) continue;
    return "'" + std::string(whole) + "' is not an address, a network such as 10.0.0.0/8 or a wildcard such as 10.0.*; names of hosts are not looked up";
  }
  return {};
}

std::string check_networks(std::string_view networks) {
  const auto entries = entries_of(networks);
  if (entries.size() > kMostPatterns) return "it has more than 256 entries";
  for (const std::string_view entry : entries)
    if (const auto network = parse_ip_network(entry); !network) return network.error().message;
  return {};
}

bool source_allowed(std::string_view patterns, std::string_view address) {
  if (!check_sources(patterns).empty()) return false;
  const auto source = parse_address(address);
  if (!source) return false;
  const std::string text = source->to_string();
  bool matched = false;
  for (std::string_view entry : entries_of(patterns)) {
    const bool refuses = entry.starts_with('!');
    if (refuses) entry.remove_prefix(1);
    const auto network = parse_ip_network(entry);
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
