#include "workspaces/manager.hpp"

#include <boost/asio/redirect_error.hpp>

#include "base/log.hpp"
#include "workspaces/core.hpp"
#include "workspaces/jupyter.hpp"
#include "workspaces/manager_parts.hpp"

namespace berth::workspaces {
namespace asio = boost::asio;

namespace {

// A caller on its own lane, waiting for lane 0. Only the caller's lane touches it.
template <class T>
struct Caller {
  explicit Caller(Lane& on) : lane(on), done(on.io, asio::steady_timer::time_point::max()) {}
  Lane& lane;
  asio::steady_timer done;
  std::optional<Result<T>> result;
  Progress progress;
};

// Runs on lane 0 to its end even when the caller has gone: a start that is under way is not lost.
template <class T>
asio::awaitable<void> run_and_tell(asio::awaitable<Result<T>> operation, std::shared_ptr<Caller<T>> caller) {
  Result<T> result = Error{ErrorKind::internal, "the gateway failed; its log says why"};
  try {
    result = co_await std::move(operation);
  } catch (const std::exception& error) {
    log_error("workspaces.exception", {{"error", error.what()}});
  }
  asio::post(caller->lane.io, [caller, result = std::move(result)]() mutable {
    caller->result = std::move(result);
    caller->done.cancel();
  });
}

template <class T>
asio::awaitable<Result<T>> wait_for(std::shared_ptr<Caller<T>> caller) {
  while (!caller->result) {
    boost::system::error_code woken;
    co_await caller->done.async_wait(asio::redirect_error(asio::use_awaitable, woken));
    const asio::cancellation_state cancellation = co_await asio::this_coro::cancellation_state;
    if (!caller->result && cancellation.cancelled() != asio::cancellation_type::none) {
      caller->progress = nullptr;
      co_return Error{ErrorKind::closed, "given up"};
    }
  }
  caller->progress = nullptr;
  co_return std::move(*caller->result);
}

class ManagerImpl final : public Manager {
 public:
  ManagerImpl(ManagerOptions options, Lanes& lanes, std::unique_ptr<KeeperLink> keeper, MakeLink make_link)
      : secret_(options.jupyter_secret), lanes_(lanes), links_(lanes.size()),
        core_(std::move(options), lanes, links_, std::move(keeper), std::move(make_link)) {}

  asio::awaitable<Result<std::shared_ptr<tunnels::AgentLink>>> open(Lane& lane, WorkspaceId id, Progress progress) override {
    if (const auto* found = links_[lane.index].find(id)) co_return found->link;
    auto entry = co_await open_slowly(lane, std::move(id), std::move(progress));
    if (entry.has_error()) co_return entry.error();
    co_return entry->link;
  }

  bool keeper_connected() const override { return core_.keeper_connected(); }

  asio::awaitable<Result<void>> stop(Lane& lane, WorkspaceId id) override {
    auto operation = core_.stop(std::move(id));
    co_return co_await on_core<void>(lane, std::move(operation));
  }
  asio::awaitable<Result<void>> reset(Lane& lane, WorkspaceId id) override {
    auto operation = core_.remove(std::move(id), false, false);
    co_return co_await on_core<void>(lane, std::move(operation));
  }
  asio::awaitable<Result<void>> remove(Lane& lane, WorkspaceId id, bool with_home) override {
    auto operation = core_.remove(std::move(id), with_home, true);
    co_return co_await on_core<void>(lane, std::move(operation));
  }
  asio::awaitable<Result<std::vector<WorkspaceStatus>>> list(Lane& lane, std::string user) override {
    auto operation = core_.list(std::move(user));
    co_return co_await on_core<std::vector<WorkspaceStatus>>(lane, std::move(operation));
  }
  asio::awaitable<Result<void>> start() override { co_return co_await core_.start(); }
  void shutdown() override { core_.shutdown(); }
  void retire() override { core_.retire(); }
  void send_agents_on() override { core_.send_agents_on(); }
  void watch(std::function<void(const std::string& user)> changed) override { core_.watch(std::move(changed)); }

  asio::awaitable<Result<Jupyter>> jupyter(Lane& lane, WorkspaceId id, Progress progress) override {
    LaneLinks::Entry entry;
    if (const auto* found = links_[lane.index].find(id)) {
      entry = *found;
    } else {
      auto opened = co_await open_slowly(lane, id, progress);
      if (opened.has_error()) co_return opened.error();
      entry = std::move(*opened);
    }
    const std::string token = jupyter_token(secret_, id);
    if (progress) progress("Starting JupyterLab");
    auto service = jupyter_service(id, entry.home, token);
    auto socket = co_await entry.link->service(service);
    if (socket.has_error() && socket.error().kind == ErrorKind::conflict) {
      // It was started by an earlier release with other options: those no longer fit this gateway.
      log_info("jupyter.restarted", {{"user", id.user}, {"workspace", id.name}});
      (void)co_await entry.link->stop_service("jupyter");
      socket = co_await entry.link->service(service);
    }
    if (socket.has_error()) co_return explained(socket.error());
    co_return Jupyter{std::move(*socket), token};
  }

 private:
  // An operation of the core, awaited from any lane. Coroutines start lazily, so it runs on lane 0 alone.
  template <class T>
  asio::awaitable<Result<T>> on_core(Lane& lane, asio::awaitable<Result<T>> operation) {
    auto caller = std::make_shared<Caller<T>>(lane);
    asio::co_spawn(lanes_.front()->io, run_and_tell<T>(std::move(operation), caller), asio::detached);
    co_return co_await wait_for<T>(caller);
  }

  asio::awaitable<Result<LaneLinks::Entry>> open_slowly(Lane& lane, WorkspaceId id, Progress progress) {
    for (int attempt = 0; attempt < 2; ++attempt) {
      auto caller = std::make_shared<Caller<void>>(lane);
      caller->progress = progress;
      Progress report = [caller](std::string_view line) {
        asio::post(caller->lane.io, [caller, text = std::string(line)] {
          if (caller->progress) caller->progress(text);
        });
      };
      auto operation = core_.open(id, lane.index, std::move(report));
      asio::co_spawn(lanes_.front()->io, run_and_tell<void>(std::move(operation), caller), asio::detached);
      const auto opened = co_await wait_for<void>(caller);
      if (opened.has_error()) co_return opened.error();
      if (const auto* found = links_[lane.index].find(id)) co_return *found;
      // Lost again between lane 0's word and now.
    }
    co_return Error{ErrorKind::unavailable, "your workspace ends as soon as it is started; try again, or tell your administrator"};
  }

  static Error explained(const Error& error) {
    if (error.message.find("No such file") == std::string::npos) return {error.kind, "JupyterLab does not start: " + error.message};
    return {ErrorKind::unavailable, "JupyterLab is not installed in this workspace's image; `pip install --user jupyterlab` in the workspace may help (" +
                                        error.message + ")"};
  }

  const std::string secret_;
  Lanes& lanes_;
  std::vector<LaneLinks> links_;
  Core core_;
};

}  // namespace

std::unique_ptr<Manager> make_manager_of(ManagerOptions options, Lanes& lanes, std::unique_ptr<KeeperLink> keeper, MakeLink make_link) {
  return std::make_unique<ManagerImpl>(std::move(options), lanes, std::move(keeper), std::move(make_link));
}

std::unique_ptr<Manager> make_manager(ManagerOptions options, Lanes& lanes) {
  auto keeper = make_keeper_link(lanes.front()->io.get_executor(), options.keeper_socket);
  return make_manager_of(std::move(options), lanes, std::move(keeper), tunnels::make_agent_link);
}

asio::awaitable<Result<std::shared_ptr<tunnels::AgentLink>>> link_if_running(Manager& manager, Lane& lane, WorkspaceId id) {
  const auto all = co_await manager.list(lane, id.user);
  if (!all) co_return all.error();
  for (const WorkspaceStatus& status : *all) {
    if (status.id != id || status.state != WorkspaceState::running) continue;
    auto link = co_await manager.open(lane, id, [](std::string_view) {});
    co_return link;
  }
  co_return std::shared_ptr<tunnels::AgentLink>();
}

}  // namespace berth::workspaces
