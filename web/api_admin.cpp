// Sessions, status and backups.
#include <fcntl.h>

#include "auth/audit.hpp"
#include "auth/sessions.hpp"
#include "base/encoding.hpp"
#include "web/api.hpp"
#include "web/lane_server.hpp"
#include "web/pages.hpp"
#include "web/records.hpp"

namespace berth::web {
namespace asio = boost::asio;
namespace {

constexpr std::size_t kDefaultRows = 200, kMaxRows = 10'000, kBackupPart = 256 * 1024;

asio::awaitable<Result<void>> send_file(ApiCall& call, int file) {
  Response head;
  head.content_type = "application/vnd.sqlite3";
  add_security_headers(head, false);
  auto sent = co_await call.client.start_parts(std::move(head));
  std::string part(kBackupPart, '\0');
  while (sent) {
    const ssize_t got = ::read(file, part.data(), kBackupPart);
    if (got < 0) co_return errno_error("cannot read the copy", errno);
    if (got == 0) co_return co_await call.client.finish_parts();
    sent = co_await call.client.send_part({part.data(), static_cast<std::size_t>(got)});
  }
  co_return sent.error();
}

// What this berthd and, during an upgrade, the others have open.
std::vector<auth::SessionRecord> live_everywhere(const ApiCall& call) {
  const auto& sessions = call.lane.services().sessions;
  std::vector<auth::SessionRecord> rows = sessions.elsewhere(*call.lane.reader);
  for (auth::SessionRecord& row : sessions.live()) rows.push_back(std::move(row));
  return rows;
}

nlohmann::json instances_json(const ApiCall& call) {
  nlohmann::json items = nlohmann::json::array();
  if (!call.lane.services().instances) return items;
  for (const Instance& one : call.lane.services().instances()) {
    items.push_back({{"pid", one.pid},
                     {"version", one.version},
                     {"started_at", time_json(one.started_at)},
                     {"state", one.draining ? "draining" : "serving"},
                     {"connections", one.connections},
                     {"ends_by", time_json(one.until)}});
  }
  return items;
}

}  // namespace

asio::awaitable<ApiReply> get_sessions(ApiCall& call) {
  const auto& sessions = call.lane.services().sessions;
  const std::string user = call.caller.reads_all() ? call.query("user").value_or("") : call.caller.actor.name;
  const auto rows = call.query_flag("all") ? sessions.history(*call.lane.reader, call.query_number("limit", kDefaultRows, kMaxRows), user) : live_everywhere(call);
  nlohmann::json items = nlohmann::json::array();
  for (const auth::SessionRecord& row : rows)
    if (user.empty() || row.user == user) items.push_back(to_json(row));
  co_return list_response(std::move(items));
}

asio::awaitable<ApiReply> delete_session(ApiCall& call) {
  auto& sessions = call.lane.services().sessions;
  const std::string& id = call.params[0];
  for (const auth::SessionRecord& row : live_everywhere(call)) {
    if (row.id != id || (row.user != call.caller.actor.name && !call.caller.is_admin())) continue;
    const std::string why = "ended by " + call.caller.actor.name;
    std::size_t ended = sessions.kill(id, why);
    if (ended == 0) {
      sessions.kill_elsewhere(id, why);
      ended = 1;
    }
    call.lane.services().audit.note(call.caller.actor, "session.kill", id, "ok");
    co_return json_response({{"ended", ended}});
  }
  co_return Error{ErrorKind::not_found, "there is no live session '" + id + "'"};
}

asio::awaitable<ApiReply> get_status(ApiCall& call) {
  const auto& services = call.lane.services();
  const WebOptions& options = call.lane.shared.options;
  auto all = co_await services.manager.list(call.lane.lane, {});
  std::size_t running = 0;
  if (all)
    for (const auto& status : *all) running += status.state == workspaces::WorkspaceState::running ? 1 : 0;
  const auth::DirectoryCounts counts = services.directory.counts(*call.lane.reader);
  const auto uptime = std::chrono::steady_clock::now() - call.lane.shared.started_at;
  nlohmann::json status = {{"version", options.version},
                           {"uptime_s", std::chrono::duration_cast<std::chrono::seconds>(uptime).count()},
                           {"lanes", call.lane.shared.lanes.size()},
                           {"users", counts.users},
                           {"keys", counts.keys},
                           {"live_sessions", live_everywhere(call).size()},
                           {"workspaces_running", all ? nlohmann::json(running) : nlohmann::json(nullptr)},
                           {"ssh_address", options.ssh_address},
                           {"web_address", options.web_address},
                           {"instances", instances_json(call)}};
  status.update(box_json());
  co_return json_response(status);
}

asio::awaitable<ApiReply> get_backup(ApiCall& call) {
  const auto path = call.lane.shared.options.state_dir / (".backup-" + hex_encode(random_bytes(8)));
  auto copied = co_await call.lane.services().store.backup(path);
  FileDescriptor file(copied ? ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1);
  const int why = errno;
  ::unlink(path.c_str());
  if (!copied) co_return copied.error();
  if (!file) co_return errno_error("cannot read the copy", why);
  call.lane.services().audit.note(call.caller.actor, "backup", "store", "ok");
  auto sent = co_await send_file(call, file.get());
  if (!sent) call.client.stream.close();  // no last chunk: the client sees that the copy was cut
  co_return std::nullopt;
}

}  // namespace berth::web
