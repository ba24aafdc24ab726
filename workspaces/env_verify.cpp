// Whether environments still come out of their locks as they were: when somebody asks, and in turn by the site's settings.
#include <boost/asio/redirect_error.hpp>

#include "base/encoding.hpp"
#include "base/log.hpp"
#include "workspaces/env_builds.hpp"

namespace berth::workspaces {
namespace asio = boost::asio;
using nlohmann::json;

namespace {

constexpr std::chrono::milliseconds kLookEvery{60'000};
constexpr std::size_t kPathsKept = 20;

// "changed lib/x, missing bin/y": the first of them.
std::string drift_text(const json& result) {
  std::string text;
  std::size_t shown = 0;
  for (const char* kind : {"changed", "missing", "added"}) {
    for (const json& path : result[kind]) {
      if (path.is_string() && shown++ < kPathsKept) text += (text.empty() ? "" : ", ") + std::string(kind) + " " + path.get<std::string>();
    }
  }
  return text + (shown > kPathsKept ? ", and " + std::to_string(shown - kPathsKept) + " more" : "");
}

// Beside the drift: what is no fault of what is installed.
std::string solved_text(const json& solved) {
  if (!solved.is_object()) return "";
  if (const std::string error = text_of(solved, "error"); !error.empty()) return "; its file cannot be solved any more: " + error;
  const auto diff = solved.find("diff");
  if (diff == solved.end() || solved.value("unchanged", false)) return "";
  std::size_t count = 0;
  for (const char* kind : {"added", "removed", "changed"}) count += (*diff)[kind].size();
  return "; its file gives " + std::to_string(count) + " other packages today";
}

}  // namespace

asio::awaitable<EnvBuilds::Outcome> EnvBuilds::build_again(Request request, auth::EnvironmentRevision revision, Events events) {
  json ask = {{"do", "build"}, {"user", request.builder}, {"owner", request.user}, {"action", "verify"}, {"lock", revision.lock}};
  auto answer = co_await keeper_->ask(std::move(ask), kSilence, std::move(events));
  if (answer.has_error()) co_return answer.error();
  const std::string expected = revision.tree_hash.empty() ? text_of(*answer, "expected") : revision.tree_hash;
  json result = {{"ok", false}, {"tree_hash", text_of(*answer, "tree_hash")}, {"expected", expected}};
  for (const char* key : {"changed", "missing", "added"}) {
    const auto paths = answer->find(key);
    result[key] = paths != answer->end() && paths->is_array() ? *paths : json::array();
  }
  // The files that are there, what they were when they were installed, and what comes out now.
  result["ok"] = result["tree_hash"] == result["expected"] && text_of(*answer, "stored_tree_hash") == expected;
  co_return as_result(std::move(result));
}

// What the file gives today: channels gain packages, and lose some.
asio::awaitable<json> EnvBuilds::solve_again(std::string builder, auth::EnvironmentRevision revision, Events events) {
  if (revision.yaml.empty()) co_return nullptr;  // it was made from a lock
  json ask = {{"do", "build"}, {"user", builder}, {"action", "solve"}, {"yaml", revision.yaml}};
  auto answer = co_await keeper_->ask(std::move(ask), kSilence, std::move(events));
  if (answer.has_error()) co_return answer.error().kind == ErrorKind::closed ? json(nullptr) : json{{"error", answer.error().message}};
  const std::string text = text_of(*answer, "lock");
  const auto lock = parse_lock(text), before = parse_lock(revision.lock);
  if (lock.has_error() || before.has_error()) co_return json{{"error", "the build answered with something else than a lock"}};
  co_return json{{"unchanged", hex_encode(sha256(text)) == revision.lock_hash}, {"diff", diff_of(*before, *lock)}};
}

asio::awaitable<EnvBuilds::Outcome> EnvBuilds::verify(auth::Actor actor, Request request, Events events) {
  auto revision = current(request.user, request.name);
  if (!revision) co_return Error{ErrorKind::not_found, "there is no such environment"};
  const std::int64_t number = revision->number;
  auto result = co_await build_again(request, *revision, events);
  if (result.has_value()) {
    json solved = co_await solve_again(request.builder, std::move(*revision), std::move(events));
    (*result)["solved"] = std::move(solved);
  }
  // A keeper that went away says nothing about the environment.
  if (result.has_error() && (!keeper_->connected() || result.error().kind == ErrorKind::closed)) co_return result;
  auth::Verification verification;
  verification.result = result.has_error() ? "failed" : (*result)["ok"] == true ? "ok" : "changed";
  verification.detail = result.has_error() ? result.error().message : drift_text(*result) + solved_text((*result)["solved"]);
  if (verification.detail.starts_with("; ")) verification.detail.erase(0, 2);
  const auto noted = co_await rows_.set_verified(std::move(actor), request.user, request.name, number, verification);
  if (noted.has_error()) log_warn("environment.not_noted", {{"error", noted.error().message}});
  if (verification.result != "ok") log_warn("environment.differs", {{"user", request.user}, {"name", request.name}, {"detail", verification.detail.substr(0, 300)}});
  co_return result;
}

// One at a time, the one that was looked at the longest ago first.
asio::awaitable<void> EnvBuilds::verify_in_turn() {
  while (verifies_) {
    boost::system::error_code cancelled;
    verify_timer_.expires_after(std::min(kLookEvery, verify_every_));
    co_await verify_timer_.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
    if (!verifies_ || !keeper_->connected()) continue;
    try {
      co_await verify_one();
    } catch (const std::exception& error) {
      log_error("environments.exception", {{"error", error.what()}});
    }
  }
}

asio::awaitable<void> EnvBuilds::verify_one() {
  const auto due = rows_.due(*reader_, clock_.now() - verify_every_);
  if (!due) co_return;
  Request request;
  request.act = Act::verify;
  request.user = due->user;
  request.name = due->name;
  request.builder = due->is_team() ? (due->maintainers.empty() ? "" : due->maintainers.front()) : due->user;
  auth::Actor actor{"berthd", auth::Role::admin, "", ""};
  if (request.builder.empty()) {
    auth::Verification nobody{{}, "failed", "it has no maintainer, as whom it could be built"};
    (void)co_await rows_.set_verified(std::move(actor), request.user, request.name, due->revision, std::move(nobody));
    co_return;
  }
  const auto job = begin(*lanes_.front(), std::move(actor), std::move(request));
  while (!job->outcome()) {
    co_await job->wait(kLookEvery);
    while (job->next_event()) {
    }
  }
}

}  // namespace berth::workspaces
