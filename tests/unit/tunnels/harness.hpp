// A real berth-agent on a socket in a temporary directory, and the lane that talks to it.
#pragma once
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <filesystem>
#include <optional>
#include <string>

#include "base/deadline.hpp"
#include "tests/support/temp_dir.hpp"
#include "tunnels/agent_link.hpp"
#include "tunnels/handshake.hpp"

namespace berth::tunnels {

// Runs one coroutine to its end on the lane and returns what it returns; exceptions pass through.
template <class T>
T run_on(boost::asio::io_context& io, boost::asio::awaitable<T> operation) {
  std::optional<T> result;
  std::exception_ptr failure;
  boost::asio::co_spawn(io, std::move(operation), [&](std::exception_ptr thrown, T value) {
    failure = thrown;
    if (!thrown) result.emplace(std::move(value));
  });
  io.restart();
  auto until = std::chrono::steady_clock::now() + std::chrono::seconds(90);
  while (!result && !failure && std::chrono::steady_clock::now() < until && io.run_one_until(until)) {
  }
  if (failure) std::rethrow_exception(failure);
  if (!result) throw std::runtime_error("the test's coroutine did not end");
  return std::move(*result);
}

class RunningAgent {
 public:
  explicit RunningAgent(const std::string& socket_path) {
    std::string program = (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "berth-agent").string();
    pid_t parent = ::getpid();
    pid_ = ::fork();
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGTERM);  // a test that is killed leaves nothing behind
      if (::getppid() != parent) ::_exit(1);
      ::setenv("SHELL", "/bin/bash", 1);
      // What an agent that is killed leaves behind goes with the test's folder.
      ::setenv("XDG_RUNTIME_DIR", std::filesystem::path(socket_path).parent_path().c_str(), 1);
      ::setenv("USER", "root", 1);
      ::execl(program.c_str(), program.c_str(), "--socket", socket_path.c_str(), nullptr);
      ::_exit(127);
    }
  }
  ~RunningAgent() { stop(); }
  pid_t pid() const { return pid_; }
  // SIGTERM; the exit status, or -1 when it was ended by a signal.
  int stop() {
    if (pid_ <= 0) return last_;
    ::kill(pid_, SIGTERM);
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = 0;
    return last_ = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  pid_t pid_ = 0;
  int last_ = -1;
};

inline boost::asio::awaitable<Result<WorkspaceSocket>> greet(AgentListener& listener, unsigned lanes, unsigned lane) {
  auto socket = co_await listener.accept();
  if (!socket) co_return socket.error();
  auto hello = co_await read_hello(*socket);
  if (!hello) co_return hello.error();
  if (auto sent = send_welcome(*socket, lanes, lane); !sent) co_return sent.error();
  co_return std::move(*socket);
}

// Everything that `fd` gives until its end.
inline boost::asio::awaitable<std::string> read_all(FileDescriptor fd) {
  namespace asio = boost::asio;
  asio::posix::stream_descriptor stream(co_await asio::this_coro::executor, fd.release());
  std::string all;
  std::array<char, 65536> part;
  for (;;) {
    boost::system::error_code failure;
    std::size_t count = co_await stream.async_read_some(asio::buffer(part), asio::redirect_error(asio::use_awaitable, failure));
    all.append(part.data(), count);
    if (failure) co_return all;
  }
}

inline boost::asio::awaitable<std::string> read_all(WorkspaceSocket socket) { return read_all(FileDescriptor(socket.release())); }

class AgentTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto opened = AgentListener::open(io.get_executor(), socket_path);
    ASSERT_TRUE(opened) << opened.error().message;
    listener.emplace(std::move(*opened));
    agent.emplace(socket_path);
    link = next_link();
  }
  std::shared_ptr<AgentLink> next_link(unsigned lanes = 1, unsigned lane = 0) {
    auto socket = run_on(io, with_deadline(greet(*listener, lanes, lane), std::chrono::seconds(10), "the agent"));
    if (!socket) throw std::runtime_error(socket.error().message);
    return make_agent_link(io.get_executor(), FileDescriptor(socket->release()), [this] { ++closed; });
  }
  template <class T>
  T run(boost::asio::awaitable<T> operation) { return run_on(io, std::move(operation)); }

  struct Output {
    std::string out, err;
    ExitStatus exit;
  };
  boost::asio::awaitable<Result<Output>> output_of(ExecOptions options) {
    auto process = co_await link->exec(std::move(options));
    if (!process) co_return process.error();
    (*process)->take_stdin();
    Output output;
    output.out = co_await read_all((*process)->take_stdout());
    output.err = co_await read_all((*process)->take_stderr());
    auto exit = co_await (*process)->wait();
    if (!exit) co_return exit.error();
    output.exit = *exit;
    co_return output;
  }
  Output shell(const std::string& command) {
    ExecOptions options;
    options.command = command;
    auto output = run(output_of(options));
    if (!output) throw std::runtime_error(output.error().message);
    return *output;
  }

  TempDir directory;
  std::string socket_path = directory / "agent.sock";
  boost::asio::io_context io{1};
  std::optional<AgentListener> listener;
  std::optional<RunningAgent> agent;
  std::shared_ptr<AgentLink> link;
  int closed = 0;
};

}  // namespace berth::tunnels
