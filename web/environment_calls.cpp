#include "web/environment_calls.hpp"

#include "web/lane_server.hpp"
#include "web/pages.hpp"
#include "web/records.hpp"
#include "workspaces/names.hpp"

namespace berth::web {
namespace asio = boost::asio;
using nlohmann::json;
using workspaces::EnvBuilds;
using workspaces::Job;

namespace {

constexpr std::chrono::seconds kHeartbeat{15}, kLook{2};

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "there are none; ask an admin" : text;
}

// As whom a build runs: the owner, and for the team's the caller, or a maintainer where the caller is no user.
std::string builder_of(const ApiCall& call, const EnvBuilds::Request& request, const std::optional<auth::Environment>& found) {
  if (request.user != auth::kTeam) return request.user;
  if (!call.caller.admin_socket) return call.caller.actor.name;
  return found && !found->maintainers.empty() ? found->maintainers.front() : std::string();
}

}  // namespace

Error missing_environment(const std::string& name) { return {ErrorKind::not_found, "there is no environment '" + name + "'"}; }

auth::EnvironmentCaller environment_caller(const ApiCall& call) {
  return {call.caller.actor.name, call.caller.is_admin(), call.caller.reads_all(), !call.lane.services().sharing_by_admins};
}

Result<EnvBuilds::Request> environment_in_path(const ApiCall& call, EnvBuilds::Act act, Right right) {
  if (call.lane.services().environments == nullptr) return Error{ErrorKind::unavailable, "environments are not offered here"};
  EnvBuilds::Request request;
  request.act = act;
  request.user = call.params[0];
  request.name = call.params[1];
  const auto found = call.lane.services().environments->rows().find(*call.lane.reader, request.user, request.name, call.caller.actor.name);
  const auto rights = auth::environment_rights(request.user, found ? &*found : nullptr, environment_caller(call));
  if (!rights.see) return missing_environment(request.name);
  if (right == Right::change && !rights.change) {
    if (request.user != auth::kTeam) return missing_environment(request.name);
    return Error{ErrorKind::denied, found ? "only its maintainers may change it: " + joined(found->maintainers) : "only admins may make environments of the team here"};
  }
  if (!workspaces::is_workspace_name(request.name)) {
    return Error{ErrorKind::invalid, "'" + request.name.substr(0, 64) + "' cannot be an environment's name: a letter, then letters, digits, - and _, 32 at most, all small"};
  }
  if (request.user != auth::kTeam && !call.lane.services().directory.find_user(*call.lane.reader, request.user)) {
    return Error{ErrorKind::not_found, "there is no user '" + request.user + "'"};
  }
  request.builder = builder_of(call, request, found);
  const bool builds = act != EnvBuilds::Act::set_default && act != EnvBuilds::Act::remove && act != EnvBuilds::Act::set_maintainer;
  if (builds && right == Right::change && request.builder.empty()) {
    return Error{ErrorKind::conflict, found ? "it has no maintainer, as whom it could be built: name one first" : "the team's are made by users, or shared by them"};
  }
  return request;
}

Result<EnvBuilds::Request> owner_request(const ApiCall& call, EnvBuilds::Act act, std::string owner) {
  if (call.lane.services().environments == nullptr) return Error{ErrorKind::unavailable, "environments are not offered here"};
  EnvBuilds::Request request;
  request.act = act;
  request.user = std::move(owner);
  return request;
}

json verification_json(const auth::Verification& verification) {
  if (verification.result.empty()) return nullptr;
  return {{"at", time_json(verification.at)}, {"result", verification.result}, {"detail", verification.detail}};
}

json environment_json(const ApiCall& call, const auth::Environment& environment) {
  return {{"user", environment.user}, {"name", environment.name}, {"default", environment.is_default}, {"revision", environment.revision},
          {"revisions", environment.revisions}, {"lock_hash", environment.lock_hash}, {"path", workspaces::environment_path(environment.user, environment.lock_hash)},
          {"packages", environment.packages}, {"size_bytes", environment.size_bytes}, {"created_at", time_json(environment.created_at)},
          {"updated_at", time_json(environment.updated_at)}, {"scope", environment.is_team() ? "team" : "personal"}, {"maintainers", environment.maintainers},
          {"may_change", auth::environment_rights(environment.user, &environment, environment_caller(call)).change}, {"verification", verification_json(environment.verification)}};
}

namespace {

// What a job that ended well answers: the environment as it is now where the job itself says nothing.
Result<json> answer_of(const ApiCall& call, const EnvBuilds::Request& request, const Result<json>& outcome) {
  if (outcome.has_error()) return outcome.error();
  if (!outcome->empty() || request.act == EnvBuilds::Act::remove) return outcome;
  const std::string owner = request.act == EnvBuilds::Act::share ? std::string(auth::kTeam) : request.user;
  const auto found = call.lane.services().environments->rows().find(*call.lane.reader, owner, request.name, call.caller.actor.name);
  if (!found) return missing_environment(request.name);
  return json_result(environment_json(call, *found));
}

asio::awaitable<Result<void>> stream_job(ApiCall& call, EnvBuilds::Request request, std::shared_ptr<Job> job) {
  auto sent = co_await call.client.start_parts(event_stream_head());
  while (sent) {
    std::string part;
    while (auto next = job->next_event()) part += event_text("progress", *next);
    if (part.empty() && job->outcome()) break;
    if (part.empty()) {
      co_await job->wait(kHeartbeat);
      if (call.lane.stopping()) co_return Error{ErrorKind::unavailable, "the server is stopping"};
      if (!job->outcome()) part = ": still at work\n\n";
    }
    if (!part.empty()) sent = co_await call.client.send_part(part);
  }
  if (!sent) co_return sent.error();
  const Result<json> answer = answer_of(call, request, *job->outcome());
  const std::string last = answer ? event_text("done", *answer) : event_text("failed", error_json(answer.error()));
  sent = co_await call.client.send_part(last);
  if (!sent) co_return sent.error();
  co_return co_await call.client.finish_parts();
}

}  // namespace

asio::awaitable<ApiReply> do_job(ApiCall& call, Result<EnvBuilds::Request> request) {
  if (!request) co_return request.error();
  const auto job = call.lane.services().environments->begin(call.lane.lane, call.caller.actor, *request);
  if (call.client.head.find(Name::accept).find("text/event-stream") != std::string_view::npos) {
    auto streamed = co_await stream_job(call, *request, job);
    if (!streamed) call.client.close_after_this();
    if (!streamed) call.client.stream.close();
    co_return std::nullopt;
  }
  while (!job->outcome()) {
    co_await job->wait(kLook);
    while (job->next_event()) {
    }
    if (call.lane.stopping() || call.client.stream.peer_hung_up()) co_return Error{ErrorKind::unavailable, "the request was given up; what it began goes on"};
  }
  Result<json> answer = answer_of(call, *request, *job->outcome());
  if (!answer) co_return answer.error();
  co_return json_response(*answer);
}

}  // namespace berth::web
