#include "web/proxy_head.hpp"

#include "web/response.hpp"

namespace berth::web {
namespace {

bool is_hop_by_hop(Name id) {
  switch (id) {
    case Name::connection:
    case Name::keep_alive:
    case Name::proxy_connection:
    case Name::proxy_authorization:
    case Name::proxy_authenticate:
    case Name::te:
    case Name::trailer:
    case Name::upgrade: return true;
    default: return false;
  }
}

bool is_replaced(Name id) {
  switch (id) {
    case Name::host:
    case Name::expect:
    case Name::forwarded:
    case Name::x_forwarded_for:
    case Name::x_forwarded_host:
    case Name::x_forwarded_port:
    case Name::x_forwarded_proto:
    case Name::x_forwarded_prefix:
    case Name::x_real_ip:
    case Name::x_berth_csrf:
    case Name::cookie: return true;  // cookies are joined and filtered
    default: return false;
  }
}

// Fields by which one page would speak for the whole host, or for other workspaces of the origin.
constexpr std::string_view kNotFromWorkspaces[] = {"strict-transport-security", "clear-site-data", "alt-svc", "report-to", "nel",
                                                   "reporting-endpoints", "public-key-pins", "service-worker-allowed"};

bool speaks_for_host(const Field& field, std::string_view workspace_path) {
  if (field.id != Name::other) return false;
  for (const std::string_view name : kNotFromWorkspaces) {
    if (!equals_ignoring_case(field.name, name)) continue;
    return !(name == "service-worker-allowed" && field.value.starts_with(workspace_path));
  }
  return false;
}

void append_line(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  out += value;
  out += "\r\n";
}

std::string_view without_leading(std::string_view text, std::string_view characters) {
  const std::size_t first = text.find_first_not_of(characters);
  return first == std::string_view::npos ? std::string_view{} : text.substr(first);
}

// A Set-Cookie value for the host that it comes from alone.
std::string without_domain(std::string_view cookie) {
  std::string kept;
  for (bool first = true;; first = false) {
    const std::size_t end = cookie.find(';');
    const std::string_view part = cookie.substr(0, end), name = without_leading(part, " \t").substr(0, 6);
    const std::string_view after = without_leading(without_leading(part, " \t").substr(name.size()), " \t");
    const bool domain = !first && equals_ignoring_case(name, "domain") && (after.empty() || after.front() == '=');
    if (!domain) kept.append(first ? "" : ";").append(part);
    if (end == std::string_view::npos) return kept;
    cookie.remove_prefix(end + 1);
  }
}

// RFC 7239: the address quoted when it is IPv6.
void append_forwarded(std::string& out, const ProxyRequest& proxy) {
  const bool v6 = proxy.client_address.find(':') != std::string_view::npos;
  out.append("Forwarded: for=").append(v6 ? "\"[" : "").append(proxy.client_address).append(v6 ? "]\"" : "");
  out.append(";host=\"").append(proxy.public_host).append("\";proto=").append(proxy.secure ? "https" : "http").append("\r\n");
}

// "/x" and "http://localhost:8000/x" become "/w/ada/main/port/8000/x"; what has the prefix already, or leads elsewhere, stays.
std::string rewrite_location(std::string_view location, const ProxyResponse& proxy) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!location.starts_with(scheme) || !location.substr(scheme.size()).starts_with(proxy.host)) continue;
    const std::string_view rest = location.substr(scheme.size() + proxy.host.size());
    if (rest.empty()) return std::string(proxy.prefix) + "/";
    if (rest.starts_with("//")) return (proxy.prefix.empty() ? "/." : std::string(proxy.prefix)) + std::string(rest);  // a path, no host
    if (rest.front() == '/') location = rest;
    else if (rest.front() == '?') return std::string(proxy.prefix) + "/" + std::string(rest);
  }
  if (proxy.prefix.empty()) return std::string(location);
  const bool absolute = location.starts_with('/') && !location.starts_with("//");
  const bool has_prefix = location == proxy.prefix || (location.starts_with(proxy.prefix) && location.substr(proxy.prefix.size()).starts_with('/'));
  return absolute && !has_prefix ? std::string(proxy.prefix) + std::string(location) : std::string(location);
}

}  // namespace

bool is_berth_cookie(std::string_view name) {
  const auto begins = [&](std::string_view prefix) { return name.size() >= prefix.size() && equals_ignoring_case(name.substr(0, prefix.size()), prefix); };
  return begins("__host-berth") || begins("__secure-berth") || begins("berth");
}

std::string strip_berth_cookies(std::string_view cookies) {
  std::string kept;
  while (!cookies.empty()) {
    const std::size_t end = cookies.find(';');
    const std::string_view pair = without_leading(cookies.substr(0, end), " \t");
    const std::string_view name = without_leading(pair, "= \t");  // "=__Host-berth=x" reads as a nameless cookie or as ours
    if (!pair.empty() && !is_berth_cookie(name)) {
      if (!kept.empty()) kept += "; ";
      kept += pair;
    }
    if (end == std::string_view::npos) break;
    cookies.remove_prefix(end + 1);
  }
  return kept;
}

std::string rewrite_request(const RequestHead& head, const ProxyRequest& proxy) {
  std::string out;
  out.reserve(1024);
  out += head.method;
  out += ' ';
  out += proxy.target;
  out += " HTTP/1.1\r\n";
  append_line(out, "Host", proxy.host);
  std::string cookies;
  const bool options = head.has(Name::connection);
  for (const Field& field : head.fields) {
    if (is_hop_by_hop(field.id) || (!proxy.token.empty() && field.id == Name::authorization)) continue;
    if (field.id == Name::cookie) {
      const std::string kept = strip_berth_cookies(field.value);
      if (!kept.empty()) cookies += (cookies.empty() ? "" : "; ") + kept;
      continue;
    }
    if (is_replaced(field.id)) continue;
    const bool framing = field.id == Name::content_length || field.id == Name::transfer_encoding;
    if (options && !framing && head.connection_names(field.name)) continue;
    // A workspace's server that compares Origin with its Host must see them agree.
    const bool own = field.id == Name::origin && proxy.host != proxy.public_host && equals_ignoring_case(field.value, proxy.public_origin);
    // What compares it with X-Forwarded-Host instead would not: where nothing foreign can be meant, it is left out.
    if (own && proxy.own_origin) continue;
    if (own) append_line(out, "Origin", "http://" + std::string(proxy.host));
    else append_line(out, field.name, field.value);
  }
  if (!cookies.empty()) append_line(out, "Cookie", cookies);
  if (!proxy.token.empty()) out.append("Authorization: token ").append(proxy.token).append("\r\n");
  append_forwarded(out, proxy);
  append_line(out, "X-Forwarded-For", proxy.client_address);
  append_line(out, "X-Forwarded-Host", proxy.public_host);
  append_line(out, "X-Forwarded-Proto", proxy.secure ? "https" : "http");
  if (!proxy.prefix.empty()) append_line(out, "X-Forwarded-Prefix", proxy.prefix);
  if (proxy.upgrade) out += "Connection: Upgrade\r\nUpgrade: websocket\r\n";
  out += "\r\n";
  return out;
}

std::string rewrite_response(const ResponseHead& head, const ProxyResponse& proxy) {
  std::string out;
  out.reserve(1024);
  out += "HTTP/1.1 ";
  out += std::to_string(head.status);
  out += ' ';
  out += head.reason;
  out += "\r\n";
  const bool options = head.has(Name::connection);
  for (const Field& field : head.fields) {
    if (is_hop_by_hop(field.id) || speaks_for_host(field, proxy.workspace_path)) continue;
    if (field.id == Name::set_cookie && is_berth_cookie(without_leading(field.value, "= \t"))) continue;
    const bool framing = field.id == Name::content_length || field.id == Name::transfer_encoding;
    if (framing && proxy.drop_framing) continue;
    if (options && !framing && head.connection_names(field.name)) continue;
    if (field.id == Name::location && !proxy.host.empty()) append_line(out, field.name, rewrite_location(field.value, proxy));
    else if (field.id == Name::set_cookie) append_line(out, field.name, without_domain(field.value));
    else append_line(out, field.name, field.value);
  }
  if (proxy.upgrade) out += "Connection: Upgrade\r\nUpgrade: websocket\r\n";
  else if (proxy.close) out += "Connection: close\r\n";
  else if (proxy.keep_alive) out += "Connection: keep-alive\r\n";
  out += "\r\n";
  return out;
}

}  // namespace berth::web
