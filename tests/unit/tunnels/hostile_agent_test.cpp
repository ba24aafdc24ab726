// A workspace's user can replace the agent. Whatever it says costs it its own link, and nobody anything else.
#include <sys/socket.h>

#include <nlohmann/json.hpp>
#include <random>

#include "base/log.hpp"
#include "tests/unit/tunnels/hostile_agent.hpp"

namespace berth::tunnels {
namespace {
namespace asio = boost::asio;
using nlohmann::json;

TEST_F(HostileAgent, MessagesThatBreakTheProtocolCloseTheLink) {
  const std::string deep = "{\"type\":\"done\",\"op\":1,\"x\":" + std::string(5000, '[') + std::string(5000, ']') + "}";
  const std::string breaches[] = {
      "garbage", "[]", "{}", "\"text\"", "{\"op\":1}", "{\"type\":\"done\"}", R"({"type":"done","op":-1})", R"({"type":"done","op":"1"})",
      R"({"type":"done","op":2})", R"({"type":"surprise","op":1})", R"({"type":1,"op":1})", R"({"type":"exit","op":1,"code":0})",
      R"({"type":"accepted","op":1})", R"({"type":"closed","op":1})", R"({"type":"detached","op":1})", R"({"type":"title","op":1,"title":"x"})",
      R"({"type":"size","op":1,"columns":1,"rows":1})", deep,
      std::string(wire::kMaxMessage - 1, '{'), std::string("\0\xff\xfe", 3)};
  for (const auto& breach : breaches) {
    answered = false;
    closed = 0;
    process.reset();
    SetUp();
    begin_exec();
    say(breach);
    SCOPED_TRACE(breach.substr(0, 60));
    expect_refused();
  }
}

TEST_F(HostileAgent, AMessageOverTheLimitClosesTheLink) {
  begin_exec();
  std::string large(wire::kMaxMessage + 1000, ' ');
  ASSERT_GT(::send(theirs.get(), large.data(), large.size(), 0), 0);
  expect_refused();
}

TEST_F(HostileAgent, ErrorsAreCleanedForTheUsersTerminal) {
  begin_exec();
  say(json{{"type", "error"}, {"op", 1}, {"kind", "protocol"}, {"message", "bad \x1b]0;title\x07 line\n" + std::string(50'000, 'x')}}.dump());
  settle();
  EXPECT_EQ(error.kind, ErrorKind::internal) << "an agent cannot choose every kind";
  EXPECT_TRUE(error.message.starts_with("bad ?]0;title? line\nxxx"));
  EXPECT_LE(error.message.size(), 8192u);
  EXPECT_TRUE(link->alive());
}

TEST_F(HostileAgent, OneThatDoesNotReadLosesItsLinkAndHoldsNoMemory) {
  ExecOptions options;
  options.command = std::string(60'000, 'x');
  for (int i = 0; i < 200 && link->alive(); ++i) {
    asio::co_spawn(io, collect(*this, options), asio::detached);
    settle();
  }
  EXPECT_FALSE(link->alive());
  EXPECT_EQ(closed, 1);
}

TEST_F(HostileAgent, AfterALateAnswerTheLinkGoesOn) {
  auto hurried = [](AgentLink& agent_link) -> asio::awaitable<Result<nlohmann::json>> {
    co_return co_await with_deadline(agent_link.report(), std::chrono::milliseconds(10), "the agent");
  };
  auto report = run_on(io, hurried(*link));
  ASSERT_FALSE(report);
  EXPECT_EQ(report.error().kind, ErrorKind::timeout);
  say(R"({"type":"done","op":1,"cpu_us":1})");
  settle();
  EXPECT_TRUE(link->alive());
  say(R"({"type":"done","op":1,"cpu_us":1})");
  settle();
  EXPECT_FALSE(link->alive()) << "answered twice";
}

TEST_F(HostileAgent, AMutatedConversationNeverCrashes) {
  start_log("error");  // thousands of refusals
  std::mt19937 random(20260101);
  Pipes pipes;
  const std::string seeds[] = {R"({"type":"done","op":1,"pid":1})", R"({"type":"exit","op":1,"code":0,"core":true})",
                               R"({"type":"exit","op":1,"signal":"KILL","core":false})", R"({"type":"accepted","op":1,"host":"::1","port":5})",
                               R"({"type":"error","op":1,"kind":"invalid","message":"no"})", R"({"type":"closed","op":1})", R"({"type":"detached","op":1,"reason":"x"})",
                               R"({"type":"title","op":1,"title":"x"})", R"({"type":"size","op":1,"columns":80,"rows":24})"};
  for (int round = 0; round < 3000; ++round) {
    answered = false;
    closed = 0;
    process.reset();
    link.reset();
    SetUp();
    begin_exec();
    asked();
    for (int messages = 0; messages < 3 && link->alive(); ++messages) {
      std::string text = seeds[random() % std::size(seeds)];
      for (unsigned edits = random() % 3; edits > 0; --edits) {
        std::size_t at = random() % text.size();
        if (random() % 2) text[at] = static_cast<char>(random());
        else text.insert(at, text.substr(random() % text.size(), random() % 8));
      }
      std::vector<int> sent;
      if (random() % 2) sent = {pipes.in_write.get(), pipes.out_read.get(), pipes.out_read.get()};
      say(text, sent);
      settle();
    }
  }
}

}  // namespace
}  // namespace berth::tunnels
