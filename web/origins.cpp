#include "web/origins.hpp"

#include "web/http_head.hpp"

namespace berth::web {
namespace {

std::string_view authority_of(std::string_view url) {
  const std::size_t slashes = url.find("://");
  return slashes == std::string_view::npos ? std::string_view{} : url.substr(slashes + 3);
}

std::size_t index_of(Face face) { return face == Face::portal ? 0 : 1; }

}  // namespace

std::string_view host_without_port(std::string_view host) {
  const std::size_t bracket = host.rfind(']'), colon = host.rfind(':');
  if (colon == std::string_view::npos || (bracket != std::string_view::npos && colon < bracket)) return host;
  return host.substr(0, colon);
}

Origins::Origins(std::string portal_url, std::string workspace_url, std::uint16_t portal_port, std::uint16_t workspace_port,
                 std::string_view wildcard_domain)
    : urls_{std::move(portal_url), std::move(workspace_url)}, ports_{portal_port, workspace_port} {
  if (wildcard_domain.empty()) return;
  domain_ = "." + std::string(host_without_port(wildcard_domain));
  const std::string_view from = domain_.size() > wildcard_domain.size() ? authority_of(urls_[1]) : wildcard_domain;
  domain_port_ = from.substr(host_without_port(from).size());
  if (domain_port_ == ":443") domain_port_.clear();  // browsers leave it out
}

void Origins::bound(Face face, std::uint16_t port) {
  std::uint16_t unset = 0;
  ports_[index_of(face)].compare_exchange_strong(unset, port);
}

std::string Origins::origin(Face wanted, Face asked, std::string_view host, bool secure) const {
  const std::string& asked_url = urls_[index_of(asked)];
  if (!asked_url.empty() && equals_ignoring_case(authority_of(asked_url), host)) return urls_[index_of(wanted)];
  const std::string scheme = secure ? "https://" : "http://";
  if (wanted == asked) return scheme + std::string(host);
  const std::uint16_t port = ports_[index_of(wanted)].load();
  const std::string name = scheme + std::string(host_without_port(host));
  return port == (secure ? 443 : 80) ? name : name + ":" + std::to_string(port);  // browsers leave the default port out
}

bool Origins::is_own(std::string_view origin_header, Face asked, std::string_view host, bool secure) const {
  const std::string& url = urls_[index_of(asked)];
  if (!url.empty() && equals_ignoring_case(origin_header, url)) return true;
  return equals_ignoring_case(origin_header, origin(asked, asked, host, secure));
}

std::optional<std::string> Origins::app_label(std::string_view host) const {
  const std::string_view name = host_without_port(host);
  if (domain_.empty() || name.size() <= domain_.size() || !equals_ignoring_case(name.substr(name.size() - domain_.size()), domain_)) return std::nullopt;
  if (equals_ignoring_case(name, host_without_port(authority_of(urls_[0])))) return std::nullopt;
  std::string label(name.substr(0, name.size() - domain_.size()));
  for (char& c : label)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return label;
}

std::string Origins::app_origin(std::string_view label) const {
  return urls_[1].substr(0, urls_[1].find("://") + 3) + std::string(label) + domain_ + domain_port_;
}

}  // namespace berth::web
