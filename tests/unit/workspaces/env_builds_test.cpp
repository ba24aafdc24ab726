// Environments as berthd sees them, with a fake keeper: verification in turn, and two berthds on one store.
#include "workspaces/env_builds.hpp"

#include <gtest/gtest.h>

#include "auth/migrations.hpp"
#include "base/encoding.hpp"
#include "tests/support/fake_clock.hpp"
#include "tests/support/run.hpp"
#include "tests/support/temp_dir.hpp"
#include "workspaces/changes.hpp"

namespace berth::workspaces {
namespace {
namespace asio = boost::asio;
using nlohmann::json;
using namespace std::chrono_literals;

constexpr char kLock[] = R"({"packages":[],"pip":[],"variables":{},"version":1})";

// Answers what it is told to, and keeps what it was asked.
struct FakeKeeper final : KeeperLink {
  void start(KeeperEvents events) override { events.connected(); }
  void close() override {}
  bool connected() const override { return there; }
  asio::awaitable<Result<KeeperRecord>> ensure(WorkspaceId, std::string, EnsureEvents) override { co_return Error{}; }
  asio::awaitable<Result<void>> stop(WorkspaceId) override { co_return Result<void>(); }
  asio::awaitable<Result<void>> remove(WorkspaceId, bool) override { co_return Result<void>(); }
  asio::awaitable<Result<std::vector<KeeperRecord>>> list() override { co_return Error{}; }
  asio::awaitable<Result<json>> ask(json request, std::chrono::milliseconds, std::function<void(const json&)>) override {
    asked.push_back(request);
    if (request["do"] != "build") co_return Result<json>(boost::system::in_place_value, json::object());
    while (hold) co_await released.wait();
    co_return request["action"] == "solve" ? solve : build;
  }
  std::size_t count(const std::string& what) const {
    return static_cast<std::size_t>(std::count_if(asked.begin(), asked.end(), [&](const json& request) { return request["do"] == what; }));
  }

  std::vector<json> asked;
  Result<json> build = Error{ErrorKind::conflict, "no answer was given"}, solve = Error{ErrorKind::conflict, "no greeter is there"};
  bool there = true, hold = false;
  Changes released;
};

class EnvBuildsTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(store_->write_now([](SQLite::Database& db) -> Result<void> {
      db.exec("INSERT INTO users (name, role, created_at) VALUES ('ada', 'user', 1), ('grace', 'user', 1)");
      return {};
    }));
    lanes_.push_back(std::make_unique<Lane>(0));
  }
  void TearDown() override {
    if (builds_) builds_->shutdown();
    io().restart();
    io().poll();
  }
  asio::io_context& io() { return lanes_.front()->io; }
  // With an environment of ada's that was made long ago.
  void start(std::chrono::milliseconds verify_every) {
    auth::EnvironmentRevision revision;
    revision.yaml = "dependencies: [x]\n";
    revision.lock = kLock;
    revision.lock_hash = hex_encode(sha256(kLock));
    revision.tree_hash = "tree";
    auth::Environments rows(*store_, clock_);
    ASSERT_TRUE(run_coroutine(rows.add_revision({"ada", auth::Role::user, "test", ""}, "ada", "ml", std::move(revision))));
    clock_.advance(std::chrono::hours(1000));
    auto keeper = std::make_unique<FakeKeeper>();
    keeper_ = keeper.get();
    builds_ = std::make_unique<EnvBuilds>(lanes_, *store_, clock_, std::move(keeper), images_, verify_every);
    builds_->start();
  }
  template <class Condition>
  bool turn_until(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + 30s;
    while (!condition() && std::chrono::steady_clock::now() < end) {
      io().restart();
      io().run_one_for(20ms);
    }
    return condition();
  }
  auth::Verification verification() { return builds_->rows().find(*store_->open_reader(), "ada", "ml")->verification; }
  void answer(const std::string& built, json changed = json::array()) {
    keeper_->build = Result<json>(boost::system::in_place_value, json{{"tree_hash", built}, {"stored_tree_hash", "tree"}, {"expected", "tree"}, {"changed", std::move(changed)}});
  }

  TempDir dir_;
  FakeClock clock_;
  std::unique_ptr<Store> store_ = Store::open(dir_.path() / "berth.db", auth::migrations()).value();
  Lanes lanes_;
  Images images_{*store_, clock_};
  FakeKeeper* keeper_ = nullptr;
  std::unique_ptr<EnvBuilds> builds_;
};

TEST_F(EnvBuildsTest, WhatIsDueIsBuiltAgainAndNoted) {
  start(10ms);
  answer("another", {"lib/x.py"});
  ASSERT_TRUE(turn_until([&] { return !verification().result.empty(); }));
  EXPECT_EQ(verification().result, "changed");
  EXPECT_EQ(verification().detail, "changed lib/x.py; its file cannot be solved any more: no greeter is there");
  EXPECT_EQ(verification().at, clock_.now());
  answer("tree");
  const std::string greeter = R"([{"kind":"conda","name":"greeter","version":"1","sha256":")" + std::string(64, 'a') + R"("}])";
  keeper_->solve = Result<json>(boost::system::in_place_value, json{{"lock", R"({"packages":)" + greeter + R"(,"pip":[],"variables":{},"version":1})"}});
  clock_.advance(std::chrono::hours(1));
  ASSERT_TRUE(turn_until([&] { return verification().result == "ok"; }));
  EXPECT_EQ(verification().detail, "its file gives 1 other packages today");
  keeper_->build = Error{ErrorKind::unavailable, "the channel is gone"};
  clock_.advance(std::chrono::hours(1));
  ASSERT_TRUE(turn_until([&] { return verification().result == "failed"; }));
  EXPECT_EQ(verification().detail, "the channel is gone");
}

TEST_F(EnvBuildsTest, AKeeperThatIsAwaySaysNothingAboutAnEnvironment) {
  start(10ms);
  keeper_->build = Error{ErrorKind::closed, "berth-keeper went away"};
  ASSERT_TRUE(turn_until([&] { return keeper_->count("build") > 1; })) << "it is tried again";
  EXPECT_EQ(verification().result, "");
}

TEST_F(EnvBuildsTest, OneThatWasReplacedFinishesItsVerificationAndBeginsNone) {
  start(10ms);
  answer("tree");
  keeper_->hold = true;
  ASSERT_TRUE(turn_until([&] { return keeper_->count("build") == 1; }));
  EXPECT_TRUE(builds_->busy()) << "the drain of a replaced berthd waits for it";
  builds_->retire();
  clock_.advance(std::chrono::hours(1000));
  keeper_->hold = false;
  keeper_->released.notify();
  io().restart();
  io().run_for(30s);
  EXPECT_TRUE(io().stopped()) << "nothing is left that could begin another";
  EXPECT_EQ(verification().result, "ok");
  EXPECT_EQ(keeper_->count("build"), 2u) << "the files, and what the file gives today";
  EXPECT_FALSE(builds_->busy());
}

TEST_F(EnvBuildsTest, WithoutASettingNothingIsVerified) {
  start(0ms);
  io().run_for(30s);
  EXPECT_TRUE(io().stopped());
  EXPECT_EQ(keeper_->count("build"), 0u);
}

// The berthd before may have told the keeper less than the truth, last: it knows nothing of the team's.
TEST_F(EnvBuildsTest, TheStateIsToldAgainWhenTheOtherBerthdHasEnded) {
  start(0ms);
  io().run_for(30s);
  const std::size_t before = keeper_->count("environments");
  EXPECT_EQ(before, 2u) << "ada's and the team's";
  ASSERT_TRUE(run_coroutine(builds_->rows().make_default({"ada", auth::Role::user, "test", ""}, "ada", "ada", "ml", false)));
  builds_->apply_again();
  io().restart();
  io().run_for(30s);
  ASSERT_EQ(keeper_->count("environments"), before + 2);
  EXPECT_EQ(keeper_->asked[keeper_->asked.size() - 2]["user"], "ada");
  EXPECT_EQ(keeper_->asked[keeper_->asked.size() - 2]["default"], "");
  keeper_->there = false;
  builds_->apply_again();
  EXPECT_EQ(keeper_->count("environments"), before + 2) << "it is told when it comes back";
}

}  // namespace
}  // namespace berth::workspaces
