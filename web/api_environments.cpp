// Conda environments: what there is, plans, installs (with progress), switches.
#include "web/api.hpp"
#include "web/lane_server.hpp"
#include "web/pages.hpp"
#include "web/records.hpp"
#include "workspaces/env_builds.hpp"
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

Error missing(const std::string& name) { return {ErrorKind::not_found, "there is no environment '" + name + "'"}; }

auth::EnvironmentCaller caller_of(const ApiCall& call) {
  return {call.caller.actor.name, call.caller.is_admin(), call.caller.reads_all(), !call.lane.services().sharing_by_admins};
}

// As whom a build runs: the owner, and for the team's the caller, or a maintainer where the caller is no user.
std::string builder_of(const ApiCall& call, const EnvBuilds::Request& request, const std::optional<auth::Environment>& found) {
  if (request.user != auth::kTeam) return request.user;
  if (!call.caller.admin_socket) return call.caller.actor.name;
  return found && !found->maintainers.empty() ? found->maintainers.front() : std::string();
}

enum class Right { see, change };

// The owner and the environment's name in the path, if the caller may see or change it. What a caller may not see does not exist.
Result<EnvBuilds::Request> environment_in_path(const ApiCall& call, EnvBuilds::Act act, Right right = Right::change) {
  if (call.lane.services().environments == nullptr) return Error{ErrorKind::unavailable, "environments are not offered here"};
  EnvBuilds::Request request;
  request.act = act;
  request.user = call.params[0];
  request.name = call.params[1];
  const auto found = call.lane.services().environments->rows().find(*call.lane.reader, request.user, request.name, call.caller.actor.name);
  const auto rights = auth::environment_rights(request.user, found ? &*found : nullptr, caller_of(call));
  if (!rights.see) return missing(request.name);
  if (right == Right::change && !rights.change) {
    if (request.user != auth::kTeam) return missing(request.name);
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

json verification_json(const auth::Verification& verification) {
  if (verification.result.empty()) return nullptr;
  return {{"at", time_json(verification.at)}, {"result", verification.result}, {"detail", verification.detail}};
}

json environment_json(const ApiCall& call, const auth::Environment& environment) {
  return {{"user", environment.user}, {"name", environment.name}, {"default", environment.is_default}, {"revision", environment.revision},
          {"revisions", environment.revisions}, {"lock_hash", environment.lock_hash}, {"path", workspaces::environment_path(environment.user, environment.lock_hash)},
          {"packages", environment.packages}, {"size_bytes", environment.size_bytes}, {"created_at", time_json(environment.created_at)},
          {"updated_at", time_json(environment.updated_at)}, {"scope", environment.is_team() ? "team" : "personal"}, {"maintainers", environment.maintainers},
          {"may_change", auth::environment_rights(environment.user, &environment, caller_of(call)).change}, {"verification", verification_json(environment.verification)}};
}

json revision_json(const auth::EnvironmentRevision& revision, const auth::Environment& of) {
  return {{"number", revision.number}, {"lock_hash", revision.lock_hash}, {"tree_hash", revision.tree_hash},
          {"path", workspaces::environment_path(of.user, revision.lock_hash)}, {"packages", revision.packages}, {"size_bytes", revision.size_bytes},
          {"created_at", time_json(revision.created_at)}, {"created_by", revision.created_by}, {"current", revision.number == of.revision}, {"verification", verification_json(revision.verification)}};
}

// What a job that ended well answers: the environment as it is now where the job itself says nothing.
Result<json> answer_of(const ApiCall& call, const EnvBuilds::Request& request, const Result<json>& outcome) {
  if (outcome.has_error()) return outcome.error();
  if (!outcome->empty() || request.act == EnvBuilds::Act::remove) return outcome;
  const std::string owner = request.act == EnvBuilds::Act::share ? std::string(auth::kTeam) : request.user;
  const auto found = call.lane.services().environments->rows().find(*call.lane.reader, owner, request.name, call.caller.actor.name);
  if (!found) return missing(request.name);
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

struct Found {
  auth::Environment environment;
  auth::EnvironmentRevision revision;
  json lock;
};

// The environment in the path with one of its revisions: `number`, or the current one for 0.
Result<Found> find_revision(const ApiCall& call, std::int64_t number) {
  const auto request = environment_in_path(call, EnvBuilds::Act::plan, Right::see);
  if (!request) return request.error();
  const auth::Environments& rows = call.lane.services().environments->rows();
  const auto environment = rows.find(*call.lane.reader, request->user, request->name, call.caller.actor.name);
  if (!environment) return missing(request->name);
  auto revision = rows.revision(*call.lane.reader, environment->id, number != 0 ? number : environment->revision);
  if (!revision) return Error{ErrorKind::not_found, request->name + " has no revision " + std::to_string(number)};
  auto lock = workspaces::parse_lock(revision->lock);
  if (!lock) return lock.error();
  return Found{*environment, std::move(*revision), std::move(*lock)};
}

Result<EnvBuilds::Request> with_spec(const ApiCall& call, Result<EnvBuilds::Request> request) {
  if (!request) return request;
  const auto yaml = call.text("yaml", ""), lock = call.text("lock", "");
  if (!yaml) return yaml.error();
  if (!lock) return lock.error();
  if (yaml->empty() && lock->empty()) return Error{ErrorKind::invalid, "give 'yaml', 'lock', or both: then the lock is taken, and the file kept with it"};
  request->yaml = *yaml;
  request->lock = *lock;
  return request;
}

}  // namespace

asio::awaitable<ApiReply> get_environments(ApiCall& call) {
  if (call.lane.services().environments == nullptr) co_return Error{ErrorKind::unavailable, "environments are not offered here"};
  const std::string own = call.caller.admin_socket ? std::string() : call.caller.actor.name;
  std::string user = call.query("user").value_or(own);
  if (call.query_flag("all")) user.clear();
  if (user != own && user != auth::kTeam && !call.caller.reads_all()) co_return Error{ErrorKind::denied, "you may list your own environments and the team's only"};
  json items = json::array();
  for (const auto& environment : call.lane.services().environments->rows().list(*call.lane.reader, user)) items.push_back(environment_json(call, environment));
  co_return list_response(std::move(items));
}

asio::awaitable<ApiReply> get_environment(ApiCall& call) {
  auto found = find_revision(call, 0);
  if (!found) co_return found.error();
  json answer = environment_json(call, found->environment);
  answer["yaml"] = found->revision.yaml;
  answer["revision_list"] = json::array();
  for (const auto& revision : call.lane.services().environments->rows().revisions(*call.lane.reader, found->environment.id)) {
    answer["revision_list"].push_back(revision_json(revision, found->environment));
  }
  co_return json_response(answer);
}

asio::awaitable<ApiReply> get_environment_revision(ApiCall& call) {
  auto found = find_revision(call, std::strtoll(call.params[2].c_str(), nullptr, 10));
  if (!found) co_return found.error();
  json answer = revision_json(found->revision, found->environment);
  answer["yaml"] = found->revision.yaml;
  answer["package_list"] = workspaces::packages_of(found->lock);
  co_return json_response(answer);
}

asio::awaitable<ApiReply> get_environment_diff(ApiCall& call) {
  auto to = find_revision(call, static_cast<std::int64_t>(call.query_number("to", 0, 1'000'000)));
  if (!to) co_return to.error();
  const auto from_number = static_cast<std::int64_t>(call.query_number("from", 0, 1'000'000));
  json before = {{"packages", json::array()}, {"pip", json::array()}};
  std::int64_t earlier = from_number;
  for (const auto& revision : call.lane.services().environments->rows().revisions(*call.lane.reader, to->environment.id)) {
    if (earlier == 0 && revision.number < to->revision.number) earlier = revision.number;
  }
  if (earlier != 0) {
    auto from = find_revision(call, earlier);
    if (!from) co_return from.error();
    before = std::move(from->lock);
  }
  co_return json_response(workspaces::diff_of(before, to->lock));
}

asio::awaitable<ApiReply> get_environment_export(ApiCall& call) {
  auto found = find_revision(call, static_cast<std::int64_t>(call.query_number("revision", 0, 1'000'000)));
  if (!found) co_return found.error();
  const std::string format = call.query("format").value_or("lock"), stem = found->environment.name;
  if (format == "lock") co_return json_response({{"file_name", stem + ".lock.json"}, {"text", found->revision.lock + "\n"}});
  if (format == "explicit") co_return json_response({{"file_name", stem + ".txt"}, {"text", workspaces::explicit_spec(found->lock)}});
  if (format == "yaml") co_return json_response({{"file_name", stem + ".yml"}, {"text", found->revision.yaml}});
  co_return Error{ErrorKind::invalid, "format is lock, explicit or yaml"};
}

asio::awaitable<ApiReply> post_environment_plan(ApiCall& call) {
  auto request = environment_in_path(call, EnvBuilds::Act::plan);
  co_return co_await do_job(call, with_spec(call, std::move(request)));
}

asio::awaitable<ApiReply> post_environment_install(ApiCall& call) {
  auto request = environment_in_path(call, EnvBuilds::Act::install);
  const auto plan = call.text("plan");
  if (!plan) co_return plan.error();
  if (request) request->plan = *plan;
  co_return co_await do_job(call, std::move(request));
}

asio::awaitable<ApiReply> post_environment_verify(ApiCall& call) { co_return co_await do_job(call, environment_in_path(call, EnvBuilds::Act::verify)); }

asio::awaitable<ApiReply> post_environment_rollback(ApiCall& call) {
  auto request = environment_in_path(call, EnvBuilds::Act::rollback);
  const auto number = call.body.find("revision");
  if (number != call.body.end() && !number->is_null()) {
    if (!number->is_number_integer() || *number < 1) co_return Error{ErrorKind::invalid, "'revision' is not the number of a revision"};
    if (request) request->revision = number->get<std::int64_t>();
  }
  co_return co_await do_job(call, std::move(request));
}

asio::awaitable<ApiReply> post_environment_default(ApiCall& call) {
  auto request = environment_in_path(call, EnvBuilds::Act::set_default, Right::see);
  const auto wanted = call.flag("default", true);
  if (!wanted) co_return wanted.error();
  // Everybody chooses for themselves, also among the team's; an admin may choose for others.
  const std::string own = call.caller.admin_socket ? (call.params[0] == auth::kTeam ? std::string() : call.params[0]) : call.caller.actor.name;
  const auto user = call.text("user", own);
  if (!user) co_return user.error();
  if (user->empty()) co_return Error{ErrorKind::invalid, "say whose default ('user')"};
  if (*user != call.caller.actor.name && !call.caller.is_admin()) co_return Error{ErrorKind::denied, "you may set your own default only"};
  if (request && call.params[0] != auth::kTeam && call.params[0] != *user) co_return Error{ErrorKind::invalid, "another user's environment cannot be a default"};
  if (request) request->on = *wanted;
  if (request) request->other = *user;
  co_return co_await do_job(call, std::move(request));
}

asio::awaitable<ApiReply> post_environment_share(ApiCall& call) {
  auto request = environment_in_path(call, EnvBuilds::Act::share);
  if (request && request->user == auth::kTeam) co_return Error{ErrorKind::conflict, "it is the team's already"};
  if (request && !caller_of(call).may_share && !call.caller.is_admin()) co_return Error{ErrorKind::denied, "only admins may share environments here (environments.sharing)"};
  co_return co_await do_job(call, std::move(request));
}

namespace {
asio::awaitable<ApiReply> set_maintainer(ApiCall& call, bool on) {
  auto request = environment_in_path(call, EnvBuilds::Act::set_maintainer);
  if (request && request->user != auth::kTeam) co_return Error{ErrorKind::invalid, "only environments of the team have maintainers"};
  if (request) request->on = on;
  if (request) request->other = call.params[2];
  co_return co_await do_job(call, std::move(request));
}
}  // namespace

asio::awaitable<ApiReply> post_environment_maintainer(ApiCall& call) { co_return co_await set_maintainer(call, true); }
asio::awaitable<ApiReply> delete_environment_maintainer(ApiCall& call) { co_return co_await set_maintainer(call, false); }

asio::awaitable<ApiReply> delete_environment(ApiCall& call) { co_return co_await do_job(call, environment_in_path(call, EnvBuilds::Act::remove)); }

asio::awaitable<ApiReply> post_environments_check(ApiCall& call) {
  const auto user = call.text("user", call.caller.admin_socket ? "" : call.caller.actor.name);
  if (!user) co_return user.error();
  if (user->empty()) co_return Error{ErrorKind::invalid, "a check is done as a user: say which ('user')"};
  call.params = {*user, "check"};
  auto request = environment_in_path(call, EnvBuilds::Act::check);
  co_return co_await do_job(call, with_spec(call, std::move(request)));
}

namespace {
// What is about all environments of one owner.
Result<EnvBuilds::Request> owner_request(const ApiCall& call, EnvBuilds::Act act, std::string owner) {
  if (call.lane.services().environments == nullptr) return Error{ErrorKind::unavailable, "environments are not offered here"};
  EnvBuilds::Request request;
  request.act = act;
  request.user = std::move(owner);
  return request;
}
}  // namespace

asio::awaitable<ApiReply> post_environments_gc(ApiCall& call) {
  const auto user = call.text("user", call.caller.is_admin() ? "" : call.caller.actor.name);
  if (!user) co_return user.error();
  auto request = owner_request(call, EnvBuilds::Act::collect, *user);
  if (request && *user != call.caller.actor.name && !call.caller.is_admin()) co_return Error{ErrorKind::denied, "you may collect your own environments only"};
  co_return co_await do_job(call, std::move(request));
}

asio::awaitable<ApiReply> get_environments_used(ApiCall& call) {
  const std::string user = call.query("user").value_or(call.caller.admin_socket ? std::string(auth::kTeam) : call.caller.actor.name);
  auto request = owner_request(call, EnvBuilds::Act::used, user);
  if (request && user != auth::kTeam && user != call.caller.actor.name && !call.caller.reads_all()) co_return Error{ErrorKind::denied, "you may see your own use only"};
  co_return co_await do_job(call, std::move(request));
}

}  // namespace berth::web
