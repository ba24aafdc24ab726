// Requests to an agent as JSON, and what it answers as values (docs/agent-protocol.md).
#pragma once
#include <cstdint>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "tunnels/agent_link.hpp"

namespace berth::tunnels {

nlohmann::json encode_list(const std::vector<std::string>& list);
nlohmann::json encode_environment(const std::map<std::string, std::string>& environment);
nlohmann::json encode_exec(const ExecOptions& options);
std::uint32_t side(std::uint32_t value);  // of a terminal, cut to what the protocol has

Error broken_answer();
// A field; nothing, or empty, where it is missing or of another kind.
template <class T>
std::optional<T> number_of(const nlohmann::json& fields, const char* key) {
  auto found = fields.find(key);
  if (found == fields.end() || !found->is_number_unsigned()) return std::nullopt;
  auto value = found->get<std::uint64_t>();
  if (value > static_cast<std::uint64_t>(std::numeric_limits<T>::max())) return std::nullopt;
  return static_cast<T>(value);
}
std::string text_of(const nlohmann::json& fields, const char* key);
std::string shown_text(const nlohmann::json& fields, const char* key);  // words of a program, for people's screens
bool is_terminal_id(std::string_view id);
std::optional<TerminalInfo> read_terminal(const nlohmann::json& item);

}  // namespace berth::tunnels
