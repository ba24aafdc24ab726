// The agent survives any message. A child process plays the agent, so that what a message starts stays below it and ends
// with it; tests/fuzz/agent_messages.cpp does the same under libFuzzer for as long as one likes.
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <random>

#include "agent/agent.hpp"
#include "tests/fuzz/agent_harness.hpp"

namespace berth::agent {
namespace {

const std::vector<std::string>& seeds() {
  static const std::vector<std::string> list = {
      R"({"type":"exec","op":1,"argv":["true"],"env":{"A":"b"},"cwd":"/"})",
      R"({"type":"exec","op":2,"command":"exit 3","pty":{"term":"xterm","columns":80,"rows":24,"width":0,"height":0,"modes":"\u0001\u0000\u0000\u0000\u0003","keep_s":5}})",
      R"({"type":"attach","op":9,"id":"abcde","columns":80,"rows":24,"width":0,"height":0,"from":0,"watch":true,"alone":true})",
      R"({"type":"terminals","op":10})",
      R"({"type":"hangup","op":2,"id":"abcde"})",
      R"({"type":"resize","op":2,"columns":100,"rows":30,"width":0,"height":0})",
      R"({"type":"signal","op":1,"name":"TERM"})",
      R"({"type":"connect","op":3,"host":"127.0.0.1","port":1})",
      R"({"type":"connect","op":4,"path":"/nowhere/at/all"})",
      R"({"type":"listen","op":5,"host":"localhost","port":0})",
      R"({"type":"credit","op":5,"count":3})",
      R"({"type":"close","op":5})",
      R"({"type":"service","op":6,"name":"x","argv":["false","{socket}"],"env":{},"start_limit_ms":10})",
      R"({"type":"stop_service","op":7,"name":"x"})",
      R"({"type":"report","op":8})"};
  return list;
}

std::string mutate(std::mt19937& random) {
  std::string text = seeds()[random() % seeds().size()];
  for (unsigned edits = random() % 6; edits > 0; --edits) {
    std::size_t at = random() % text.size();
    switch (random() % 4) {
      case 0: text[at] = static_cast<char>(random()); break;
      case 1: text.erase(at, random() % 9); break;
      case 2: text.insert(at, text.substr(random() % text.size(), random() % 20)); break;
      case 3: {
        const auto& other = seeds()[random() % seeds().size()];
        text = text.substr(0, at) + other.substr(random() % other.size());
      }
    }
    if (text.empty()) text = "{";
  }
  return text;
}

TEST(AgentMessages, AnyMessageIsSurvived) {
  pid_t child = ::fork();
  if (child == 0) {
    ::alarm(100);
    fuzz::AgentHarness harness;
    std::mt19937 random(4242);
    for (int i = 0; i < 20'000; ++i) harness.feed(mutate(random));
    ::_exit(harness.finish() ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << "ended by signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0) << "no longer answers";
}

}  // namespace
}  // namespace berth::agent
