// libFuzzer on cookies, both ways: tests/fuzz/run cookies [SECONDS]. Berth's never pass, and none keeps a Domain.
#include <cstdlib>

#include "web/proxy_head.hpp"
#include "web/response.hpp"

using namespace berth::web;

namespace {

// As browsers read a Set-Cookie value (RFC 6265 5.2).
bool has_domain(std::string_view cookie) {
  for (std::size_t at = cookie.find(';'); at != std::string_view::npos; at = cookie.find(';', at + 1)) {
    std::string_view name = cookie.substr(at + 1, cookie.find(';', at + 1) - at - 1);
    name = name.substr(0, name.find('='));
    while (!name.empty() && (name.front() == ' ' || name.front() == '\t')) name.remove_prefix(1);
    while (!name.empty() && (name.back() == ' ' || name.back() == '\t')) name.remove_suffix(1);
    if (equals_ignoring_case(name, "domain")) return true;
  }
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* bytes, std::size_t size) {
  const std::string_view data(reinterpret_cast<const char*>(bytes), size);
  const std::string kept = strip_berth_cookies(data);
  for (const std::string_view name : {"__Host-berth", "__Host-berth-app", "__Host-berth-ask"})
    if (!cookie_value(kept, name).empty()) std::abort();
  if (strip_berth_cookies(kept) != kept) std::abort();
  const std::string head = "HTTP/1.1 200 OK\r\nSet-Cookie: " + std::string(data) + "\r\n\r\n";
  HeadScanner scanner;
  ResponseHead parsed, again;
  if (scanner.scan(head) != HeadScanner::State::complete || scanner.size() != head.size() || parse_response(head, "GET", parsed)) return 0;
  const std::string out = rewrite_response(parsed, {});
  if (parse_response(out, "GET", again)) std::abort();
  for (const Field& field : again.fields)
    if (field.id == Name::set_cookie && (has_domain(field.value) || is_berth_cookie(field.value))) std::abort();
  return 0;
}
