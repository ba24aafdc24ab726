// Clients that have logged in and then break the protocol, played by hostile_client.py with paramiko (scripts/setup installs it).
#include <gtest/gtest.h>

#include "tests/unit/ssh/test_server.hpp"

namespace berth::ssh::test {
namespace {

class HostileClient : public testing::TestWithParam<const char*> {};

TEST_P(HostileClient, IsEndedAndNobodyElseNotices) {
  const auto root = std::filesystem::read_symlink("/proc/self/exe").parent_path().parent_path().parent_path().parent_path();
  const std::string python = root / ".venv/bin/python";
  if (!std::filesystem::exists(python)) GTEST_SKIP() << "no " << python << ": run scripts/setup";
  const TempDir directory;
  const std::string key = directory / "key";
  const TestServer server({make_key(key)});
  const std::string port = std::to_string(server.port());
  const Finished played = run({python, root / "tests/unit/ssh/hostile_client.py", port, key, GetParam()});
  EXPECT_EQ(played.code, 0) << played.err;
  EXPECT_EQ(run(server.ssh(key, {"127.0.0.1", "echo fine"})).out, "fine\n");
}

INSTANTIATE_TEST_SUITE_P(Cases, HostileClient,
                         testing::Values("more_than_the_window", "more_than_a_packet", "no_such_channel", "data_after_eof",
                                         "data_after_close", "data_before_the_confirmation", "window_overflow", "length_that_lies", "malformed_request",
                                         "answer_to_nothing", "session_after_no_more_sessions", "a_flood_of_requests", "long_requests_that_nobody_takes", "a_name_without_end",
                                         "questions_during_a_key_exchange",
                                         "too_many_channels", "unknown_channel_type", "globals_in_order", "many_small_packets_at_once", "bytes_before_close_arrive",
                                         "a_client_that_does_not_read"),
                         [](const auto& each) { return std::string(each.param); });

}  // namespace
}  // namespace berth::ssh::test
