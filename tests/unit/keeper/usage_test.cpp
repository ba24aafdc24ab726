// What the kernel's accounts say, from files as version 1 and 2 of control groups write them.
#include "keeper/usage.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "tests/support/temp_dir.hpp"

namespace berth::keeper {
namespace {
namespace fs = std::filesystem;

class KeeperUsage : public testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) {
    const fs::path path = root_.path() / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  KernelFiles files() const { return {root_.path() / "proc", root_.path() / "sys"}; }
  TempDir root_;
};

TEST_F(KeeperUsage, Version2) {
  write("proc/self/cgroup", "0::/system.slice/berth-keeper.service\n");
  write("proc/7/cgroup", "0::/machine.slice/libpod-abc.scope\n");
  const std::string group = "sys/fs/cgroup/machine.slice/libpod-abc.scope/";
  write(group + "memory.current", "3000\n");
  write(group + "memory.stat", "anon 1500\nfile 1400\ninactive_file 1000\nactive_file 400\n");
  write(group + "memory.max", "max\n");
  write(group + "cpu.stat", "usage_usec 1234567\nuser_usec 1000000\n");
  write(group + "cpu.max", "150000 100000\n");
  auto usage = read_usage(7, files());
  ASSERT_TRUE(usage);
  EXPECT_EQ(usage->cpu_us, 1234567u);
  EXPECT_EQ(usage->memory, 2000u);
  EXPECT_EQ(usage->memory_limit, 0u);
  EXPECT_DOUBLE_EQ(usage->cpus, 1.5);
  write(group + "memory.max", "8192\n");
  write(group + "cpu.max", "max 100000\n");
  usage = read_usage(7, files());
  EXPECT_EQ(usage->memory_limit, 8192u);
  EXPECT_DOUBLE_EQ(usage->cpus, 0);
}

TEST_F(KeeperUsage, Version1) {
  write("proc/self/cgroup", "4:memory:/\n2:cpu,cpuacct:/\n0::/\n");
  write("proc/7/cgroup", "9:name=systemd:/x\n4:memory:/berth/ada\n2:cpu,cpuacct:/berth/ada\n0::/\n");
  write("sys/fs/cgroup/memory/berth/ada/memory.usage_in_bytes", "5000\n");
  write("sys/fs/cgroup/memory/berth/ada/memory.stat", "inactive_file 1\ntotal_inactive_file 700\n");
  write("sys/fs/cgroup/memory/berth/ada/memory.limit_in_bytes", "9223372036854771712\n");
  write("sys/fs/cgroup/cpu,cpuacct/berth/ada/cpuacct.usage", "2500000\n");
  write("sys/fs/cgroup/cpu,cpuacct/berth/ada/cpu.cfs_quota_us", "-1\n");
  write("sys/fs/cgroup/cpu,cpuacct/berth/ada/cpu.cfs_period_us", "100000\n");
  auto usage = read_usage(7, files());
  ASSERT_TRUE(usage);
  EXPECT_EQ(usage->cpu_us, 2500u);
  EXPECT_EQ(usage->memory, 4300u);
  EXPECT_EQ(usage->memory_limit, 0u);
  EXPECT_DOUBLE_EQ(usage->cpus, 0);
  write("sys/fs/cgroup/cpu,cpuacct/berth/ada/cpu.cfs_quota_us", "200000\n");
  EXPECT_DOUBLE_EQ(read_usage(7, files())->cpus, 2);
}

TEST_F(KeeperUsage, NothingThatIsNotTheWorkspacesOwn) {
  write("proc/self/cgroup", "0::/session\n");
  write("sys/fs/cgroup/session/memory.current", "3000\n");
  write("sys/fs/memory.current", "3000\n");
  EXPECT_FALSE(read_usage(7, files())) << "gone";
  write("proc/7/cgroup", "0::/session\n");
  EXPECT_FALSE(read_usage(7, files())) << "this program's own";
  write("proc/7/cgroup", "0::/../x\n");
  EXPECT_FALSE(read_usage(7, files())) << "outside";
  write("proc/7/cgroup", "garbage\n::\n0:\n");
  EXPECT_FALSE(read_usage(7, files()));
  write("proc/7/cgroup", "0::/no/account\n");
  EXPECT_FALSE(read_usage(7, files()));
}

TEST_F(KeeperUsage, TheBox) {
  const auto bare = read_box(files());
  EXPECT_EQ(bare["gpus"], nlohmann::json::array());
  EXPECT_FALSE(bare.contains("load") || bare.contains("memory") || bare.contains("cpu_us"));
  write("proc/loadavg", "0.52 0.40 0.30 1/400 1234\n");
  write("proc/meminfo", "MemTotal:       16000 kB\nMemFree:  100 kB\nHugePages_Total:       0\nMemAvailable:   12000 kB\n");
  write("proc/stat", "cpu  100 0 100 5000 50 0 0 0 0 0\ncpu0 1 2 3\n");
  write("proc/driver/nvidia/gpus/0000:01:00.0/information", "Model: \t\t NVIDIA A100-SXM4-40GB\nIRQ:   7\n");
  write("sys/class/drm/card0/device/gpu_busy_percent", "42\n");
  write("sys/class/drm/card0/device/mem_info_vram_used", "1000\n");
  write("sys/class/drm/card0/device/mem_info_vram_total", "4000\n");
  write("sys/class/drm/card0-DP-1/device/gpu_busy_percent", "99\n");
  write("sys/class/drm/renderD128/device/gpu_busy_percent", "99\n");
  const auto box = read_box(files());
  EXPECT_EQ(box["load"], (nlohmann::json{0.52, 0.4, 0.3}));
  EXPECT_EQ(box["memory_total"], 16000 * 1024);
  EXPECT_EQ(box["memory"], 4000 * 1024);
  EXPECT_EQ(box["cpu_us"].get<std::int64_t>() * ::sysconf(_SC_CLK_TCK), 200'000'000);
  ASSERT_EQ(box["gpus"].size(), 2u);
  EXPECT_EQ(box["gpus"][0], (nlohmann::json{{"name", "NVIDIA A100-SXM4-40GB"}}));
  EXPECT_EQ(box["gpus"][1], (nlohmann::json{{"name", "AMD GPU"}, {"busy", 0.42}, {"memory", 1000}, {"memory_total", 4000}}));
}

TEST_F(KeeperUsage, TheAnswerNamesWhatRuns) {
  write("proc/self/cgroup", "0::/keeper\n");
  write("proc/7/cgroup", "0::/a\n");
  write("sys/fs/cgroup/a/memory.current", "3000\n");
  const auto answer = read_all_usage({{{"ada", "main"}, 7}, {{"eve", "main"}, 8}}, files());
  ASSERT_EQ(answer["workspaces"].size(), 1u) << answer;
  EXPECT_EQ(answer["workspaces"][0]["user"], "ada");
  EXPECT_EQ(answer["workspaces"][0]["memory"], 3000);
  EXPECT_GT(answer["at_us"], 0);
}

}  // namespace
}  // namespace berth::keeper
