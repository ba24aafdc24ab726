#include "tests/unit/tunnels/harness.hpp"

namespace berth::tunnels {
namespace {
namespace asio = boost::asio;

class Exec : public AgentTest {};

TEST_F(Exec, RunsACommandWithStdoutStderrAndExitCodeApart) {
  auto output = shell("echo out; echo err >&2; exit 7");
  EXPECT_EQ(output.out, "out\n");
  EXPECT_EQ(output.err, "err\n");
  EXPECT_EQ(output.exit.code, 7);
  EXPECT_EQ(output.exit.signal, "");
}

TEST_F(Exec, RunsAnArgumentListWithBytesThatAreNoText) {
  ExecOptions options;
  options.argv = {"printf", "%s|", "a b", "caf\xe9", "\xff\x01"};
  auto output = run(output_of(options));
  ASSERT_TRUE(output) << output.error().message;
  EXPECT_EQ(output->out, "a b|caf\xe9|\xff\x01|");
}

TEST_F(Exec, TellsTheSignalThatEndedIt) {
  auto output = shell("kill -KILL $$");
  EXPECT_EQ(output.exit.signal, "KILL");
}

TEST_F(Exec, GivesEnvironmentAndDirectory) {
  ExecOptions options;
  options.command = "echo $GREETING:$USER:$SHELL:$PWD:$HOME";
  options.env = {{"GREETING", "h\xe9"}, {"HOME", "/tmp"}};
  options.cwd = "/usr";
  auto output = run(output_of(options));
  ASSERT_TRUE(output);
  EXPECT_EQ(output->out, "h\xe9:root:/bin/bash:/usr:/tmp\n");
}

TEST_F(Exec, AMissingProgramEndsWith127AndSaysSo) {
  ExecOptions options;
  options.argv = {"no-such-program-here"};
  auto output = run(output_of(options));
  ASSERT_TRUE(output);
  EXPECT_EQ(output->exit.code, 127);
  EXPECT_EQ(output->err, "berth: no-such-program-here: not found\n");
}

TEST_F(Exec, ALoginShellReadsItsCommandsFromStdin) {
  auto scenario = [](AgentLink& link) -> asio::awaitable<std::string> {
    ExecOptions login_shell;
    auto process = co_await link.exec(login_shell);
    auto in = (*process)->take_stdin();
    std::string script = "echo $0; echo on stderr >/dev/stderr; cat /dev/stdin <<<reopened\n";
    EXPECT_EQ(::write(in.get(), script.data(), script.size()), static_cast<ssize_t>(script.size()));
    in.reset();
    auto out = co_await read_all((*process)->take_stdout());
    EXPECT_EQ(co_await read_all((*process)->take_stderr()), "on stderr\n");
    EXPECT_EQ((co_await (*process)->wait())->code, 0);
    co_return out;
  };
  EXPECT_EQ(run(scenario(*link)), "-bash\nreopened\n");
}

TEST_F(Exec, ChildrenHaveCleanSignalsAndNoDescriptorsOfTheAgent) {
  auto output = shell("ls /proc/self/fd | tr '\\n' ' '; grep -E 'Sig(Blk|Ign)' /proc/self/status | tr -s '\\n\\t' ' '");
  EXPECT_EQ(output.out, "0 1 2 3 SigBlk: 0000000000000000 SigIgn: 0000000000000000 ");  // 3 is what ls reads
}

TEST_F(Exec, AHundredMegabytesThroughStdinAndStdout) {
  constexpr std::size_t kTotal = 100 * 1024 * 1024;
  auto feed = [](FileDescriptor fd) -> asio::awaitable<void> {
    asio::posix::stream_descriptor in(co_await asio::this_coro::executor, fd.release());
    std::string block(256 * 1024, '\0');
    for (std::size_t i = 0; i < block.size(); ++i) block[i] = static_cast<char>(i * 31 >> 3);
    for (std::size_t sent = 0; sent < kTotal; sent += block.size()) co_await asio::async_write(in, asio::buffer(block), asio::use_awaitable);
  };
  auto scenario = [feed](AgentLink& link) -> asio::awaitable<std::size_t> {
    ExecOptions options;
    options.argv = {"cat"};
    auto process = co_await link.exec(options);
    asio::co_spawn(co_await asio::this_coro::executor, feed((*process)->take_stdin()), asio::detached);
    asio::posix::stream_descriptor out(co_await asio::this_coro::executor, (*process)->take_stdout().release());
    std::vector<char> part(256 * 1024);
    std::size_t total = 0;
    bool same = true;
    for (;;) {
      boost::system::error_code failure;
      auto count = co_await out.async_read_some(asio::buffer(part), asio::redirect_error(asio::use_awaitable, failure));
      for (std::size_t i = 0; i < count; i += 997) same = same && part[i] == static_cast<char>(((total + i) % part.size()) * 31 >> 3);
      total += count;
      if (failure) break;
    }
    EXPECT_TRUE(same);
    EXPECT_EQ((co_await (*process)->wait())->code, 0);
    co_return total;
  };
  EXPECT_EQ(run(scenario(*link)), kTotal);
}

TEST_F(Exec, SignalsReachTheProcessGroup) {
  auto scenario = [](AgentLink& link) -> asio::awaitable<ExitStatus> {
    ExecOptions options;
    options.command = "echo ready; sleep 60; true";
    auto process = co_await link.exec(options);
    auto out = (*process)->take_stdout();
    asio::posix::stream_descriptor stream(co_await asio::this_coro::executor, out.release());
    std::array<char, 16> line;
    co_await stream.async_read_some(asio::buffer(line), asio::use_awaitable);
    (*process)->signal("NO-SUCH-SIGNAL");
    (*process)->signal("TERM");
    co_return *(co_await (*process)->wait());
  };
  EXPECT_EQ(run(scenario(*link)).signal, "TERM");
}

TEST_F(Exec, OverSixtyFourKibibytesIsRefusedAndTheLinkGoesOn) {
  ExecOptions options;
  options.command = std::string(70'000, 'x');
  auto output = run(output_of(options));
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().kind, ErrorKind::too_large);
  EXPECT_EQ(shell("echo on").out, "on\n");
}

TEST_F(Exec, ManyAtOnce) {
  auto many = [](AgentTest* test, AgentLink& link) -> asio::awaitable<int> {
    (void)test;
    std::vector<std::unique_ptr<Process>> processes;
    for (int i = 0; i < 50; ++i) {
      ExecOptions options;
      options.command = "exit " + std::to_string(i);
      auto process = co_await link.exec(options);
      if (!process) co_return -1;
      processes.push_back(std::move(*process));
    }
    int sum = 0;
    for (auto& process : processes) sum += (co_await process->wait())->code;
    co_return sum;
  };
  EXPECT_EQ(run(many(this, *link)), 49 * 50 / 2);
}

}  // namespace
}  // namespace berth::tunnels
