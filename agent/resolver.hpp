// Host names to addresses: /etc/hosts, then DNS as /etc/resolv.conf says, by c-ares. Never NSS.
#pragma once
#include <sys/socket.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "agent/loop.hpp"
#include "base/result.hpp"

namespace berth::agent {

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// An IPv4 or IPv6 address in digits ("::1", "fe80::1%2" is not taken).
bool parse_address(const std::string& text, std::uint16_t port, Address& address);
// "192.0.2.1" and 80; an IPv4-mapped IPv6 address reads as IPv4.
std::pair<std::string, std::uint16_t> format_address(const sockaddr_storage& storage);

// Answers once, maybe before it returns. At most 16 addresses, in the order in which to try them.
void resolve(Loop& loop, const std::string& host, std::uint16_t port, std::function<void(Result<std::vector<Address>>)> answer);

}  // namespace berth::agent
