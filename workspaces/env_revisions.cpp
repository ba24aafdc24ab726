// What puts a revision's files in place and makes it current: installing a plan, sharing, going back.
#include "base/log.hpp"
#include "workspaces/env_builds.hpp"

namespace berth::workspaces {
namespace asio = boost::asio;
using nlohmann::json;

// `revision` with what its lock came out as.
asio::awaitable<Result<auth::EnvironmentRevision>> EnvBuilds::build_files(std::string builder, std::string owner, auth::EnvironmentRevision revision, Events events) {
  json ask = {{"do", "build"}, {"user", builder}, {"owner", owner}, {"action", "install"}, {"lock", revision.lock}};
  auto answer = co_await keeper_->ask(std::move(ask), kSilence, std::move(events));
  if (answer.has_error()) co_return answer.error();
  revision.tree_hash = text_of(*answer, "tree_hash");
  revision.size_bytes = number_of(*answer, "size_bytes");
  co_return revision;
}

asio::awaitable<EnvBuilds::Outcome> EnvBuilds::install(auth::Actor actor, Request request, Events events) {
  const auto found = plans_.find(request.plan);
  // Another's plan does not exist.
  if (found == plans_.end() || found->second.user != request.user || found->second.name != request.name || found->second.expires_at < clock_.now()) {
    co_return Error{ErrorKind::not_found, "this plan is no longer known: solve again"};
  }
  const Plan plan = found->second;
  auth::EnvironmentRevision planned;
  planned.yaml = plan.yaml;
  planned.lock = plan.lock;
  planned.lock_hash = plan.lock_hash;
  planned.packages = plan.packages;
  auto built = co_await build_files(request.builder, plan.user, std::move(planned), std::move(events));
  if (built.has_error()) co_return built.error();
  const auto added = co_await rows_.add_revision(std::move(actor), plan.user, plan.name, std::move(*built));
  if (added.has_error()) co_return added.error();
  plans_.erase(request.plan);
  const auto applied = co_await apply(plan.user);
  if (applied.has_error()) co_return applied.error();
  log_info("environment.installed", {{"user", plan.user}, {"name", plan.name}, {"lock_hash", plan.lock_hash}});
  co_return as_result(json::object());
}

asio::awaitable<EnvBuilds::Outcome> EnvBuilds::share(auth::Actor actor, Request request, Events events) {
  if (rows_.find(*reader_, auth::kTeam, request.name)) co_return Error{ErrorKind::conflict, "the team has an environment '" + request.name + "' already"};
  const auto revision = current(request.user, request.name);
  if (!revision) co_return Error{ErrorKind::not_found, "there is no such environment"};
  auto built = co_await build_files(request.builder, std::string(auth::kTeam), *revision, std::move(events));
  if (built.has_error()) co_return built.error();
  const auto shared = co_await rows_.share(std::move(actor), request.user, request.name, std::move(*built));
  if (shared.has_error()) co_return shared.error();
  const std::vector<std::string> owners{std::string(auth::kTeam), request.user};
  for (const std::string& owner : owners) {
    const auto applied = co_await apply(owner);
    if (applied.has_error()) co_return applied.error();
  }
  (void)co_await collect(request.user);
  co_return as_result(json::object());
}

asio::awaitable<EnvBuilds::Outcome> EnvBuilds::rollback(auth::Actor actor, Request request, Events events) {
  const auto environment = rows_.find(*reader_, request.user, request.name);
  if (!environment) co_return Error{ErrorKind::not_found, "there is no such environment"};
  const std::int64_t before = environment->revision;
  auto changed = co_await rows_.make_current(actor, request.user, request.name, request.revision);
  if (changed.has_error()) co_return changed.error();
  auto applied = co_await apply(request.user);
  // Its files were lost or collected: they are made again from the lock.
  if (applied.has_error() && applied.error().kind == ErrorKind::not_found) applied = co_await build_current(request, std::move(events));
  if (applied.has_error()) {
    (void)co_await rows_.make_current(actor, request.user, request.name, before);
    co_return applied.error();
  }
  co_return as_result(json::object());
}

asio::awaitable<Result<void>> EnvBuilds::build_current(Request request, Events events) {
  const auto revision = current(request.user, request.name);
  if (!revision) co_return Error{ErrorKind::not_found, "there is no such environment"};
  auto built = co_await build_files(request.builder, request.user, *revision, std::move(events));
  if (built.has_error()) co_return built.error();
  if (revision->tree_hash.empty()) {
    const auto noted = co_await rows_.set_built(request.user, request.name, revision->number, std::move(*built));
    if (noted.has_error()) co_return noted.error();
  }
  co_return co_await apply(request.user);
}

}  // namespace berth::workspaces
