#include "keeper/container_spec.hpp"

#include <cmath>

#include "base/encoding.hpp"
#include "keeper/env_store.hpp"

namespace berth::keeper {
namespace {

std::string short_hash(std::string_view text, std::size_t length) { return hex_encode(sha256(text)).substr(0, length); }

nlohmann::json bind(const std::string& source, std::string_view destination, std::initializer_list<std::string_view> options) {
  return {{"type", "bind"}, {"source", source}, {"destination", destination}, {"options", options}};
}

nlohmann::json tmpfs(std::string_view destination, std::string_view mode, std::int64_t size) {
  return {{"type", "tmpfs"},
          {"source", "tmpfs"},
          {"destination", destination},
          {"options", {"rw", "nosuid", "nodev", "mode=" + std::string(mode), "size=" + std::to_string(size)}}};
}

nlohmann::json environment(const Settings& settings, const WorkspaceId& id) {
  nlohmann::json env = settings.env;
  if (env.is_null()) env = nlohmann::json::object();
  env["HOME"] = home_inside(id);
  env["USER"] = env["LOGNAME"] = id.user;
  env["XDG_RUNTIME_DIR"] = "/run/user/" + std::to_string(kInsideUid);
  env["BERTH_USER"] = id.user;
  env["BERTH_WORKSPACE"] = id.name;
  return env;
}

nlohmann::json mounts(const Settings& settings, const Plan& plan) {
  constexpr std::int64_t mib = 1 << 20;
  nlohmann::json all = {bind(plan.home.path, home_inside(plan.id), {"rbind", "rw", "nosuid", "nodev"}),
          bind(plan.agent_directory, "/run/berth", {"rbind", "ro", "nosuid", "nodev", "noexec"}),
          bind(settings.agent, kAgentInside, {"bind", "ro", "nosuid", "nodev"}),
          tmpfs("/tmp", "1777", settings.limits.tmp),
          tmpfs("/var/tmp", "1777", settings.limits.tmp),
          tmpfs("/run", "0755", 16 * mib),
          // The agent makes its user's folder in it; Podman has no way to make one with that owner.
          tmpfs("/run/user", "1777", 64 * mib)};
  if (!plan.environments.own.empty()) {
    all.push_back(bind(plan.environments.own, kEnvironmentsInside, {"rbind", "ro", "nosuid", "nodev"}));
    all.push_back(bind(plan.environments.team, std::string(kEnvironmentsInside) + "/" + std::string(kTeam), {"rbind", "ro", "nosuid", "nodev"}));
    // So that login shells of any image begin in the user's environment.
    all.push_back(bind(settings.environments.builder / "inside/profile.sh", "/etc/profile.d/zz-berth-environments.sh", {"bind", "ro", "nosuid", "nodev", "noexec"}));
    all.push_back(bind(settings.environments.builder / "inside/berth-env", "/usr/local/bin/berth-env", {"bind", "ro", "nosuid", "nodev"}));
  }
  return all;
}

// What holds for every container: a user range of its own from `base` on, no privilege, nothing of the image written or mounted.
void lock_down(nlohmann::json& spec, RangeBase base) {
  const nlohmann::json range = {{{"container_id", 0}, {"host_id", base}, {"size", kRangeSize}}};
  spec["image_volume_mode"] = "ignore";
  spec["read_only_filesystem"] = true;
  spec["no_new_privileges"] = true;
  spec["cap_drop"] = nlohmann::json::array({"all"});
  spec["userns"] = {{"nsmode", "private"}};
  spec["idmappings"] = {{"HostUIDMapping", false}, {"HostGIDMapping", false}, {"UIDMap", range}, {"GIDMap", range}};
}

// The network of its own, which has the container's name; without `bridge` none.
void add_network(nlohmann::json& spec, bool bridge) {
  spec["netns"] = {{"nsmode", bridge ? "bridge" : "none"}};
  if (bridge) spec["networks"] = {{spec["name"].get<std::string>(), nlohmann::json::object()}};
}

std::string interface_of(const Settings& settings, const std::string& container) { return settings.podman.interface_prefix + short_hash(container, 10); }

// A bridge for one container. Without a name server of its own: workspaces use those of the host, and know no names of each other.
nlohmann::json bridge_of(const Settings& settings, const std::string& container, nlohmann::json labels) {
  return {{"name", container}, {"driver", "bridge"}, {"network_interface", interface_of(settings, container)},
          {"dns_enabled", false}, {"ipv6_enabled", false}, {"internal", false}, {"labels", std::move(labels)}};
}

}  // namespace

std::string container_name(const Settings& settings, const WorkspaceId& id) {
  return "berth-" + settings.instance + "-" + id.user + "." + id.name;
}

std::string interface_name(const Settings& settings, const WorkspaceId& id) {
  return interface_of(settings, container_name(settings, id));
}

std::string build_container_name(const Settings& settings, const std::string& user) { return "berth-" + settings.instance + "-" + user + "..build"; }

nlohmann::json build_container_spec(const Settings& settings, const BuildPlan& plan) {
  const std::string user_id = std::to_string(kInsideUid);
  constexpr std::int64_t period = 100000;
  nlohmann::json env = settings.env;
  if (env.is_null()) env = nlohmann::json::object();
  env["HOME"] = env["TMPDIR"] = "/tmp";
  env["PATH"] = "/usr/local/bin:/usr/bin:/bin";
  env["LANG"] = "C.UTF-8";
  env["XDG_CACHE_HOME"] = "/tmp/cache";
  nlohmann::json mounts = {bind(plan.folder, plan.inside, {"rbind", "rw", "nosuid", "nodev"}),
                           bind(plan.request, "/run/berth-build", {"rbind", "ro", "nosuid", "nodev", "noexec"}),
                           bind(settings.environments.builder, "/usr/lib/berth/environments", {"rbind", "ro", "nosuid", "nodev"}),
                           tmpfs("/tmp", "1777", settings.limits.tmp), tmpfs("/var/tmp", "1777", 64 << 20), tmpfs("/run", "0755", 1 << 20)};
  if (plan.network) {
    for (const std::string& folder : settings.environments.channel_folders) mounts.push_back(bind(folder, folder, {"rbind", "ro", "nosuid", "nodev", "noexec"}));
    // Only where no package's code runs.
    if (!settings.environments.pip_conf.empty()) env["PIP_CONFIG_FILE"] = "/run/berth-build/pip.conf";
  }
  nlohmann::json spec = {
      {"name", build_container_name(settings, plan.user)},
      {"image", plan.image},
      {"entrypoint", {"/usr/lib/berth/environments/berth-env-builder"}},
      {"command", plan.command},
      {"user", user_id + ":" + user_id},
      {"env", env},
      {"work_dir", "/tmp"},
      {"hostname", "build"},
      {"mounts", mounts},
      {"log_configuration", {{"driver", "none"}}},
      {"resource_limits",
       {{"memory", {{"limit", settings.environments.memory}}},
        {"pids", {{"limit", 1024}}},
        {"cpu", {{"quota", std::llround(settings.limits.cpus * period)}, {"period", period}, {"shares", 256}}}}},
      {"oom_score_adj", 500},
      {"stop_timeout", 1},
      {"labels", {{"berth.build", settings.instance}, {"berth.user", plan.user}}}};
  lock_down(spec, plan.base);
  add_network(spec, plan.network && settings.podman.network == "bridge");
  return spec;
}

nlohmann::json build_network_spec(const Settings& settings, const std::string& user) {
  return bridge_of(settings, build_container_name(settings, user), {{"berth.build", settings.instance}, {"berth.user", user}});
}

std::string home_inside(const WorkspaceId& id) { return "/home/" + id.user; }

nlohmann::json container_spec(const Settings& settings, const Plan& plan, const std::string& image_id) {
  const std::string user_id = std::to_string(kInsideUid);
  constexpr std::int64_t period = 100000;
  nlohmann::json spec = {
      {"name", container_name(settings, plan.id)},
      {"image", plan.image},
      {"entrypoint", {kAgentInside}},
      {"command", {"--socket", "/run/berth/agent.sock"}},
      {"user", user_id + ":" + user_id},
      {"passwd_entry", plan.id.user + ":x:" + user_id + ":" + user_id + ":" + plan.id.user + ":" + home_inside(plan.id) + ":/bin/bash"},
      {"group_entry", plan.id.user + ":x:" + user_id + ":"},  // from Podman 4.4 on
      {"env", environment(settings, plan.id)},
      {"work_dir", home_inside(plan.id)},
      {"hostname", plan.id.name},
      {"mounts", mounts(settings, plan)},
      {"shm_size", settings.limits.shm},
      {"resource_limits",
       {{"memory", {{"limit", settings.limits.memory}}},
        {"pids", {{"limit", settings.limits.pids}}},
        {"cpu", {{"quota", std::llround(settings.limits.cpus * period)}, {"period", period}}}}},
      {"oom_score_adj", 200},  // under memory pressure a workspace ends before the machine's own services
      {"stop_signal", 15},
      {"stop_timeout", settings.limits.stop_seconds}};
  lock_down(spec, plan.home.base);
  const bool bridge = settings.podman.network == "bridge";
  add_network(spec, bridge);
  // The network namespace is the workspace's own, so its low ports are nobody else's.
  if (bridge) spec["sysctl"] = {{"net.ipv4.ip_unprivileged_port_start", "0"}};
  const std::string hash = short_hash(image_id + spec.dump(), 16);
  spec["labels"] = {{"berth.owner", settings.instance},
                    {"berth.user", plan.id.user},
                    {"berth.workspace", plan.id.name},
                    {"berth.image", plan.image},
                    {"berth.spec", hash}};
  return spec;
}

nlohmann::json network_spec(const Settings& settings, const WorkspaceId& id) {
  return bridge_of(settings, container_name(settings, id), {{"berth.owner", settings.instance}, {"berth.user", id.user}, {"berth.workspace", id.name}});
}

std::string firewall_rules(const Settings& settings) {
  const std::string table = "inet berth_" + settings.instance;
  const std::string from = "iifname \"" + settings.podman.interface_prefix + "*\"";
  const std::string to = "oifname \"" + settings.podman.interface_prefix + "*\"";
  std::string blocked;
  for (const std::string& network : settings.podman.blocked_networks) {
    const bool v6 = network.find(':') != std::string::npos;
    blocked += "    " + from + (v6 ? " ip6" : " ip") + " daddr " + network + " reject with icmpx admin-prohibited\n";
  }
  // A table of our own: other tools that reload their rules leave it alone, and a drop in it is final. The first two lines
  // make the replacement one transaction, whether or not the table is there.
  return "add table " + table + "\ndelete table " + table + "\ntable " + table + " {\n" +
         "  chain from_workspaces_to_host {\n    type filter hook input priority -10; policy accept;\n" +
         "    " + from + " ct state established,related accept\n" +
         "    " + from + " udp dport 53 accept\n    " + from + " tcp dport 53 accept\n" +
         "    " + from + " reject with icmpx admin-prohibited\n  }\n" +
         "  chain from_workspaces_onward {\n    type filter hook forward priority -10; policy accept;\n" +
         // Nobody begins a conversation with a workspace: not another one, not one of another Berth, not the network's machines.
         "    " + to + " ct state new reject with icmpx admin-prohibited\n" +
         "    " + from + " " + to + " reject with icmpx admin-prohibited\n" + blocked + "  }\n}\n";
}

}  // namespace berth::keeper
