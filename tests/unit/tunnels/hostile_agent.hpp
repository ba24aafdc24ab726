// A link whose other end, the agent, is the test itself: it reads what the link asks and says what it likes.
#pragma once
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/unit/tunnels/harness.hpp"
#include "tunnels/wire.hpp"

namespace berth::tunnels {

class HostileAgent : public ::testing::Test {
 public:
  void SetUp() override {
    int pair[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
    theirs.reset(pair[1]);
    link = make_agent_link(io.get_executor(), FileDescriptor(pair[0]), [this] { ++closed; });
  }
  void say(const std::string& text, std::vector<int> descriptors = {}) { wire::send(theirs.get(), text, descriptors); }
  void settle() {
    io.restart();
    while (io.poll_one()) {
    }
  }
  // What the link asked last, as the agent sees it.
  nlohmann::json asked() {
    settle();
    auto received = wire::receive(theirs.get(), buffer);
    descriptors = std::move(received.descriptors);
    return received.status == wire::Status::ok ? nlohmann::json::parse(received.text) : nlohmann::json();
  }
  // Starts an exec and keeps its result.
  void begin_exec(bool pty = false) {
    ExecOptions options;
    options.command = "true";
    if (pty) options.pty.emplace();
    boost::asio::co_spawn(io, collect(*this, options), boost::asio::detached);
    settle();
  }
  static boost::asio::awaitable<void> collect(HostileAgent& test, ExecOptions options) {
    auto process = co_await test.link->exec(std::move(options));
    test.answered = true;
    if (process) test.process = std::move(*process);
    else test.error = process.error();
  }
  // After this the link must be closed, and the exec that waited must have failed.
  void expect_refused() {
    settle();
    EXPECT_FALSE(link->alive());
    EXPECT_EQ(closed, 1);
    EXPECT_TRUE(answered);
    EXPECT_FALSE(process);
  }

  boost::asio::io_context io{1};
  FileDescriptor theirs;
  std::shared_ptr<AgentLink> link;
  std::array<char, wire::kMaxMessage + 1> buffer;
  std::vector<FileDescriptor> descriptors;  // that came with what was asked last
  std::unique_ptr<Process> process;
  Error error;
  bool answered = false;
  int closed = 0;
};

struct Pipes {
  FileDescriptor in_read, in_write, out_read, out_write;
  Pipes() {
    int a[2], b[2];
    if (::pipe(a) < 0 || ::pipe(b) < 0) std::abort();
    in_read.reset(a[0]);
    in_write.reset(a[1]);
    out_read.reset(b[0]);
    out_write.reset(b[1]);
  }
};

}  // namespace berth::tunnels
