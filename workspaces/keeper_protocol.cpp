#include "workspaces/keeper_protocol.hpp"

#include <nlohmann/json.hpp>

#include "workspaces/names.hpp"

namespace berth::workspaces {
namespace {

constexpr WorkspaceState kStates[] = {WorkspaceState::stopped, WorkspaceState::starting, WorkspaceState::running,
                                      WorkspaceState::stopping, WorkspaceState::failed};
constexpr ErrorKind kKinds[] = {ErrorKind::invalid, ErrorKind::denied,      ErrorKind::not_found, ErrorKind::conflict,
                                ErrorKind::too_large, ErrorKind::timeout,   ErrorKind::unavailable, ErrorKind::closed,
                                ErrorKind::protocol, ErrorKind::internal};

std::int64_t micros(Timestamp time) { return time.time_since_epoch().count(); }

}  // namespace

nlohmann::json to_json(const KeeperRecord& record) {
  return {{"user", record.id.user},       {"workspace", record.id.name},
          {"state", name_of(record.state)}, {"pid", record.pid},
          {"uid", record.uid},            {"image", record.image},
          {"home", record.home},          {"directory", record.directory},
          {"detail", record.detail},      {"created_us", micros(record.created_at)},
          {"started_us", micros(record.started_at)}};
}

Result<KeeperRecord> parse_record(const nlohmann::json& json) {
  const Error bad{ErrorKind::protocol, "the workspace service sent something else than a workspace"};
  if (!json.is_object()) return bad;
  KeeperRecord record;
  record.id = {text_of(json, "user"), text_of(json, "workspace")};
  if (!is_user_name(record.id.user) || !is_workspace_name(record.id.name)) return bad;
  const std::string state = text_of(json, "state");
  bool known = false;
  for (const WorkspaceState candidate : kStates) {
    if (state != name_of(candidate)) continue;
    record.state = candidate;
    known = true;
  }
  if (!known) return bad;
  record.pid = static_cast<pid_t>(number_of(json, "pid"));
  record.uid = static_cast<uid_t>(number_of(json, "uid"));
  record.image = text_of(json, "image");
  record.home = text_of(json, "home");
  record.directory = text_of(json, "directory");
  record.detail = text_of(json, "detail");
  record.created_at = Timestamp(std::chrono::microseconds(number_of(json, "created_us")));
  record.started_at = Timestamp(std::chrono::microseconds(number_of(json, "started_us")));
  return record;
}

nlohmann::json to_json(const Error& error) { return {{"kind", berth::name_of(error.kind)}, {"message", error.message}}; }

Error parse_error(const nlohmann::json& json) {
  Error error{ErrorKind::internal, "the workspace service failed and did not say why"};
  if (!json.is_object()) return error;
  const std::string kind = text_of(json, "kind");
  for (const ErrorKind candidate : kKinds) {
    if (kind == berth::name_of(candidate)) error.kind = candidate;
  }
  if (std::string message = text_of(json, "message"); !message.empty()) error.message = std::move(message);
  return error;
}

std::string text_of(const nlohmann::json& record, const char* key) {
  const auto found = record.find(key);
  return found != record.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::int64_t number_of(const nlohmann::json& record, const char* key) {
  const auto found = record.find(key);
  return found != record.end() && found->is_number_integer() ? found->get<std::int64_t>() : 0;
}

}  // namespace berth::workspaces
