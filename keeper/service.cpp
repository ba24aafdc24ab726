#include "keeper/service.hpp"

#include <sys/wait.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <thread>

#include "base/log.hpp"
#include "keeper/life_signs.hpp"
#include "keeper/processes.hpp"
#include "keeper/usage.hpp"
#include "workspaces/names.hpp"

namespace berth::keeper {
namespace asio = boost::asio;
using asio::posix::stream_descriptor;
using workspaces::to_json;

struct Service::Row {
  std::string_view name;
  Handler handle;
  bool names_workspace;
};

constexpr Service::Row Service::kRows[] = {
    {"ensure", &Service::ensure, true}, {"stop", &Service::stop, true},    {"remove", &Service::remove, true},
    {"list", &Service::list, false},    {"watch", &Service::watch, false},
};

namespace {

std::string key_of(const WorkspaceId& id) { return id.user + "." + id.name; }

}  // namespace

Service::Service(asio::any_io_executor executor, const Settings& settings, Engine& engine, Homes& homes, Account berthd, Environments* environments)
    : executor_(executor), settings_(settings), engine_(engine), homes_(homes), berthd_(berthd), environments_(environments) {}

Result<Service::Request> Service::parse(const nlohmann::json& json, const Row*& row) const {
  Request request;
  const auto text = [&](const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  const std::string name = text("do");
  for (const Row& candidate : kRows) {
    if (candidate.name == name) row = &candidate;
  }
  if (row == nullptr) return Error{ErrorKind::invalid, "berth-keeper knows no such request"};
  if (!row->names_workspace) return request;
  request.id = {text("user"), text("workspace")};
  if (!workspaces::is_user_name(request.id.user) || !workspaces::is_workspace_name(request.id.name)) {
    return Error{ErrorKind::invalid, "this is not the name of a workspace"};
  }
  const std::string wanted = text("image");
  request.image = settings_.resolve_image(wanted);
  if (request.image.empty()) return Error{ErrorKind::denied, "the image " + wanted.substr(0, 200) + " is not one that is allowed here"};
  const auto with_home = json.find("with_home");
  request.with_home = with_home != json.end() && with_home->is_boolean() && with_home->get<bool>();
  return request;
}

asio::awaitable<void> Service::answer(std::string line, Say say) { return answer_for(nullptr, std::move(line), std::move(say)); }

asio::awaitable<void> Service::answer_for(const void* watcher, std::string line, Say say) {
  const auto json = nlohmann::json::parse(line, nullptr, false);
  const auto op = json.is_object() ? json.find("op") : json.end();
  if (!json.is_object() || op == json.end() || !op->is_number_integer()) {
    say({{"op", nullptr}, {"error", to_json(Error{ErrorKind::protocol, "this is not a request"})}});
    co_return;
  }
  const std::int64_t number = op->get<std::int64_t>();
  if (const auto what = json.find("do"); what != json.end() && what->is_string() && Environments::answers(what->get_ref<const std::string&>())) {
    co_return co_await answer_environments(number, json, std::move(say));
  }
  if (const auto what = json.find("do"); what != json.end() && *what == "usage") {
    say({{"op", number}, {"ok", read_all_usage(watched_)}});
    co_return;
  }
  if (const auto what = json.find("do"); what != json.end() && *what == "images") co_return co_await answer_images(number, std::move(say));
  const Row* row = nullptr;
  auto request = parse(json, row);
  if (request.has_error()) {
    log_warn("keeper.refused", {{"why", request.error().message}, {"request", line.substr(0, 300)}});
    say({{"op", number}, {"error", to_json(request.error())}});
    co_return;
  }
  request->op = number;
  request->watcher = watcher;
  request->say = say;
  ++busy_;
  Outcome result = Error{ErrorKind::internal, "berth-keeper failed; its log says why"};
  try {
    result = co_await (this->*row->handle)(std::move(*request));
  } catch (const std::exception& error) {
    log_error("keeper.exception", {{"do", row->name}, {"error", error.what()}});
  }
  --busy_;
  if (result.has_value()) {
    say({{"op", number}, {"ok", *result ? to_json(**result) : nlohmann::json::object()}});
  } else {
    say({{"op", number}, {"error", to_json(result.error())}});
  }
}

asio::awaitable<void> Service::answer_environments(std::int64_t op, nlohmann::json request, Say say) {
  Result<nlohmann::json> result = Error{ErrorKind::internal, "berth-keeper failed; its log says why"};
  const auto user = request.find("user");
  if (environments_ == nullptr) {
    result = Error{ErrorKind::unavailable, "conda environments need containers: this Berth runs with engine \"process\""};
  } else if (user == request.end() || !user->is_string() || !Environments::may_ask(request["do"].get_ref<const std::string&>(), user->get_ref<const std::string&>())) {
    result = Error{ErrorKind::invalid, "this is not the name of a user"};
  } else {
    ++busy_;
    try {
      std::string what = request["do"].get<std::string>(), name = user->get<std::string>();
      Say tell = [say, op](nlohmann::json message) {
        message["op"] = op;
        say(std::move(message));
      };
      result = co_await environments_->answer(std::move(what), std::move(name), std::move(request), std::move(tell));
    } catch (const std::exception& error) {
      log_error("keeper.exception", {{"do", "environments"}, {"error", error.what()}});
    }
    --busy_;
  }
  if (result.has_value()) {
    say({{"op", op}, {"ok", *result}});
  } else {
    say({{"op", op}, {"error", to_json(result.error())}});
  }
}

asio::awaitable<void> Service::answer_images(std::int64_t op, Say say) {
  std::vector<std::pair<std::string, Settings::Image>> all{{"default", {settings_.podman.image, "the site's standard image"}}};
  all.insert(all.end(), settings_.images.begin(), settings_.images.end());
  nlohmann::json items = nlohmann::json::array();
  for (const auto& [name, image] : all) {
    auto glibc = co_await engine_.image_glibc(image.image);
    items.push_back({{"name", name}, {"description", image.description}, {"image", image.image}, {"glibc", glibc}});
  }
  say({{"op", op}, {"ok", {{"items", items}}}});
}

asio::awaitable<Service::Outcome> Service::ensure(Request request) {
  const Say& say = request.say;
  const std::int64_t op = request.op;
  auto signs = std::make_shared<LifeSigns>(executor_, [say, op](std::string line) { say({{"op", op}, {"progress", std::move(line)}}); });
  const LifeSigns::Until until(*signs);
  const Locks::Held held = co_await locks_.acquire(key_of(request.id));
  const auto directory = ensure_agent_directory(settings_.agent_sockets, request.id.user, request.id.name, berthd_);
  if (directory.has_error()) co_return directory.error();
  auto home = homes_.ensure(request.id.user);
  if (home.has_error()) co_return home.error();
  say({{"op", op}, {"directory", directory->string()}});
  if (home->fresh) {
    signs->progress("Making your home directory");
    log_info("keeper.home_made", {{"user", request.id.user}, {"base", home->base}});
  }
  Plan plan{request.id, request.image, *home, *directory, {}};
  if (environments_ != nullptr) {
    const auto mount = environments_->mounts_for(request.id.user);
    if (mount.has_error()) co_return mount.error();
    plan.environments = *mount;
  }
  Progress progress = [signs](std::string_view line) { signs->progress(line); };
  auto record = co_await engine_.ensure(std::move(plan), std::move(progress));
  if (record.has_error()) co_return record.error();
  record->directory = directory->string();
  watch_process(*record);
  co_return std::optional<KeeperRecord>(std::move(*record));
}

asio::awaitable<Service::Outcome> Service::stop(Request request) {
  const Locks::Held held = co_await locks_.acquire(key_of(request.id));
  const auto stopped = co_await engine_.stop(request.id);
  if (stopped.has_error()) co_return stopped.error();
  co_return std::optional<KeeperRecord>();
}

asio::awaitable<Service::Outcome> Service::remove(Request request) {
  const Locks::Held held = co_await locks_.acquire(key_of(request.id));
  if (request.with_home) {
    const auto records = co_await engine_.list();
    if (records.has_error()) co_return records.error();
    for (const KeeperRecord& record : *records) {
      if (record.id.user != request.id.user || record.id.name == request.id.name) continue;
      co_return Error{ErrorKind::conflict, "the home is also that of the workspace " + request.id.user + "+" + record.id.name + "; remove that first"};
    }
  }
  const auto removed = co_await engine_.remove(request.id);
  if (removed.has_error()) co_return removed.error();
  if (request.with_home) {
    const auto erased = co_await erase_home(request.id);
    if (erased.has_error()) co_return erased.error();
  }
  co_return std::optional<KeeperRecord>();
}

asio::awaitable<Result<void>> Service::erase_home(WorkspaceId id) {
  const auto detached = homes_.detach(id.user);
  if (detached.has_error()) co_return detached.error();
  log_info("keeper.home_removed", {{"user", id.user}});
  // Deleting many files takes long, and nobody waits for it; a keeper that is killed meanwhile goes on at its next start.
  if (!detached->empty()) std::thread(Homes::erase, *detached).detach();
  co_return Result<void>();
}

asio::awaitable<Service::Outcome> Service::list(Request request) {
  auto records = co_await engine_.list();
  if (records.has_error()) co_return records.error();
  for (KeeperRecord& record : *records) {
    if (record.state == WorkspaceState::running) {
      const auto directory = ensure_agent_directory(settings_.agent_sockets, record.id.user, record.id.name, berthd_);
      if (directory.has_value()) record.directory = directory->string();
      watch_process(record);
    }
    request.say({{"op", request.op}, {"item", to_json(record)}});
  }
  co_return std::optional<KeeperRecord>();
}

asio::awaitable<Service::Outcome> Service::watch(Request request) {
  if (request.watcher != nullptr) watchers_[request.watcher] = request.say;
  co_return std::optional<KeeperRecord>();
}

asio::awaitable<Result<void>> Service::adopt() {
  const auto records = co_await engine_.list();
  if (records.has_error()) co_return records.error();
  std::size_t running = 0;
  for (const KeeperRecord& record : *records) {
    if (record.state != WorkspaceState::running) continue;
    watch_process(record);
    ++running;
  }
  log_info("keeper.adopted", {{"workspaces", records->size()}, {"running", running}});
  co_return Result<void>();
}

void Service::watch_process(const KeeperRecord& record) {
  if (record.pid <= 0) return;
  pid_t& watched = watched_[record.id];
  if (watched == record.pid) return;
  auto process = open_process(record.pid);
  if (process.has_error()) return;  // gone already: the next list or ensure says so
  watched = record.pid;
  stream_descriptor descriptor(executor_, process->release());
  asio::co_spawn(executor_, tell_of_end(record.id, record.pid, std::move(descriptor)), asio::detached);
}

asio::awaitable<void> Service::tell_of_end(WorkspaceId id, pid_t pid, stream_descriptor process) {
  boost::system::error_code error;
  co_await process.async_wait(stream_descriptor::wait_read, asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return;
  ::waitpid(pid, nullptr, WNOHANG);  // the process engine's are our children
  if (const auto watched = watched_.find(id); watched != watched_.end() && watched->second == pid) watched_.erase(watched);
  auto record = co_await engine_.how_it_ended(id);
  if (record.has_error()) {
    record = KeeperRecord{};
    record->id = id;
  }
  record->pid = pid;  // which one ended: by now another may run
  if (record->state == WorkspaceState::running) record->state = WorkspaceState::stopped;
  log_info("keeper.ended", {{"user", id.user}, {"workspace", id.name}, {"pid", pid}, {"detail", record->detail}});
  const auto watchers = watchers_;
  for (const auto& [watcher, say] : watchers) say({{"event", "ended"}, {"item", to_json(*record)}});
}

}  // namespace berth::keeper
