#include "tests/unit/tunnels/harness.hpp"

namespace berth::tunnels {
namespace {
namespace asio = boost::asio;

class Terminal : public AgentTest {
 protected:
  // Reads the terminal until `wanted` was seen, or its end.
  static asio::awaitable<std::string> read_until(asio::posix::stream_descriptor& terminal, std::string wanted) {
    std::string all;
    std::array<char, 4096> part;
    while (all.find(wanted) == std::string::npos) {
      boost::system::error_code failure;
      auto count = co_await terminal.async_read_some(asio::buffer(part), asio::redirect_error(asio::use_awaitable, failure));
      all.append(part.data(), count);
      if (failure) break;
    }
    co_return all;
  }
  static ExecOptions on_terminal(std::string command) {
    ExecOptions options;
    options.command = std::move(command);
    options.pty = PtyOptions{.columns = 100, .rows = 30};
    return options;
  }
};

TEST_F(Terminal, HasTheSizeAndTheNameThatWereAskedFor) {
  auto scenario = [](AgentLink& link) -> asio::awaitable<std::string> {
    auto options = on_terminal("stty size; echo $TERM; tty | cut -c1-8; echo $SSH_TTY | cut -c1-8; stat -c %F /proc/self/fd/0");
    options.env = {{"SSH_CONNECTION", "1.2.3.4 1 5.6.7.8 22"}};
    auto process = co_await link.exec(options);
    EXPECT_FALSE((*process)->take_stderr());
    auto text = co_await read_all((*process)->take_stdout());
    EXPECT_EQ((co_await (*process)->wait())->code, 0);
    co_return text;
  };
  EXPECT_EQ(run(scenario(*link)), "30 100\r\nxterm-256color\r\n/dev/pts\r\n/dev/pts\r\nsymbolic link\r\n");
}

TEST_F(Terminal, ResizeReachesTheProgram) {
  auto scenario = [](AgentLink& link) -> asio::awaitable<std::string> {
    auto options = on_terminal("trap 'stty size; exit' WINCH; echo ready; while :; do sleep 0.05; done");
    auto process = co_await link.exec(options);
    asio::posix::stream_descriptor terminal(co_await asio::this_coro::executor, (*process)->take_stdout().release());
    co_await read_until(terminal, "ready");
    (*process)->resize(132, 43, 0, 0);
    co_return co_await read_until(terminal, "43 132");
  };
  EXPECT_NE(run(scenario(*link)).find("43 132"), std::string::npos);
}

TEST_F(Terminal, ControlCIsASignal) {
  auto scenario = [](AgentLink& link) -> asio::awaitable<ExitStatus> {
    auto options = on_terminal("echo ready; exec sleep 60");
    auto process = co_await link.exec(options);
    asio::posix::stream_descriptor terminal(co_await asio::this_coro::executor, (*process)->take_stdout().release());
    co_await read_until(terminal, "ready");
    const FileDescriptor typed = (*process)->take_stdin();
    EXPECT_EQ(::write(typed.get(), "\x03", 1), 1);
    co_return *(co_await (*process)->wait());
  };
  EXPECT_EQ(run(scenario(*link)).signal, "INT");
}

TEST_F(Terminal, ModesOfTheClientAreApplied) {
  auto scenario = [](AgentLink& link) -> asio::awaitable<std::string> {
    auto options = on_terminal("stty -a");
    // VINTR (1) = ^X, ECHO (53) off, OPOST (70) on, end.
    options.pty->modes = std::string("\x01\0\0\0\x18\x35\0\0\0\0\x46\0\0\0\x01\0", 16);
    auto process = co_await link.exec(options);
    co_return co_await read_all((*process)->take_stdout());
  };
  auto text = run(scenario(*link));
  EXPECT_NE(text.find("intr = ^X"), std::string::npos) << text;
  EXPECT_NE(text.find(" -echo "), std::string::npos) << text;
}

TEST_F(Terminal, ClosingItHangsUp) {
  auto scenario = [](AgentLink& link) -> asio::awaitable<ExitStatus> {
    auto options = on_terminal("echo ready; exec sleep 60");
    auto process = co_await link.exec(options);
    {
      const FileDescriptor typed = (*process)->take_stdin();
      asio::posix::stream_descriptor terminal(co_await asio::this_coro::executor, (*process)->take_stdout().release());
      co_await read_until(terminal, "ready");
    }
    co_return *(co_await (*process)->wait());
  };
  EXPECT_EQ(run(scenario(*link)).signal, "HUP");
}

TEST_F(Terminal, DroppingTheProcessHangsUpToo) {
  auto scenario = [](AgentLink& link) -> asio::awaitable<bool> {
    auto options = on_terminal("exec sleep 60");
    auto process = co_await link.exec(options);
    co_return process.has_value();
  };
  ASSERT_TRUE(run(scenario(*link)));
  for (int tries = 0; tries < 100; ++tries)
    if (shell("pgrep -P " + std::to_string(agent->pid()) + " -x sleep; true").out.empty()) return;
  FAIL() << "the program of the terminal goes on";
}

}  // namespace
}  // namespace berth::tunnels
