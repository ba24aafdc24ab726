#include "config/settings.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace berth {
namespace {

std::string complaint(std::string_view text) {
  const auto settings = parse_settings(text, "berth.toml");
  return settings.has_error() ? settings.error().message : "";
}

TEST(Settings, TheExampleFileIsWhatTheTableGenerates) {
  const std::string path = BERTH_SOURCE_DIR "/config/berth.example.toml";
  if (std::getenv("BERTH_WRITE_EXAMPLE") != nullptr) std::ofstream(path) << example_toml();
  std::ifstream in(path);
  std::ostringstream text;
  text << in.rdbuf();
  EXPECT_EQ(text.str(), example_toml()) << "write it anew: BERTH_WRITE_EXAMPLE=1 build/dev/bin/config_test";
}

TEST(Settings, TheExampleIsValidAndMeansTheDefaults) {
  const auto settings = parse_settings(example_toml(), "example");
  ASSERT_TRUE(settings.has_value()) << settings.error().message;
  EXPECT_EQ(settings->server.state_dir, "/var/lib/berth");
  EXPECT_EQ(settings->server.drain, std::chrono::seconds(30));
  EXPECT_EQ(settings->ssh.listen, (std::vector<ListenAddress>{{"0.0.0.0", 2222}, {"::", 2222}}));
  EXPECT_EQ(settings->ssh.public_port, 2222);
  EXPECT_FALSE(settings->ssh.public_host.empty());
  EXPECT_EQ(settings->admin.socket, "/run/berth/admin.sock");
  EXPECT_EQ(settings->keeper.socket, "/run/berth/keeper.sock");
  EXPECT_EQ(settings->workspaces.agent_socket_root, "/run/berth/agents");
  EXPECT_EQ(settings->web.session_lifetime, std::chrono::hours(12));
  EXPECT_EQ(settings->web.public_url, "https://" + settings->ssh.public_host + ":8443");
  EXPECT_EQ(settings->web.workspace_public_url, "https://" + settings->ssh.public_host + ":8444");
  EXPECT_EQ(settings->keys.min_rsa_bits, 2048);
}

TEST(Settings, RunDirMovesWhatIsDerivedFromIt) {
  const auto s = parse_settings("[server]\nrun_dir = \"/tmp/r\"\n[keeper]\nsocket = \"/k.sock\"\n", "f");
  ASSERT_TRUE(s.has_value());
  EXPECT_EQ(s->admin.socket, "/tmp/r/admin.sock");
  EXPECT_EQ(s->keeper.socket, "/k.sock");
}

TEST(Settings, PublicUrlGivesTheWorkspaceOrigin) {
  const auto url = [](std::string text) {
    const auto s = parse_settings("[web]\npublic_url = \"" + text + "\"\n", "f");
    return s.has_value() ? s->web.workspace_public_url : s.error().message;
  };
  EXPECT_EQ(url("https://box.example"), "https://box.example:444");
  EXPECT_EQ(url("https://box.example:8443"), "https://box.example:8444");
  EXPECT_EQ(url("https://[::1]:8443"), "https://[::1]:8444");
  EXPECT_EQ(url("https://[::1]"), "https://[::1]:444");
  EXPECT_NE(url("http://box.example").find("web.public_url must be"), std::string::npos);
  EXPECT_NE(url("https://box.example/path").find("without a path"), std::string::npos);
}

struct Bad {
  const char* text;
  const char* complaint;
};
class BadSettings : public testing::TestWithParam<Bad> {};
TEST_P(BadSettings, AreRefusedWithFileAndLine) { EXPECT_EQ(complaint(GetParam().text), GetParam().complaint); }
INSTANTIATE_TEST_SUITE_P(
    Table, BadSettings,
    testing::Values(
        Bad{"\n[ssh]\nlistn = [\"0.0.0.0:22\"]\n", "berth.toml:3: unknown key 'ssh.listn'; did you mean 'ssh.listen'?"},
        Bad{"[web]\nlog_level = \"info\"\n", "berth.toml:2: unknown key 'web.log_level'; did you mean 'server.log_level'?"},
        Bad{"[sever]\n", "berth.toml:1: unknown section [sever]; did you mean [server]?"},
        Bad{"lanes = 2\n", "berth.toml:1: unknown key 'lanes'; did you mean 'server.lanes'? Keys stand under a [section]"},
        Bad{"ssh = 2\n", "berth.toml:1: 'ssh' must be a section: [ssh]"},
        Bad{"[server]\nlanes = \"2\"\n", "berth.toml:2: server.lanes: must be a whole number"},
        Bad{"[server]\nlanes = 2.5\n", "berth.toml:2: server.lanes: must be a whole number"},
        Bad{"[server]\nlanes = -1\n", "berth.toml:2: server.lanes: must be between 0 and 256, not -1"},
        Bad{"[server]\ndrain = 30\n", "berth.toml:2: server.drain: must be a duration in quotes, such as \"30s\", \"15m\" or \"12h\""},
        Bad{"[server]\ndrain = \"x\"\n", "berth.toml:2: server.drain: 'x' is not a duration such as 90s, 15m, 12h, 30d, 2w or 1y"},
        Bad{"[server]\ndrain = \"2d\"\n", "berth.toml:2: server.drain: must be between 0s and 1d, not 2d"},
        Bad{"[server]\nstate_dir = \"here\"\n", "berth.toml:2: server.state_dir: must be an absolute path, not 'here'"},
        Bad{"[server]\nlog_level = \"loud\"\n", "berth.toml:2: server.log_level: 'loud' is not one of debug, info, warn, error"},
        Bad{"[ssh]\nlisten = \"0.0.0.0:22\"\n", "berth.toml:2: ssh.listen: must be a list of strings"},
        Bad{"[ssh]\nlisten = []\n", "berth.toml:2: ssh.listen: must hold at least one address"},
        Bad{"[ssh]\nlisten = [\"box:22\"]\n", "berth.toml:2: ssh.listen: 'box:22' is not an address such as 0.0.0.0:2222 or [::]:2222"},
        Bad{"[ssh]\nlisten = [\"::1:22\"]\n", "berth.toml:2: ssh.listen: '::1:22' is not an address such as 0.0.0.0:2222 or [::]:2222"},
        Bad{"[ssh]\nlisten = [\"0.0.0.0:70000\"]\n",
            "berth.toml:2: ssh.listen: '0.0.0.0:70000' is not an address such as 0.0.0.0:2222 or [::]:2222"},
        Bad{"[ssh]\nenv_allow = [\"A*B\"]\n", "berth.toml:2: ssh.env_allow: 'A*B' is not a name, or a name with a final *"},
        Bad{"[workspaces]\nagent_socket_root = 1\n", "berth.toml:2: workspaces.agent_socket_root: must be a path in quotes"},
        Bad{"[web]\ncertificate = \"/c.pem\"\n",
            "berth.toml:2: web.certificate and web.private_key go together: set both, or none for a self-signed one"},
        Bad{"[keys]\nallowed_types = [\"ssh-dss\"]\n",
            "berth.toml:2: keys.allowed_types: 'ssh-dss' is not one of ssh-ed25519, ecdsa-sha2-nistp256, ecdsa-sha2-nistp384, "
            "ecdsa-sha2-nistp521, ssh-rsa, sk-ssh-ed25519@openssh.com, sk-ecdsa-sha2-nistp256@openssh.com"}));

TEST(Settings, EveryFaultIsReportedInOrder) {
  EXPECT_EQ(complaint("[server]\nlanse = 1\nlog_level = 3\n\n[ssh]\nmax_channels = 0\n"),
            "berth.toml:2: unknown key 'server.lanse'; did you mean 'server.lanes'?\n"
            "berth.toml:3: server.log_level: must be a string\n"
            "berth.toml:6: ssh.max_channels: must be between 1 and 4096, not 0");
}

TEST(Settings, BrokenTomlNamesTheLine) {
  EXPECT_EQ(complaint("[server]\nlanes = \n").substr(0, 13), "berth.toml:2:");
  EXPECT_EQ(complaint("[server]\n[server]\n").substr(0, 13), "berth.toml:2:");
}

TEST(Settings, FilesThatCannotBeReadSaySo) {
  const auto missing = load_settings("/nonexistent/berth.toml");
  ASSERT_TRUE(missing.has_error());
  EXPECT_EQ(missing.error().kind, ErrorKind::not_found);
  EXPECT_EQ(missing.error().message, "/nonexistent/berth.toml cannot be read: No such file or directory");
  EXPECT_TRUE(load_settings("/").has_error());
  EXPECT_TRUE(load_settings(BERTH_SOURCE_DIR "/config/berth.example.toml").has_value());
  EXPECT_TRUE(load_settings("/dev/null").has_value());
}

TEST(Settings, EnvironmentPatterns) {
  const std::vector<std::string> patterns{"LANG", "LC_*"};
  EXPECT_TRUE(matches_any("LANG", patterns));
  EXPECT_TRUE(matches_any("LC_ALL", patterns));
  EXPECT_FALSE(matches_any("LANGUAGE", patterns));
  EXPECT_FALSE(matches_any("LD_PRELOAD", patterns));
}

TEST(Settings, AddressesRoundTrip) {
  for (const char* text : {"0.0.0.0:2222", "[::]:2222", "[2001:db8::7]:0", "127.0.0.1:65535"}) {
    const auto address = parse_listen_address(text);
    ASSERT_TRUE(address.has_value()) << text;
    EXPECT_EQ(format_listen_address(*address), text);
  }
}

TEST(Settings, TellWhatIsInForce) {
  const Settings settings = parse_settings("[ssh]\nmax_startups = 7\nenv_allow = [\"A\", \"B_*\"]\n[server]\ndrain = \"5s\"\n", "test").value();
  std::size_t given = 0;
  for (const SettingInForce& row : settings.in_force) {
    SCOPED_TRACE(row.section + "." + row.name);
    given += row.given ? 1 : 0;
    if (!row.given) EXPECT_EQ(row.value, row.default_value);
    if (row.name == "max_startups") EXPECT_EQ(row.value, "7");
    if (row.name == "drain") EXPECT_TRUE(row.value == "\"5s\"" || row.value == "'5s'") << row.value;
    if (row.name == "env_allow") EXPECT_NE(row.value.find("B_*"), std::string::npos) << row.value;
    EXPECT_FALSE(row.comment.empty());
  }
  EXPECT_EQ(given, 3u);
}

TEST(Settings, StartupsAndNetworks) {
  const auto good = parse_settings("[ssh]\nmax_startups = \"5:50:9\"\nproxy_protocol_from = [\"10.0.0.0/8\", \"2001:db8::1\"]\n", "test");
  ASSERT_TRUE(good) << good.error().message;
  EXPECT_EQ(good->ssh.max_startups.start, 5);
  EXPECT_EQ(good->ssh.max_startups.rate, 50);
  EXPECT_EQ(good->ssh.max_startups.full, 9);
  EXPECT_EQ(good->ssh.proxy_protocol_from.size(), 2u);
  EXPECT_EQ(parse_settings("[ssh]\nmax_startups = 7\n", "test")->ssh.max_startups.rate, 100);
  for (const char* bad : {"\"5:50\"", "\"5:50:9:1\"", "\"9:50:5\"", "\"5:0:9\"", "\"5:101:9\"", "\"a:b:c\"", "0", "\"\"", "\"5:50:999999999\""})
    EXPECT_FALSE(parse_settings("[ssh]\nmax_startups = " + std::string(bad) + "\n", "test")) << bad;
  for (const char* bad : {"10.0.0.1/8", "10.0.0.0/33", "example.org", "10.0.0.0/", "fe80::1%lo"})
    EXPECT_FALSE(parse_settings("[ssh]\nproxy_protocol_from = [\"" + std::string(bad) + "\"]\n", "test")) << bad;
}

}  // namespace
}  // namespace berth
