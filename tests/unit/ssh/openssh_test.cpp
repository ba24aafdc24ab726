// The library against the real OpenSSH client.
#include <gtest/gtest.h>

#include "tests/unit/ssh/test_server.hpp"

namespace berth::ssh::test {
namespace {

class OpenSsh : public testing::Test {
 protected:
  Finished ssh(std::vector<std::string> rest, std::string_view input = {}) { return run(server.ssh(key, std::move(rest)), input); }

  TemporaryDirectory directory;
  std::string key = directory / "key";
  std::string blob = make_key(key);
  TestServer server{{blob}};
};

TEST_F(OpenSsh, ExecPassesTheExitCodeAndKeepsTheOutputsApart) {
  const Finished done = ssh({"127.0.0.1", "echo out; echo err >&2; exit 7"});
  EXPECT_EQ(done.code, 7);
  EXPECT_EQ(done.out, "out\n");
  EXPECT_EQ(done.err, "err\n");
}

}  // namespace
}  // namespace berth::ssh::test
