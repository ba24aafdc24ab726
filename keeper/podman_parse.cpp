#include "keeper/podman_parse.hpp"

#include <nlohmann/json.hpp>

#include "workspaces/names.hpp"

namespace berth::keeper {
using workspaces::WorkspaceState;

namespace {

const nlohmann::json& member(const nlohmann::json& json, const char* key) {
  static const nlohmann::json none;
  if (!json.is_object()) return none;
  const auto found = json.find(key);
  return found == json.end() ? none : *found;
}

std::string text_of(const nlohmann::json& json, const char* key) {
  const auto& value = member(json, key);
  return value.is_string() ? value.get<std::string>() : std::string();
}

std::int64_t number_of(const nlohmann::json& json, const char* key) {
  const auto& value = member(json, key);
  return value.is_number_integer() ? value.get<std::int64_t>() : 0;
}

bool flag_of(const nlohmann::json& json, const char* key) {
  const auto& value = member(json, key);
  return value.is_boolean() && value.get<bool>();
}

}  // namespace

Timestamp podman_time(std::string_view text) {
  // parse_timestamp knows only UTC: take the offset off and give it back afterwards.
  std::chrono::minutes offset{0};
  std::string utc(text);
  if (utc.size() > 25 && (utc[utc.size() - 6] == '+' || utc[utc.size() - 6] == '-')) {
    int hours = 0, minutes = 0;
    if (std::sscanf(utc.c_str() + utc.size() - 5, "%2d:%2d", &hours, &minutes) != 2) return {};
    offset = std::chrono::minutes((utc[utc.size() - 6] == '-' ? -1 : 1) * (hours * 60 + minutes));
    utc.replace(utc.size() - 6, 6, "Z");
  }
  const auto time = parse_timestamp(utc);
  if (time.has_error() || time->time_since_epoch().count() <= 0) return {};
  return *time - offset;
}

WorkspaceState podman_state(std::string_view text) {
  if (text == "running") return WorkspaceState::running;
  if (text == "stopping" || text == "removing") return WorkspaceState::stopping;
  if (text == "created" || text == "configured" || text == "initialized" || text == "exited" || text == "stopped") return WorkspaceState::stopped;
  return WorkspaceState::failed;
}

void fill_from_inspect(workspaces::KeeperRecord& record, const nlohmann::json& container) {
  const auto& state = member(container, "State");
  record.state = podman_state(text_of(state, "Status"));
  record.created_at = podman_time(text_of(container, "Created"));
  record.image = label_of(member(member(container, "Config"), "Labels"), "berth.image");
  if (record.state == WorkspaceState::running) {
    record.pid = static_cast<pid_t>(number_of(state, "Pid"));
    record.started_at = podman_time(text_of(state, "StartedAt"));
  } else if (flag_of(state, "OOMKilled")) {
    record.state = WorkspaceState::failed;
    record.detail = "it used more memory than it may";
  } else if (const std::string error = text_of(state, "Error"); !error.empty()) {
    record.state = WorkspaceState::failed;
    record.detail = error.substr(0, 500);
  }
}

bool fill_from_list(workspaces::KeeperRecord& record, const nlohmann::json& entry) {
  const auto& labels = member(entry, "Labels");
  record.id = {label_of(labels, "berth.user"), label_of(labels, "berth.workspace")};
  if (!workspaces::is_user_name(record.id.user) || !workspaces::is_workspace_name(record.id.name)) return false;
  record.image = label_of(labels, "berth.image");
  record.state = podman_state(text_of(entry, "State"));
  record.created_at = podman_time(text_of(entry, "Created"));
  if (record.state == WorkspaceState::running) {
    record.pid = static_cast<pid_t>(number_of(entry, "Pid"));
    record.started_at = Timestamp(std::chrono::seconds(number_of(entry, "StartedAt")));
  }
  return true;
}

std::string glibc_version_in(std::string_view file) {
  constexpr std::string_view kName = "GNU C Library", kVersion = "release version ";
  const std::size_t name = file.find(kName);
  const std::size_t at = name == std::string_view::npos ? name : file.substr(0, std::min(file.size(), name + 300)).find(kVersion, name);
  if (at == std::string_view::npos) return "";
  const std::size_t begin = at + kVersion.size();
  std::string version(file.substr(begin, std::min<std::size_t>(file.find_first_not_of("0123456789.", begin) - begin, 15)));
  while (version.ends_with('.')) version.pop_back();
  return version;
}

std::string tar_link_target(std::string_view archive) {
  constexpr std::size_t kBlock = 512, kKind = 156, kTarget = 157, kTargetSize = 100;  // of a ustar header
  if (archive.size() < kBlock || archive[kKind] != '2') return "";
  const std::string_view target = archive.substr(kTarget, kTargetSize);
  return std::string(target.substr(0, target.find('\0')));
}

std::string label_of(const nlohmann::json& labels, const char* name) { return text_of(labels, name); }

}  // namespace berth::keeper
