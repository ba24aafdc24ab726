#include "workspaces/names.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "workspaces/jupyter.hpp"
#include "workspaces/keeper_protocol.hpp"

namespace berth::workspaces {
namespace {

TEST(LoginName, UserAloneIsMainAndPlusNamesAnother) {
  EXPECT_EQ(*parse_login_name("ada"), (WorkspaceId{"ada", "main"}));
  EXPECT_EQ(*parse_login_name("ada+nlp"), (WorkspaceId{"ada", "nlp"}));
  EXPECT_EQ(*parse_login_name("a_b-1+c_d-2"), (WorkspaceId{"a_b-1", "c_d-2"}));
  EXPECT_TRUE(parse_login_name(std::string(32, 'a')).has_value());
}

TEST(LoginName, RefusesEverythingElse) {
  for (const std::string login : {"", "root", "ada+", "+nlp", "ada+nlp+x", "Ada", "1ada", "-ada", "ada/x", "..", "ada b", "ada\n", "a.b", "berth", "daemon", "www-data", "ada+-x"}) {
    EXPECT_TRUE(parse_login_name(login).has_error()) << login;
  }
  EXPECT_TRUE(parse_login_name(std::string(33, 'a')).has_error());
  EXPECT_TRUE(parse_login_name(std::string("ada\0x", 5)).has_error());
}

TEST(KeeperProtocol, RecordsComeBackAsTheyWent) {
  KeeperRecord record;
  record.id = {"ada", "nlp"};
  record.state = WorkspaceState::running;
  record.pid = 42;
  record.uid = 4000000000;
  record.image = "i";
  record.home = "/home/ada";
  record.directory = "/run/x";
  record.started_at = Timestamp(std::chrono::microseconds(1234567));
  const auto back = parse_record(to_json(record));
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(to_json(*back), to_json(record));
  EXPECT_EQ(back->uid, 4000000000u);
}

TEST(KeeperProtocol, StrangeRecordsAreRefused) {
  for (const char* text : {"7", "null", "[]", "{}", R"({"user":"ada"})", R"({"user":"root","workspace":"main","state":"running"})",
                           R"({"user":"ada","workspace":"main","state":"flying"})"}) {
    EXPECT_TRUE(parse_record(nlohmann::json::parse(text)).has_error()) << text;
  }
  const Error error = parse_error(to_json(Error{ErrorKind::conflict, "why"}));
  EXPECT_EQ(error.kind, ErrorKind::conflict);
  EXPECT_EQ(error.message, "why");
  EXPECT_EQ(parse_error(nlohmann::json(1)).kind, ErrorKind::internal);
}

TEST(Jupyter, TheTokenIsTheWorkspacesOwnAndStays) {
  const std::string token = jupyter_token("secret", {"ada", "main"});
  EXPECT_EQ(token.size(), 64u);
  EXPECT_EQ(token, jupyter_token("secret", {"ada", "main"}));
  EXPECT_NE(token, jupyter_token("secret", {"ada", "nlp"}));
  EXPECT_NE(token, jupyter_token("other", {"ada", "main"}));
}

TEST(Jupyter, TheTokenIsInNoArgument) {
  const auto service = jupyter_service({"ada", "nlp"}, "/home/ada", "TOKEN");
  for (const std::string& argument : service.argv) EXPECT_EQ(argument.find("TOKEN"), std::string::npos);
  EXPECT_EQ(service.env.at("JUPYTER_TOKEN"), "TOKEN");
  EXPECT_NE(std::find(service.argv.begin(), service.argv.end(), "--ServerApp.base_url=/w/ada/nlp/jupyter/"), service.argv.end());
  EXPECT_NE(service.env.at("JUPYTER_RUNTIME_DIR"), jupyter_service({"ada", "main"}, "/home/ada", "T").env.at("JUPYTER_RUNTIME_DIR"));
}

TEST(Jupyter, ThePageGetsNoToken) {
  const auto service = jupyter_service({"ada", "main"}, "/home/ada", "TOKEN");
  ASSERT_GT(service.argv.size(), 4u);
  EXPECT_NE(service.argv[2].find("page_config.json"), std::string::npos);
  EXPECT_EQ(service.argv[4], "{socket}");  // what the launch line takes for its first argument
}

}  // namespace
}  // namespace berth::workspaces
