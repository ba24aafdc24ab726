// Conda environments: what there is of them.
#include "web/environment_calls.hpp"
#include "web/lane_server.hpp"
#include "web/pages.hpp"
#include "web/records.hpp"

namespace berth::web {
namespace asio = boost::asio;
using nlohmann::json;
using workspaces::EnvBuilds;

namespace {

json revision_json(const auth::EnvironmentRevision& revision, const auth::Environment& of) {
  return {{"number", revision.number}, {"lock_hash", revision.lock_hash}, {"tree_hash", revision.tree_hash},
          {"path", workspaces::environment_path(of.user, revision.lock_hash)}, {"packages", revision.packages}, {"size_bytes", revision.size_bytes},
          {"created_at", time_json(revision.created_at)}, {"created_by", revision.created_by}, {"current", revision.number == of.revision}, {"verification", verification_json(revision.verification)}};
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
  if (!environment) return missing_environment(request->name);
  auto revision = rows.revision(*call.lane.reader, environment->id, number != 0 ? number : environment->revision);
  if (!revision) return Error{ErrorKind::not_found, request->name + " has no revision " + std::to_string(number)};
  auto lock = workspaces::parse_lock(revision->lock);
  if (!lock) return lock.error();
  return Found{*environment, std::move(*revision), std::move(*lock)};
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

asio::awaitable<ApiReply> get_environments_used(ApiCall& call) {
  const std::string user = call.query("user").value_or(call.caller.admin_socket ? std::string(auth::kTeam) : call.caller.actor.name);
  auto request = owner_request(call, EnvBuilds::Act::used, user);
  if (request && user != auth::kTeam && user != call.caller.actor.name && !call.caller.reads_all()) co_return Error{ErrorKind::denied, "you may see your own use only"};
  co_return co_await do_job(call, std::move(request));
}

}  // namespace berth::web
