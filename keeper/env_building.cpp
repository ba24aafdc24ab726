// Builds: from a file to a lock, and from a lock to a sealed environment.
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <fstream>
#include <sstream>

#include "base/encoding.hpp"
#include "base/human.hpp"
#include "base/log.hpp"
#include "keeper/environments.hpp"

namespace berth::keeper {
namespace asio = boost::asio;
namespace fs = std::filesystem;
using nlohmann::json;
using workspaces::text_of;

namespace {

constexpr std::size_t kYamlLimit = 64 * 1024, kLockLimit = 4 << 20;

std::string content_of(const fs::path& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

json build_progress(std::string_view phase, std::string_view line) {
  return {{"event", "progress"}, {"phase", phase}, {"line", line}, {"done", 0}, {"total", 0}, {"bytes", 0}, {"bytes_total", 0}, {"bytes_per_s", 0}, {"left_s", nullptr}};
}

asio::awaitable<Result<EnvStore::Build>> Environments::begin(const Job& job, std::map<std::string, std::string> files) {
  const Account owner{job.home.base + kInsideUid, job.home.base + kInsideUid};
  std::function<Result<EnvStore::Build>()> work = [this, user = job.user, owner, files] { return store_.begin_build(user, owner, files); };
  co_return co_await aside(worker_, std::move(work));
}

asio::awaitable<Result<json>> Environments::step(const Job& job, EnvStore::Build places, std::string id, std::vector<std::string> command,
                                                 bool network) {
  BuildPlan plan;
  plan.user = job.user;
  plan.image = settings_.environments.image.empty() ? settings_.podman.image : settings_.environments.image;
  plan.base = job.home.base;
  // What the packages' own code may write is the prefix alone.
  plan.folder = network ? places.folder : places.folder / prefix_below(job.owner, id);
  plan.inside = network ? std::string(kEnvironmentsInside) : prefix_inside(job.owner, id);
  plan.request = places.request;
  plan.command = std::move(command);
  plan.network = network;
  const OnBuildEvent on_event = job.on_event;
  on_event(build_progress("starting", "Starting the build"));
  Progress told = [on_event](std::string_view line) { on_event(build_progress("starting", line)); };
  auto image = co_await engine_.find_image(plan.image, std::move(told));
  if (image.has_error()) co_return image.error();
  const auto too_large = [this, folder = places.folder]() -> asio::awaitable<bool> {
    // Its own thread: the worker may be busy sealing somebody else's for long.
    const auto limit = static_cast<std::uint64_t>(settings_.environments.disk) + static_cast<std::uint64_t>(settings_.environments.cache);
    co_return co_await asio::co_spawn(looker_, [](fs::path place, std::uint64_t most) -> asio::awaitable<bool> { co_return disk_use(place, most) > most; }(folder, limit),
                                      asio::use_awaitable);
  };
  co_return co_await containers_.run(std::move(plan), on_event, too_large);
}

namespace {

// "ssl_verify: /etc/ssl/corp.pem" of a .condarc: a file of this machine, which the build gets as "ca.pem". Empty for true and false.
fs::path certificates_in(const std::string& condarc) {
  constexpr std::string_view kKey = "ssl_verify:";
  std::istringstream lines(condarc);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(kKey)) continue;
    std::string value = line.substr(kKey.size());
    if (const std::size_t comment = value.find(" #"); comment != std::string::npos) value.resize(comment);
    const std::size_t begin = value.find_first_not_of(" \t'\""), end = value.find_last_not_of(" \t\r'\"");
    if (begin != std::string::npos && value[begin] == '/') return value.substr(begin, end - begin + 1);
  }
  return {};
}

// What the step that downloads is told of the site. Credentials are only where no package's code runs.
void add_site(const Settings::Environments& settings, std::map<std::string, std::string>& files, std::vector<std::string>& command) {
  if (!settings.condarc.empty()) {
    files["condarc"] = content_of(settings.condarc);
    if (const fs::path certificates = certificates_in(files["condarc"]); !certificates.empty()) files["ca.pem"] = content_of(certificates);
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

asio::awaitable<Result<json>> Environments::solve(Job job, json request) {
  const bool adopt = text_of(request, "action") == "adopt";
  const std::string input = text_of(request, adopt ? "lock" : "yaml"), current = text_of(request, "current");
  if (input.empty() || input.size() > (adopt ? kLockLimit : kYamlLimit) || current.size() > kLockLimit) {
    co_return Error{ErrorKind::too_large, adopt ? "the lock is empty or too large" : "the file is empty or larger than 64 KiB"};
  }
  std::map<std::string, std::string> files;
  std::vector<std::string> command;
  if (adopt) {
    files["lock"] = input;
    command = {"adopt", "--lock", "/run/berth-build/lock"};
    add_site(settings_.environments, files, command);
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
  auto places = co_await begin(job, std::move(files));
  if (places.has_error()) co_return places.error();
  auto result = co_await step(job, *places, "", std::move(command), true);
  if (result.has_error()) co_return result.error();
  const std::string lock = text_of(*result, "lock");
  if (lock.empty() || lock.size() > kLockLimit) co_return Error{ErrorKind::too_large, "the lock of this environment is too large"};
  (*result)["id"] = environment_id(lock);
  (*result)["lock_hash"] = hex_encode(sha256(lock));
  co_return result;
}

TreeRules Environments::rules(const Job& job, const std::string& id) const {
  TreeRules rules;
  rules.inside = prefix_inside(job.owner, id);
  rules.first_owner = job.home.base;
  rules.owners = kRangeSize;
  rules.max_bytes = static_cast<std::uint64_t>(settings_.environments.disk);
  return rules;
}

// What would certainly be too much is not begun. How large packages are when they are unpacked no channel says, so this counts archives, and
// sealing counts the files.
Result<void> Environments::check_quota(const std::string& owner, const std::string& lock) {
  const std::int64_t quota = settings_.quota_of(owner);
  if (quota <= 0) return {};
  const auto shallow = [](int depth, json::parse_event_t, json&) { return depth <= 8; };
  const std::uint64_t used = store_.used(owner), more = store_.missing_bytes(owner, json::parse(lock, shallow, false)), most = static_cast<std::uint64_t>(quota);
  if (used + more <= most) return {};
  return Error{ErrorKind::too_large, "this needs at least " + human_bytes(more) + " of disk more; " + (owner == kTeam ? "the team's environments take " : "yours take ") +
                                         human_bytes(used) + " and " + human_bytes(most) + " are allowed: remove one, or ask your administrator"};
}

asio::awaitable<Result<json>> Environments::install(Job job, json request) {
  const std::string lock = text_of(request, "lock");
  const bool verify = text_of(request, "action") == "verify";
  if (lock.empty() || lock.size() > kLockLimit) co_return Error{ErrorKind::invalid, "there is no lock to install, or it is too large"};
  const std::string id = environment_id(lock), hash = hex_encode(sha256(lock));
  const auto known = store_.find(job.owner, id);
  if (known.has_value() && known->lock_hash != hash) co_return Error{ErrorKind::conflict, "two different locks have one name; change one of them"};
  if (verify && known.has_error()) co_return known.error();
  // Equal builds happen once: the second finds the first one's.
  if (!verify && known.has_value()) {
    co_return json_answer({{"id", id}, {"lock_hash", hash}, {"tree_hash", known->tree_hash}, {"size_bytes", known->bytes}, {"files", known->files}, {"built", false}});
  }
  if (!verify) {
    std::function<Result<void>()> check = [this, owner = job.owner, lock] { return check_quota(owner, lock); };
    const auto fits = co_await aside(worker_, std::move(check));
    if (fits.has_error()) co_return fits.error();
  }
  const auto places = co_await make(job, id, lock);
  if (places.has_error()) co_return places.error();
  job.on_event(build_progress("seal", verify ? "Comparing" : "Checking and storing the files"));
  if (verify) co_return co_await compare_with(job, id, known->tree_hash);
  const EnvStore::Seal what{job.user, job.owner, id, hash, static_cast<std::uint64_t>(settings_.quota_of(job.owner))};
  std::function<Result<SealedEnvironment>()> seal = [this, what, limits = rules(job, id)] { return store_.seal(what, limits); };
  auto sealed = co_await aside(worker_, std::move(seal));
  if (sealed.has_error()) {
    // What it had copied already is nobody's.
    asio::post(worker_, [this] {
      store_.empty_trash();
      store_.sweep();
    });
    co_return sealed.error();
  }
  log_info("keeper.environment_sealed", {{"user", job.user}, {"owner", job.owner}, {"id", id}, {"files", sealed->files}, {"bytes", sealed->bytes}});
  co_return json_answer({{"id", id}, {"lock_hash", hash}, {"tree_hash", sealed->tree_hash}, {"size_bytes", sealed->bytes}, {"files", sealed->files}, {"built", true}});
}

// Downloads, links and finishes it in the user's builder's folder.
asio::awaitable<Result<EnvStore::Build>> Environments::make(const Job& job, std::string id, std::string lock) {
  const std::string prefix = prefix_inside(job.owner, id);
  std::map<std::string, std::string> files{{"lock", lock}};
  std::vector<std::string> command{"install", "--lock", "/run/berth-build/lock", "--prefix", prefix, "--cache-limit", std::to_string(settings_.environments.cache)};
  add_site(settings_.environments, files, command);
  auto places = co_await begin(job, std::move(files));
  if (places.has_error()) co_return places.error();
  auto fetched = co_await step(job, *places, id, std::move(command), true);
  if (fetched.has_error()) co_return fetched.error();
  // Now the packages' own code runs: without network, and what the site keeps from users is gone.
  for (const char* secret : {"credentials", "condarc", "pip.conf"}) ::unlink((places->request / secret).c_str());
  if (!store_.is_plain(job.user, job.owner, id)) co_return Error{ErrorKind::denied, "the build has made something else than an environment"};
  std::vector<std::string> second{"finish", "--lock", "/run/berth-build/lock", "--prefix", prefix};
  auto finished = co_await step(job, *places, id, std::move(second), false);
  if (finished.has_error()) co_return finished.error();
  co_return std::move(*places);
}

asio::awaitable<Result<json>> Environments::compare_with(const Job& job, std::string id, std::string expected) {
  const std::string user = job.user, owner = job.owner;
  std::function<Result<std::pair<Tree, Tree>>()> both = [this, user, owner, id, limits = rules(job, id)] { return store_.read_both(user, owner, id, limits); };
  auto trees = co_await aside(worker_, std::move(both));
  if (trees.has_error()) co_return trees.error();
  const TreeDrift drift = compare(trees->first, trees->second);
  co_return json_answer({{"ok", drift.none()}, {"expected", expected}, {"tree_hash", trees->second.hash()}, {"stored_tree_hash", trees->first.hash()},
                         {"changed", drift.changed}, {"missing", drift.missing}, {"added", drift.added}});
}

}  // namespace berth::keeper
