#include "keeper/podman_engine.hpp"

#include <unistd.h>

#include <algorithm>

#include "base/encoding.hpp"
#include "base/log.hpp"
#include "keeper/container_spec.hpp"
#include "keeper/podman_parse.hpp"
#include "keeper/processes.hpp"
#include "keeper/tool.hpp"

namespace berth::keeper {
namespace asio = boost::asio;
using boost::beast::http::verb;
using std::chrono::minutes;
using std::chrono::seconds;

namespace {

// Podman's words go to the log; the user gets a sentence.
Error refused(std::string_view doing, const Answer& answer) {
  log_error("keeper.podman_refused", {{"doing", doing}, {"status", answer.status}, {"why", answer.why()}});
  return {ErrorKind::unavailable, "the container engine failed at " + std::string(doing) + ": " + answer.why().substr(0, 300) +
                                      ". Try again; if it stays, tell your administrator"};
}

std::string query_of_owner(const std::string& instance) {
  return "filters=" + percent_encode(nlohmann::json{{"label", {"berth.owner=" + instance}}}.dump());
}

}  // namespace

KeeperRecord PodmanEngine::describe(const WorkspaceId& id) const {
  KeeperRecord record;
  record.id = id;
  record.home = home_inside(id);
  return record;
}

asio::awaitable<Result<KeeperRecord>> PodmanEngine::ensure(Plan plan, Progress progress) {
  auto found = co_await inspect(plan.id);
  if (found.has_error()) co_return found.error();
  if (!*found || (*found)->record.state != WorkspaceState::running) {
    const auto started = co_await make_and_start(plan, std::move(*found), progress);
    if (started.has_error()) co_return started.error();
  }
  co_return co_await checked(std::move(plan));
}

asio::awaitable<Result<void>> PodmanEngine::make_and_start(Plan plan, std::optional<Container> found, Progress progress) {
  auto image = co_await find_image(plan.image, progress);
  if (image.has_error() && !found) co_return image.error();
  const std::string image_id = image.has_value() ? *image : std::string();
  const auto spec = container_spec(settings_, plan, image_id);
  // A stopped container holds nothing of the user's (its root is read-only), so making it anew costs nothing.
  if (found && !image_id.empty() && found->spec_hash != spec["labels"]["berth.spec"]) {
    progress("The image or the limits have changed: making your workspace anew");
    const auto removed = co_await remove(plan.id);
    if (removed.has_error()) co_return removed.error();
    found.reset();
  }
  if (settings_.podman.network == "bridge") {
    const auto firewall = apply_firewall();
    if (firewall.has_error()) co_return firewall.error();
  }
  if (found) {
    progress("Starting your workspace");
    auto started = co_await start(plan.id);
    if (started.has_value() || image_id.empty()) co_return started;
    log_warn("keeper.start_failed", {{"container", container_name(settings_, plan.id)}, {"then", "made anew"}});
    const auto removed = co_await remove(plan.id);
    if (removed.has_error()) co_return removed.error();
  }
  progress("Creating your workspace from " + plan.image);
  const auto created = co_await create(plan.id, spec);
  if (created.has_error()) co_return created.error();
  progress("Starting your workspace");
  co_return co_await start(plan.id);
}

asio::awaitable<Result<KeeperRecord>> PodmanEngine::checked(Plan plan) {
  auto found = co_await inspect(plan.id);
  if (found.has_error()) co_return found.error();
  if (!*found || (*found)->record.state != WorkspaceState::running) {
    const std::string why = *found ? (*found)->record.detail : "";
    co_return Error{ErrorKind::unavailable, "your workspace ended as soon as it was started" + (why.empty() ? "" : ": " + why) +
                                                ". Try again; if it stays, tell your administrator"};
  }
  KeeperRecord record = (*found)->record;
  const auto mapping = check_mapping(record.pid, plan.home.base);
  if (mapping.has_error()) {
    log_error("keeper.wrong_mapping", {{"container", container_name(settings_, plan.id)}, {"pid", record.pid}});
    (void)co_await remove(plan.id);
    co_return mapping.error();
  }
  record.uid = plan.home.base + kInsideUid;
  co_return record;
}

asio::awaitable<Result<std::optional<PodmanEngine::Container>>> PodmanEngine::inspect(WorkspaceId id) {
  const auto answer = co_await api_.call(verb::get, "/containers/" + container_name(settings_, id) + "/json");
  if (answer.has_error()) co_return answer.error();
  if (answer->status == 404) co_return std::optional<Container>();
  if (!answer->ok()) co_return refused("looking at your workspace", *answer);
  Container container{describe(id), ""};
  const auto config = answer->body.find("Config");
  const auto labels = config == answer->body.end() ? nlohmann::json() : config->value("Labels", nlohmann::json());
  if (label_of(labels, "berth.owner") != settings_.instance) {
    co_return Error{ErrorKind::conflict, "a container named " + container_name(settings_, id) + " exists that Berth did not make; tell your administrator"};
  }
  container.spec_hash = label_of(labels, "berth.spec");
  fill_from_inspect(container.record, answer->body);
  co_return std::optional<Container>(std::move(container));
}

asio::awaitable<Result<std::string>> PodmanEngine::find_image(std::string image, Progress progress) {
  for (int attempt = 0;; ++attempt) {
    const auto answer = co_await api_.call(verb::get, "/images/" + percent_encode(image) + "/json");
    if (answer.has_error()) co_return answer.error();
    if (answer->ok()) co_return answer->body.value("Id", std::string());
    if (answer->status != 404) co_return refused("looking for the image " + image, *answer);
    if (settings_.podman.pull != "missing" || attempt > 0) {
      log_error("keeper.image_missing", {{"image", image}});
      co_return Error{ErrorKind::unavailable, "the workspace image " + image +
                                                  " is not on this machine; ask your administrator to make it (images/default/build, or scripts/up) or to pull it"};
    }
    const auto pulled = co_await pull(image, progress);
    if (pulled.has_error()) co_return pulled.error();
  }
}

asio::awaitable<Result<void>> PodmanEngine::pull(std::string image, Progress progress) {
  progress("Fetching the image " + image + " (this takes a while, once)");
  // With quiet=true the answer comes at the end; the service's own "still working" lines tell the user meanwhile.
  const auto answer = co_await api_.call(verb::post, "/images/pull?quiet=true&reference=" + percent_encode(image), nullptr, minutes(60));
  if (answer.has_error()) co_return answer.error();
  const auto failure = answer->body.is_object() ? answer->body.value("error", std::string()) : std::string();
  if (!answer->ok() || !failure.empty()) {
    log_error("keeper.pull_failed", {{"image", image}, {"why", failure.empty() ? answer->why() : failure}});
    co_return Error{ErrorKind::unavailable, "the image " + image + " could not be fetched from its registry; tell your administrator"};
  }
  co_return Result<void>();
}

asio::awaitable<Result<void>> PodmanEngine::create(WorkspaceId id, nlohmann::json spec) {
  if (settings_.podman.network == "bridge") {
    const auto network = co_await api_.call(verb::post, "/networks/create", network_spec(settings_, id));
    if (network.has_error()) co_return network.error();
    const bool exists = network->status == 409 || network->why().find("already") != std::string::npos;
    if (!network->ok() && !exists) co_return refused("making your workspace's network", *network);
  }
  // Where the kernel cannot map ids at mount time, Podman copies the image for each range of ids: minutes.
  const auto answer = co_await api_.call(verb::post, "/containers/create", std::move(spec), minutes(15));
  if (answer.has_error()) co_return answer.error();
  if (!answer->ok()) co_return refused("creating your workspace", *answer);
  log_info("keeper.created", {{"container", container_name(settings_, id)}});
  co_return Result<void>();
}

asio::awaitable<Result<void>> PodmanEngine::start(WorkspaceId id) {
  const auto answer = co_await api_.call(verb::post, "/containers/" + container_name(settings_, id) + "/start", nullptr, minutes(2));
  if (answer.has_error()) co_return answer.error();
  if (!answer->ok() && answer->status != 304) co_return refused("starting your workspace", *answer);
  co_return Result<void>();
}

asio::awaitable<Result<void>> PodmanEngine::stop(WorkspaceId id) {
  const auto limit = seconds(settings_.limits.stop_seconds);
  const auto answer = co_await api_.call(verb::post, "/containers/" + container_name(settings_, id) + "/stop?timeout=" + std::to_string(limit.count()),
                                         nullptr, limit + seconds(60));
  if (answer.has_error()) co_return answer.error();
  if (!answer->ok() && answer->status != 304 && answer->status != 404) co_return refused("stopping your workspace", *answer);
  co_return Result<void>();
}

asio::awaitable<Result<void>> PodmanEngine::remove(WorkspaceId id) {
  // Stopped in order first: a forced removal would kill at once what a user runs.
  const auto stopped = co_await stop(id);
  if (stopped.has_error()) co_return stopped.error();
  const std::string name = container_name(settings_, id);
  // Podman's own clean-up after the stop may still be unmounting ("device or resource busy"): then again, a moment later.
  asio::steady_timer timer(co_await asio::this_coro::executor);
  for (int attempt = 0;; ++attempt) {
    const auto answer = co_await api_.call(verb::delete_, "/containers/" + name + "?force=true&v=true&timeout=1", nullptr, minutes(2));
    if (answer.has_error()) co_return answer.error();
    if (answer->ok() || answer->status == 404) break;
    if (attempt == 5) co_return refused("removing your workspace", *answer);
    timer.expires_after(std::chrono::milliseconds(100 << attempt));
    co_await timer.async_wait(asio::use_awaitable);
  }
  const auto network = co_await api_.call(verb::delete_, "/networks/" + name);
  if (network.has_value() && !network->ok() && network->status != 404) {
    log_warn("keeper.network_not_removed", {{"network", name}, {"why", network->why()}});
  }
  log_info("keeper.removed", {{"container", name}});
  co_return Result<void>();
}

asio::awaitable<Result<std::vector<KeeperRecord>>> PodmanEngine::list() {
  const auto answer = co_await api_.call(verb::get, "/containers/json?all=true&" + query_of_owner(settings_.instance));
  if (answer.has_error()) co_return answer.error();
  if (!answer->ok() || !answer->body.is_array()) co_return refused("listing workspaces", *answer);
  std::vector<KeeperRecord> records;
  for (const auto& entry : answer->body) {
    KeeperRecord record;
    if (!fill_from_list(record, entry)) continue;
    record.home = home_inside(record.id);
    if (record.state == WorkspaceState::running) {
      const auto uid = uid_of(record.pid);
      // Not ours to hand out when its user is in no range: somebody started it with other means.
      if (uid.has_error() || !range_of_owner(*uid, settings_.podman.uid_start, settings_.podman.uid_count)) continue;
      record.uid = *uid;
    }
    records.push_back(std::move(record));
  }
  co_return records;
}

asio::awaitable<Result<KeeperRecord>> PodmanEngine::how_it_ended(WorkspaceId id) {
  // The process is gone before Podman has noticed: ask again until it has.
  asio::steady_timer timer(co_await asio::this_coro::executor);
  for (int attempt = 0; attempt < 50; ++attempt) {
    auto found = co_await inspect(id);
    if (found.has_error()) co_return found.error();
    if (!*found) co_return describe(id);
    if ((*found)->record.state != WorkspaceState::running && (*found)->record.state != WorkspaceState::stopping) co_return (*found)->record;
    timer.expires_after(std::chrono::milliseconds(100));
    co_await timer.async_wait(asio::use_awaitable);
  }
  co_return describe(id);
}

Result<void> PodmanEngine::apply_firewall() {
  if (settings_.podman.firewall == "off") return {};
  for (const char* nft : {"/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft"}) {
    if (::access(nft, X_OK) != 0) continue;
    auto applied = run_tool({nft, "-f", "-"}, firewall_rules(settings_), seconds(10));
    if (applied.has_value()) return applied;
    log_error("keeper.firewall_failed", {{"error", applied.error().message}});
    return Error{ErrorKind::unavailable, "workspaces cannot be kept apart from this machine's network, so none is started; tell your administrator (berth-keeper's log says why)"};
  }
  log_error("keeper.firewall_missing", {{"hint", "install nftables, or set podman.firewall = \"off\""}});
  return Error{ErrorKind::unavailable, "nftables is not installed, so workspaces cannot be kept apart from this machine's network and none is started; tell your administrator"};
}

asio::awaitable<Result<void>> PodmanEngine::purge() {
  auto records = co_await list();
  if (records.has_error()) co_return records.error();
  for (const KeeperRecord& record : *records) {
    const auto removed = co_await remove(record.id);
    if (removed.has_error()) co_return removed.error();
  }
  const auto networks = co_await api_.call(verb::get, "/networks/json?" + query_of_owner(settings_.instance));
  if (networks.has_value() && networks->body.is_array()) {
    for (const auto& network : networks->body) {
      const std::string name = network.value("name", std::string());
      if (!name.empty()) (void)co_await api_.call(verb::delete_, "/networks/" + percent_encode(name));
    }
  }
  for (const char* nft : {"/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft"}) {
    if (::access(nft, X_OK) == 0) (void)run_tool({nft, "delete", "table", "inet", "berth_" + settings_.instance}, "", seconds(10));
  }
  co_return Result<void>();
}

}  // namespace berth::keeper
