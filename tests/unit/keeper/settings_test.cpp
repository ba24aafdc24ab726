#include "keeper/settings.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace berth::keeper {
namespace {

std::string fault(std::string_view text) {
  const auto settings = parse_settings(text, "k.toml");
  return settings.has_error() ? settings.error().message : "";
}

TEST(KeeperSettings, AnEmptyFileIsTheDefaults) {
  const auto settings = parse_settings("", "k.toml");
  ASSERT_TRUE(settings.has_value());
  EXPECT_EQ(settings->engine, EngineKind::podman);
  EXPECT_EQ(settings->limits.memory, 8LL << 30);
}

TEST(KeeperSettings, TakesEveryKindOfValue) {
  const auto settings = parse_settings("engine = \"process\"\ninstance = \"a1\"\n[limits]\nmemory = \"512m\"\ncpus = 1.5\n"
                                       "[podman]\nimages = [\"x\", \"y\"]\n[env]\nHTTPS_PROXY = \"http://p\"\n", "k.toml");
  ASSERT_TRUE(settings.has_value()) << settings.error().message;
  EXPECT_EQ(settings->engine, EngineKind::process);
  EXPECT_EQ(settings->limits.memory, 512LL << 20);
  EXPECT_DOUBLE_EQ(settings->limits.cpus, 1.5);
  EXPECT_EQ(settings->resolve_image("y"), "y");
  EXPECT_EQ(settings->resolve_image(""), settings->podman.image);
  EXPECT_EQ(settings->resolve_image("z"), "");
  EXPECT_EQ(settings->env.at("HTTPS_PROXY"), "http://p");
}

TEST(KeeperSettings, SaysWhatIsWrongWhereAndWhatWasMeant) {
  const std::pair<const char*, const char*> cases[] = {
      {"\nsokcet = \"/x\"", "k.toml:2: unknown key 'sokcet'; did you mean 'socket'?"},
      {"[limits]\nmemroy = \"8g\"", "k.toml:2: unknown key 'limits.memroy'; did you mean 'limits.memory'?"},
      {"[limits]\nmemory = 8", "k.toml:2: limits.memory must be a size in quotes, such as \"512m\" or \"8g\""},
      {"[limits]\nmemory = \"8x\"", "k.toml:2: limits.memory '8x' is not a size such as \"512m\" or \"8g\""},
      {"[limits]\nmemory = \"9999999999t\"", "k.toml:2: limits.memory '9999999999t' is not a size such as \"512m\" or \"8g\""},
      {"homes = \"relative\"", "k.toml:1: homes must be an absolute path, not 'relative'"},
      {"engine = \"docker\"", "k.toml:1: engine 'docker' is not one of podman, process"},
      {"instance = \"a-b\"", "k.toml:1: instance must have 1 to 16 of a to z and 0 to 9"},
      {"podman = 1", "k.toml:1: 'podman' must be a section: [podman]"},
      {"[podman]\nuid_count = 0", "k.toml:2: podman.uid_count must be between 1 and 65000"},
      {"[podman]\nuid_start = 4000000000\nuid_count = 5000", "k.toml: podman.uid_start and podman.uid_count reach past the largest user id"},
      {"[podman]\nblocked_networks = [\"10.0.0.0/8; drop\"]", "k.toml:2: podman.blocked_networks '10.0.0.0/8; drop' is not a network such as 169.254.0.0/16 or fd00::/8"},
      {"[env]\nX = 1", "k.toml:2: env.X must be a string"},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(fault(text), expected) << text;
  EXPECT_NE(fault("a = = b").find("k.toml:1: "), std::string::npos);
  EXPECT_EQ(fault("a = 1\nb = 2").find('\n'), std::string("k.toml:1: unknown key 'a'; did you mean 'homes'?").size()) << fault("a = 1\nb = 2");
}

TEST(KeeperSettings, TheExampleHoldsTheDefaults) {
  std::ifstream file(std::string(BERTH_SOURCE_DIR) + "/config/keeper.example.toml");
  std::stringstream text;
  text << file.rdbuf();
  const auto example = parse_settings(text.str(), "example");
  ASSERT_TRUE(example.has_value()) << example.error().message;
  const Settings defaults;
  EXPECT_EQ(example->socket, defaults.socket);
  EXPECT_EQ(example->agent, defaults.agent);
  EXPECT_EQ(example->homes, defaults.homes);
  EXPECT_EQ(example->podman.blocked_networks, defaults.podman.blocked_networks);
  EXPECT_EQ(example->podman.uid_start, defaults.podman.uid_start);
  EXPECT_EQ(example->limits.memory, defaults.limits.memory);
  EXPECT_EQ(example->limits.stop_seconds, defaults.limits.stop_seconds);
  for (const char* key : {"socket", "allowed_user", "instance", "engine", "log_level", "homes", "agent", "agent_sockets", "image", "images", "pull",
                          "network", "interface_prefix", "firewall", "blocked_networks", "uid_start", "uid_count", "memory", "cpus", "pids", "shm",
                          "tmp", "stop_seconds", "user"}) {
    EXPECT_NE(text.str().find("\n" + std::string(key) + " = "), std::string::npos) << key;
  }
}

TEST(KeeperSettings, QuotasAndImagesHaveNames) {
  const auto settings = parse_settings("[environments]\nquota = \"10g\"\n[quotas]\nada = \"off\"\ngrace = \"1t\"\n[images]\nold = { image = \"localhost/x\", description = \"an old one\" }\n", "k");
  ASSERT_TRUE(settings.has_value()) << settings.error().message;
  EXPECT_EQ(settings->quota_of("eve"), 10LL << 30);
  EXPECT_EQ(settings->quota_of("ada"), 0);
  EXPECT_EQ(settings->quota_of("grace"), 1LL << 40);
  EXPECT_EQ(settings->quota_of("team"), 0);
  EXPECT_EQ(settings->resolve_image("old"), "localhost/x");
  EXPECT_EQ(settings->resolve_image("localhost/x"), "") << "by its name only";
  EXPECT_EQ(settings->resolve_image("default"), settings->podman.image);
  for (const char* bad : {"[quotas]\nada = 5\n", "[quotas]\nroot = \"1g\"\n", "[images]\nx = \"y\"\n", "[images]\ndefault = { image = \"x\" }\n", "[images]\nx = { description = \"y\" }\n",
                          "[images]\nx = { image = \"y\", more = \"z\" }\n"}) {
    EXPECT_TRUE(parse_settings(bad, "k").has_error()) << bad;
  }
}

}  // namespace
}  // namespace berth::keeper
