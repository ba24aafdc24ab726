// The two origins of Berth (DESIGN 8) as the browser of one request sees them.
#pragma once
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "web/server.hpp"

namespace berth::web {

class Origins {
 public:
  Origins(std::string portal_url, std::string workspace_url, std::uint16_t portal_port, std::uint16_t workspace_port);
  // A listener's port and transport, where the options left them open.
  void bound(Face face, std::uint16_t port);

  // The origin ("https://box:8444") of `wanted` for a request that came to `asked` with this Host: the configured one when the request
  // came by the configured name, else the same host with the other face's port (a user may come by address, name or localhost).
  std::string origin(Face wanted, Face asked, std::string_view host, bool secure) const;
  // Is this Origin header the origin that the request itself came to?
  bool is_own(std::string_view origin_header, Face asked, std::string_view host, bool secure) const;

 private:
  std::string urls_[2];  // by Face
  std::atomic<std::uint16_t> ports_[2];
};

// "box:8443" and "[::1]:8443" without the port.
std::string_view host_without_port(std::string_view host);

}  // namespace berth::web
