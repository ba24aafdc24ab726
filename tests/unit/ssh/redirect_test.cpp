// The build stops with a clear message where the installed libssh is not the one that server/ssh knows from the inside.
#include <gtest/gtest.h>

#include "tests/unit/ssh/test_server.hpp"

namespace berth::ssh::test {
namespace {

class RedirectLibssh : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* place : {"/usr/lib/x86_64-linux-gnu/libssh.a", "/usr/lib/aarch64-linux-gnu/libssh.a"})
      if (std::filesystem::exists(place)) installed = place;
    if (installed.empty()) GTEST_SKIP() << "libssh.a is elsewhere";
    write_file(header, "#define LIBSSH_VERSION_MAJOR 0\n#define LIBSSH_VERSION_MINOR 10\n#define LIBSSH_VERSION_MICRO 6\n");
    std::filesystem::copy_file(installed, archive);
  }
  Finished redirect() const {
    const auto root = std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path().parent_path().parent_path();
    return run({"cmake", "-DARCHIVE=" + archive, "-DVERSION_HEADER=" + header, "-DOUTPUT=" + (directory / "out.a"), "-DAR=/usr/bin/ar", "-DNM=/usr/bin/nm",
                "-DOBJCOPY=/usr/bin/objcopy", "-P", (root / "server/ssh/redirect_libssh.cmake").string()});
  }

  TempDir directory;
  std::string installed, header = directory / "libssh_version.h", archive = directory / "libssh.a";
};

// The message is wrapped: one of its words has to do.
bool says(const Finished& done, std::string_view word) { return done.err.find(word) != std::string::npos; }

TEST_F(RedirectLibssh, TakesTheVersionThatIsKnown) {
  const Finished done = redirect();
  EXPECT_EQ(done.code, 0) << done.err;
  EXPECT_TRUE(std::filesystem::exists(directory / "out.a"));
}

TEST_F(RedirectLibssh, NamesAVersionThatIsNot) {
  write_file(header, "#define LIBSSH_VERSION_MAJOR 0\n#define LIBSSH_VERSION_MINOR 11\n#define LIBSSH_VERSION_MICRO 1\n");
  const Finished done = redirect();
  EXPECT_NE(done.code, 0);
  EXPECT_TRUE(says(done, "0.11.1") && says(done, "0.10.6") && says(done, "redirect_libssh.cmake")) << done.err;
}

TEST_F(RedirectLibssh, NamesASymbolThatIsNotUsedWhereItWas) {
  // Another member in the place of the one that polls.
  ASSERT_EQ(run({"sh", "-c", "cd '" + (directory / "") + "' && ar x libssh.a string.c.o && mv string.c.o poll.c.o && ar r libssh.a poll.c.o"}).code, 0);
  const Finished done = redirect();
  EXPECT_NE(done.code, 0);
  EXPECT_TRUE(says(done, "poll.c.o")) << done.err;
}

TEST_F(RedirectLibssh, NamesASymbolThatIsDeclaredByHandAndGone) {
  ASSERT_EQ(run({"ar", "d", archive, "pki.c.o"}).code, 0);
  const Finished done = redirect();
  EXPECT_NE(done.code, 0);
  EXPECT_TRUE(says(done, "ssh_pki_signature_verify")) << done.err;
}

}  // namespace
}  // namespace berth::ssh::test
