#include "keeper/homes.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

namespace berth::keeper {
namespace {
namespace fs = std::filesystem;

constexpr std::int64_t kStart = 0x70000000;

TEST(Ranges, AreReadBackFromOwners) {
  EXPECT_EQ(range_of_owner(kStart + 1000, kStart, 4), RangeBase(kStart));
  EXPECT_EQ(range_of_owner(kStart + 65536 + 1000, kStart, 4), RangeBase(kStart + 65536));
  EXPECT_FALSE(range_of_owner(kStart + 1001, kStart, 4));
  EXPECT_FALSE(range_of_owner(kStart + 4 * 65536 + 1000, kStart, 4));
  EXPECT_FALSE(range_of_owner(0, kStart, 4));
  EXPECT_FALSE(range_of_owner(1000, kStart, 4));
}

TEST(Ranges, TheFirstFreeOneIsGiven) {
  EXPECT_EQ(*next_free_range({}, kStart, 2), RangeBase(kStart));
  EXPECT_EQ(*next_free_range({kStart + 1000, 0, 33}, kStart, 2), RangeBase(kStart + 65536));
  EXPECT_EQ(*next_free_range({kStart + 65536 + 1000}, kStart, 2), RangeBase(kStart));
  EXPECT_EQ(next_free_range({kStart + 1000, kStart + 65536 + 1000}, kStart, 2).error().kind, ErrorKind::unavailable);
}

class HomesOnDisk : public testing::Test {
 protected:
  void SetUp() override {
    std::string made = (fs::temp_directory_path() / "berth-homes-XXXXXX").string();
    ASSERT_NE(::mkdtemp(made.data()), nullptr);
    root_ = made;
  }
  void TearDown() override { fs::remove_all(root_); }
  Homes homes() { return Homes(root_ / "homes", kStart, 4, ::geteuid() == 0 ? std::nullopt : std::optional(Account{::geteuid(), ::getegid()})); }
  fs::path root_;
};

TEST_F(HomesOnDisk, AreMadeOnceAndRemoved) {
  Homes made = homes();
  ASSERT_TRUE(made.prepare().has_value());
  const auto ada = made.ensure("ada"), again = made.ensure("ada"), bob = made.ensure("bob");
  ASSERT_TRUE(ada.has_value() && again.has_value() && bob.has_value());
  EXPECT_TRUE(ada->fresh);
  EXPECT_FALSE(again->fresh);
  EXPECT_EQ(ada->base, again->base);
  EXPECT_EQ(bob->base, ::geteuid() == 0 ? ada->base + 65536 : 0);
  struct stat info{};
  ASSERT_EQ(::stat(ada->path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0700u);
  std::ofstream(ada->path / "note") << "x";
  const auto detached = made.detach("ada");
  ASSERT_TRUE(detached.has_value());
  EXPECT_FALSE(fs::exists(ada->path));
  EXPECT_TRUE(fs::exists(*detached / "note"));
  // A keeper that was killed now finishes at its next start.
  ASSERT_TRUE(homes().prepare().has_value());
  EXPECT_FALSE(fs::exists(*detached));
  EXPECT_TRUE(made.detach("ada")->empty());
}

TEST_F(HomesOnDisk, AForeignOwnerOrASymlinkIsNoHome) {
  Homes made = homes();
  ASSERT_TRUE(made.prepare().has_value());
  fs::create_directory_symlink("/etc", root_ / "homes/eve");
  EXPECT_EQ(made.ensure("eve").error().kind, ErrorKind::conflict);
  if (::geteuid() != 0) return;
  fs::create_directory(root_ / "homes/mallory");
  EXPECT_EQ(made.ensure("mallory").error().kind, ErrorKind::conflict);
}

TEST_F(HomesOnDisk, AgentDirectoriesFollowNoSymlink) {
  const Account self{::geteuid(), ::getegid()};
  const fs::path agents = root_ / "agents";
  const auto made = ensure_agent_directory(agents, "ada", "main", self);
  ASSERT_TRUE(made.has_value()) << made.error().message;
  EXPECT_EQ(*made, agents / "ada/main");
  struct stat info{};
  ASSERT_EQ(::stat(made->c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0755u);  // the agent watches it with inotify
  EXPECT_TRUE(ensure_agent_directory(agents, "ada", "main", self).has_value());
  fs::create_directory_symlink("/etc", agents / "ada/evil");
  EXPECT_TRUE(ensure_agent_directory(agents, "ada", "evil", self).has_error());
}

}  // namespace
}  // namespace berth::keeper
