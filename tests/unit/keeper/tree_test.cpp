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
  EXPECT_NE(refusal().find("larger than is allowed"), std::string::npos);
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
  ASSERT_TRUE(store.ensure_user("ada").has_value());
  EXPECT_TRUE(fs::exists(top / "store/users/ada/now/list"));
  EnvironmentState state{{{"ml", 3, id, {{"MODE", "it's"}}}}, "ml"};
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

TEST(Documents, AKernelWorksFromAnywhere) {
  const EnvironmentState::Item item{"ml", 2, std::string(32, 'b'), {{"PRICE", "5$HOME"}}};
  const auto kernel = kernel_document(item, {{"argv", {"python", "-m", "ipykernel_launcher"}}, {"language", "python"}});
  ASSERT_TRUE(kernel);
  EXPECT_EQ((*kernel)["argv"][0], "/opt/berth/envs/" + std::string(32, 'b') + "/bin/python");
  EXPECT_EQ((*kernel)["display_name"], "ml (python, revision 2)");
  EXPECT_EQ((*kernel)["env"]["PRICE"], "5$$HOME");
  EXPECT_TRUE(kernel_document(item, {{"argv", {"python"}}, {"metadata", "no object"}, {"env", 1}, {"language", 7}}));
  EXPECT_FALSE(kernel_document(item, {{"argv", "x"}}));
  EXPECT_FALSE(kernel_document(item, nlohmann::json::array()));
  EXPECT_EQ(kernel_name(item, "ir"), "berth-ml-ir");
}

TEST(Documents, ValuesCannotLeaveTheirQuotes) {
  const EnvironmentState::Item item{"ml", 2, std::string(32, 'b'), {{"X", "a'; touch /tmp/evil; '"}}};
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
