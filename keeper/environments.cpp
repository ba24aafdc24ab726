#include "keeper/environments.hpp"

#include <unistd.h>

#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <fstream>
#include <optional>
#include <sstream>

#include "base/encoding.hpp"
#include "base/log.hpp"
#include "workspaces/names.hpp"

namespace berth::keeper {
namespace asio = boost::asio;
namespace fs = std::filesystem;
using nlohmann::json;

namespace {
using workspaces::text_of;

constexpr std::size_t kYamlLimit = 64 * 1024, kLockLimit = 4 << 20, kItemLimit = 500;
constexpr std::chrono::seconds kSignOfLife{10};

Result<json> as_result(json value) { return Result<json>(boost::system::in_place_value, std::move(value)); }

std::string content_of(const fs::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

Result<EnvironmentState> parse_state(const json& request) {
  const Error bad{ErrorKind::invalid, "this is not a state of environments"};
  const auto items = request.find("items");
  if (items == request.end() || !items->is_array() || items->size() > kItemLimit) return bad;
  EnvironmentState state;
  for (const json& entry : *items) {
    if (!entry.is_object()) return bad;
    EnvironmentState::Item item{text_of(entry, "name"), 0, text_of(entry, "id"), {}};
    const auto revision = entry.find("revision"), variables = entry.find("variables");
    if (!workspaces::is_workspace_name(item.name) || !is_environment_id(item.id) || revision == entry.end() || !revision->is_number_integer()) return bad;
    item.revision = revision->get<std::int64_t>();
    if (variables != entry.end() && variables->is_object()) {
      for (const auto& [name, value] : variables->items()) {
        const bool plain = !name.empty() && name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
        if (plain && value.is_string()) item.variables[name] = value.get<std::string>();
      }
    }
    state.items.push_back(std::move(item));
  }
  state.default_name = text_of(request, "default");
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

json progress(std::string_view phase, std::string_view line) {
  return {{"event", "progress"}, {"phase", phase}, {"line", line}, {"done", 0}, {"total", 0}, {"bytes", 0}, {"bytes_total", 0}, {"bytes_per_s", 0}, {"left_s", nullptr}};
}

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

Result<fs::path> Environments::mount_for(const std::string& user) {
  if (!missing().empty()) return fs::path();
  return store_.ensure_user(user);
}

bool Environments::answers(std::string_view what) { return what == "build" || what == "environments" || what == "environments_gc"; }

template <class T>
asio::awaitable<T> Environments::aside(std::function<T()> work) {
  struct Shared {
    explicit Shared(const asio::any_io_executor& on) : done(on, asio::steady_timer::time_point::max()) {}
    asio::steady_timer done;
    std::optional<T> result;
  };
  const auto shared = std::make_shared<Shared>(executor_);
  asio::post(worker_, [shared, work = std::move(work), executor = executor_] {
    auto result = std::make_shared<T>(work());
    asio::post(executor, [shared, result] {
      shared->result.emplace(std::move(*result));
      shared->done.cancel();
    });
  });
  while (!shared->result) {
    boost::system::error_code woken;
    co_await shared->done.async_wait(asio::redirect_error(asio::use_awaitable, woken));
  }
  co_return std::move(*shared->result);
}

asio::awaitable<Result<json>> Environments::answer(std::string what, std::string user, json request, Say say) {
  if (const std::string why = missing(); !why.empty()) co_return Error{ErrorKind::unavailable, why};
  if (what == "environments") co_return co_await state(std::move(user), std::move(request));
  if (what == "environments_gc") co_return co_await collect(std::move(user), std::move(request));
  const auto beat = std::make_shared<Beat>(executor_, say);
  const Beat::Until until(beat);
  asio::co_spawn(executor_, Beat::run(beat), asio::detached);
  co_return co_await build(std::move(user), std::move(request), std::move(say));
}

asio::awaitable<Result<json>> Environments::build(std::string user, json request, Say say) {
  const OnBuildEvent on_event = [say](json event) { say({{"build", std::move(event)}}); };
  on_event(progress("waiting", "Waiting for other builds"));
  const Locks::Held own = co_await locks_.acquire("user " + user);
  const std::size_t slot = std::hash<std::string>{}(user) % static_cast<std::size_t>(settings_.environments.at_once);
  const Locks::Held turn = co_await locks_.acquire("slot " + std::to_string(slot));
  auto home = homes_.ensure(user);
  if (home.has_error()) co_return home.error();
  const std::string action = text_of(request, "action");
  log_info("keeper.build", {{"user", user}, {"action", action}});
  Result<json> result = Error{ErrorKind::invalid, "berth-keeper knows no such build"};
  if (action == "solve" || action == "adopt") result = co_await solve(user, std::move(request), *home, on_event);
  else if (action == "install" || action == "verify") result = co_await install(user, std::move(request), *home, on_event);
  store_.end_build(user);
  asio::post(looker_, [this] { store_.empty_trash(); });
  if (result.has_error()) log_warn("keeper.build_failed", {{"user", user}, {"action", action}, {"error", result.error().message.substr(0, 500)}});
  co_return result;
}

asio::awaitable<Result<EnvStore::Build>> Environments::begin(std::string user, Home home, std::map<std::string, std::string> files) {
  const Account owner{home.base + kInsideUid, home.base + kInsideUid};
  std::function<Result<EnvStore::Build>()> work = [this, user, owner, files] { return store_.begin_build(user, owner, files); };
  co_return co_await aside<Result<EnvStore::Build>>(std::move(work));
}

asio::awaitable<Result<json>> Environments::step(std::string user, Home home, EnvStore::Build places, std::string id, std::vector<std::string> command,
                                                 bool network, OnBuildEvent on_event) {
  BuildPlan plan;
  plan.user = user;
  plan.image = settings_.environments.image.empty() ? settings_.podman.image : settings_.environments.image;
  plan.base = home.base;
  // What the packages' own code may write is the prefix alone.
  plan.folder = network ? places.folder : places.folder / id;
  plan.inside = std::string(kEnvironmentsInside) + (network ? "" : "/" + id);
  plan.request = places.request;
  plan.command = std::move(command);
  plan.network = network;
  on_event(progress("starting", "Starting the build"));
  Progress told = [on_event](std::string_view line) { on_event(progress("starting", line)); };
  auto image = co_await engine_.find_image(plan.image, std::move(told));
  if (image.has_error()) co_return image.error();
  const auto too_large = [this, folder = places.folder]() -> asio::awaitable<bool> {
    // Its own thread: the worker may be busy sealing somebody else's for long.
    const auto limit = static_cast<std::uint64_t>(settings_.environments.disk) + static_cast<std::uint64_t>(settings_.environments.cache);
    co_return co_await asio::co_spawn(looker_, [](fs::path place, std::uint64_t most) -> asio::awaitable<bool> { co_return disk_use(place, most) > most; }(folder, limit),
                                      asio::use_awaitable);
  };
  co_return co_await containers_.run(std::move(plan), std::move(on_event), too_large);
}

namespace {

// What the step that downloads is told of the site. Credentials are only where no package's code runs.
void add_site(const Settings::Environments& settings, std::map<std::string, std::string>& files, std::vector<std::string>& command) {
  if (!settings.condarc.empty()) {
    files["condarc"] = content_of(settings.condarc);
    command.insert(command.end(), {"--condarc", "/run/berth-build/condarc"});
  }
  if (!settings.credentials.empty()) {
    files["credentials"] = content_of(settings.credentials);
    command.insert(command.end(), {"--credentials", "/run/berth-build/credentials"});
  }
  if (!settings.pip_conf.empty()) files["pip.conf"] = content_of(settings.pip_conf);
  command.insert(command.end(), {"--cache", std::string(kEnvironmentsInside)});
}

}  // namespace

asio::awaitable<Result<json>> Environments::solve(std::string user, json request, Home home, OnBuildEvent on_event) {
  const bool adopt = text_of(request, "action") == "adopt";
  const std::string input = text_of(request, adopt ? "lock" : "yaml"), current = text_of(request, "current");
  if (input.empty() || input.size() > (adopt ? kLockLimit : kYamlLimit) || current.size() > kLockLimit) {
    co_return Error{ErrorKind::too_large, adopt ? "the lock is empty or too large" : "the file is empty or larger than 64 KiB"};
  }
  std::map<std::string, std::string> files;
  std::vector<std::string> command;
  if (adopt) {
    files["lock"] = input;
    command = {"adopt", "--lock", "/run/berth-build/lock", "--cache", std::string(kEnvironmentsInside)};
  } else {
    files["environment.yml"] = input;
    command = {"solve", "/run/berth-build/environment.yml"};
    add_site(settings_.environments, files, command);
    for (const std::string& package : settings_.environments.virtual_packages) command.insert(command.end(), {"--virtual", package});
  }
  if (!current.empty()) {
    files["current"] = current;
    command.insert(command.end(), {"--current", "/run/berth-build/current"});
  }
  auto places = co_await begin(user, home, std::move(files));
  if (places.has_error()) co_return places.error();
  auto result = co_await step(user, home, *places, "", std::move(command), true, std::move(on_event));
  if (result.has_error()) co_return result.error();
  const std::string lock = text_of(*result, "lock");
  if (lock.empty() || lock.size() > kLockLimit) co_return Error{ErrorKind::too_large, "the lock of this environment is too large"};
  (*result)["id"] = environment_id(lock);
  (*result)["lock_hash"] = hex_encode(sha256(lock));
  co_return result;
}

TreeRules Environments::rules(const Home& home, const std::string& id) const {
  TreeRules rules;
  rules.inside = std::string(kEnvironmentsInside) + "/" + id;
  rules.first_owner = home.base;
  rules.owners = kRangeSize;
  rules.max_bytes = static_cast<std::uint64_t>(settings_.environments.disk);
  return rules;
}

asio::awaitable<Result<json>> Environments::install(std::string user, json request, Home home, OnBuildEvent on_event) {
  const std::string lock = text_of(request, "lock");
  const bool verify = text_of(request, "action") == "verify";
  if (lock.empty() || lock.size() > kLockLimit) co_return Error{ErrorKind::invalid, "there is no lock to install, or it is too large"};
  const std::string id = environment_id(lock), hash = hex_encode(sha256(lock));
  const auto known = store_.find(user, id);
  if (known.has_value() && known->lock_hash != hash) co_return Error{ErrorKind::conflict, "two different locks have one name; change one of them"};
  if (verify && known.has_error()) co_return known.error();
  // Equal builds happen once: the second finds the first one's.
  if (!verify && known.has_value()) {
    co_return as_result({{"id", id}, {"lock_hash", hash}, {"tree_hash", known->tree_hash}, {"size_bytes", known->bytes}, {"files", known->files}, {"built", false}});
  }
  const std::string prefix = std::string(kEnvironmentsInside) + "/" + id;
  std::map<std::string, std::string> files{{"lock", lock}};
  std::vector<std::string> command{"install", "--lock", "/run/berth-build/lock", "--prefix", prefix, "--cache-limit", std::to_string(settings_.environments.cache)};
  add_site(settings_.environments, files, command);
  auto places = co_await begin(user, home, std::move(files));
  if (places.has_error()) co_return places.error();
  auto fetched = co_await step(user, home, *places, id, std::move(command), true, on_event);
  if (fetched.has_error()) co_return fetched.error();
  // Now the packages' own code runs: without network, and what the site keeps from users is gone.
  for (const char* secret : {"credentials", "condarc", "pip.conf"}) ::unlink((places->request / secret).c_str());
  std::vector<std::string> second{"finish", "--lock", "/run/berth-build/lock", "--prefix", prefix};
  auto finished = co_await step(user, home, *places, id, std::move(second), false, on_event);
  if (finished.has_error()) co_return finished.error();
  on_event(progress("seal", verify ? "Comparing" : "Checking and storing the files"));
  const TreeRules limits = rules(home, id);
  if (verify) {
    std::function<Result<std::pair<Tree, Tree>>()> both = [this, user, id, limits] { return store_.read_both(user, id, limits); };
    auto trees = co_await aside<Result<std::pair<Tree, Tree>>>(std::move(both));
    if (trees.has_error()) co_return trees.error();
    const TreeDrift drift = compare(trees->first, trees->second);
    co_return as_result({{"ok", drift.none()}, {"expected", known->tree_hash}, {"tree_hash", trees->second.hash()}, {"stored_tree_hash", trees->first.hash()},
                         {"changed", drift.changed}, {"missing", drift.missing}, {"added", drift.added}});
  }
  std::function<Result<SealedEnvironment>()> seal = [this, user, id, hash, limits] { return store_.seal(user, id, hash, limits); };
  auto sealed = co_await aside<Result<SealedEnvironment>>(std::move(seal));
  if (sealed.has_error()) co_return sealed.error();
  log_info("keeper.environment_sealed", {{"user", user}, {"id", id}, {"files", sealed->files}, {"bytes", sealed->bytes}});
  co_return as_result({{"id", id}, {"lock_hash", hash}, {"tree_hash", sealed->tree_hash}, {"size_bytes", sealed->bytes}, {"files", sealed->files}, {"built", true}});
}

asio::awaitable<Result<json>> Environments::state(std::string user, json request) {
  const auto wanted = parse_state(request);
  if (wanted.has_error()) co_return wanted.error();
  const Locks::Held held = co_await locks_.acquire("state " + user);
  const auto folder = store_.ensure_user(user);
  if (folder.has_error()) co_return folder.error();
  const auto applied = store_.apply(user, *wanted);
  if (applied.has_error()) co_return applied.error();
  co_return as_result(json::object());
}

asio::awaitable<Result<json>> Environments::collect(std::string user, json request) {
  const auto keep = request.find("keep");
  if (keep == request.end() || !keep->is_array()) co_return Error{ErrorKind::invalid, "which environments are to be kept is missing"};
  std::set<std::string> kept;
  for (const json& id : *keep) {
    if (id.is_string()) kept.insert(id.get<std::string>());
  }
  const Locks::Held own = co_await locks_.acquire("user " + user);  // not while something is being built for them
  const auto records = co_await engine_.list();
  if (records.has_error()) co_return records.error();
  for (const KeeperRecord& record : *records) {
    if (record.id.user != user || record.state == WorkspaceState::stopped || record.state == WorkspaceState::failed) continue;
    co_return as_result({{"removed", 0}, {"waiting", true}});  // something in it may use them
  }
  const std::size_t removed = store_.collect(user, kept);
  if (removed > 0) {
    asio::post(worker_, [this] {
      store_.empty_trash();
      store_.sweep();
    });
  }
  co_return as_result({{"removed", removed}, {"waiting", false}});
}

}  // namespace berth::keeper
