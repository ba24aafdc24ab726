// The agent's own life: berthd comes and goes, processes stay; SIGTERM ends all.
#include <fstream>

#include "tests/unit/tunnels/harness.hpp"

namespace berth::tunnels {
namespace {
namespace asio = boost::asio;

class Life : public AgentTest {
 protected:
  static asio::awaitable<std::int64_t> start(AgentLink& link, std::string command) {
    ExecOptions options;
    options.command = std::move(command);
    auto process = co_await link.exec(options);
    co_return process ? (*process)->pid() : 0;
  }
  static bool eventually(std::function<bool()> condition) {
    for (int tries = 0; tries < 1000; ++tries, ::usleep(10'000))
      if (condition()) return true;
    return false;
  }
  static bool runs(std::int64_t pid) { return ::kill(static_cast<pid_t>(pid), 0) == 0; }
};

TEST_F(Life, DialsOncePerLane) {
  link.reset();
  auto first = next_link(3, 0), second = next_link(3, 1), third = next_link(3, 2);
  EXPECT_TRUE(first->alive() && second->alive() && third->alive());
  link = second;
  EXPECT_EQ(shell("echo two").out, "two\n");
  link = third;
  EXPECT_EQ(shell("echo three").out, "three\n");
}

TEST_F(Life, ProcessesGoOnWhenBerthdGoesAndTheAgentDialsAgain) {
  auto pid = run(start(*link, "exec sleep 1000"));
  ASSERT_GT(pid, 0);
  link.reset();
  listener.reset();
  EXPECT_TRUE(runs(pid));
  auto reopened = AgentListener::open(io.get_executor(), socket_path);
  ASSERT_TRUE(reopened);
  listener.emplace(std::move(*reopened));
  link = next_link();
  EXPECT_EQ(shell("echo again").out, "again\n");
  EXPECT_TRUE(runs(pid));
  ::kill(static_cast<pid_t>(pid), SIGKILL);
}

// An upgrade of berthd: what runs over the old link goes on there, new things over the new one.
TEST_F(Life, DialsAnotherBerthdAndKeepsTheLinkThatItHas) {
  auto pid = run(start(*link, "exec sleep 1000"));
  ASSERT_GT(pid, 0);
  listener->give_up();
  auto reopened = AgentListener::open(io.get_executor(), socket_path);
  ASSERT_TRUE(reopened);
  listener.emplace(std::move(*reopened));
  const auto old = link;
  old->dial_another();
  auto first = next_link(2, 0), second = next_link(2, 1);  // as many as the new one has lanes
  link = first;
  EXPECT_EQ(shell("echo new").out, "new\n");
  link = second;
  EXPECT_EQ(shell("echo newer").out, "newer\n");
  link = old;
  EXPECT_EQ(shell("echo old").out, "old\n");
  EXPECT_TRUE(runs(pid));
  ::kill(static_cast<pid_t>(pid), SIGKILL);
}

TEST_F(Life, TheLinksEndIsToldOnceAndWaitersWithIt) {
  auto scenario = [](AgentLink& link, pid_t agent_pid) -> asio::awaitable<Result<ExitStatus>> {
    ExecOptions options;
    options.command = "exec sleep 1000";
    auto process = co_await link.exec(options);
    ::kill(agent_pid, SIGKILL);
    auto ended = co_await (*process)->wait();
    ::kill(static_cast<pid_t>((*process)->pid()), SIGKILL);
    co_return ended;
  };
  auto ended = run(scenario(*link, agent->pid()));
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().kind, ErrorKind::closed);
  EXPECT_FALSE(link->alive());
  auto more = run(link->connect_tcp("127.0.0.1", 1));
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().kind, ErrorKind::closed);
  io.restart();
  io.poll();
  EXPECT_EQ(closed, 1);
}

TEST_F(Life, OrphansAreReaped) {
  auto output = shell("(setsid sleep 0.05 & echo $!) ");
  auto pid = std::stoll(output.out);
  EXPECT_TRUE(eventually([&] { return !runs(pid); })) << "a zombie is left";
}

TEST_F(Life, SigtermEndsEverythingThatRunsInTheWorkspace) {
  // One that dies of the hang-up, one that ignores it, a daemon that ignores all but SIGKILL is left to the slow test.
  auto plain = run(start(*link, "exec sleep 1000"));
  auto stubborn = run(start(*link, "trap '' HUP; sleep 1000; true"));
  auto daemon = std::stoll(shell("setsid sleep 1000 >/dev/null 2>&1 & echo $!").out);
  EXPECT_TRUE(runs(plain) && runs(stubborn) && runs(daemon));
  EXPECT_EQ(agent->stop(), 0);
  EXPECT_FALSE(runs(plain) || runs(stubborn) || runs(daemon));
}

TEST_F(Life, WhatIgnoresSigtermIsKilledAfterTheGrace) {
  auto pid = run(start(*link, "trap '' HUP TERM; while :; do sleep 0.1; done"));
  ::usleep(100'000);  // bash sets its traps
  EXPECT_EQ(agent->stop(), 0);
  EXPECT_FALSE(runs(pid));
}

}  // namespace
}  // namespace berth::tunnels
