#include "auth/key_options.hpp"

#include <algorithm>
#include <charconv>
#include <ctime>
#include <set>

namespace berth::auth {
namespace {

constexpr std::size_t kMostText = 8 * 1024;
constexpr std::size_t kMostEndpoints = 128, kMostVariables = 64;

// While parsing: the options so far, and which of those that may come once have come.
struct Parsing {
  KeyOptions result;
  std::set<std::string_view> seen;
};

// Answers what is wrong with the value, or "".
using Take = std::string (*)(Parsing& parsing, std::string_view value);

struct OptionRow {
  std::string_view name;
  bool has_value;
  bool once;
  Take take;
};

std::string take_command(Parsing& parsing, std::string_view value) {
  if (value.empty()) return "it is empty";
  parsing.result.permissions.forced_command = value;
  return {};
}

std::string take_from(Parsing& parsing, std::string_view value) {
  std::string problem = check_sources(value);
  if (problem.empty()) parsing.result.permissions.from = value;
  return problem;
}

std::string take_environment(Parsing& parsing, std::string_view value) {
  const std::size_t equals = value.find('=');
  const std::string_view name = value.substr(0, equals);
  const bool named = equals != std::string_view::npos && !name.empty() && !(name.front() >= '0' && name.front() <= '9') &&
                     std::all_of(name.begin(), name.end(), [](char c) {
                       return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
                     });
  if (!named) return "it is NAME=VALUE, and a name has letters, digits and _ only";
  auto& environment = parsing.result.permissions.environment;
  if (environment.size() == kMostVariables) return "there are over 64 of them";
  environment.emplace(name, value.substr(equals + 1));  // as in sshd: the first of a name counts
  return {};
}

std::string take_endpoint(std::optional<std::vector<Endpoint>>& into, std::string_view value, bool port_alone) {
  Result<Endpoint> endpoint = parse_endpoint(value, port_alone);
  if (!endpoint) return endpoint.error().message;
  if (!into) into.emplace();
  if (into->size() == kMostEndpoints) return "there are over 128 of them";
  into->push_back(std::move(*endpoint));
  return {};
}

// YYYYMMDD or YYYYMMDDHHMM[SS], in local time, or in UTC with a final Z.
std::string take_expiry(Parsing& parsing, std::string_view value) {
  const bool is_utc = value.ends_with('Z') || value.ends_with('z');
  const std::string_view digits = is_utc ? value.substr(0, value.size() - 1) : value;
  const bool formed = (digits.size() == 8 || digits.size() == 12 || digits.size() == 14) &&
                      std::all_of(digits.begin(), digits.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!formed) return "it is YYYYMMDD or YYYYMMDDHHMM[SS], with a Z at the end for UTC";
  const auto number = [&](std::size_t at, std::size_t length) {
    int result = 0;
    if (at < digits.size()) std::from_chars(digits.data() + at, digits.data() + at + length, result);
    return result;
  };
  std::tm parts{};
  parts.tm_year = number(0, 4) - 1900;
  parts.tm_mon = number(4, 2) - 1;
  parts.tm_mday = number(6, 2);
  parts.tm_hour = number(8, 2);
  parts.tm_min = number(10, 2);
  parts.tm_sec = number(12, 2);
  parts.tm_isdst = -1;
  const std::tm wanted = parts;
  const std::time_t time = is_utc ? ::timegm(&parts) : std::mktime(&parts);
  if (time <= 0 || parts.tm_mon != wanted.tm_mon || parts.tm_mday != wanted.tm_mday || wanted.tm_hour > 23 || wanted.tm_min > 59 || wanted.tm_sec > 60)
    return "there is no such time";
  parsing.result.expires_at = Timestamp(std::chrono::seconds(time));
  return {};
}

template <bool Permissions::*Field, bool Value>
std::string set_flag(Parsing& parsing, std::string_view) {
  parsing.result.permissions.*Field = Value;
  return {};
}
std::string nothing(Parsing&, std::string_view) { return {}; }  // Berth runs no ~/.ssh/rc, so allowing and forbidding it are the same
std::string restrict_all(Parsing& parsing, std::string_view) {
  Permissions& may = parsing.result.permissions;
  may.pty = may.port_forwarding = may.agent_forwarding = may.x11_forwarding = false;
  return {};
}

constexpr OptionRow kOptions[] = {
    {"agent-forwarding", false, false, set_flag<&Permissions::agent_forwarding, true>},
    {"command", true, true, take_command},
    {"environment", true, false, take_environment},
    {"expiry-time", true, true, take_expiry},
    {"from", true, true, take_from},
    {"no-agent-forwarding", false, false, set_flag<&Permissions::agent_forwarding, false>},
    {"no-port-forwarding", false, false, set_flag<&Permissions::port_forwarding, false>},
    {"no-pty", false, false, set_flag<&Permissions::pty, false>},
    {"no-user-rc", false, false, nothing},
    {"no-X11-forwarding", false, false, set_flag<&Permissions::x11_forwarding, false>},
    {"permitlisten", true, false,
     [](Parsing& parsing, std::string_view value) { return take_endpoint(parsing.result.permissions.listen_on, value, true); }},
    {"permitopen", true, false,
     [](Parsing& parsing, std::string_view value) { return take_endpoint(parsing.result.permissions.connect_to, value, false); }},
    {"port-forwarding", false, false, set_flag<&Permissions::port_forwarding, true>},
    {"pty", false, false, set_flag<&Permissions::pty, true>},
    {"restrict", false, false, restrict_all},
    {"user-rc", false, false, nothing},
    {"verify-required", false, false, set_flag<&Permissions::verify_required, true>},
    {"X11-forwarding", false, false, set_flag<&Permissions::x11_forwarding, true>},
};

struct RefusedRow {
  std::string_view name, why;
};
constexpr RefusedRow kRefused[] = {
    {"cert-authority", "certificate authorities are not keys of a user here; an admin adds one with: berth ca add NAME FILE"},
    {"principals", "what principals a certificate needs is set for the whole authority: berth ca add NAME FILE --principals …"},
    {"tunnel", "Berth has no tunnel devices (ssh -w)"},
    {"no-touch-required", "whether keys must be touched is the site's policy ([keys] in the settings), with exceptions for single users"},
};

bool same_word(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [&](char x, char y) { return lower(x) == lower(y); });
}

Error problem(std::string_view name, std::string_view why) {
  return {ErrorKind::invalid, "option " + std::string(name) + ": " + std::string(why)};
}

struct Word {
  std::string_view name;
  std::optional<std::string> value;
};

// Takes `name` or `name="value"` from the front of `rest`.
Result<Word> take_word(std::string_view& rest) {
  const std::size_t end = std::min(rest.find_first_of(",="), rest.size());
  Word word{rest.substr(0, end), std::nullopt};
  rest.remove_prefix(end);
  if (word.name.empty() || word.name.find_first_of(" \t\"") != std::string_view::npos)
    return Error{ErrorKind::invalid, "the options before the key are malformed near '" + std::string(word.name) + "'"};
  if (!rest.starts_with('=')) return word;
  rest.remove_prefix(1);
  if (!rest.starts_with('"')) return problem(word.name, "its value must stand in quotes");
  rest.remove_prefix(1);
  std::string value;
  for (;;) {
    if (rest.empty()) return problem(word.name, "its quote is not closed");
    const char c = rest.front();
    rest.remove_prefix(1);
    if (c == '"') break;
    if (c == '\\' && rest.starts_with('"')) {
      value += '"';
      rest.remove_prefix(1);
    } else if (static_cast<unsigned char>(c) < 0x20 && c != '\t') {
      return problem(word.name, "it holds a control character");
    } else {
      value += c;
    }
  }
  word.value = std::move(value);
  return word;
}

Result<void> apply(Parsing& parsing, const Word& word) {
  for (const RefusedRow& row : kRefused)
    if (same_word(row.name, word.name)) return problem(row.name, row.why);
  for (const OptionRow& row : kOptions) {
    if (!same_word(row.name, word.name)) continue;
    if (row.has_value != word.value.has_value()) return problem(row.name, row.has_value ? "it needs a value: =\"…\"" : "it takes no value");
    if (row.once && !parsing.seen.insert(row.name).second) return problem(row.name, "it is there twice");
    if (const std::string why = row.take(parsing, word.value.value_or("")); !why.empty()) return problem(row.name, why);
    return {};
  }
  return problem(word.name, "Berth does not know it");
}

void append_value(std::string& out, std::string_view name, std::string_view value) {
  out += (out.empty() ? "" : ",") + std::string(name) + "=\"";
  for (const char c : value) {
    if (c == '"') out += '\\';
    out += c;
  }
  out += '"';
}

void append_endpoints(std::string& out, std::string_view name, const std::optional<std::vector<Endpoint>>& endpoints) {
  if (!endpoints) return;
  for (const Endpoint& endpoint : *endpoints) {
    const bool brackets = endpoint.host.find(':') != std::string::npos;
    append_value(out, name, (brackets ? "[" + endpoint.host + "]" : endpoint.host) + ":" + (endpoint.port == 0 ? "*" : std::to_string(endpoint.port)));
  }
}

std::string normal_form(const Permissions& may) {
  std::string out;
  if (may.from) append_value(out, "from", *may.from);
  if (may.forced_command) append_value(out, "command", *may.forced_command);
  for (const auto& [name, value] : may.environment) append_value(out, "environment", name + "=" + value);
  append_endpoints(out, "permitopen", may.connect_to);
  append_endpoints(out, "permitlisten", may.listen_on);
  const std::pair<bool, std::string_view> words[] = {{!may.agent_forwarding, "no-agent-forwarding"},
                                                     {!may.port_forwarding, "no-port-forwarding"},
                                                     {!may.pty, "no-pty"},
                                                     {!may.x11_forwarding, "no-X11-forwarding"},
                                                     {may.verify_required, "verify-required"}};
  for (const auto& [is_set, word] : words)
    if (is_set) out += (out.empty() ? "" : ",") + std::string(word);
  return out;
}

}  // namespace

Result<KeyOptions> parse_key_options(std::string_view text) {
  if (text.size() > kMostText) return Error{ErrorKind::too_large, "the options before the key have over 8 KiB"};
  Parsing parsing;
  while (!text.empty()) {
    const Result<Word> word = take_word(text);
    if (!word) return word.error();
    if (const Result<void> applied = apply(parsing, *word); !applied) return applied.error();
    if (text.empty()) break;
    if (!text.starts_with(',') || text.size() == 1) return problem(word->name, "a comma and another option must follow, or a blank and the key");
    text.remove_prefix(1);
  }
  parsing.result.text = normal_form(parsing.result.permissions);
  return std::move(parsing.result);
}

Result<AuthorizedLine> split_authorized_line(std::string_view line, bool (*is_key_type)(std::string_view word)) {
  constexpr std::string_view kBlank = " \t\r\n";
  line.remove_prefix(std::min(line.find_first_not_of(kBlank), line.size()));
  if (is_key_type(line.substr(0, line.find_first_of(" \t")))) return AuthorizedLine{{}, line};
  bool in_quotes = false;
  std::size_t end = 0;
  for (; end < line.size() && (in_quotes || (line[end] != ' ' && line[end] != '\t')); ++end) {
    if (line[end] == '\\' && end + 1 < line.size() && line[end + 1] == '"') {
      ++end;
    } else if (line[end] == '"') {
      in_quotes = !in_quotes;
    }
  }
  if (in_quotes) return Error{ErrorKind::invalid, "a quote in the options before the key is not closed"};
  const std::string_view rest = line.substr(end);
  const std::string_view key = rest.substr(std::min(rest.find_first_not_of(kBlank), rest.size()));
  // Not a key at all: what is wrong with the line is better told by who parses keys.
  if (!is_key_type(key.substr(0, key.find_first_of(" \t")))) return AuthorizedLine{{}, line};
  return AuthorizedLine{line.substr(0, end), key};
}

Result<Permissions> permissions_of(std::string_view stored_options) {
  if (stored_options.empty()) return Permissions{};
  Result<KeyOptions> options = parse_key_options(stored_options);
  if (!options) return options.error();
  return std::move(options->permissions);
}

}  // namespace berth::auth
