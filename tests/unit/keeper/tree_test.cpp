// Trees that a user wrote: what is refused, what is shared, and that both implementations of the tree hash agree.
#include "keeper/tree.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "keeper/env_documents.hpp"
#include "keeper/env_store.hpp"

namespace berth::keeper {
namespace {
namespace fs = std::filesystem;

class TreeTest : public testing::Test {
 protected:
  TreeTest() {
    std::string name = (fs::temp_directory_path() / "berth-tree.XXXXXX").string();
    top = ::mkdtemp(name.data());
    fs::create_directories(top / "built/lib");
    fs::create_directories(top / "objects");
    rules.inside = "/opt/berth/envs/x";
    rules.first_owner = ::geteuid();
  }
  ~TreeTest() override { fs::remove_all(top); }
  void put(const std::string& path, std::string_view text, mode_t mode = 0644) const {
    std::ofstream(top / "built" / path) << text;
    ::chmod((top / "built" / path).c_str(), mode);
  }
  void link(const std::string& path, const std::string& target) const { fs::create_symlink(target, top / "built" / path); }
  std::string refusal() const {
    const auto tree = read_tree(top / "built", rules);
    return tree.has_error() ? tree.error().message : "";
  }
  fs::path top;
  TreeRules rules;
};

TEST_F(TreeTest, SealsWithEachContentOnce) {
  put("lib/a", "same");
  put("lib/b", "same");
  put("run", "same", 0755);
  link("lib/c", "../run");
  link("lib/d", "/opt/berth/envs/x/run");
  const auto sealed = seal_tree(top / "built", rules, top / "objects", top / "sealed");
  ASSERT_TRUE(sealed.has_value()) << sealed.error().message;
  struct stat a{}, b{}, run{};
  ::stat((top / "sealed/lib/a").c_str(), &a);
  ::stat((top / "sealed/lib/b").c_str(), &b);
  ::stat((top / "sealed/run").c_str(), &run);
  EXPECT_EQ(a.st_ino, b.st_ino);
  EXPECT_NE(a.st_ino, run.st_ino);
  EXPECT_EQ(a.st_mode & 07777, 0444u);
  EXPECT_EQ(run.st_mode & 07777, 0555u);
  EXPECT_EQ(sealed->hash(), read_tree(top / "sealed", rules)->hash());
  // As environments/berth_env/tree.py has it for these files.
  EXPECT_EQ(sealed->entries.at("lib/c"), "l ../run");
  EXPECT_EQ(sealed->entries.at("run").substr(0, 10), "x 0967115f");
}

TEST_F(TreeTest, ASecondTreeSharesAndAnUnusedObjectGoes) {
  put("lib/a", "content");
  ASSERT_TRUE(seal_tree(top / "built", rules, top / "objects", top / "one").has_value());
  ASSERT_TRUE(seal_tree(top / "built", rules, top / "objects", top / "two").has_value());
  EXPECT_EQ(fs::hard_link_count(top / "two/lib/a"), 3u);
  fs::remove_all(top / "one");
  EXPECT_EQ(sweep_objects(top / "objects"), 0u);
  fs::remove_all(top / "two");
  EXPECT_EQ(sweep_objects(top / "objects"), 7u);
}

TEST_F(TreeTest, BytecodeIsKeptButNotCounted) {
  fs::create_directories(top / "built/lib/__pycache__");
  put("lib/a.py", "x");
  const std::string before = read_tree(top / "built", rules)->hash();
  put("lib/__pycache__/a.cpython-311.pyc", "y");
  const auto sealed = seal_tree(top / "built", rules, top / "objects", top / "sealed");
  EXPECT_EQ(sealed->hash(), before);
  EXPECT_TRUE(fs::exists(top / "sealed/lib/__pycache__/a.cpython-311.pyc"));
}

TEST_F(TreeTest, RefusesWhatLeavesIt) {
  for (const char* target : {"/etc/passwd", "../../outside", "/opt/berth/envs/x", "/opt/berth/envs/x/../y/z", "/opt/berth/envs/xy/z"}) {
    link("lib/evil", target);
    EXPECT_NE(refusal().find("lib/evil is a link out of the environment"), std::string::npos) << target;
    fs::remove(top / "built/lib/evil");
  }
  EXPECT_EQ(refusal(), "");
}

TEST_F(TreeTest, RefusesPipesSetUserIdAndForeignOwners) {
  ::mkfifo((top / "built/pipe").c_str(), 0644);
  EXPECT_NE(refusal().find("pipe is a device, a pipe or a socket"), std::string::npos);
  fs::remove(top / "built/pipe");
  put("su", "x", 04755);
  EXPECT_NE(refusal().find("su would run as another user"), std::string::npos);
  fs::remove(top / "built/su");
  rules.first_owner = ::geteuid() + 1;
  EXPECT_NE(refusal().find("belongs to somebody else"), std::string::npos);
}

TEST_F(TreeTest, RefusesWhatIsTooLarge) {
  put("big", "12345678");
  rules.max_bytes = 7;
  const auto bytes = read_tree(top / "built", rules);
  ASSERT_TRUE(bytes.has_error());
  EXPECT_EQ(bytes.error().kind, ErrorKind::too_large);  // as the look during the build says it
  EXPECT_NE(bytes.error().message.find("larger than is allowed here (7 B, environments.disk), with big"), std::string::npos) << bytes.error().message;
  rules.max_bytes = 0;
  rules.max_files = 1;
  const auto files = read_tree(top / "built", rules);
  ASSERT_TRUE(files.has_error());
  EXPECT_EQ(files.error().kind, ErrorKind::too_large);
}

TEST_F(TreeTest, DriftNamesWhatDiffers) {
  put("same", "1");
  put("lib/changed", "1");
  put("lib/gone", "1");
  const Tree before = *read_tree(top / "built", rules);
  put("lib/changed", "2");
  fs::remove(top / "built/lib/gone");
  put("fresh", "1");
  const TreeDrift drift = compare(before, *read_tree(top / "built", rules));
  EXPECT_EQ(drift.changed, std::vector<std::string>{"lib/changed"});
  EXPECT_EQ(drift.missing, std::vector<std::string>{"lib/gone"});
  EXPECT_EQ(drift.added, std::vector<std::string>{"fresh"});
}

TEST_F(TreeTest, AStateIsSwitchedAsAWhole) {
  EnvStore store(top / "store");
  ASSERT_TRUE(store.prepare().has_value());
  const std::string id(32, 'a');
  ASSERT_TRUE(store.ensure_owner("ada").has_value());
  EXPECT_TRUE(fs::exists(top / "store/users/ada/now/list"));
  EnvironmentState state{{{"ml", 3, id, prefix_inside("ada", id), {{"MODE", "it's"}}}}, "ml"};
  EXPECT_EQ(store.apply("ada", state).error().kind, ErrorKind::not_found);  // its files are not there
  EXPECT_FALSE(fs::exists(top / "store/users/ada/now/activate.sh"));
  fs::create_directories(store.prefix("ada", id) / "share/jupyter/kernels/python3");
  std::ofstream(store.prefix("ada", id) / "share/jupyter/kernels/python3/kernel.json") << R"({"argv":["python","-m","x"],"language":"python"})";
  fs::create_directories(store.prefix("ada", id) / "share/jupyter/kernels/evil");
  fs::create_symlink("/etc/passwd", store.prefix("ada", id) / "share/jupyter/kernels/evil/kernel.json");
  for (int again = 0; again < 6; ++again) ASSERT_TRUE(store.apply("ada", state).has_value());
  const fs::path now = top / "store/users/ada/now";
  EXPECT_TRUE(fs::exists(now / "jupyter/kernels/berth-ml/kernel.json"));
  EXPECT_FALSE(fs::exists(now / "jupyter/kernels/berth-ml-evil"));
  EXPECT_EQ(fs::read_symlink(now / "current/ml"), "/opt/berth/envs/" + id);
  std::size_t states = 0;
  for (const auto& entry : fs::directory_iterator(top / "store/users/ada")) states += entry.path().filename().string().starts_with(".state-") ? 1 : 0;
  EXPECT_LE(states, 4u);
}

TEST_F(TreeTest, AUsersDefaultMayBeOneOfTheTeams) {
  EnvStore store(top / "store");
  ASSERT_TRUE(store.prepare().has_value());
  const std::string id(32, 'c');
  for (const char* owner : {"team", "ada"}) ASSERT_TRUE(store.ensure_owner(owner).has_value());
  EXPECT_TRUE(fs::is_directory(top / "store/users/ada/team")) << "where the team's are mounted";
  EXPECT_FALSE(fs::exists(top / "store/users/team/team"));
  fs::create_directories(store.prefix("team", id) / "share/jupyter/kernels/python3");
  std::ofstream(store.prefix("team", id) / "share/jupyter/kernels/python3/kernel.json") << R"({"argv":["python","-m","x"],"language":"python"})";
  ASSERT_TRUE(store.apply("team", {{{"ml", 3, id, prefix_inside("team", id), {}}}, ""}).has_value());
  ASSERT_TRUE(store.apply("ada", {{}, "ml", true}).has_value());
  const fs::path team = top / "store/users/team/now", ada = top / "store/users/ada/now";
  EXPECT_EQ(fs::read_symlink(team / "current/ml"), "/opt/berth/envs/team/" + id);
  EXPECT_TRUE(fs::exists(team / "jupyter/kernels/berth-team.ml/kernel.json"));
  EXPECT_EQ(fs::read_symlink(ada / "activate.sh"), "/opt/berth/envs/team/now/activate/ml.sh");
  EXPECT_EQ(fs::read_symlink(ada / "environment.json"), "/opt/berth/envs/team/now/activate/ml.json");
}

TEST_F(TreeTest, QuotaCountsEachContentOnceAndPublishesNothingOverIt) {
  EnvStore store(top / "store");
  ASSERT_TRUE(store.prepare().has_value());
  const auto build = [&](const std::string& id, int size) {
    fs::create_directories(top / "store/builders/ada" / id);
    std::ofstream(top / "store/builders/ada" / id / "big") << std::string(static_cast<std::size_t>(size), 'x');
    std::ofstream(top / "store/builders/ada" / id / "own") << id;
    TreeRules limits = rules;
    limits.max_bytes = 100 << 20;
    return store.seal({"ada", "ada", id, "hash", 3 << 20}, limits);
  };
  const std::string a(32, 'a'), b(32, 'b'), c(32, 'c');
  ASSERT_TRUE(build(a, 2 << 20).has_value());
  const std::uint64_t used = store.used("ada");
  EXPECT_GE(used, 2u << 20);
  ASSERT_TRUE(build(b, 2 << 20).has_value()) << "the same content again";
  EXPECT_LT(store.used("ada"), used + (1 << 20));
  const auto refused = build(c, (2 << 20) + 1);
  ASSERT_TRUE(refused.has_error());
  EXPECT_EQ(refused.error().kind, ErrorKind::too_large);
  EXPECT_NE(refused.error().message.find("3.0 MiB"), std::string::npos) << refused.error().message;
  EXPECT_FALSE(fs::exists(store.prefix("ada", c)));
  EXPECT_LT(store.used("ada"), used + (1 << 20));
  // Packages that an environment has already are not fetched again.
  fs::create_directories(store.prefix("ada", a) / "conda-meta");
  std::ofstream(store.prefix("ada", a) / "conda-meta/numpy-1.0-h_0.json") << "{}";
  const nlohmann::json lock = {{"packages", {{{"name", "numpy"}, {"version", "1.0"}, {"build", "h_0"}, {"size", 100}}, {{"name", "scipy"}, {"version", "1.0"}, {"build", "h_0"}, {"size", 7}}}}};
  EXPECT_EQ(store.missing_bytes("ada", lock), 7u);
}

TEST_F(TreeTest, WhatIsNotWantedGoesWhenNothingThatSawItRuns) {
  EnvStore store(top / "store");
  ASSERT_TRUE(store.prepare().has_value());
  ASSERT_TRUE(store.ensure_owner("ada").has_value());
  const std::string id(32, 'a');
  fs::create_directories(store.prefix("ada", id));
  const Timestamp before = std::chrono::floor<Timestamp::duration>(std::chrono::system_clock::now()) - std::chrono::hours(1);
  EXPECT_EQ(store.collect("ada", {id}, before).waiting, 0u);
  EXPECT_EQ(store.collect("ada", {}, before).waiting, 1u) << "a workspace runs that may use it";
  EXPECT_EQ(store.collect("ada", {id}, std::nullopt).removed, 0u) << "wanted again";
  EXPECT_EQ(store.collect("ada", {}, before).waiting, 1u);
  EXPECT_EQ(store.collect("ada", {}, before + std::chrono::hours(2)).removed, 1u) << "all that run were started since";
  EXPECT_FALSE(fs::exists(store.prefix("ada", id)));
}

TEST(Documents, AKernelWorksFromAnywhere) {
  const EnvironmentState::Item item{"ml", 2, std::string(32, 'b'), prefix_inside("ada", std::string(32, 'b')), {{"PRICE", "5$HOME"}}};
  const auto kernel = kernel_files(item, "python3", {{"argv", {"python", "-m", "it's", "-f", "{connection_file}"}}, {"language", "python"}});
  ASSERT_TRUE(kernel);
  // The script is read again when the kernel is restarted, so it is then of the revision that is current.
  EXPECT_EQ(kernel->document["argv"], nlohmann::json({"/bin/sh", "/opt/berth/envs/now/start/berth-ml", "{connection_file}"}));
  EXPECT_TRUE(kernel->script.ends_with("exec '" + item.prefix + "/bin/python' '-m' 'it'\\''s' '-f' ''\"$1\"''\n")) << kernel->script;
  EXPECT_EQ(kernel->document["display_name"], "ml (python, revision 2)");
  EXPECT_EQ(kernel->document["env"]["PRICE"], "5$$HOME");
  const auto direct = kernel_files(item, "x", {{"argv", {"python", "{resource_dir}/x", "{connection_file}"}}});
  EXPECT_EQ(direct->document["argv"][0], item.prefix + "/bin/python");
  EXPECT_EQ(direct->script, "");
  EXPECT_TRUE(kernel_files(item, "x", {{"argv", {"python"}}, {"metadata", "no object"}, {"env", 1}, {"language", 7}}));
  EXPECT_FALSE(kernel_files(item, "x", {{"argv", "x"}}));
  EXPECT_FALSE(kernel_files(item, "x", nlohmann::json::array()));
  // Other languages' kernels have a name beside the environment's.
  const auto r = kernel_files(item, "ir", {{"argv", {"R", "--slave", "-e", "IRkernel::main()", "--args", "{connection_file}"}}, {"language", "R"}, {"display_name", "R"}});
  EXPECT_EQ(kernel_name(item, "ir"), "berth-ml-ir");
  EXPECT_EQ(r->document["argv"][1], "/opt/berth/envs/now/start/berth-ml-ir");
  EXPECT_EQ(r->document["display_name"], "ml (R, revision 2)");
  EXPECT_NE(r->script.find("exec '" + item.prefix + "/bin/R' '--slave'"), std::string::npos);
}

TEST(Documents, ValuesCannotLeaveTheirQuotes) {
  const EnvironmentState::Item item{"ml", 2, std::string(32, 'b'), prefix_inside("ada", std::string(32, 'b')), {{"X", "a'; touch /tmp/evil; '"}}};
  EXPECT_NE(activation_script(item).find("export X='a'\\''; touch /tmp/evil; '\\'''"), std::string::npos);
}

TEST(EnvironmentIds, AreTheBeginningOfTheLocksHash) {
  EXPECT_EQ(environment_id("{}"), "44136fa355b3678a1146ad16f7e8649e");
  EXPECT_TRUE(is_environment_id(environment_id("{}")));
  EXPECT_FALSE(is_environment_id("../../../../../../../../../../etc"));
  EXPECT_FALSE(is_environment_id(".meta-44136fa355b3678a1146ad16f7e"));
}

}  // namespace
}  // namespace berth::keeper
