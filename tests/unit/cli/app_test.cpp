#include "cli/app.hpp"

#include <algorithm>

#include "tests/unit/cli/fixture.hpp"

namespace berth::cli {
namespace {

TEST_F(CliTest, HelpListsCommandsAndExitCodes) {
  const Ran ran = berth_alone({"--help"});
  EXPECT_EQ(ran.code, 0);
  for (const Command& command : all_commands()) {
    const bool shown = ran.out.find("\n  " + std::string(command.noun) + " ") != std::string::npos;
    const auto all = all_commands();
    const bool here = std::any_of(all.begin(), all.end(), [&](const Command& other) { return other.noun == command.noun && (other.faces & kAdminSocket) != 0; });
    EXPECT_EQ(shown, here) << command.noun;
  }
  for (const ExitCodeRow& row : kExitCodes) EXPECT_NE(ran.out.find(row.meaning), std::string::npos);
  EXPECT_EQ(berth_alone({"help"}).out, ran.out);
  EXPECT_EQ(berth_alone({"key", "add", "--help"}).out.find("Exit codes"), std::string::npos);
  EXPECT_EQ(berth_alone({"completion", "--help"}).out.find("words"), std::string::npos);
}

TEST_F(CliTest, WrongWordsAreUsageErrors) {
  const std::vector<std::vector<std::string>> wrong = {{},
                                                       {"user"},
                                                       {"user", "lst"},
                                                       {"user", "add"},
                                                       {"user", "show", "a", "b"},
                                                       {"key", "add", "ada"},
                                                       {"user", "list", "--all"},
                                                       {"--nonsense"},
                                                       {"session", "list", "--limit", "-3"},
                                                       {"session", "list", "--limit", "many"},
                                                       {"--timeout", "soon", "status"},
                                                       {"completion", "words", "cats"},
                                                       {"backup", "/tmp"}};
  for (const auto& words : wrong) {
    const Ran ran = berth(words);
    EXPECT_EQ(ran.code, 2) << testing::PrintToString(words);
    EXPECT_EQ(ran.out, "");
    EXPECT_TRUE(ran.err.starts_with("berth: ")) << ran.err;
  }
  EXPECT_EQ(berth({"user", "lst"}).err,
            "berth: 'lst' is no command of 'berth user': add, list, show, disable, enable, except, exceptions, forwards, role, remove\nSee: berth user --help\n");
  EXPECT_TRUE(server.seen().empty());
}

TEST_F(CliTest, SaysWhyBerthdCannotBeReached) {
  const Ran ran = berth_alone({"--admin-socket", "/nonexistent/admin.sock", "status"});
  EXPECT_EQ(ran.code, 3);
  EXPECT_NE(ran.err.find("/nonexistent/admin.sock: No such file"), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("--admin-socket PATH"), std::string::npos);
}

TEST_F(CliTest, ExitCodesFollowTheKindOfError) {
  const std::vector<std::pair<std::string, int>> kinds = {
      {"invalid", 7},     {"denied", 6}, {"not_found", 4}, {"conflict", 5}, {"too_large", 7}, {"timeout", 8},
      {"unavailable", 8}, {"closed", 1}, {"protocol", 1},  {"internal", 1}, {"new-kind", 1}};
  for (const auto& [kind, code] : kinds) {
    answers["GET /status"] = refused(500, kind, "because");
    const Ran ran = berth({"status"});
    EXPECT_EQ(ran.code, code) << kind;
    EXPECT_EQ(ran.err, "berth: because\n");
  }
}

TEST_F(CliTest, JsonErrorsAreOneDocumentOnStandardError) {
  const Ran ran = berth({"--json", "user", "show", "bob"});
  EXPECT_EQ(ran.code, 4);
  EXPECT_EQ(ran.out, "");
  EXPECT_EQ(nlohmann::json::parse(ran.err)["error"]["kind"], "not_found");
}

TEST_F(CliTest, HostileTextStaysText) {
  answers["GET /users"] = answered(200, R"({"items":[{"name":"a\u001b[2Jb","role":"user","disabled":false,"keys":1,"created_at":null}]})");
  EXPECT_EQ(berth({"user", "list"}).out.find('\x1b'), std::string::npos);
  EXPECT_EQ(berth({"user", "list", "--json"}).out.find('\x1b'), std::string::npos);
  answers["GET /status"] = refused(403, "denied", "\\u001b]0;title\\u0007");
  EXPECT_EQ(berth({"status"}).err.find('\x1b'), std::string::npos);
}

TEST_F(CliTest, AServerThatIsNotBerthdIsNamed) {
  answers["GET /status"] = answered(200, "<html>");
  EXPECT_EQ(berth({"status"}).code, 3);
  answers["GET /users"] = answered(200, "[]");
  EXPECT_EQ(berth({"user", "list"}).code, 3);
}

TEST(EventStream, TakesEventsApartWhereverTheyAreCut) {
  const std::string text = ": hello\nevent: progress\r\ndata: {\"line\":\"a\"}\n\nevent: done\ndata: 1\ndata: 2\n\nevent: never\ndata: x\n\n";
  for (std::size_t size = 1; size <= text.size(); ++size) {
    std::vector<std::pair<std::string, std::string>> seen;
    EventStream events([&](std::string_view name, const std::string& data) {
      seen.emplace_back(name, data);
      return name != "done";
    });
    for (std::size_t at = 0; at < text.size(); at += size) {
      const Result<bool> going_on = events.feed(text.substr(at, size));
      ASSERT_TRUE(going_on);
      if (!*going_on) break;
    }
    ASSERT_EQ(seen.size(), 2U) << size;
    EXPECT_EQ(seen[0], std::make_pair(std::string("progress"), std::string("{\"line\":\"a\"}")));
    EXPECT_EQ(seen[1], std::make_pair(std::string("done"), std::string("1\n2")));
  }
}

TEST(EventStream, AnEndlessEventIsAnError) {
  EventStream events([](std::string_view, const std::string&) { return true; });
  EXPECT_FALSE(events.feed("data: " + std::string(2 * 1024 * 1024, 'x')));
}

}  // namespace
}  // namespace berth::cli
