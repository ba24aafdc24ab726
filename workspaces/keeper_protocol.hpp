// What berthd and berth-keeper say to each other: one JSON object a line on a Unix stream socket, in both directions.
//   berthd: {"op":7,"do":"ensure","user":"ada","workspace":"main","image":"…"?}   also "stop", "remove" ("with_home"),
//           "list", "watch" (events follow on this connection)
//   keeper: {"op":7,"progress":"Starting…"}*  {"op":7,"directory":"/run/berth/agents/ada/main"}?  {"op":7,"item":{record}}*
//           then one of {"op":7,"ok":{record}} and {"op":7,"error":{"kind":"unavailable","message":"…"}}
//           {"event":"ended","item":{record}}
// About conda environments (keeper/environments.hpp), each for one "user":
//   berthd: {"do":"build","action":"solve","yaml":"…","current":LOCK?}   also "adopt", "install" and "verify" (each with "lock")
//           {"do":"environments","items":[{"name","revision","id","variables"}],"default":"ml"}   {"do":"environments_gc","keep":[ID]}
//           {"do":"environments_used"}: {"used_bytes","quota_bytes"}
//           "owner":"team" in a build: for what everybody may use, with the identity of "user". The other three may be about the user "team";
//           a state says with "default_owner":"team" that the default is one of these.
//   keeper: {"op":7,"build":{event of the builder}}*, then ok or error
//   berthd: {"do":"usage"}
//   keeper: {"op":7,"ok":{"at_us":N,"workspaces":[{"user","workspace","pid","cpu_us","memory","memory_limit","cpus"}],"box":{keeper/usage.hpp}}}: of what
//           runs, where the kernel keeps an account of it; at_us is a steady clock, cpu_us is since the start, a limit of 0 is none
//   berthd: {"do":"images"}   keeper: {"op":7,"ok":{"items":[{"name","description","image","glibc"}]}}
// "directory" comes before the agent is started: berthd listens there from then on. Requests run side by side.
#pragma once
#include <sys/types.h>

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "workspaces/manager.hpp"

namespace berth::workspaces {

inline constexpr std::size_t kKeeperLineLimit = 8 << 20;  // the lock of a large environment goes through

// A workspace as the keeper knows it.
struct KeeperRecord {
  WorkspaceId id;
  WorkspaceState state = WorkspaceState::stopped;
  pid_t pid = 0;  // of its agent in the host's pid namespace; 0 when not running
  uid_t uid = 0;  // that the agent runs as, seen from the host
  std::string image;
  std::string home;       // of the user, inside
  std::string directory;  // where the agent's socket is to be, outside
  std::string detail;     // why it ended
  Timestamp created_at{}, started_at{};
};

nlohmann::json to_json(const KeeperRecord& record);
Result<KeeperRecord> parse_record(const nlohmann::json& json);
nlohmann::json to_json(const Error& error);
Error parse_error(const nlohmann::json& json);
// A text field of a record; empty when it is missing or of another type.
std::string text_of(const nlohmann::json& record, const char* key);
// A whole number of a record; 0 when it is missing or of another type.
std::int64_t number_of(const nlohmann::json& record, const char* key);

}  // namespace berth::workspaces
