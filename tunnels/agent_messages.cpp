#include "tunnels/agent_messages.hpp"

#include <algorithm>

#include "base/human.hpp"
#include "tunnels/wire.hpp"

namespace berth::tunnels {
using nlohmann::json;
namespace {

Timestamp time_of(const json& fields, const char* key) {
  constexpr std::int64_t kLatest = 253402300799999;  // the year 9999
  const auto since = number_of<std::int64_t>(fields, key);
  return since && *since <= kLatest ? Timestamp(std::chrono::milliseconds(*since)) : Timestamp();
}

}  // namespace

Error broken_answer() { return {ErrorKind::protocol, "the workspace's agent gave an answer that makes no sense"}; }

std::uint32_t side(std::uint32_t value) { return std::min<std::uint32_t>(value, 65535); }

json encode_list(const std::vector<std::string>& list) {
  json encoded = json::array();
  for (const auto& item : list) encoded.push_back(wire::encode_bytes(item));
  return encoded;
}

json encode_environment(const std::map<std::string, std::string>& environment) {
  json encoded = json::object();
  for (const auto& [name, value] : environment) encoded[wire::encode_bytes(name)] = wire::encode_bytes(value);
  return encoded;
}

json encode_exec(const ExecOptions& options) {
  json request{{"type", "exec"}, {"env", encode_environment(options.env)}};
  if (!options.argv.empty()) request["argv"] = encode_list(options.argv);
  else if (options.command) request["command"] = wire::encode_bytes(*options.command);
  if (!options.cwd.empty()) request["cwd"] = wire::encode_bytes(options.cwd);
  if (options.pty)
    request["pty"] = {{"term", wire::encode_bytes(options.pty->term)}, {"columns", side(options.pty->columns)},
                      {"rows", side(options.pty->rows)}, {"width", side(options.pty->width_pixels)},
                      {"height", side(options.pty->height_pixels)}, {"modes", wire::encode_bytes(options.pty->modes)},
                      {"keep_s", std::max<std::int64_t>(0, options.pty->keep.count())}};
  return request;
}

std::string text_of(const json& fields, const char* key) {
  auto found = fields.find(key);
  return found != fields.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string shown_text(const json& fields, const char* key) { return printable(wire::decode_bytes(text_of(fields, key)).value_or("").substr(0, 200)); }

bool is_terminal_id(std::string_view id) {
  return !id.empty() && id.size() <= 16 && std::all_of(id.begin(), id.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); });
}

std::optional<TerminalInfo> read_terminal(const json& item) {
  if (!item.is_object()) return std::nullopt;
  TerminalInfo info;
  info.id = text_of(item, "id");
  if (!is_terminal_id(info.id)) return std::nullopt;
  info.title = shown_text(item, "title");
  info.command = shown_text(item, "command");
  info.size = {number_of<std::uint16_t>(item, "columns").value_or(0), number_of<std::uint16_t>(item, "rows").value_or(0)};
  info.started = time_of(item, "started_ms");
  info.detached_since = time_of(item, "detached_ms");
  info.attached = number_of<std::uint32_t>(item, "attached").value_or(0);
  info.bytes = number_of<std::uint64_t>(item, "bytes").value_or(0);
  info.ended = item.value("ended", json(false)) == true;
  info.kept = item.value("kept", json(false)) == true;
  return info;
}

}  // namespace berth::tunnels
