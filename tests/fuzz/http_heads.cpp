// libFuzzer on request and response heads and chunk framing: tests/fuzz/run http_heads [SECONDS]. What is accepted goes on as something that the next
// reader, as strict as we are, reads the same way, and carries nothing that must not pass.
#include <cstdlib>

#include "web/proxy_head.hpp"

using namespace berth::web;

namespace {

void must(bool holds) {
  if (!holds) std::abort();
}

// The end is found at the same place however the bytes arrive. 0: there is none, or they are refused.
std::size_t scanned(std::string_view data) {
  HeadScanner whole, piecewise;
  const auto state = whole.scan(data);
  auto last = HeadScanner::State::more;
  for (std::size_t i = 1; i <= data.size() && last == HeadScanner::State::more; ++i) last = piecewise.scan(data.substr(0, i));
  must(last == state);
  if (state != HeadScanner::State::complete) return 0;
  must(whole.size() == piecewise.size() && whole.first_line() == piecewise.first_line());
  return whole.size();
}

void chunks(std::string_view data) {
  ChunkScanner whole, piecewise;
  std::string decoded, bit_by_bit;
  std::size_t used = 0, total = 0;
  const auto state = whole.scan(data, used, &decoded);
  auto last = ChunkScanner::State::more;
  for (std::size_t i = 0; i < data.size() && last == ChunkScanner::State::more; ++i) {
    std::size_t one = 0;
    last = piecewise.scan(data.substr(i, 1), one, &bit_by_bit);
    total += one;
  }
  must(last == state && used == total && decoded == bit_by_bit && whole.has_trailers() == piecewise.has_trailers());
}

void request(std::string_view head, bool own_origin) {
  RequestHead parsed, again;
  if (parse_request(head, parsed)) return;
  ProxyRequest proxy;
  proxy.target = parsed.target;
  proxy.host = "localhost:8000";
  proxy.public_host = parsed.host;
  proxy.public_origin = "https://a";
  proxy.client_address = "203.0.113.7";
  proxy.own_origin = own_origin;
  const std::string out = rewrite_request(parsed, proxy);
  must(scanned(out) == out.size());
  must(!parse_request(out, again));
  must(again.method == parsed.method && again.target == parsed.target && again.framing == parsed.framing && again.content_length == parsed.content_length);
  must(!again.upgrade && again.find(Name::x_forwarded_for) == "203.0.113.7");
  must(strip_berth_cookies(again.find(Name::cookie)) == again.find(Name::cookie));
}

void response(std::string_view head) {
  ResponseHead parsed, again;
  if (parse_response(head, "GET", parsed)) return;
  ProxyResponse proxy;
  proxy.prefix = "/w/a/b/port/1";
  proxy.host = "localhost:1";
  proxy.workspace_path = "/w/a/b/";
  const std::string out = rewrite_response(parsed, proxy);
  must(scanned(out) == out.size());
  must(!parse_response(out, "GET", again));
  must(again.status == parsed.status && again.framing == parsed.framing && again.content_length == parsed.content_length);
  for (const Field& field : again.fields) must(field.id != Name::set_cookie || !is_berth_cookie(field.value));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* bytes, std::size_t size) {
  const std::string_view data(reinterpret_cast<const char*>(bytes), size);
  const std::size_t end = scanned(data);
  if (end > 0) {
    request(data.substr(0, end), size % 2 == 0);
    response(data.substr(0, end));
  }
  chunks(data);
  return 0;
}
