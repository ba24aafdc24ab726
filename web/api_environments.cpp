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

Error missing(const std::string& name) { return {ErrorKind::not_found, "there is no environment '" + name + "'"}; }

// The user and the environment's name in the path, if the caller may change (or, where `reading`, see) it.
Result<EnvBuilds::Request> own_environment(const ApiCall& call, EnvBuilds::Act act, bool reading = false) {
  if (call.lane.services().environments == nullptr) return Error{ErrorKind::unavailable, "environments are not offered here"};
  EnvBuilds::Request request;
  request.act = act;
  request.user = call.params[0];
  request.name = call.params[1];
  const bool allowed = request.user == call.caller.actor.name || call.caller.is_admin() || (reading && call.caller.reads_all());
  if (!allowed) return missing(request.name);
  if (!workspaces::is_workspace_name(request.name)) {
    return Error{ErrorKind::invalid, "'" + request.name.substr(0, 64) + "' cannot be an environment's name: a letter, then letters, digits, - and _, 32 at most, all small"};
  }
  if (!call.lane.services().directory.find_user(*call.lane.reader, request.user)) return Error{ErrorKind::not_found, "there is no user '" + request.user + "'"};
  return request;
}

json environment_json(const auth::Environment& environment) {
  return {{"user", environment.user}, {"name", environment.name}, {"default", environment.is_default}, {"revision", environment.revision},
          {"revisions", environment.revisions}, {"lock_hash", environment.lock_hash}, {"path", workspaces::environment_path(environment.lock_hash)},
          {"packages", environment.packages}, {"size_bytes", environment.size_bytes}, {"created_at", time_json(environment.created_at)},
          {"updated_at", time_json(environment.updated_at)}};
}

json revision_json(const auth::EnvironmentRevision& revision, std::int64_t current) {
  return {{"number", revision.number}, {"lock_hash", revision.lock_hash}, {"tree_hash", revision.tree_hash},
          {"path", workspaces::environment_path(revision.lock_hash)}, {"packages", revision.packages}, {"size_bytes", revision.size_bytes},
          {"created_at", time_json(revision.created_at)}, {"created_by", revision.created_by}, {"current", revision.number == current}};
}

// What a job that ended well answers: the environment as it is now where the job itself says nothing.
Result<json> answer_of(const ApiCall& call, const EnvBuilds::Request& request, const Result<json>& outcome) {
  if (outcome.has_error()) return outcome.error();
  if (!outcome->empty() || request.act == EnvBuilds::Act::remove) return outcome;
  const auto found = call.lane.services().environments->rows().find(*call.lane.reader, request.user, request.name);
  if (!found) return missing(request.name);
  return json_result(environment_json(*found));
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
  const auto request = own_environment(call, EnvBuilds::Act::plan, true);
  if (!request) return request.error();
  const auth::Environments& rows = call.lane.services().environments->rows();
  const auto environment = rows.find(*call.lane.reader, request->user, request->name);
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
  if (yaml->empty() == lock->empty()) return Error{ErrorKind::invalid, "give either 'yaml' or 'lock'"};
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
  if (user != own && !call.caller.reads_all()) co_return Error{ErrorKind::denied, "you may list your own environments only"};
  json items = json::array();
  for (const auto& environment : call.lane.services().environments->rows().list(*call.lane.reader, user)) items.push_back(environment_json(environment));
  co_return list_response(std::move(items));
}

asio::awaitable<ApiReply> get_environment(ApiCall& call) {
  auto found = find_revision(call, 0);
  if (!found) co_return found.error();
  json answer = environment_json(found->environment);
  answer["yaml"] = found->revision.yaml;
  answer["revision_list"] = json::array();
  for (const auto& revision : call.lane.services().environments->rows().revisions(*call.lane.reader, found->environment.id)) {
    answer["revision_list"].push_back(revision_json(revision, found->environment.revision));
  }
  co_return json_response(answer);
}

asio::awaitable<ApiReply> get_environment_revision(ApiCall& call) {
  auto found = find_revision(call, std::strtoll(call.params[2].c_str(), nullptr, 10));
  if (!found) co_return found.error();
  json answer = revision_json(found->revision, found->environment.revision);
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
  auto request = own_environment(call, EnvBuilds::Act::plan);
  co_return co_await do_job(call, with_spec(call, std::move(request)));
}

asio::awaitable<ApiReply> post_environment_install(ApiCall& call) {
  auto request = own_environment(call, EnvBuilds::Act::install);
  const auto plan = call.text("plan");
  if (!plan) co_return plan.error();
  if (request) request->plan = *plan;
  co_return co_await do_job(call, std::move(request));
}

asio::awaitable<ApiReply> post_environment_verify(ApiCall& call) { co_return co_await do_job(call, own_environment(call, EnvBuilds::Act::verify)); }

asio::awaitable<ApiReply> post_environment_rollback(ApiCall& call) {
  auto request = own_environment(call, EnvBuilds::Act::rollback);
  const auto number = call.body.find("revision");
  if (number != call.body.end() && !number->is_null()) {
    if (!number->is_number_integer() || *number < 1) co_return Error{ErrorKind::invalid, "'revision' is not the number of a revision"};
    if (request) request->revision = number->get<std::int64_t>();
  }
  co_return co_await do_job(call, std::move(request));
}

asio::awaitable<ApiReply> post_environment_default(ApiCall& call) {
  auto request = own_environment(call, EnvBuilds::Act::set_default);
  const auto wanted = call.body.find("default");
  if (wanted != call.body.end() && wanted->is_boolean() && request) request->is_default = wanted->get<bool>();
  co_return co_await do_job(call, std::move(request));
}

asio::awaitable<ApiReply> delete_environment(ApiCall& call) { co_return co_await do_job(call, own_environment(call, EnvBuilds::Act::remove)); }

asio::awaitable<ApiReply> post_environments_check(ApiCall& call) {
  const auto user = call.text("user", call.caller.admin_socket ? "" : call.caller.actor.name);
  if (!user) co_return user.error();
  if (user->empty()) co_return Error{ErrorKind::invalid, "a check is done as a user: say which ('user')"};
  call.params = {*user, "check"};
  auto request = own_environment(call, EnvBuilds::Act::check);
  co_return co_await do_job(call, with_spec(call, std::move(request)));
}

asio::awaitable<ApiReply> post_environments_gc(ApiCall& call) {
  if (call.lane.services().environments == nullptr) co_return Error{ErrorKind::unavailable, "environments are not offered here"};
  const auto user = call.text("user", call.caller.is_admin() ? "" : call.caller.actor.name);
  if (!user) co_return user.error();
  if (*user != call.caller.actor.name && !call.caller.is_admin()) co_return Error{ErrorKind::denied, "you may collect your own environments only"};
  EnvBuilds::Request request;
  request.act = EnvBuilds::Act::collect;
  request.user = *user;
  co_return co_await do_job(call, std::move(request));
}

}  // namespace berth::web
