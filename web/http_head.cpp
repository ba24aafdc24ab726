#include "web/http_head.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <limits>

namespace berth::web {
namespace {

constexpr std::size_t kMaxFields = 128, kUsualFields = 16;

enum : std::uint8_t { kToken = 1, kValue = 2, kTarget = 4, kHost = 8 };

constexpr std::array<std::uint8_t, 256> make_classes() {
  std::array<std::uint8_t, 256> classes{};
  for (int c = 0; c < 256; ++c) {
    const bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (alnum || (c < 128 && c != 0 && std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) != std::string_view::npos))
      classes[c] |= kToken;
    if (c == '\t' || (c >= 0x20 && c != 0x7f)) classes[c] |= kValue;
    if (c > 0x20 && c < 0x7f) classes[c] |= kTarget;
    if (alnum || c == '.' || c == '-' || c == '_' || c == ':' || c == '[' || c == ']') classes[c] |= kHost;
  }
  return classes;
}
constexpr auto kClasses = make_classes();

bool all_of_class(std::string_view text, std::uint8_t wanted) {
  return std::all_of(text.begin(), text.end(), [&](char c) { return kClasses[static_cast<unsigned char>(c)] & wanted; });
}

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

struct NameRow { std::string_view name; Name id; };
constexpr auto kNames = std::to_array<NameRow>({
    {"te", Name::te}, {"via", Name::via}, {"host", Name::host}, {"date", Name::date}, {"cookie", Name::cookie}, {"origin", Name::origin},
    {"accept", Name::accept}, {"expect", Name::expect}, {"upgrade", Name::upgrade}, {"trailer", Name::trailer}, {"referer", Name::referer},
    {"refresh", Name::refresh}, {"connection", Name::connection}, {"keep-alive", Name::keep_alive}, {"forwarded", Name::forwarded},
    {"location", Name::location}, {"set-cookie", Name::set_cookie}, {"user-agent", Name::user_agent}, {"content-type", Name::content_type},
    {"content-length", Name::content_length}, {"authorization", Name::authorization}, {"x-berth-csrf", Name::x_berth_csrf},
    {"accept-encoding", Name::accept_encoding}, {"proxy-connection", Name::proxy_connection}, {"proxy-authorization", Name::proxy_authorization},
    {"proxy-authenticate", Name::proxy_authenticate}, {"x-forwarded-for", Name::x_forwarded_for}, {"x-forwarded-host", Name::x_forwarded_host},
    {"x-forwarded-port", Name::x_forwarded_port}, {"x-forwarded-proto", Name::x_forwarded_proto}, {"x-forwarded-prefix", Name::x_forwarded_prefix},
    {"x-real-ip", Name::x_real_ip}, {"transfer-encoding", Name::transfer_encoding}, {"if-none-match", Name::if_none_match},
    {"sec-fetch-mode", Name::sec_fetch_mode}, {"sec-fetch-dest", Name::sec_fetch_dest}, {"sec-fetch-site", Name::sec_fetch_site}, {"sec-websocket-key", Name::sec_websocket_key},
    {"sec-websocket-version", Name::sec_websocket_version}, {"x-accel-buffering", Name::x_accel_buffering},
});
constexpr std::size_t kLongestName = 21;

// The names again, shorter ones first; those of N letters are the rows from kOfSize[N] to kOfSize[N + 1].
constexpr auto kNamesBySize = [] {
  auto rows = kNames;
  std::sort(rows.begin(), rows.end(), [](const NameRow& a, const NameRow& b) { return a.name.size() < b.name.size(); });
  return rows;
}();
constexpr auto kOfSize = [] {
  std::array<std::uint8_t, kLongestName + 2> from{};
  for (const NameRow& row : kNames)
    for (std::size_t size = row.name.size() + 1; size < from.size(); ++size) ++from[size];
  return from;
}();
static_assert(kOfSize[kLongestName + 1] == kNames.size());

// One line of a head, without its CRLF; the scanner has made sure that each '\n' follows a '\r'.
std::string_view next_line(std::string_view& rest) {
  const std::size_t end = rest.find('\n');
  const std::string_view line = rest.substr(0, end - 1);
  rest.remove_prefix(end + 1);
  return line;
}

std::optional<ParseError> parse_length(std::string_view value, Head& into) {
  if (into.has_content_length) return ParseError{400, "Content-Length is given twice"};
  const bool digits = !value.empty() && value.size() <= 18 && std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!digits) return ParseError{400, "Content-Length is not a number"};
  std::from_chars(value.data(), value.data() + value.size(), into.content_length);
  into.has_content_length = true;
  return std::nullopt;
}

// Everything after the first line.
std::optional<ParseError> parse_fields(std::string_view rest, Head& into) {
  into.fields.reserve(kUsualFields);
  bool transfer_encoding = false, upgrade_field = false, upgrade_option = false, close = false, kept = false;
  while (true) {
    const std::string_view line = next_line(rest);
    if (line.empty()) break;
    if (into.fields.size() == kMaxFields) return ParseError{431, "too many header fields"};
    if (line.front() == ' ' || line.front() == '\t') return ParseError{400, "a header field is folded over two lines"};
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) return ParseError{400, "a header field has no name"};
    Field field{line.substr(0, colon), trim(line.substr(colon + 1)), Name::other};
    if (!all_of_class(field.name, kToken)) return ParseError{400, "a header field's name holds a forbidden character"};
    if (!all_of_class(field.value, kValue)) return ParseError{400, "a header field's value holds a control character"};
    field.id = name_id(field.name);
    switch (field.id) {
      case Name::content_length:
        if (auto error = parse_length(field.value, into)) return error;
        break;
      case Name::transfer_encoding:
        if (transfer_encoding || into.minor == 0) return ParseError{400, "Transfer-Encoding is not allowed here"};
        if (!equals_ignoring_case(field.value, "chunked")) return ParseError{501, "only the chunked transfer coding is supported"};
        transfer_encoding = true;
        break;
      case Name::connection:
        close |= list_has(field.value, "close");
        kept |= list_has(field.value, "keep-alive");
        upgrade_option |= list_has(field.value, "upgrade");
        break;
      case Name::upgrade: upgrade_field = true; break;
      default: break;
    }
    into.fields.push_back(field);
  }
  if (transfer_encoding && into.has_content_length) return ParseError{400, "both Transfer-Encoding and Content-Length are given"};
  if (transfer_encoding) into.framing = Framing::chunked;
  else if (into.has_content_length) into.framing = into.content_length > 0 ? Framing::length : Framing::none;
  into.keep_alive = !close && (into.minor == 1 || kept);
  into.upgrade = upgrade_field && upgrade_option;
  return std::nullopt;
}

void clear(Head& head) {
  head.fields.clear();
  head.minor = 1;
  head.framing = Framing::none;
  head.content_length = 0;
  head.has_content_length = head.upgrade = false;
  head.keep_alive = true;
}

std::optional<ParseError> parse_version(std::string_view text, int& minor) {
  if (text.size() != 8 || !text.starts_with("HTTP/") || text[6] != '.') return ParseError{400, "the request line is malformed"};
  if (text[5] != '1' || (text[7] != '0' && text[7] != '1')) return ParseError{505, "only HTTP/1.0 and HTTP/1.1 are supported"};
  minor = text[7] - '0';
  return std::nullopt;
}

}  // namespace

Name name_id(std::string_view name) {
  if (name.empty() || name.size() > kLongestName) return Name::other;
  const char first = lower(name.front());
  for (std::size_t i = kOfSize[name.size()]; i < kOfSize[name.size() + 1]; ++i) {
    const NameRow& row = kNamesBySize[i];
    if (row.name.front() == first && equals_ignoring_case(row.name, name)) return row.id;
  }
  return Name::other;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

bool list_has(std::string_view list, std::string_view token) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    if (equals_ignoring_case(trim(list.substr(0, comma)), token)) return true;
    if (comma == std::string_view::npos) break;
    list.remove_prefix(comma + 1);
  }
  return false;
}

bool is_token(std::string_view text) { return !text.empty() && all_of_class(text, kToken); }

std::string_view Head::find(Name id) const {
  for (const Field& field : fields)
    if (field.id == id) return field.value;
  return {};
}

bool Head::has(Name id) const {
  return std::any_of(fields.begin(), fields.end(), [id](const Field& field) { return field.id == id; });
}

bool Head::connection_names(std::string_view name) const {
  return std::any_of(fields.begin(), fields.end(), [&](const Field& field) { return field.id == Name::connection && list_has(field.value, name); });
}

std::string_view RequestHead::query() const {
  const std::size_t mark = target.find('?');
  return mark == std::string_view::npos ? std::string_view{} : target.substr(mark + 1);
}

HeadScanner::State HeadScanner::scan(std::string_view data) {
  while (true) {
    const void* found = next_ < data.size() ? std::memchr(data.data() + next_, '\n', data.size() - next_) : nullptr;
    if (!found) {
      next_ = data.size();
      return State::more;
    }
    const std::size_t lf = static_cast<std::size_t>(static_cast<const char*>(found) - data.data());
    if (lf == line_ || data[lf - 1] != '\r') return State::bad;
    const bool empty_line = lf == line_ + 1;
    next_ = line_ = lf + 1;
    if (empty_line) return first_line_ == 0 ? State::bad : State::complete;
    if (first_line_ == 0) first_line_ = line_;
  }
}

std::optional<ParseError> parse_request(std::string_view head, RequestHead& into) {
  clear(into);
  into.host = {};
  into.expects_continue = false;
  const std::string_view line = next_line(head);
  const std::size_t first = line.find(' '), last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return ParseError{400, "the request line is malformed"};
  into.method = line.substr(0, first);
  into.target = line.substr(first + 1, last - first - 1);
  if (!is_token(into.method)) return ParseError{400, "the method is malformed"};
  if (auto error = parse_version(line.substr(last + 1), into.minor)) return error;
  if (into.target.empty() || into.target.front() != '/' || !all_of_class(into.target, kTarget)) return ParseError{400, "the request target is malformed"};
  if (auto error = parse_fields(head, into)) return error;
  std::size_t hosts = 0;
  for (const Field& field : into.fields) {
    if (field.id == Name::host && ++hosts == 1) into.host = field.value;
    if (field.id == Name::expect) {
      if (!equals_ignoring_case(field.value, "100-continue")) return ParseError{417, "this expectation is not supported"};
      into.expects_continue = into.minor == 1;
    }
  }
  if (hosts > 1 || (hosts == 0 && into.minor == 1)) return ParseError{400, "exactly one Host is needed"};
  if (hosts == 1 && (into.host.empty() || into.host.size() > 255 || !all_of_class(into.host, kHost))) return ParseError{400, "the Host is malformed"};
  return std::nullopt;
}

std::optional<ParseError> parse_response(std::string_view head, std::string_view request_method, ResponseHead& into) {
  clear(into);
  const std::string_view line = next_line(head);
  if (line.size() < 12 || parse_version(line.substr(0, 8), into.minor) || line[8] != ' ') return ParseError{502, "its status line is malformed"};
  const std::string_view code = line.substr(9, 3);
  const auto [end, error_code] = std::from_chars(code.data(), code.data() + 3, into.status);
  if (error_code != std::errc{} || end != code.data() + 3 || into.status < 100 || into.status > 599) return ParseError{502, "its status is malformed"};
  if (line.size() > 12 && line[12] != ' ') return ParseError{502, "its status line is malformed"};
  into.reason = line.size() > 13 ? line.substr(13) : std::string_view{};
  if (!all_of_class(into.reason, kValue)) return ParseError{502, "its status line holds a control character"};
  if (auto error = parse_fields(head, into)) return ParseError{502, error->why};
  const bool no_body = request_method == "HEAD" || into.status < 200 || into.status == 204 || into.status == 304;
  if (no_body) into.framing = Framing::none;
  else if (into.framing == Framing::none && !into.has_content_length) into.framing = Framing::until_close;
  return std::nullopt;
}

ChunkScanner::State ChunkScanner::scan(std::string_view data, std::size_t& used, std::string* decoded) {
  used = trailers_from_ = 0;
  while (used < data.size()) {
    if (at_ == At::data) {
      const std::size_t take = static_cast<std::size_t>(std::min<std::uint64_t>(left_, data.size() - used));
      if (decoded) decoded->append(data.data() + used, take);
      used += take;
      left_ -= take;
      if (left_ == 0) at_ = At::data_cr;
      continue;
    }
    const bool in_trailers = has_trailers_;
    const State state = step(data[used++]);
    if (has_trailers_ && !in_trailers) trailers_from_ = used - 1;
    if (state != State::more) return state;
  }
  return at_ == At::done ? State::complete : State::more;
}

// One byte of framing.
ChunkScanner::State ChunkScanner::step(char c) {
  const auto go = [this](bool good, At next) {
    at_ = next;
    return good ? State::more : State::bad;
  };
  switch (at_) {
    case At::size_first:
      left_ = 0;
      line_bytes_ = 0;
      [[fallthrough]];
    case At::size: {
      const char l = lower(c);
      const int digit = l >= '0' && l <= '9' ? l - '0' : l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
      if (digit >= 0) {
        left_ = left_ * 16 + static_cast<unsigned>(digit);
        return go(++line_bytes_ <= 15, At::size);
      }
      if (at_ == At::size_first) return State::bad;
      line_bytes_ = 0;
      if (c == ';') return go(true, At::extension);
      return go(c == '\r', At::size_lf);
    }
    case At::extension:
      if (c == '\r') return go(true, At::size_lf);
      return go((kClasses[static_cast<unsigned char>(c)] & kValue) && ++line_bytes_ <= 1024, At::extension);
    case At::size_lf: return go(c == '\n', left_ > 0 ? At::data : At::line_first);
    case At::data: return State::bad;  // not reached: scan() takes data in bulk
    case At::data_cr: return go(c == '\r', At::data_lf);
    case At::data_lf: return go(c == '\n', At::size_first);
    case At::line_first:
      if (c == '\r') return go(true, At::last_lf);
      has_trailers_ = true;
      return go(kClasses[static_cast<unsigned char>(c)] & kToken, At::trailer);
    case At::trailer:
      if (++trailer_bytes_ > 8192) return State::bad;
      if (c == '\r') return go(true, At::trailer_lf);
      return go(kClasses[static_cast<unsigned char>(c)] & kValue, At::trailer);
    case At::trailer_lf: return go(c == '\n', At::line_first);
    case At::last_lf:
      at_ = At::done;
      return c == '\n' ? State::complete : State::bad;
    case At::done: return State::bad;
  }
  return State::bad;
}

}  // namespace berth::web
