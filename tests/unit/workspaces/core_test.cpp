// The state machine of workspaces with a fake keeper and fake agents: this process dials in and is, or is not, the pid that the
// keeper named.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <thread>

#include "tunnels/wire.hpp"
#include "workspaces/changes.hpp"
#include "workspaces/manager_parts.hpp"

namespace berth::workspaces {
namespace {
namespace asio = boost::asio;
namespace fs = std::filesystem;
using namespace std::chrono_literals;

struct FakeLink final : tunnels::AgentLink {
  explicit FakeLink(FileDescriptor s) : socket(std::move(s)) {}
  bool alive() const override { return alive_; }
  asio::awaitable<Result<std::unique_ptr<tunnels::Process>>> exec(tunnels::ExecOptions) override { co_return Error{}; }
  asio::awaitable<Result<tunnels::WorkspaceSocket>> connect_tcp(std::string, std::uint16_t) override { co_return Error{}; }
  asio::awaitable<Result<tunnels::WorkspaceSocket>> connect_unix(std::string) override { co_return Error{}; }
  asio::awaitable<Result<std::unique_ptr<tunnels::Listener>>> listen_tcp(std::string, std::uint16_t) override { co_return Error{}; }
  asio::awaitable<Result<std::unique_ptr<tunnels::Listener>>> listen_unix(std::string) override { co_return Error{}; }
  asio::awaitable<Result<std::string>> service(tunnels::ServiceOptions) override { co_return Error{ErrorKind::internal, "jupyter: No such file or directory"}; }
  asio::awaitable<Result<void>> stop_service(std::string) override { co_return Result<void>(); }
  asio::awaitable<Result<nlohmann::json>> report() override { co_return Error{}; }
  FileDescriptor socket;
  bool alive_ = true;
};

struct FakeKeeper final : KeeperLink {
  explicit FakeKeeper(fs::path r) : root(std::move(r)) {}
  void start(KeeperEvents e) override {
    events = std::move(e);
    events.connected();
  }
  void close() override {}
  bool connected() const override { return true; }
  asio::awaitable<Result<KeeperRecord>> ensure(WorkspaceId id, std::string, EnsureEvents e) override {
    ++ensures;
    if (failures > 0) {
      --failures;
      co_return failure;
    }
    KeeperRecord record;
    record.id = id;
    record.state = WorkspaceState::running;
    record.pid = pid;
    record.uid = ::geteuid();
    record.directory = root / id.user / id.name;
    fs::create_directories(record.directory);
    e.directory(record.directory);
    e.progress("Starting");
    while (hold) co_await released.wait();
    co_return record;
  }
  asio::awaitable<Result<void>> stop(WorkspaceId) override { co_return Result<void>(); }
  asio::awaitable<Result<void>> remove(WorkspaceId, bool) override { co_return Result<void>(); }
  asio::awaitable<Result<std::vector<KeeperRecord>>> list() override { co_return listed; }

  fs::path root;
  KeeperEvents events;
  std::vector<KeeperRecord> listed;
  pid_t pid = ::getpid();
  int ensures = 0, failures = 0;
  Error failure{ErrorKind::unavailable, "no image"};
  bool hold = false;
  Changes released;
};

class WorkspaceCore : public testing::Test {
 protected:
  void SetUp() override {
    std::string made = (fs::temp_directory_path() / "bcXXXXXX").string();
    ASSERT_NE(::mkdtemp(made.data()), nullptr);
    root_ = made;
    lanes_.push_back(std::make_unique<Lane>(0));
    lanes_.push_back(std::make_unique<Lane>(1));
    auto keeper = std::make_unique<FakeKeeper>(root_);
    keeper_ = keeper.get();
    manager_ = make_manager_of({"", root_, "secret"}, lanes_, std::move(keeper),
                               [this](asio::any_io_executor, FileDescriptor socket, std::function<void()> on_closed) {
                                 auto link = std::make_shared<FakeLink>(std::move(socket));
                                 links_.push_back({link, std::move(on_closed)});
                                 return link;
                               });
  }
  void TearDown() override {
    manager_->shutdown();
    turn();
    manager_.reset();
    lanes_.clear();
    fs::remove_all(root_);
  }

  // Both lanes on this one thread, until nothing is ready.
  void turn() {
    for (bool again = true; again;) {
      again = false;
      for (auto& lane : lanes_) {
        lane->io.restart();
        again = lane->io.poll() > 0 || again;
      }
    }
  }
  template <class Condition>
  bool turn_until(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + 5s;
    while (!condition() && std::chrono::steady_clock::now() < end) {
      turn();
      std::this_thread::sleep_for(1ms);
    }
    return condition();
  }
  struct Opening {
    std::optional<Result<std::shared_ptr<tunnels::AgentLink>>> result;
    std::vector<std::string> lines;
  };
  std::shared_ptr<Opening> open(std::size_t lane) {
    auto opening = std::make_shared<Opening>();
    auto operation = manager_->open(*lanes_[lane], ada_, [opening](std::string_view line) { opening->lines.emplace_back(line); });
    asio::co_spawn(lanes_[lane]->io, std::move(operation), [opening](std::exception_ptr, auto result) { opening->result = std::move(result); });
    return opening;
  }
  // Dials in and says hello, as an agent does.
  FileDescriptor dial() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, (root_ / "ada/main/agent.sock").c_str());
    FileDescriptor socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0));
    if (::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return {};
    tunnels::wire::send(socket.get(), R"({"type":"hello","protocol":2,"version":"t","instance":"i","pid":1})");
    return socket;
  }
  std::string welcome(const FileDescriptor& socket) {
    std::array<char, 65537> buffer;
    std::string text;
    turn_until([&] {
      auto received = tunnels::wire::receive(socket.get(), buffer);
      if (received.status == tunnels::wire::Status::again) return false;
      text = received.status == tunnels::wire::Status::ok ? std::string(received.text) : "closed";
      return true;
    });
    return text;
  }
  WorkspaceStatus status() {
    std::optional<Result<std::vector<WorkspaceStatus>>> result;
    asio::co_spawn(lanes_[0]->io, manager_->list(*lanes_[0], "ada"), [&](std::exception_ptr, auto r) { result = std::move(r); });
    turn_until([&] { return result.has_value(); });
    return (*result)->front();
  }

  fs::path root_;
  Lanes lanes_;
  FakeKeeper* keeper_ = nullptr;
  std::unique_ptr<Manager> manager_;
  std::vector<std::pair<std::shared_ptr<FakeLink>, std::function<void()>>> links_;
  const WorkspaceId ada_{"ada", "main"};
};

TEST_F(WorkspaceCore, ALaneThatWaitsIsServedFirstAndTheFastPathAsksNobody) {
  const auto opening = open(1);
  turn();
  const auto first = dial();
  EXPECT_NE(welcome(first).find("\"lane\":1,\"lanes\":2"), std::string::npos);
  ASSERT_TRUE(turn_until([&] { return opening->result.has_value(); }));
  EXPECT_TRUE(opening->result->has_value());
  EXPECT_EQ(opening->lines.front(), "Starting");
  const auto second = dial();
  EXPECT_NE(welcome(second).find("\"lane\":0"), std::string::npos);
  const auto third = dial();
  EXPECT_EQ(welcome(third), "closed");
  const auto again = open(0);
  turn();
  ASSERT_TRUE(again->result.has_value());
  EXPECT_EQ(keeper_->ensures, 1);
}

TEST_F(WorkspaceCore, ManyCallersShareOneStartAndAllHearOfIt) {
  keeper_->hold = true;
  std::vector<std::shared_ptr<Opening>> all{open(0), open(1)};
  turn();
  all.push_back(open(1));
  turn();
  const auto a = dial(), b = dial();
  turn();
  EXPECT_FALSE(all[0]->result);
  keeper_->hold = false;
  keeper_->released.notify();
  for (const auto& opening : all) {
    ASSERT_TRUE(turn_until([&] { return opening->result.has_value(); }));
    EXPECT_TRUE(opening->result->has_value());
    EXPECT_EQ(opening->lines.front(), "Starting");
  }
  EXPECT_EQ(keeper_->ensures, 1);
}

TEST_F(WorkspaceCore, OnlyTheProcessThatTheKeeperNamedIsAnAgent) {
  keeper_->pid = 1;  // not us
  const auto opening = open(0);
  turn();
  EXPECT_EQ(welcome(dial()), "closed");
  EXPECT_FALSE(opening->result);
}

TEST_F(WorkspaceCore, AFailedStartSaysWhyAndMayBeTriedAgain) {
  keeper_->failures = 1;
  const auto failed = open(0);
  ASSERT_TRUE(turn_until([&] { return failed->result.has_value(); }));
  EXPECT_EQ(failed->result->error().message, "no image");
  EXPECT_EQ(status().state, WorkspaceState::failed);
  EXPECT_EQ(status().detail, "no image");
  const auto opening = open(0);
  turn();
  const auto agent = dial();
  ASSERT_TRUE(turn_until([&] { return opening->result.has_value(); }));
  EXPECT_TRUE(opening->result->has_value());
}

TEST_F(WorkspaceCore, AKeeperThatGoesAwayInTheMiddleIsAskedAgain) {
  keeper_->failures = 2;
  keeper_->failure = {ErrorKind::closed, "gone"};
  const auto opening = open(0);
  turn();
  const auto agent = dial();
  ASSERT_TRUE(turn_until([&] { return opening->result.has_value(); }));
  EXPECT_TRUE(opening->result->has_value());
  EXPECT_EQ(keeper_->ensures, 3);
}

TEST_F(WorkspaceCore, TheEndOfAnEarlierRunIsNoNewsAndOfThisOneIs) {
  const auto opening = open(0);
  turn();
  const auto agent = dial();
  ASSERT_TRUE(turn_until([&] { return opening->result.has_value(); }));
  KeeperRecord ended;
  ended.id = ada_;
  ended.pid = 99999;
  asio::co_spawn(lanes_[0]->io, manager_->start(), [](std::exception_ptr, auto) {});
  keeper_->listed.push_back({ada_, WorkspaceState::running, ::getpid(), ::geteuid(), "", "", (root_ / "ada/main").string(), "", {}, {}});
  turn();
  keeper_->events.ended(ended);
  EXPECT_EQ(status().state, WorkspaceState::running);
  ended.pid = ::getpid();
  ended.state = WorkspaceState::failed;
  ended.detail = "it used more memory than it may";
  keeper_->events.ended(ended);
  EXPECT_EQ(status().state, WorkspaceState::failed);
  EXPECT_EQ(status().detail, "it used more memory than it may");
}

TEST_F(WorkspaceCore, WhatRunsAlreadyIsAdopted) {
  fs::create_directories(root_ / "ada/main");
  keeper_->listed.push_back({ada_, WorkspaceState::running, ::getpid(), ::geteuid(), "image", "/home/ada", (root_ / "ada/main").string(), "", {}, {}});
  std::optional<Result<void>> started;
  asio::co_spawn(lanes_[0]->io, manager_->start(), [&](std::exception_ptr, auto result) { started = std::move(result); });
  ASSERT_TRUE(turn_until([&] { return started.has_value(); }));
  EXPECT_TRUE(started->has_value());
  const auto agent = dial();
  EXPECT_NE(welcome(agent).find("welcome"), std::string::npos);
  EXPECT_EQ(status().state, WorkspaceState::running);
  EXPECT_EQ(keeper_->ensures, 0);
}

TEST_F(WorkspaceCore, ALostLinkIsReplacedWhenTheAgentDialsAgain) {
  const auto opening = open(0);
  turn();
  const auto agent = dial();
  ASSERT_TRUE(turn_until([&] { return opening->result.has_value(); }));
  links_[0].first->alive_ = false;
  links_[0].second();
  turn();
  const auto again = open(0);
  turn();
  const auto redialled = dial();
  ASSERT_TRUE(turn_until([&] { return again->result.has_value(); }));
  EXPECT_TRUE(again->result->has_value());
  EXPECT_NE(opening->result->value(), again->result->value());
}

TEST_F(WorkspaceCore, JupyterThatIsNotInstalledIsExplained) {
  std::optional<Result<Manager::Jupyter>> result;
  asio::co_spawn(lanes_[0]->io, manager_->jupyter(*lanes_[0], ada_, nullptr), [&](std::exception_ptr, auto r) { result = std::move(r); });
  turn();
  const auto agent = dial();
  ASSERT_TRUE(turn_until([&] { return result.has_value(); }));
  EXPECT_NE(result->error().message.find("JupyterLab is not installed"), std::string::npos);
}

}  // namespace
}  // namespace berth::workspaces
