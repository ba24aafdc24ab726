#include "workspaces/env_builds.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>

#include "base/encoding.hpp"
#include "base/log.hpp"
#include "workspaces/names.hpp"

namespace berth::workspaces {
namespace asio = boost::asio;
using nlohmann::json;

namespace {

constexpr std::size_t kEventsKept = 500, kPlansKept = 200;
constexpr std::chrono::hours kPlanLives{1};

// An event of the builder as the API shows it; null for what is none of ours.
json shown(const json& message) {
  const auto event = message.find("build");
  if (event == message.end() || !event->is_object()) return nullptr;
  const std::string kind = text_of(*event, "event");
  if (kind != "progress" && kind != "log") return nullptr;
  json out = {{"phase", text_of(*event, "phase")}, {"line", text_of(*event, "line").substr(0, 500)}};
  if (kind == "log") return out;
  for (const char* key : {"done", "total", "bytes", "bytes_total", "bytes_per_s"}) out[key] = number_of(*event, key);
  out["left_s"] = event->contains("left_s") && (*event)["left_s"].is_number() ? json(number_of(*event, "left_s")) : json(nullptr);
  return out;
}

}  // namespace

asio::awaitable<void> Job::wait(std::chrono::milliseconds limit) {
  if (outcome_ || !events_.empty()) co_return;
  asio::steady_timer timer(executor_, limit);
  const auto place = waiting_.insert(waiting_.end(), &timer);
  boost::system::error_code woken;
  co_await timer.async_wait(asio::redirect_error(asio::use_awaitable, woken));
  waiting_.erase(place);
}

std::optional<json> Job::next_event() {
  if (events_.empty()) return std::nullopt;
  std::optional<json> event(std::move(events_.front()));
  events_.pop_front();
  return event;
}

void Job::wake() {
  for (asio::steady_timer* timer : waiting_) timer->cancel();
}

void Job::add(json event) {
  if (events_.size() >= kEventsKept) events_.pop_front();
  events_.push_back(std::move(event));
  wake();
}

void Job::finish(Result<json> outcome) {
  outcome_.emplace(std::move(outcome));
  wake();
}

EnvBuilds::EnvBuilds(Lanes& lanes, Store& store, const Clock& clock, std::unique_ptr<KeeperLink> keeper, Images& images, std::chrono::milliseconds verify_every)
    : lanes_(lanes), clock_(clock), rows_(store, clock), reader_(store.open_reader()), keeper_(std::move(keeper)), images_(images), verify_every_(verify_every),
      verify_timer_(lanes.front()->io) {}

void EnvBuilds::start() {
  KeeperEvents events;
  events.connected = [this] {
    asio::co_spawn(lanes_.front()->io, learn_images(), asio::detached);
    asio::co_spawn(lanes_.front()->io, apply_all(), asio::detached);
  };
  keeper_->start(std::move(events));
  verifies_ = verify_every_.count() > 0;
  if (verifies_) asio::co_spawn(lanes_.front()->io, verify_in_turn(), asio::detached);
}

void EnvBuilds::retire() {
  verifies_ = false;
  verify_timer_.cancel();
}

void EnvBuilds::apply_again() {
  if (keeper_->connected()) asio::co_spawn(lanes_.front()->io, apply_all(), asio::detached);
}

void EnvBuilds::shutdown() {
  retire();
  keeper_->close();
}

asio::awaitable<void> EnvBuilds::learn_images() {
  json ask = {{"do", "images"}};
  auto answer = co_await keeper_->ask(std::move(ask), std::chrono::minutes(5), nullptr);
  if (answer.has_value()) images_.learn(*answer);
  else log_warn("workspaces.images_unknown", {{"error", answer.error().message}});
}

std::shared_ptr<Job> EnvBuilds::begin(Lane& lane, auth::Actor actor, Request request) {
  auto job = std::make_shared<Job>(lane.io.get_executor());
  asio::co_spawn(lanes_.front()->io, run(&lane, job, std::move(actor), std::move(request)), asio::detached);
  return job;
}

asio::awaitable<void> EnvBuilds::run(Lane* lane, std::shared_ptr<Job> job, auth::Actor actor, Request request) {
  const Events events = [lane, job](const json& message) {
    json event = shown(message);
    if (!event.is_null()) asio::post(lane->io, [job, event = std::move(event)]() mutable { job->add(std::move(event)); });
  };
  Outcome outcome = Error{ErrorKind::internal, "the gateway failed; its log says why"};
  ++running_;
  try {
    outcome = co_await act(std::move(actor), std::move(request), events);
  } catch (const std::exception& error) {
    log_error("environments.exception", {{"error", error.what()}});
  }
  --running_;
  asio::post(lane->io, [job, outcome = std::move(outcome)]() mutable { job->finish(std::move(outcome)); });
}

asio::awaitable<EnvBuilds::Outcome> EnvBuilds::act(auth::Actor actor, Request request, Events events) {
  switch (request.act) {
    case Act::plan:
    case Act::check: co_return co_await plan(std::move(request), std::move(events));
    case Act::install: co_return co_await install(std::move(actor), std::move(request), std::move(events));
    case Act::verify: co_return co_await verify(std::move(actor), std::move(request), std::move(events));
    case Act::rollback: co_return co_await rollback(std::move(actor), std::move(request), std::move(events));
    case Act::share: co_return co_await share(std::move(actor), std::move(request), std::move(events));
    case Act::collect: co_return co_await collect(std::move(request.user));
    case Act::used: co_return co_await used(std::move(request.user));
    default: co_return co_await change(std::move(actor), std::move(request));
  }
}

// What needs no build.
asio::awaitable<EnvBuilds::Outcome> EnvBuilds::change(auth::Actor actor, Request request) {
  std::vector<std::string> others;  // whose state changes besides the owner's
  Result<void> changed;
  if (request.act == Act::set_default) {
    changed = co_await rows_.make_default(std::move(actor), request.other, request.user, request.name, request.on);
    others = {request.other};
  } else if (request.act == Act::set_maintainer) {
    changed = co_await rows_.set_maintainer(std::move(actor), request.name, request.other, request.on);
    if (changed.has_value()) co_return as_result(json::object());
  } else {
    if (const auto found = rows_.find(*reader_, request.user, request.name)) others = rows_.default_users(*reader_, found->id);
    changed = co_await rows_.remove(std::move(actor), request.user, request.name);
    others.push_back(request.user);
  }
  if (changed.has_error()) co_return changed.error();
  for (const std::string& owner : others) {
    const auto applied = co_await apply(owner);
    if (applied.has_error()) co_return applied.error();
  }
  if (request.act == Act::remove) (void)co_await collect(request.user);
  co_return as_result(json::object());
}

std::optional<auth::EnvironmentRevision> EnvBuilds::current(const std::string& user, const std::string& name) {
  const auto found = rows_.find(*reader_, user, name);
  if (!found) return std::nullopt;
  return rows_.revision(*reader_, found->id, found->revision);
}

asio::awaitable<EnvBuilds::Outcome> EnvBuilds::plan(Request request, Events events) {
  const bool check = request.act == Act::check;
  const auto before = check ? std::nullopt : current(request.user, request.name);
  json ask = {{"do", "build"}, {"user", request.builder}, {"action", request.lock.empty() ? "solve" : "adopt"}};
  if (request.lock.empty()) {
    ask["yaml"] = request.yaml;
  } else {
    ask["lock"] = request.lock;
  }
  if (before) ask["current"] = before->lock;
  auto answer = co_await keeper_->ask(std::move(ask), kSilence, std::move(events));
  if (answer.has_error()) co_return answer.error();
  const std::string text = text_of(*answer, "lock");
  const auto lock = parse_lock(text);
  if (lock.has_error()) co_return lock.error();
  json old = {{"packages", json::array()}, {"pip", json::array()}};
  if (before) {
    auto parsed = parse_lock(before->lock);
    if (parsed.has_value()) old = std::move(*parsed);
  }
  Plan plan{request.user, request.name, request.yaml, text, hex_encode(sha256(text)), 0, clock_.now() + kPlanLives};
  plan.packages = static_cast<std::int64_t>((*lock)["packages"].size() + (*lock)["pip"].size());
  json warnings = json::array();
  if (const auto said = answer->find("warnings"); said != answer->end() && said->is_array()) {
    for (const json& line : *said) {
      if (line.is_string() && warnings.size() < 50) warnings.push_back(line.get<std::string>().substr(0, 500));
    }
  }
  json shown_plan = {{"user", plan.user}, {"name", check ? json(nullptr) : json(plan.name)}, {"packages", plan.packages},
                     {"download_bytes", number_of(*answer, "download_bytes")}, {"diff", diff_of(old, *lock)},
                     {"unchanged", before && before->lock_hash == plan.lock_hash}, {"lock_hash", plan.lock_hash}, {"warnings", warnings},
                     {"expires_at", format_timestamp(plan.expires_at)}};
  if (!check) {
    std::erase_if(plans_, [&](const auto& entry) { return entry.second.expires_at < clock_.now(); });
    if (plans_.size() >= kPlansKept) plans_.erase(plans_.begin());
    const std::string id = hex_encode(random_bytes(12));
    shown_plan["plan"] = id;
    plans_[id] = std::move(plan);
  }
  co_return as_result(std::move(shown_plan));
}

asio::awaitable<EnvBuilds::Outcome> EnvBuilds::collect(std::string user) {
  std::int64_t removed = 0, waiting = 0;
  const std::vector<std::string> users = user.empty() ? rows_.owners(*reader_) : std::vector<std::string>{user};
  for (const std::string& owner : users) {
    json keep = json::array();
    for (const std::string& hash : rows_.lock_hashes(*reader_, owner)) keep.push_back(hash.substr(0, 32));
    json ask = {{"do", "environments_gc"}, {"user", owner}, {"keep", keep}};
    auto answer = co_await keeper_->ask(std::move(ask), std::chrono::minutes(10), nullptr);
    if (answer.has_error()) co_return answer.error();
    removed += number_of(*answer, "removed");
    if (answer->contains("waiting") && (*answer)["waiting"] == true) ++waiting;
  }
  co_return as_result({{"removed", removed}, {"waiting", waiting}});
}

asio::awaitable<EnvBuilds::Outcome> EnvBuilds::used(std::string owner) {
  json ask = {{"do", "environments_used"}, {"user", owner}};
  auto answer = co_await keeper_->ask(std::move(ask), std::chrono::minutes(5), nullptr);
  if (answer.has_error()) co_return answer.error();
  const auto quota = answer->find("quota_bytes");
  co_return as_result({{"user", owner}, {"used_bytes", number_of(*answer, "used_bytes")},
                       {"quota_bytes", quota != answer->end() && quota->is_number_integer() ? *quota : json(nullptr)}});
}

asio::awaitable<Result<void>> EnvBuilds::apply(std::string owner) {
  json ask = {{"do", "environments"}, {"user", owner}, {"items", json::array()}, {"default", ""}};
  for (const auth::Environment& environment : rows_.list(*reader_, owner)) {
    if (environment.is_default) ask["default"] = environment.name;
    if (environment.is_default && environment.is_team()) ask["default_owner"] = auth::kTeam;
    if (environment.user != owner) continue;
    json item = {{"name", environment.name}, {"revision", environment.revision}, {"id", environment.lock_hash.substr(0, 32)}};
    const auto revision = rows_.revision(*reader_, environment.id, environment.revision);
    const auto lock = parse_lock(revision ? revision->lock : "");
    if (lock.has_value() && lock->contains("variables")) item["variables"] = (*lock)["variables"];
    ask["items"].push_back(std::move(item));
  }
  auto answer = co_await keeper_->ask(std::move(ask), kSilence, nullptr);
  if (answer.has_error()) co_return answer.error();
  co_return Result<void>();
}

// After a start of ours or of the keeper's: what a crash between the store and the files left undone is done.
asio::awaitable<void> EnvBuilds::apply_all() {
  std::vector<std::string> owners = rows_.users(*reader_);
  owners.emplace_back(auth::kTeam);
  for (const std::string& owner : owners) {
    const auto applied = co_await apply(owner);
    if (applied.has_error()) log_warn("environments.not_applied", {{"user", owner}, {"error", applied.error().message}});
  }
}

}  // namespace berth::workspaces
