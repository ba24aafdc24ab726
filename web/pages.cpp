#include "web/pages.hpp"

#include <algorithm>

namespace berth::web {
namespace {

constexpr std::string_view kStyle =
    "body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:10vh auto;padding:0 1rem;color:#1c2733;background:#fbfcfd}"
    "h1{font-size:1.4rem}pre{white-space:pre-wrap;background:#eef2f5;padding:1rem;border-radius:6px;font-size:.85rem}"
    "@media(prefers-color-scheme:dark){body{color:#dde5ec;background:#12181f}pre{background:#1d2630}}";

// No Strict-Transport-Security: it would hold for every port of the host, and the box may serve plain HTTP elsewhere.
constexpr std::string_view kAppPolicy =
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
constexpr std::string_view kMessagePolicy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

std::string document(std::string_view title, std::string_view body, bool reload) {
  std::string html = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">";
  if (reload) html += "<meta http-equiv=\"refresh\" content=\"1\">";
  html += "<title>" + escape_html(title) + " – Berth</title><style>" + std::string(kStyle) + "</style></head><body><h1>" + escape_html(title) + "</h1>";
  html += body;
  return html + "</body></html>\n";
}

Response page(int status, std::string html) {
  Response response;
  response.status = status;
  response.content_type = "text/html; charset=utf-8";
  response.body = std::move(html);
  return response;
}

}  // namespace

Response message_page(int status, std::string_view title, std::string_view detail) {
  const bool many_lines = detail.find('\n') != std::string_view::npos;
  const std::string_view tag = many_lines ? "pre" : "p";
  std::string body = "<" + std::string(tag) + ">" + escape_html(detail) + "</" + std::string(tag) + ">";
  return page(status, document(title, body, false));
}

Response progress_page(std::string_view title, const std::vector<std::string>& lines) {
  std::string body = "<p>This page turns into the application as soon as it answers.</p><pre>";
  for (const std::string& line : lines) body += escape_html(line) + "\n";
  return page(200, document(title, body + "</pre>", true));
}

void add_security_headers(Response& response, bool app) {
  auto& headers = response.headers;
  headers.emplace_back("Content-Security-Policy", app ? kAppPolicy : kMessagePolicy);
  headers.emplace_back("X-Content-Type-Options", "nosniff");
  headers.emplace_back("X-Frame-Options", "DENY");
  headers.emplace_back("Referrer-Policy", "no-referrer");
  headers.emplace_back("Cross-Origin-Opener-Policy", "same-origin");
  headers.emplace_back("Cross-Origin-Resource-Policy", "same-origin");
  const bool has_caching = std::any_of(headers.begin(), headers.end(), [](const auto& header) { return header.first == "Cache-Control"; });
  if (!has_caching) headers.emplace_back("Cache-Control", "no-store");
}

}  // namespace berth::web
