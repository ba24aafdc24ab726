#include "tests/unit/web/fake_workspaces.hpp"

#include <gtest/gtest.h>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <map>

#include "base/lane.hpp"
#include "tests/unit/web/wire.hpp"

namespace berth::web {
namespace asio = boost::asio;
namespace {

class FakeLink final : public tunnels::AgentLink {
 public:
  FakeLink(FakeWorkspaces& state, workspaces::WorkspaceId id) : state_(state), id_(std::move(id)) {}
  bool alive() const override {
    const std::lock_guard lock(state_.mutex);
    return state_.running && !state_.stopped.contains(id_);
  }
  asio::awaitable<Result<std::unique_ptr<tunnels::Process>>> exec(tunnels::ExecOptions) override { co_return unsupported(); }
  asio::awaitable<Result<tunnels::WorkspaceSocket>> connect_tcp(std::string host, std::uint16_t port) override {
    EXPECT_EQ(host, "localhost");
    FileDescriptor socket = connect_tcp_port(port);
    if (!socket) co_return errno_error("connect", errno);
    co_return socket;
  }
  asio::awaitable<Result<tunnels::WorkspaceSocket>> connect_unix(std::string path) override {
    FileDescriptor socket = connect_unix_path(path);
    if (!socket) co_return errno_error("connect", errno);
    co_return socket;
  }
  asio::awaitable<Result<std::unique_ptr<tunnels::Listener>>> listen_tcp(std::string, std::uint16_t) override { co_return unsupported(); }
  asio::awaitable<Result<std::unique_ptr<tunnels::Listener>>> listen_unix(std::string) override { co_return unsupported(); }
  asio::awaitable<Result<std::string>> service(tunnels::ServiceOptions) override { co_return unsupported(); }
  asio::awaitable<Result<void>> stop_service(std::string) override { co_return unsupported(); }
  asio::awaitable<Result<nlohmann::json>> report() override { co_return unsupported(); }

 private:
  static Error unsupported() { return Error{ErrorKind::unavailable, "not in this test"}; }
  FakeWorkspaces& state_;
  const workspaces::WorkspaceId id_;
};

class FakeManager final : public workspaces::Manager {
 public:
  explicit FakeManager(FakeWorkspaces& state) : state_(state) {}
  asio::awaitable<Result<std::shared_ptr<tunnels::AgentLink>>> open(Lane& lane, workspaces::WorkspaceId id, workspaces::Progress progress) override {
    std::chrono::milliseconds takes{};
    {
      const std::lock_guard lock(state_.mutex);
      takes = state_.start_takes;
      ++state_.starts;
    }
    progress("Starting <your> workspace…");
    asio::steady_timer timer(lane.io, takes);
    co_await timer.async_wait(asio::use_awaitable);
    const std::lock_guard lock(state_.mutex);
    if (!state_.start_failure.empty()) co_return Error{ErrorKind::unavailable, state_.start_failure};
    state_.running = true;
    state_.stopped.erase(id);
    auto& link = links_[id];
    if (!link) link = std::make_shared<FakeLink>(state_, id);
    co_return std::shared_ptr<tunnels::AgentLink>(link);
  }
  bool keeper_connected() const override { return true; }
  asio::awaitable<Result<void>> stop(Lane&, workspaces::WorkspaceId id) override {
    {
      const std::lock_guard lock(state_.mutex);
      state_.stopped.insert(id);
    }
    if (state_.watcher) state_.watcher(id.user);
    co_return Result<void>{};
  }
  asio::awaitable<Result<void>> reset(Lane&, workspaces::WorkspaceId) override { co_return Result<void>{}; }
  asio::awaitable<Result<void>> remove(Lane&, workspaces::WorkspaceId id, bool with_home) override {
    const std::lock_guard lock(state_.mutex);
    state_.removed.push_back(id.user + "+" + id.name + (with_home ? " with home" : ""));
    co_return Result<void>{};
  }
  asio::awaitable<Result<std::vector<workspaces::WorkspaceStatus>>> list(Lane&, std::string user) override {
    const std::lock_guard lock(state_.mutex);
    workspaces::WorkspaceStatus status;
    status.id = {user.empty() ? "ada" : user, "main"};
    status.state = state_.running && !state_.stopped.contains(status.id) ? workspaces::WorkspaceState::running : workspaces::WorkspaceState::stopped;
    status.image = "berth-default";
    status.created_at = Timestamp(std::chrono::seconds(1));
    co_return std::vector{status};
  }
  asio::awaitable<Result<Jupyter>> jupyter(Lane&, workspaces::WorkspaceId, workspaces::Progress progress) override {
    progress("Starting Jupyter…");
    const std::lock_guard lock(state_.mutex);
    co_return Jupyter{state_.jupyter_socket, "s3cret-token"};
  }
  asio::awaitable<Result<void>> start() override { co_return Result<void>{}; }
  void shutdown() override {}
  void watch(std::function<void(const std::string& user)> changed) override { state_.watcher = std::move(changed); }

 private:
  FakeWorkspaces& state_;
  std::map<workspaces::WorkspaceId, std::shared_ptr<FakeLink>> links_;  // touched on the lane
};

}  // namespace

std::unique_ptr<workspaces::Manager> make_fake_manager(FakeWorkspaces& state) { return std::make_unique<FakeManager>(state); }

}  // namespace berth::web
