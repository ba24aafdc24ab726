// Workspaces: list, start (with progress), stop, reset, remove.
#include <algorithm>

#include "web/api.hpp"
#include "web/lane_server.hpp"
#include "web/pages.hpp"
#include "web/records.hpp"
#include "workspaces/images.hpp"

namespace berth::web {
namespace asio = boost::asio;
namespace {

constexpr std::chrono::seconds kHeartbeat{15};  // a comment line in a quiet event stream, so that nothing between takes it for dead
constexpr std::chrono::seconds kLook{2};        // how often a wait looks whether the client is still there

using workspaces::WorkspaceId;

// The workspace in the path, if the caller may change it. What is another's does not exist.
Result<WorkspaceId> own_workspace(const ApiCall& call) {
  const Error missing{ErrorKind::not_found, "there is no such workspace"};
  if (call.params[0] != call.caller.actor.name && !call.caller.is_admin()) return missing;
  if (call.caller.admin_socket || call.params[0] != call.caller.actor.name) {
    if (!call.lane.services().directory.find_user(*call.lane.reader, call.params[0])) return Error{ErrorKind::not_found, "there is no user '" + call.params[0] + "'"};
  }
  if (call.params[0].find('+') != std::string::npos || call.params[1].find('+') != std::string::npos) return missing;
  return workspaces::parse_login_name(call.params[0] + "+" + call.params[1]);
}

asio::awaitable<Result<nlohmann::json>> status_json(LaneServer& lane, WorkspaceId id) {
  auto all = co_await lane.services().manager.list(lane.lane, id.user);
  if (!all) co_return all.error();
  for (const auto& status : *all)
    if (status.id == id) co_return json_result(to_json(status));
  workspaces::WorkspaceStatus never_made;
  never_made.id = id;
  co_return json_result(to_json(never_made));
}

// The answer of a start as server-sent events.
asio::awaitable<Result<void>> stream_start(ApiCall& call, WorkspaceId id, std::shared_ptr<StartTask> task) {
  auto sent = co_await call.client.start_parts(event_stream_head());
  std::size_t told = 0;
  while (sent && !(task->outcome() && told == task->lines().size())) {
    std::string part;
    for (; told < task->lines().size(); ++told) part += event_text("progress", {{"line", task->lines()[told]}});
    if (part.empty()) {
      co_await task->wait(told, kHeartbeat);
      if (!task->outcome() && told == task->lines().size()) part = ": still at work\n\n";
    }
    if (call.lane.stopping() && !task->outcome()) co_return Error{ErrorKind::unavailable, "the server is stopping"};
    sent = co_await call.client.send_part(part);
  }
  if (!sent) co_return sent.error();
  const Result<Started>& outcome = *task->outcome();
  std::string last;
  if (outcome) {
    auto status = co_await status_json(call.lane, id);
    last = status ? event_text("done", *status) : event_text("failed", error_json(status.error()));
  } else {
    last = event_text("failed", error_json(outcome.error()));
  }
  sent = co_await call.client.send_part(last);
  if (!sent) co_return sent.error();
  co_return co_await call.client.finish_parts();
}

using ManagerAction = asio::awaitable<Result<void>> (workspaces::Manager::*)(Lane&, WorkspaceId);

std::string object_of(const WorkspaceId& id) { return id.user + "+" + id.name; }

asio::awaitable<ApiReply> act(ApiCall& call, ManagerAction action, std::string_view name) {
  auto id = own_workspace(call);
  if (!id) co_return id.error();
  auto done = co_await (call.lane.services().manager.*action)(call.lane.lane, *id);
  call.audit(std::string(name), object_of(*id), done);
  if (!done) co_return done.error();
  auto status = co_await status_json(call.lane, *id);
  if (!status) co_return status.error();
  co_return json_response(*status);
}

}  // namespace

asio::awaitable<ApiReply> get_workspaces(ApiCall& call) {
  const bool everything = call.query_flag("all");
  const std::string own = call.caller.admin_socket ? std::string() : call.caller.actor.name;
  std::string user = call.query("user").value_or(own);
  if (everything) user.clear();
  if (user != own && !call.caller.reads_all()) co_return Error{ErrorKind::denied, "you may list your own workspaces only"};
  auto all = co_await call.lane.services().manager.list(call.lane.lane, user);
  if (!all) co_return all.error();
  nlohmann::json items = nlohmann::json::array();
  for (const auto& status : *all) items.push_back(to_json(status));
  co_return list_response(std::move(items));
}

asio::awaitable<ApiReply> post_start(ApiCall& call) {
  auto id = own_workspace(call);
  if (!id) co_return id.error();
  call.audit("workspace.start", object_of(*id), {});
  const auto task = call.lane.starts.begin(*id, false);
  if (call.client.head.find(Name::accept).find("text/event-stream") != std::string_view::npos) {
    auto streamed = co_await stream_start(call, *id, task);
    if (task->outcome()) call.lane.starts.told(*id, false);
    if (!streamed) call.client.close_after_this();
    if (!streamed) call.client.stream.close();
    co_return std::nullopt;
  }
  while (!task->outcome()) {
    co_await task->wait(SIZE_MAX, kLook);
    if (call.lane.stopping() || call.client.stream.peer_hung_up()) co_return Error{ErrorKind::unavailable, "the request was given up; the workspace goes on starting"};
  }
  call.lane.starts.told(*id, false);
  if (!*task->outcome()) co_return task->outcome()->error();
  auto status = co_await status_json(call.lane, *id);
  if (!status) co_return status.error();
  co_return json_response(*status);
}

asio::awaitable<ApiReply> post_stop(ApiCall& call) { co_return co_await act(call, &workspaces::Manager::stop, "workspace.stop"); }
asio::awaitable<ApiReply> post_reset(ApiCall& call) { co_return co_await act(call, &workspaces::Manager::reset, "workspace.reset"); }

asio::awaitable<ApiReply> delete_workspace(ApiCall& call) {
  auto id = own_workspace(call);
  if (!id) co_return id.error();
  const bool with_home = call.query_flag("home");
  if (with_home && !call.caller.is_admin()) co_return Error{ErrorKind::denied, "only an admin may remove the home too"};
  auto removed = co_await call.lane.services().manager.remove(call.lane.lane, *id, with_home);
  call.audit("workspace.remove", object_of(*id) + (with_home ? " with home" : ""), removed);
  if (!removed) co_return removed.error();
  co_return json_response(nlohmann::json::object());
}

namespace {

// What may be chosen for a workspace. `restart`: it runs, made of another one.
asio::awaitable<Result<nlohmann::json>> image_json(ApiCall& call, WorkspaceId id) {
  const workspaces::Images& images = *call.lane.services().images;
  auto all = co_await call.lane.services().manager.list(call.lane.lane, id.user);
  if (!all) co_return all.error();
  const auto own = std::find_if(all->begin(), all->end(), [&](const auto& status) { return status.id == id; });
  std::string chosen = images.chosen(*call.lane.reader, id);
  if (chosen.empty()) chosen = "default";
  nlohmann::json answer = {{"chosen", chosen}, {"items", nlohmann::json::array()}, {"restart", false}};
  for (const workspaces::OfferedImage& image : images.offered()) {
    const bool is_chosen = image.name == chosen;
    answer["items"].push_back({{"name", image.name}, {"description", image.description}, {"image", image.image}, {"glibc", text_json(image.glibc)}, {"chosen", is_chosen},
                               {"warnings", images.warnings(*call.lane.reader, id.user, image)}});
    if (is_chosen && own != all->end() && own->state == workspaces::WorkspaceState::running && own->image != image.image) answer["restart"] = true;
  }
  co_return json_result(std::move(answer));
}

asio::awaitable<ApiReply> answer_image(ApiCall& call, WorkspaceId id) {
  auto answer = co_await image_json(call, std::move(id));
  if (!answer) co_return answer.error();
  co_return json_response(*answer);
}

}  // namespace

asio::awaitable<ApiReply> get_workspace_image(ApiCall& call) {
  auto id = own_workspace(call);
  if (!id) co_return id.error();
  if (call.lane.services().images == nullptr) co_return Error{ErrorKind::unavailable, "there are no images to choose from here"};
  co_return co_await answer_image(call, *id);
}

asio::awaitable<ApiReply> post_workspace_image(ApiCall& call) {
  auto id = own_workspace(call);
  if (!id) co_return id.error();
  const auto image = call.text("image");
  if (!image) co_return image.error();
  if (call.lane.services().images == nullptr) co_return Error{ErrorKind::unavailable, "there are no images to choose from here"};
  auto done = co_await call.lane.services().images->choose(call.caller.actor, *id, *image);
  if (!done) co_return done.error();
  co_return co_await answer_image(call, *id);
}

}  // namespace berth::web
