// What is answered: a whole response in memory, and how its head is written.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace berth::web {

std::string_view reason_of(int status);
// The HTTP status of an error kind, as docs/api.md lists them.
int status_of(ErrorKind kind);

struct Response {
  int status = 200;
  std::string_view content_type = "application/json";  // empty: no Content-Type
  std::string body;
  std::vector<std::pair<std::string_view, std::string>> headers;  // names are literals
};

// {"error":{"kind":…,"message":…}}
Response error_response(const Error& error);
Response error_response(int status, std::string_view kind, std::string_view message);
Response redirect_response(std::string location);

// Text into HTML (both content and attribute values).
std::string escape_html(std::string_view text);

// "HTTP/1.1 200 OK\r\n"
void append_status_line(std::string& out, int status);
// "NAME: VALUE\r\n"; CR, LF and NUL in the value are dropped.
void append_field(std::string& out, std::string_view name, std::string_view value);
// RFC 9110 5.6.7: "Sun, 22 Nov 2026 18:30:00 GMT", made anew once a second for each thread.
std::string_view http_date();

// "%41%2f" to "A/": nullopt on a malformed escape or a NUL. With `plus`, '+' is a blank (query strings).
std::optional<std::string> percent_decode(std::string_view text, bool plus = false);
// The decoded value of `name` in a query string.
std::optional<std::string> query_value(std::string_view query, std::string_view name);
// The value of a cookie in a Cookie field; empty when it is not there.
std::string_view cookie_value(std::string_view cookies, std::string_view name);

}  // namespace berth::web
