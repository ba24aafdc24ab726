// The two origins of Berth (DESIGN 8) as the browser of one request sees them.
#pragma once
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "web/server.hpp"

namespace berth::web {

class Origins {
 public:
  Origins(std::string portal_url, std::string workspace_url, std::uint16_t portal_port, std::uint16_t workspace_port,
          std::string_view wildcard_domain = {});
  // A listener's port and transport, where the options left them open.
  void bound(Face face, std::uint16_t port);

  // The origin ("https://box:8444") of `wanted` for a request that came to `asked` with this Host: the configured one when the request
  // came by the configured name, else the same host with the other face's port (a user may come by address, name or localhost).
  std::string origin(Face wanted, Face asked, std::string_view host, bool secure) const;
  // Is this Origin header the origin that the request itself came to?
  bool is_own(std::string_view origin_header, Face asked, std::string_view host, bool secure) const;

  // Applications on origins of their own (app_origin.hpp). Is there a domain for them?
  bool has_apps() const { return !domain_.empty(); }
  // The label of a Host below that domain, in small letters, whatever it names; nullopt: another host. The portal's own name is never one.
  std::optional<std::string> app_label(std::string_view host) const;
  // "https://LABEL.apps.box.example:8444"
  std::string app_origin(std::string_view label) const;
  const std::string& portal_url() const { return urls_[0]; }  // as configured

 private:
  std::string urls_[2];  // by Face
  std::string domain_, domain_port_;  // ".apps.box.example"; ":8444" or nothing
  std::atomic<std::uint16_t> ports_[2];
};

// "box:8443" and "[::1]:8443" without the port.
std::string_view host_without_port(std::string_view host);

}  // namespace berth::web
