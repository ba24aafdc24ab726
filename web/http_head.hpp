// Request and response heads of HTTP/1.1 (RFC 9112), parsed strictly and in place: what two parsers could read in two ways is
// refused (bare LF, obs-fold, space before the colon, two lengths, a length beside chunked), because that is request smuggling.
// Own code instead of Beast's parser: Beast accepts some of these, so every head would be checked a second time.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace berth::web {

// The fields that Berth looks at; all others are `other`.
enum class Name : std::uint8_t {
  other, te, via, host, date, cookie, origin, accept, expect, upgrade, trailer, referer, refresh, connection, keep_alive, forwarded, location,
  set_cookie, user_agent, content_type, content_length, authorization, x_berth_csrf, accept_encoding, proxy_connection, proxy_authorization,
  proxy_authenticate, x_forwarded_for, x_forwarded_host, x_forwarded_port, x_forwarded_proto, x_forwarded_prefix, x_real_ip, transfer_encoding, if_none_match,
  sec_fetch_mode, sec_fetch_dest, sec_fetch_site, sec_websocket_key, sec_websocket_version, x_accel_buffering,
};
Name name_id(std::string_view name);  // any case

struct Field {
  std::string_view name, value;  // value without surrounding blanks
  Name id = Name::other;
};

// How the end of a body is found.
enum class Framing : std::uint8_t { none, length, chunked, until_close };

struct ParseError {
  int status = 400;  // what a client is answered; for an upstream's head it is always 502
  std::string_view why;
};

// Views point into the parsed bytes.
struct Head {
  std::vector<Field> fields;
  int minor = 1;  // HTTP/1.minor, 0 or 1
  Framing framing = Framing::none;
  std::uint64_t content_length = 0;
  bool has_content_length = false;
  bool keep_alive = true;
  bool upgrade = false;  // Connection names "upgrade" and there is an Upgrade field

  std::string_view find(Name id) const;  // first value, or empty
  bool has(Name id) const;
  // Is `name` one of the fields that Connection declares to be for this hop only?
  bool connection_names(std::string_view name) const;
};

struct RequestHead : Head {
  std::string_view method, target, host;
  bool expects_continue = false;
  std::string_view path() const { return target.substr(0, target.find('?')); }
  std::string_view query() const;  // without '?'
};

struct ResponseHead : Head {
  int status = 0;
  std::string_view reason;
};

// Finds the end of a head, however it arrives: call again with the grown buffer.
class HeadScanner {
 public:
  enum class State { more, complete, bad };
  // `data` begins at the head's first byte and only ever grows.
  State scan(std::string_view data);
  std::size_t size() const { return line_; }              // bytes of the complete head, with its empty line
  std::size_t first_line() const { return first_line_; }  // 0 until it is complete
  void reset() { *this = {}; }

 private:
  std::size_t next_ = 0, line_ = 0, first_line_ = 0;
};

// `head` is what HeadScanner found complete. nullopt: good. `into` is reused, so that its memory is.
std::optional<ParseError> parse_request(std::string_view head, RequestHead& into);
// `request_method` decides whether there is a body (HEAD; RFC 9112 6.3).
std::optional<ParseError> parse_response(std::string_view head, std::string_view request_method, ResponseHead& into);

bool equals_ignoring_case(std::string_view a, std::string_view b);
// Does a comma-separated list hold `token`, in any case?
bool list_has(std::string_view list, std::string_view token);
bool is_token(std::string_view text);  // RFC 9110 5.6.2

// Strict chunk framing (RFC 9112 7.1): no bare LF, no empty or signed size, sizes up to 2^60, extensions of up to 1 KiB, trailers up to 8 KiB.
class ChunkScanner {
 public:
  enum class State { more, complete, bad };
  // Looks at `data`, adds payload to `decoded` when that is not null; `used` is how many bytes belong to this body.
  State scan(std::string_view data, std::size_t& used, std::string* decoded);
  bool has_trailers() const { return has_trailers_; }
  // Where in the data of the last scan() trailer fields began; 0 when they had begun before it.
  std::size_t trailers_from() const { return trailers_from_; }

 private:
  enum class At : std::uint8_t { size_first, size, extension, size_lf, data, data_cr, data_lf, line_first, trailer, trailer_lf, last_lf, done };
  State step(char c);
  At at_ = At::size_first;
  bool has_trailers_ = false;
  std::uint64_t left_ = 0;
  std::size_t line_bytes_ = 0, trailer_bytes_ = 0, trailers_from_ = 0;
};

}  // namespace berth::web
