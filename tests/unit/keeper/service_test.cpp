#include "keeper/service.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

namespace berth::keeper {
namespace {
namespace asio = boost::asio;
namespace fs = std::filesystem;

// Remembers what was asked; a start takes a few turns of the loop.
class FakeEngine final : public Engine {
 public:
  asio::awaitable<Result<KeeperRecord>> ensure(Plan plan, Progress progress) override {
    ++running_now;
    most_at_once = std::max(most_at_once, running_now);
    plans.push_back(plan);
    progress("Starting");
    asio::steady_timer timer(co_await asio::this_coro::executor, std::chrono::milliseconds(1));
    co_await timer.async_wait(asio::use_awaitable);
    --running_now;
    if (fail) throw std::runtime_error("broken");
    KeeperRecord record;
    record.id = plan.id;
    record.state = WorkspaceState::running;
    records.push_back(record);
    co_return record;
  }
  asio::awaitable<Result<void>> stop(WorkspaceId) override { co_return Result<void>(); }
  asio::awaitable<Result<void>> remove(WorkspaceId id) override {
    std::erase_if(records, [&](const auto& record) { return record.id == id; });
    co_return Result<void>();
  }
  asio::awaitable<Result<std::vector<KeeperRecord>>> list() override { co_return records; }
  asio::awaitable<Result<KeeperRecord>> how_it_ended(WorkspaceId) override { co_return KeeperRecord{}; }

  std::vector<Plan> plans;
  std::vector<KeeperRecord> records;
  int running_now = 0, most_at_once = 0;
  bool fail = false;
};

class KeeperService : public testing::Test {
 protected:
  void SetUp() override {
    std::string made = (fs::temp_directory_path() / "berth-keeper-XXXXXX").string();
    ASSERT_NE(::mkdtemp(made.data()), nullptr);
    root_ = made;
    settings_.agent_sockets = root_ / "agents";
    settings_.podman.images = {"other"};
    homes_.emplace(root_ / "homes", 0, 1, Account{::geteuid(), ::getegid()});
    ASSERT_TRUE(homes_->prepare().has_value());
    service_.emplace(io_.get_executor(), settings_, engine_, *homes_, Account{::geteuid(), ::getegid()});
  }
  void TearDown() override { fs::remove_all(root_); }

  void ask(const std::string& line) {
    asio::co_spawn(io_, service_->answer(line, [this](nlohmann::json message) { said_.push_back(std::move(message)); }), asio::detached);
  }
  nlohmann::json last(const std::string& line) {
    said_.clear();
    ask(line);
    io_.restart();
    io_.run();
    return said_.empty() ? nlohmann::json() : said_.back();
  }
  std::string refusal(const std::string& line) {
    const auto message = last(line);
    return message.contains("error") ? message["error"]["kind"].get<std::string>() : message.dump();
  }

  asio::io_context io_;
  fs::path root_;
  Settings settings_;
  FakeEngine engine_;
  std::optional<Homes> homes_;
  std::optional<Service> service_;
  std::vector<nlohmann::json> said_;
};

TEST_F(KeeperService, RefusesWhatIsNotInTheTable) {
  EXPECT_EQ(refusal("garbage"), "protocol");
  EXPECT_EQ(refusal("[]"), "protocol");
  EXPECT_EQ(refusal("{}"), "protocol");
  EXPECT_EQ(refusal(std::string(60000, '[')), "protocol");
  EXPECT_EQ(refusal(R"({"op":"1","do":"list"})"), "protocol");
  EXPECT_EQ(refusal(R"({"op":1})"), "invalid");
  EXPECT_EQ(refusal(R"({"op":1,"do":"exec","user":"ada","workspace":"main"})"), "invalid");
  for (const char* user : {"root", "", "../ada", "Ada", "berth", "a b"}) {
    EXPECT_EQ(refusal(nlohmann::json{{"op", 1}, {"do", "ensure"}, {"user", user}, {"workspace", "main"}}.dump()), "invalid") << user;
  }
  for (const char* workspace : {"", "..", "a/b", "1a"}) {
    EXPECT_EQ(refusal(nlohmann::json{{"op", 1}, {"do", "stop"}, {"user", "ada"}, {"workspace", workspace}}.dump()), "invalid") << workspace;
  }
  EXPECT_EQ(refusal(R"({"op":1,"do":"ensure","user":"ada","workspace":"main","image":"docker.io/evil"})"), "denied");
  EXPECT_TRUE(engine_.plans.empty());
}

TEST_F(KeeperService, EnsureMakesHomeAndDirectoryAndStreamsProgress) {
  const auto answer = last(R"({"op":7,"do":"ensure","user":"ada","workspace":"main","mounts":["/"],"privileged":true})");
  ASSERT_TRUE(answer.contains("ok")) << answer;
  EXPECT_EQ(answer["op"], 7);
  EXPECT_EQ(answer["ok"]["directory"], (root_ / "agents/ada/main").string());
  EXPECT_EQ(said_.front()["directory"], answer["ok"]["directory"]);
  EXPECT_EQ(said_[1]["progress"], "Making your home directory");
  ASSERT_EQ(engine_.plans.size(), 1u);
  EXPECT_EQ(engine_.plans[0].image, settings_.podman.image);
  EXPECT_EQ(engine_.plans[0].home.path, root_ / "homes/ada");
}

TEST_F(KeeperService, OneWorkspaceAtATimeOthersSideBySide) {
  for (int i = 0; i < 3; ++i) ask(R"({"op":1,"do":"ensure","user":"ada","workspace":"main"})");
  io_.run();
  EXPECT_EQ(engine_.most_at_once, 1);
  EXPECT_EQ(engine_.plans.size(), 3u);
  io_.restart();
  ask(R"({"op":1,"do":"ensure","user":"ada","workspace":"a"})");
  ask(R"({"op":1,"do":"ensure","user":"ada","workspace":"b","image":"other"})");
  io_.run();
  EXPECT_EQ(engine_.most_at_once, 2);
}

TEST_F(KeeperService, AHomeInUseByAnotherWorkspaceStays) {
  ASSERT_TRUE(last(R"({"op":1,"do":"ensure","user":"ada","workspace":"main"})").contains("ok"));
  ASSERT_TRUE(last(R"({"op":1,"do":"ensure","user":"ada","workspace":"nlp"})").contains("ok"));
  EXPECT_EQ(refusal(R"({"op":1,"do":"remove","user":"ada","workspace":"main","with_home":true})"), "conflict");
  EXPECT_TRUE(fs::exists(root_ / "homes/ada"));
  EXPECT_TRUE(last(R"({"op":1,"do":"remove","user":"ada","workspace":"nlp"})").contains("ok"));
  EXPECT_TRUE(last(R"({"op":1,"do":"remove","user":"ada","workspace":"main","with_home":true})").contains("ok"));
  EXPECT_FALSE(fs::exists(root_ / "homes/ada"));
}

TEST_F(KeeperService, AnExceptionIsAnAnswerAndTheLockIsFree) {
  engine_.fail = true;
  EXPECT_EQ(refusal(R"({"op":1,"do":"ensure","user":"ada","workspace":"main"})"), "internal");
  engine_.fail = false;
  EXPECT_TRUE(last(R"({"op":1,"do":"ensure","user":"ada","workspace":"main"})").contains("ok"));
  EXPECT_EQ(service_->busy(), 0u);
}

}  // namespace
}  // namespace berth::keeper
