#include "web/app_origin.hpp"

#include <charconv>

#include "workspaces/names.hpp"

namespace berth::web {
namespace {

constexpr std::size_t kLongestLabel = 63;  // RFC 1035 2.3.4
constexpr std::string_view kSeparator = "--", kJupyter = "jupyter";

bool is_plain(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

std::string escape(std::string_view name) {
  std::string out;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const bool stays = is_plain(name[i]) || (name[i] == '-' && i + 1 < name.size() && is_plain(name[i + 1]) && name[i + 1] != '0');
    if (stays) out += name[i];
    else out += name[i] == '_' ? "-01" : "-00";
  }
  return out;
}

std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::string_view code = text.substr(i, 3);
    const bool escaped = code == "-00" || code == "-01";
    out += escaped ? (code == "-01" ? '_' : '-') : text[i];
    if (escaped) i += 2;
  }
  return out;
}

}  // namespace

std::optional<std::uint16_t> parse_port(std::string_view text) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || text.starts_with('0')) return std::nullopt;
  return port;
}

std::string app_of(const Target& target) { return target.jupyter() ? std::string(kJupyter) : std::to_string(target.port); }

std::optional<std::string> app_label(const Target& target) {
  std::string label = app_of(target);
  for (const std::string& name : {target.id.name, target.id.user}) label.append(kSeparator).append(escape(name));
  if (label.size() > kLongestLabel) return std::nullopt;
  return label;
}

std::optional<Target> parse_app_label(std::string_view label) {
  const std::size_t first = label.find(kSeparator);
  if (first == std::string_view::npos || label.size() > kLongestLabel) return std::nullopt;
  const std::string_view app = label.substr(0, first), names = label.substr(first + kSeparator.size());
  const std::size_t second = names.find(kSeparator);
  if (second == std::string_view::npos) return std::nullopt;
  Target target{{unescape(names.substr(second + kSeparator.size())), unescape(names.substr(0, second))}, 0};
  if (app != kJupyter) {
    const auto port = parse_port(app);
    if (!port) return std::nullopt;
    target.port = *port;
  }
  if (!workspaces::is_workspace_name(target.id.user) || !workspaces::is_workspace_name(target.id.name)) return std::nullopt;
  const auto again = app_label(target);
  if (again != label) return std::nullopt;  // two spellings would be two origins of one application
  return target;
}

}  // namespace berth::web
