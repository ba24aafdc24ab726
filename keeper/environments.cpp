#include "keeper/environments.hpp"

#include <unistd.h>

#include <algorithm>
#include <optional>

#include "base/log.hpp"
#include "workspaces/names.hpp"

namespace berth::keeper {
namespace asio = boost::asio;
namespace fs = std::filesystem;
using nlohmann::json;

namespace {
using workspaces::text_of;

constexpr std::size_t kItemLimit = 500;
constexpr std::chrono::seconds kSignOfLife{10};

Result<EnvironmentState> parse_state(const std::string& owner, const json& request) {
  const Error bad{ErrorKind::invalid, "this is not a state of environments"};
  const auto items = request.find("items");
  if (items == request.end() || !items->is_array() || items->size() > kItemLimit) return bad;
  EnvironmentState state;
  for (const json& entry : *items) {
    if (!entry.is_object()) return bad;
    EnvironmentState::Item item{text_of(entry, "name"), 0, text_of(entry, "id"), {}, {}};
    const auto revision = entry.find("revision"), variables = entry.find("variables");
    if (!workspaces::is_workspace_name(item.name) || !is_environment_id(item.id) || revision == entry.end() || !revision->is_number_integer()) return bad;
    item.revision = revision->get<std::int64_t>();
    item.prefix = prefix_inside(owner, item.id);
    if (variables != entry.end() && variables->is_object()) {
      for (const auto& [name, value] : variables->items()) {
        const bool plain = !name.empty() && name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
        if (plain && value.is_string()) item.variables[name] = value.get<std::string>();
      }
    }
    state.items.push_back(std::move(item));
  }
  state.default_name = text_of(request, "default");
  state.team_default = text_of(request, "default_owner") == kTeam;
  const auto known = std::find_if(state.items.begin(), state.items.end(), [&](const auto& item) { return item.name == state.default_name; });
  // One of the team's may go while it is a default: nothing is there then.
  if (state.team_default ? !workspaces::is_workspace_name(state.default_name) : known == state.items.end()) state.default_name.clear();
  return state;
}

// Tells the other side that we are alive while a step says nothing.
struct Beat {
  Beat(asio::any_io_executor executor, Environments::Say to) : timer(executor), say(std::move(to)) {}
  static asio::awaitable<void> run(std::shared_ptr<Beat> self) {
    while (!self->done) {
      boost::system::error_code cancelled;
      self->timer.expires_after(kSignOfLife);
      co_await self->timer.async_wait(asio::redirect_error(asio::use_awaitable, cancelled));
      if (!self->done) self->say({{"build", {{"event", "alive"}}}});
    }
  }
  struct Until {
    explicit Until(std::shared_ptr<Beat> of) : beat(std::move(of)) {}
    Until(const Until&) = delete;
    ~Until() {
      beat->done = true;
      beat->timer.cancel();
    }
    std::shared_ptr<Beat> beat;
  };
  asio::steady_timer timer;
  Environments::Say say;
  bool done = false;
};

}  // namespace

Environments::Environments(asio::any_io_executor executor, const Settings& settings, PodmanEngine& engine, Homes& homes)
    : executor_(executor), settings_(settings), engine_(engine), homes_(homes), store_(settings.environments.store), containers_(settings, engine) {}

std::string Environments::missing() const {
  for (const char* part : {"berth-env-builder", "packages/rattler", "inside/profile.sh"}) {
    const fs::path path = settings_.environments.builder / part;
    if (::access(path.c_str(), R_OK) != 0) return "conda environments are not set up on this machine: " + path.string() + " is missing (docs/environments.md)";
  }
  return "";
}

Result<void> Environments::prepare() {
  if (!missing().empty()) return {};
  auto prepared = store_.prepare();
  asio::post(looker_, [this] { store_.empty_trash(); });
  return prepared;
}

Result<EnvironmentMounts> Environments::mounts_for(const std::string& user) {
  if (!missing().empty()) return EnvironmentMounts{};
  auto team = store_.ensure_owner(std::string(kTeam));
  if (team.has_error()) return team.error();
  auto own = store_.ensure_owner(user);
  if (own.has_error()) return own.error();
  return EnvironmentMounts{std::move(*own), std::move(*team)};
}

namespace {
constexpr std::string_view kRequests[] = {"build", "environments", "environments_gc", "environments_used"};
}

bool Environments::answers(std::string_view what) { return std::find(std::begin(kRequests), std::end(kRequests), what) != std::end(kRequests); }

bool Environments::may_ask(std::string_view what, std::string_view owner) { return workspaces::is_user_name(owner) || (what != "build" && owner == kTeam); }

asio::awaitable<Result<json>> Environments::answer(std::string what, std::string user, json request, Say say) {
  if (const std::string why = missing(); !why.empty()) co_return Error{ErrorKind::unavailable, why};
  if (what == "environments") co_return co_await state(std::move(user), std::move(request));
  if (what == "environments_gc") co_return co_await collect(std::move(user), std::move(request));
  if (what == "environments_used") co_return co_await used(std::move(user));
  const auto beat = std::make_shared<Beat>(executor_, say);
  const Beat::Until until(beat);
  asio::co_spawn(executor_, Beat::run(beat), asio::detached);
  co_return co_await build(std::move(user), std::move(request), std::move(say));
}

asio::awaitable<Result<json>> Environments::build(std::string user, json request, Say say) {
  const OnBuildEvent on_event = [say](json event) { say({{"build", std::move(event)}}); };
  Job job{user, text_of(request, "owner"), {}, on_event};
  if (job.owner.empty()) job.owner = user;
  if (job.owner != user && job.owner != kTeam) co_return Error{ErrorKind::denied, "a user builds for themselves or for the team"};
  on_event(build_progress("waiting", "Waiting for other builds"));
  const Locks::Held own = co_await locks_.acquire("user " + user);
  // Equal builds for the team happen once, whoever asks.
  std::optional<Locks::Held> shared;
  if (job.owner == kTeam) shared.emplace(co_await locks_.acquire("user " + job.owner));
  const std::size_t slot = std::hash<std::string>{}(user) % static_cast<std::size_t>(settings_.environments.at_once);
  const Locks::Held turn = co_await locks_.acquire("slot " + std::to_string(slot));
  auto home = homes_.ensure(user);
  if (home.has_error()) co_return home.error();
  job.home = *home;
  const std::string action = text_of(request, "action");
  log_info("keeper.build", {{"user", user}, {"owner", job.owner}, {"action", action}});
  Result<json> result = Error{ErrorKind::invalid, "berth-keeper knows no such build"};
  if (action == "solve" || action == "adopt") result = co_await solve(std::move(job), std::move(request));
  else if (action == "install" || action == "verify") result = co_await install(std::move(job), std::move(request));
  store_.end_build(user);
  asio::post(looker_, [this] { store_.empty_trash(); });
  if (result.has_error()) log_warn("keeper.build_failed", {{"user", user}, {"action", action}, {"error", result.error().message.substr(0, 500)}});
  co_return result;
}

asio::awaitable<Result<json>> Environments::state(std::string owner, json request) {
  const auto wanted = parse_state(owner, request);
  if (wanted.has_error()) co_return wanted.error();
  const Locks::Held held = co_await locks_.acquire("state " + owner);
  const auto folder = store_.ensure_owner(owner);
  if (folder.has_error()) co_return folder.error();
  const auto applied = store_.apply(owner, *wanted);
  if (applied.has_error()) co_return applied.error();
  co_return json_answer(json::object());
}

asio::awaitable<Result<json>> Environments::used(std::string owner) {
  std::function<std::uint64_t()> count = [this, owner] { return store_.used(owner); };
  // A thread of its own: the others delete and seal for long, and a list waits for this.
  const std::uint64_t bytes = co_await aside(counter_, std::move(count));
  const std::int64_t quota = settings_.quota_of(owner);
  co_return json_answer({{"used_bytes", bytes}, {"quota_bytes", quota > 0 ? json(quota) : json(nullptr)}});
}

asio::awaitable<Result<json>> Environments::collect(std::string owner, json request) {
  const auto keep = request.find("keep");
  if (keep == request.end() || !keep->is_array()) co_return Error{ErrorKind::invalid, "which environments are to be kept is missing"};
  std::set<std::string> kept;
  for (const json& id : *keep) {
    if (id.is_string()) kept.insert(id.get<std::string>());
  }
  const Locks::Held own = co_await locks_.acquire("user " + owner);  // not while something is being built for them
  const auto records = co_await engine_.list();
  if (records.has_error()) co_return records.error();
  std::optional<Timestamp> oldest_start;
  for (const KeeperRecord& record : *records) {
    const bool sees = owner == kTeam || record.id.user == owner;
    if (!sees || record.state == WorkspaceState::stopped || record.state == WorkspaceState::failed) continue;
    oldest_start = std::min(oldest_start.value_or(record.started_at), record.started_at);
  }
  const EnvStore::Collected done = store_.collect(owner, kept, oldest_start);
  if (done.removed > 0) {
    asio::post(worker_, [this] {
      store_.empty_trash();
      store_.sweep();
    });
  }
  co_return json_answer({{"removed", done.removed}, {"waiting", done.waiting > 0}});
}

}  // namespace berth::keeper
