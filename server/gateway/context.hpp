// What one SSH connection works with. Everything here outlives the connection except the context itself, which its
// coroutines share.
#pragma once
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "auth/audit.hpp"
#include "auth/authorities.hpp"
#include "auth/campaigns.hpp"
#include "auth/directory.hpp"
#include "auth/forward_policy.hpp"
#include "auth/permissions.hpp"
#include "auth/refused_uses.hpp"
#include "auth/sessions.hpp"
#include "base/ip_network.hpp"
#include "base/lane.hpp"
#include "server/gateway/command_threads.hpp"
#include "server/gateway/limits.hpp"
#include "server/ssh/session.hpp"
#include "workspaces/manager.hpp"

namespace berth::web {
class WebServer;
}

namespace berth::server {

struct GatewayOptions {
  std::vector<std::string> env_allow;  // names, a trailing '*' matches any rest
  std::string banner;                  // shown before login; empty: none
  std::chrono::seconds keep_terminals{};       // after their connection was lost; 0: not at all
  std::chrono::seconds keep_terminals_most{};  // what a user may choose
  std::string ssh_command;             // "ssh -p 2222 gpu-box", in texts for users
  auth::ForwardRules forwards;         // of the site, all set
  std::string message_of_the_day;
  bool show_state = true;
  std::vector<IpNetwork> proxy_protocol_from;
};

struct GatewayServices {
  const GatewayOptions& options;
  auth::Directory& directory;
  auth::Campaigns& campaigns;
  auth::RefusedUses& refused_uses;
  auth::Sessions& sessions;
  auth::Audit& audit;
  workspaces::Manager& workspaces;
  web::WebServer& web;       // the API that commands are run against
  CommandThreads& commands;
  ConnectionLimits& limits;
  const Clock& clock;
  auth::Authorities& authorities;
};

// Why a forward was not allowed besides what auth::ForwardPolicy says, as the audit trail says it.
inline constexpr char kNotByKey[] = "the key or certificate does not allow it";

// A lane with the store's reader that belongs to it.
struct ServerLane {
  Lane& lane;
  std::unique_ptr<SQLite::Database> reader;
  int connections = 0;  // open now; of the lane's thread
  int room_for = 0;     // connections that the lane's reactor is ready for
};

struct Connection {
  GatewayServices& services;
  ServerLane& lane;
  std::shared_ptr<ssh::Session> session;
  auth::User user;
  auth::Key key;
  workspaces::WorkspaceId workspace;
  std::string client_address;  // "203.0.113.7:51514"
  std::string server_address;
  auth::Permissions permissions;  // of the key's options or the certificate: ask before a channel, forward or terminal is opened
  std::string certificate;        // as in SessionRecord; empty: a plain key
  std::string certificate_blob;

  auth::Actor actor() const { return {user.name, user.role, client_address, key.fingerprint, certificate}; }
  auth::SessionRecord record(std::string kind, std::string detail) const;
  // As it holds now: an administrator's change counts for the next forward.
  auth::ForwardPolicy forward_policy() const;
  // The audit row of a forward that was not allowed: "to localhost:5432", "on 0.0.0.0:80". Floods are counted, not listed.
  void note_refused_forward(const std::string& what, std::string why) const;
};

// Would this login be let in now? After a revocation nothing of it may go on unseen.
bool still_allowed(const Connection& connection);

}  // namespace berth::server
