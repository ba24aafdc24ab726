#include "keeper/container_spec.hpp"

#include <gtest/gtest.h>

#include <set>

#include "keeper/podman_parse.hpp"

namespace berth::keeper {
namespace {

Plan plan_of(const std::string& user, const std::string& workspace) {
  return {{user, workspace}, "localhost/image", {"/homes/" + user, 1879048192, false}, "/run/berth/agents/" + user + "/" + workspace};
}

TEST(ContainerSpec, LocksTheContainerDown) {
  Settings settings;
  const auto spec = container_spec(settings, plan_of("ada", "main"), "id1");
  EXPECT_EQ(spec["user"], "1000:1000");
  EXPECT_EQ(spec["cap_drop"], nlohmann::json({"all"}));
  EXPECT_EQ(spec["no_new_privileges"], true);
  EXPECT_EQ(spec["read_only_filesystem"], true);
  // userns "auto" would fail open: the range must be explicit, for users and groups.
  EXPECT_EQ(spec["userns"]["nsmode"], "private");
  const nlohmann::json range = {{{"container_id", 0}, {"host_id", 1879048192}, {"size", 65536}}};
  EXPECT_EQ(spec["idmappings"]["UIDMap"], range);
  EXPECT_EQ(spec["idmappings"]["GIDMap"], range);
  EXPECT_EQ(spec["idmappings"]["HostUIDMapping"], false);
  EXPECT_EQ(spec["resource_limits"]["memory"]["limit"], 8LL << 30);
  EXPECT_EQ(spec["resource_limits"]["cpu"]["quota"], 400000);
  EXPECT_EQ(spec["labels"]["berth.owner"], "main");
  EXPECT_EQ(spec["networks"].size(), 1u);
  EXPECT_FALSE(spec.contains("privileged"));
  EXPECT_FALSE(spec.contains("devices"));
  for (const auto& mount : spec["mounts"]) {
    const auto& options = mount["options"];
    const auto has = [&](const char* option) { return std::find(options.begin(), options.end(), option) != options.end(); };
    EXPECT_TRUE(has("nosuid")) << mount;
    EXPECT_TRUE(has("nodev")) << mount;
    if (mount["type"] != "bind") continue;
    EXPECT_EQ(has("rw"), mount["destination"] == "/home/ada") << mount;
  }
}

TEST(ContainerSpec, ABuildIsTheUsersHasLimitsAndPackagesCodeHasNoNetworkAndNoSecrets) {
  Settings settings;
  settings.environments.memory = 3LL << 30;
  settings.environments.channel_folders = {"/srv/conda/main"};
  settings.environments.pip_conf = "/etc/berth/pip.conf";
  BuildPlan plan;
  plan.user = "ada";
  plan.image = "localhost/image";
  plan.base = 1879048192;
  plan.folder = "/store/builders/ada";
  plan.inside = "/opt/berth/envs";
  plan.request = "/store/requests/ada";
  for (const bool network : {true, false}) {
    plan.network = network;
    const auto spec = build_container_spec(settings, plan);
    EXPECT_EQ(spec["user"], "1000:1000");
    EXPECT_EQ(spec["idmappings"]["UIDMap"][0]["host_id"], 1879048192);
    EXPECT_EQ(spec["cap_drop"], nlohmann::json({"all"}));
    EXPECT_EQ(spec["no_new_privileges"], true);
    EXPECT_EQ(spec["read_only_filesystem"], true);
    EXPECT_EQ(spec["resource_limits"]["memory"]["limit"], 3LL << 30);
    EXPECT_GT(spec["resource_limits"]["pids"]["limit"], 0);
    EXPECT_GT(spec["resource_limits"]["cpu"]["quota"], 0);
    EXPECT_EQ(spec.contains("networks") && !spec["networks"].empty(), network) << spec;
    EXPECT_EQ(spec["env"].contains("PIP_CONFIG_FILE"), network);
    std::set<std::string> writable, bound;
    for (const auto& mount : spec["mounts"]) {
      if (mount["type"] != "bind") continue;
      bound.insert(mount["source"]);
      const auto& options = mount["options"];
      if (std::find(options.begin(), options.end(), "rw") != options.end()) writable.insert(mount["destination"]);
    }
    EXPECT_EQ(writable, std::set<std::string>{"/opt/berth/envs"});
    EXPECT_EQ(bound.contains("/srv/conda/main"), network);
    EXPECT_EQ(bound.size(), network ? 4u : 3u) << "what is built, the request, the builder, and channels";
  }
}

TEST(ContainerSpec, TheHashTellsWhetherAContainerIsStillWhatTheSettingsSay) {
  Settings settings;
  const auto hash = [&](const std::string& image_id) { return container_spec(settings, plan_of("ada", "main"), image_id)["labels"]["berth.spec"]; };
  const auto before = hash("id1");
  EXPECT_EQ(before, hash("id1"));
  EXPECT_NE(before, hash("id2"));
  settings.limits.memory *= 2;
  EXPECT_NE(before, hash("id1"));
}

TEST(ContainerSpec, NamesNeverCollide) {
  const Settings settings;
  EXPECT_NE(container_name(settings, {"a-b", "c"}), container_name(settings, {"a", "b-c"}));
  EXPECT_NE(interface_name(settings, {"a-b", "c"}), interface_name(settings, {"a", "b-c"}));
  EXPECT_LE(interface_name(settings, {std::string(32, 'a'), std::string(32, 'b')}).size(), 15u);
  EXPECT_TRUE(interface_name(settings, {"ada", "main"}).starts_with("bw"));
}

TEST(Firewall, RefusesTheHostOtherWorkspacesAndBlockedNetworks) {
  Settings settings;
  settings.podman.blocked_networks = {"169.254.0.0/16", "fd00::/8"};
  const std::string rules = firewall_rules(settings);
  for (const char* line : {"table inet berth_main {", "hook input", "iifname \"bw*\" reject", "iifname \"bw*\" oifname \"bw*\" reject",
                           "oifname \"bw*\" ct state new reject",
                           "ip daddr 169.254.0.0/16 reject", "ip6 daddr fd00::/8 reject", "udp dport 53 accept"}) {
    EXPECT_NE(rules.find(line), std::string::npos) << line;
  }
}

TEST(PodmanParse, Times) {
  EXPECT_EQ(format_timestamp(podman_time("2026-11-22T18:19:06.779621821Z")), "2026-11-22T18:19:06.779621Z");
  EXPECT_EQ(format_timestamp(podman_time("2026-11-22T18:19:06.779621821+01:30")), "2026-11-22T16:49:06.779621Z");
  EXPECT_EQ(podman_time("0001-01-01T00:00:00Z"), Timestamp{});
  EXPECT_EQ(podman_time("soon"), Timestamp{});
}

TEST(PodmanParse, Containers) {
  KeeperRecord record;
  fill_from_inspect(record, nlohmann::json::parse(R"({"State":{"Status":"running","Pid":42,"StartedAt":"2026-11-22T18:19:06Z"},"Created":"2026-11-22T18:00:00Z",
    "Config":{"Labels":{"berth.image":"i"}}})"));
  EXPECT_EQ(record.state, WorkspaceState::running);
  EXPECT_EQ(record.pid, 42);
  EXPECT_EQ(record.image, "i");
  record = {};
  fill_from_inspect(record, nlohmann::json::parse(R"({"State":{"Status":"exited","OOMKilled":true}})"));
  EXPECT_EQ(record.state, WorkspaceState::failed);
  EXPECT_EQ(record.detail, "it used more memory than it may");
  EXPECT_FALSE(fill_from_list(record, nlohmann::json::parse(R"({"Labels":{"berth.user":"../etc","berth.workspace":"main"}})")));
  EXPECT_FALSE(fill_from_list(record, nlohmann::json(7)));
  EXPECT_TRUE(fill_from_list(record, nlohmann::json::parse(R"({"Labels":{"berth.user":"ada","berth.workspace":"main"},"State":"exited"})")));
  EXPECT_EQ(record.id.user, "ada");
}

}  // namespace
}  // namespace berth::keeper
