// Conda environments: plans, installs (with progress), switches, and what else changes them.
#include "web/environment_calls.hpp"
#include "web/lane_server.hpp"
#include "web/pages.hpp"
#include "web/records.hpp"

namespace berth::web {
namespace asio = boost::asio;
using workspaces::EnvBuilds;

namespace {

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
  if (request && !environment_caller(call).may_share && !call.caller.is_admin()) co_return Error{ErrorKind::denied, "only admins may share environments here (environments.sharing)"};
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

asio::awaitable<ApiReply> post_environments_gc(ApiCall& call) {
  const auto user = call.text("user", call.caller.is_admin() ? "" : call.caller.actor.name);
  if (!user) co_return user.error();
  auto request = owner_request(call, EnvBuilds::Act::collect, *user);
  if (request && *user != call.caller.actor.name && !call.caller.is_admin()) co_return Error{ErrorKind::denied, "you may collect your own environments only"};
  co_return co_await do_job(call, std::move(request));
}

}  // namespace berth::web
