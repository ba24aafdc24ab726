// The same commands over SSH: what the caller means without saying it, what is hidden, and that no file of the server is ever opened.
#include <fstream>

#include "tests/unit/cli/fixture.hpp"

namespace berth::cli {
namespace {

class OverSsh : public CliTest {
 protected:
  const Self ada{"ada", Who::user, "main"}, otto{"otto", Who::auditor, "main"}, root{"alice", Who::admin, "nlp"};
  static constexpr const char* kNoItems = R"({"items":[]})";
  std::string asked() const { return server.seen().empty() ? "" : server.seen().back().method + " " + server.seen().back().target; }
};

TEST_F(OverSsh, WhatIsLeftOutIsTheCallers) {
  for (const char* path : {"GET /keys?user=ada", "GET /workspaces?user=ada", "GET /sessions?user=ada", "GET /web-sessions?user=ada"}) answers[path] = answered(200, kNoItems);
  for (const char* noun : {"key", "workspace", "session", "web-session"}) EXPECT_EQ(over_ssh(ada, {noun, "list"}).code, 0) << noun;
  answers["POST /workspaces/alice/nlp/stop"] = answers["POST /workspaces/alice/vision/stop"] = answers["POST /workspaces/bob/main/stop"] =
      answered(200, R"({"user":"alice","name":"nlp","state":"stopped"})");
  EXPECT_EQ(over_ssh(root, {"workspace", "stop"}).code, 0);
  EXPECT_EQ(asked(), "POST /api/v1/workspaces/alice/nlp/stop");
  EXPECT_EQ(over_ssh(root, {"workspace", "stop", "vision"}).code, 0);
  EXPECT_EQ(asked(), "POST /api/v1/workspaces/alice/vision/stop");
  EXPECT_EQ(over_ssh(root, {"workspace", "stop", "bob+main"}).code, 0);
  EXPECT_EQ(asked(), "POST /api/v1/workspaces/bob/main/stop");
}

TEST_F(OverSsh, EverybodyIsAskedForByName) {
  answers["GET /keys?all=1"] = answers["GET /sessions"] = answers["GET /keys?user=alice"] = answered(200, kNoItems);
  EXPECT_EQ(over_ssh(root, {"key", "list"}).code, 0);
  EXPECT_EQ(asked(), "GET /api/v1/keys?user=alice");
  EXPECT_EQ(over_ssh(root, {"key", "list", "--everybody"}).code, 0);
  EXPECT_EQ(asked(), "GET /api/v1/keys?all=1");
  EXPECT_EQ(over_ssh(root, {"session", "list", "--everybody"}).code, 0);
  EXPECT_EQ(asked(), "GET /api/v1/sessions");
}

TEST_F(OverSsh, TheApiDecidesWhoMay) {
  answers["GET /users"] = refused(403, "denied", "Your role does not allow this.");
  const Ran ran = over_ssh(ada, {"user", "list"});
  EXPECT_EQ(ran.code, 6);
  EXPECT_EQ(ran.err, "berth: Your role does not allow this.\n");
}

TEST_F(OverSsh, HelpShowsWhatTheCallerMayUse) {
  const auto shows = [](const Ran& ran, const std::string& noun) { return ran.out.find("\n  " + noun + " ") != std::string::npos; };
  const Ran user = over_ssh(ada, {"help"}), auditor = over_ssh(otto, {}), admin = over_ssh(root, {"--help"});
  EXPECT_EQ(user.code + auditor.code + admin.code, 0);
  for (const Ran* ran : {&user, &auditor, &admin}) {
    EXPECT_TRUE(shows(*ran, "web") && shows(*ran, "approve") && shows(*ran, "whoami") && shows(*ran, "key")) << ran->out;
    EXPECT_FALSE(shows(*ran, "backup") || shows(*ran, "completion"));
    EXPECT_EQ(ran->out.find("--admin-socket"), std::string::npos);
  }
  EXPECT_FALSE(shows(user, "user") || shows(user, "audit") || shows(user, "status"));
  EXPECT_TRUE(shows(auditor, "audit") && shows(auditor, "status"));
  EXPECT_NE(over_ssh(otto, {"user", "--help"}).out.find("\n  list "), std::string::npos);
  EXPECT_EQ(over_ssh(otto, {"user", "--help"}).out.find("\n  remove "), std::string::npos);
  EXPECT_NE(over_ssh(root, {"user", "--help"}).out.find("\n  remove "), std::string::npos);
}

TEST_F(OverSsh, CommandsOfTheOtherFaceAreNone) {
  EXPECT_EQ(over_ssh(root, {"backup", "/tmp/x"}).code, 2);
  EXPECT_EQ(over_ssh(root, {"completion", "bash"}).code, 2);
  EXPECT_EQ(over_ssh(root, {"--admin-socket", server.path(), "status"}).code, 2);
  EXPECT_EQ(berth({"web"}).code, 2);
  EXPECT_EQ(berth({"whoami"}).code, 2);
  EXPECT_TRUE(server.seen().empty());
}

// Every command, with a path of this machine for each word that it takes: nothing but the API is asked, and no FILE is read.
TEST_F(OverSsh, NoFileOfTheServerIsOpened) {
  const std::string secret = server.directory() + "/secret.pub";
  std::ofstream(secret) << kKeyLine;
  input = "not a key\n";
  for (const Command& command : all_commands()) {
    if ((command.faces & kSsh) == 0) continue;
    std::vector<std::string> words{std::string(command.noun)};
    if (!command.verb.empty()) words.emplace_back(command.verb);
    bool takes_file = false;
    for (const Parameter& parameter : command.parameters) {
      if (parameter.name.empty()) continue;
      words.push_back(secret);
      takes_file = takes_file || parameter.name == "FILE";
    }
    for (const Option& option : command.options) {
      if (option.value == "FILE") words.insert(words.end(), {std::string(option.name), secret});
    }
    const Ran ran = over_ssh(root, words);
    SCOPED_TRACE(testing::PrintToString(words));
    EXPECT_TRUE(!takes_file || ran.code == 2) << ran.err;
    EXPECT_EQ((ran.out + ran.err).find("AAAAC3"), std::string::npos);
    for (const auto& request : server.seen()) EXPECT_EQ(request.body.find("AAAAC3"), std::string::npos);
  }
  std::remove(secret.c_str());
}

TEST_F(OverSsh, AFileIsStandardInput) {
  answers["POST /users/ada/keys"] = answered(201, R"({"fingerprint":"SHA256:x","user":"ada","type":"ssh-ed25519","state":"active"})");
  for (const std::vector<std::string>& words : {std::vector<std::string>{"key", "add"}, {"key", "add", "-"}, {"key", "add", "ada", "-"}, {"key", "add", "ada"}}) {
    input = std::string(kKeyLine) + "\n";
    const Ran ran = over_ssh(ada, words);
    EXPECT_EQ(ran.code, 0) << ran.err;
    EXPECT_EQ(nlohmann::json::parse(server.seen().back().body)["public_key"], kKeyLine);
  }
  input = std::string(1024 * 1024 + 1, '#');
  EXPECT_EQ(over_ssh(ada, {"key", "add"}).code, 7);
}

TEST_F(OverSsh, LogsABrowserIn) {
  answers["POST /ssh/link"] = answered(200, R"({"url":"https://box:8443/login#token=abc","expires_in_s":60})");
  EXPECT_EQ(over_ssh(ada, {"web"}).out, "Open this link within a minute (it works once):\nhttps://box:8443/login#token=abc\n");
  answers["POST /ssh/approve"] = answered(200, R"({"user":"ada","address":"192.0.2.7","user_agent":"Fire\u001bfox"})");
  const auto asked_only = [&] { return nlohmann::json::parse(server.seen().back().body).value("dry_run", false); };
  const Ran nobody = over_ssh(ada, {"approve", "BDGH-2345"});  // shown, and nothing more
  EXPECT_EQ(nobody.code, 2);
  EXPECT_NE(nobody.err.find("192.0.2.7"), std::string::npos);
  EXPECT_EQ(nobody.err.find('\x1b'), std::string::npos);
  EXPECT_TRUE(asked_only());
  const Ran approved = over_ssh(ada, {"approve", "BDGH-2345", "--yes"});
  EXPECT_NE(approved.out.find("192.0.2.7"), std::string::npos);
  EXPECT_EQ(approved.out.find('\x1b'), std::string::npos);
  EXPECT_FALSE(asked_only());
}

TEST(CommandNamed, NamesWithoutWhatWasTyped) {
  EXPECT_EQ(command_named({"approve", "BDGH-2345"}), "approve");
  EXPECT_EQ(command_named({"key", "list", "x"}), "key list");
  EXPECT_EQ(command_named({"key"}), "");
  EXPECT_EQ(command_named({}), "");
}

}  // namespace
}  // namespace berth::cli
