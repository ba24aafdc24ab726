// How a TOML value becomes a field, one function for each type of field.
#include <algorithm>
#include <boost/asio/ip/address.hpp>
#include <charconv>

#include "base/clock.hpp"
#include "config/settings_table.hpp"

namespace berth {

Result<ListenAddress> parse_listen_address(std::string_view text) {
  const Error bad{ErrorKind::invalid, "'" + std::string(text) + "' is not an address such as 0.0.0.0:2222 or [::]:2222"};
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return bad;
  std::string_view host = text.substr(0, colon);
  const std::string_view port_text = text.substr(colon + 1);
  const bool bracketed = host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  boost::system::error_code error;
  const auto ip = boost::asio::ip::make_address(std::string(host), error);
  if (error || ip.is_v6() != bracketed) return bad;
  unsigned port = 0;
  const auto [end, problem] = std::from_chars(port_text.data(), port_text.data() + port_text.size(), port);
  if (problem != std::errc() || end != port_text.data() + port_text.size() || port > 65535) return bad;
  return ListenAddress{std::string(host), static_cast<std::uint16_t>(port)};
}

std::string format_listen_address(const ListenAddress& address) {
  const bool v6 = address.host.find(':') != std::string::npos;
  return (v6 ? "[" + address.host + "]" : address.host) + ":" + std::to_string(address.port);
}

bool matches_any(std::string_view name, const std::vector<std::string>& patterns) {
  return std::any_of(patterns.begin(), patterns.end(), [name](std::string_view pattern) {
    if (!pattern.ends_with('*')) return name == pattern;
    pattern.remove_suffix(1);
    return name.starts_with(pattern);
  });
}

namespace config {
namespace {

std::string joined(std::span<const std::string_view> words) {
  std::string text;
  for (const std::string_view word : words) text += (text.empty() ? "" : ", ") + std::string(word);
  return text;
}

std::string check_choice(std::string_view value, const Limits& limits) {
  if (limits.choices.empty() || std::find(limits.choices.begin(), limits.choices.end(), value) != limits.choices.end()) return "";
  return "'" + std::string(value) + "' is not one of " + joined(limits.choices);
}

// Each entry of a list of strings goes to `take`, which answers what is wrong with it, or "".
template <class Take>
std::string read_list(const toml::node& node, Take take) {
  const toml::array* array = node.as_array();
  if (array == nullptr) return "must be a list of strings";
  for (const toml::node& entry : *array) {
    const auto text = entry.value_exact<std::string>();
    if (!text) return "must be a list of strings";
    if (std::string problem = take(*text); !problem.empty()) return problem;
  }
  return "";
}

}  // namespace

std::string read_value(std::string& into, const toml::node& node, const Limits& limits) {
  const auto text = node.value_exact<std::string>();
  if (!text) return "must be a string";
  into = *text;
  return check_choice(into, limits);
}

std::string read_value(bool& into, const toml::node& node, const Limits&) {
  const auto value = node.value_exact<bool>();
  if (!value) return "must be true or false";
  into = *value;
  return "";
}

std::string read_value(std::int64_t& into, const toml::node& node, const Limits& limits) {
  const auto number = node.value_exact<std::int64_t>();
  if (!number) return "must be a whole number";
  if (*number < limits.min || *number > limits.max) {
    return "must be between " + std::to_string(limits.min) + " and " + std::to_string(limits.max) + ", not " + std::to_string(*number);
  }
  into = *number;
  return "";
}

std::string read_value(std::chrono::seconds& into, const toml::node& node, const Limits& limits) {
  const auto text = node.value_exact<std::string>();
  if (!text) return "must be a duration in quotes, such as \"30s\", \"15m\" or \"12h\"";
  const auto duration = parse_duration(*text);
  if (duration.has_error()) return duration.error().message;
  if (duration->count() < limits.min || duration->count() > limits.max) {
    return "must be between " + format_duration(std::chrono::seconds(limits.min)) + " and " +
           format_duration(std::chrono::seconds(limits.max)) + ", not " + *text;
  }
  into = *duration;
  return "";
}

std::string read_value(std::filesystem::path& into, const toml::node& node, const Limits&) {
  const auto text = node.value_exact<std::string>();
  if (!text) return "must be a path in quotes";
  if (!text->empty() && (text->front() != '/' || text->find('\0') != std::string::npos)) return "must be an absolute path, not '" + *text + "'";
  into = *text;
  return "";
}

std::string read_value(std::vector<std::string>& into, const toml::node& node, const Limits& limits) {
  into.clear();
  return read_list(node, [&](const std::string& text) {
    into.push_back(text);
    return text.empty() ? std::string("must not hold an empty string") : check_choice(text, limits);
  });
}

std::string read_value(std::vector<IpNetwork>& into, const toml::node& node, const Limits&) {
  into.clear();
  return read_list(node, [&](const std::string& text) {
    const auto network = parse_ip_network(text);
    if (network.has_error()) return network.error().message;
    into.push_back(*network);
    return std::string();
  });
}

std::string read_value(Startups& into, const toml::node& node, const Limits& limits) {
  const std::string bad = "must be a whole number, or \"START:RATE:FULL\" such as \"64:30:128\" (RATE from 1 to 100 percent, START at most FULL)";
  if (const auto number = node.value_exact<std::int64_t>()) {
    if (*number < limits.min || *number > limits.max) return "must be between " + std::to_string(limits.min) + " and " + std::to_string(limits.max);
    into = {static_cast<int>(*number), 100, static_cast<int>(*number)};
    return "";
  }
  const auto text = node.value_exact<std::string>();
  if (!text) return bad;
  int* const fields[] = {&into.start, &into.rate, &into.full};
  const char* at = text->data();
  const char* const end = at + text->size();
  for (int* field : fields) {
    const auto [next, problem] = std::from_chars(at, end, *field);
    const bool last = field == &into.full;
    if (problem != std::errc() || (last ? next != end : next == end || *next != ':')) return bad;
    at = next + (last ? 0 : 1);
  }
  if (into.start < limits.min || into.full > limits.max || into.start > into.full || into.rate < 1 || into.rate > 100) return bad;
  return "";
}

std::string read_value(std::vector<ListenAddress>& into, const toml::node& node, const Limits&) {
  into.clear();
  const std::string problem = read_list(node, [&](const std::string& text) {
    const auto address = parse_listen_address(text);
    if (address.has_error()) return address.error().message;
    into.push_back(*address);
    return std::string();
  });
  if (problem.empty() && into.empty()) return "must hold at least one address";
  return problem;
}

}  // namespace config
}  // namespace berth
