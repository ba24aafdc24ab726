// Terminals that the agent keeps: looked at again, by several, after a loss, and until they end.
#include <fcntl.h>
#include <sys/stat.h>

#include "tests/unit/tunnels/harness.hpp"

namespace berth::tunnels {
namespace {
namespace asio = boost::asio;

class Kept : public AgentTest {
 public:
  using AgentTest::io, AgentTest::link;
  // One look at a terminal: what it shows so far, and what to type into.
  struct Look {
    std::unique_ptr<Process> process;
    FileDescriptor typed;
    asio::posix::stream_descriptor shown;
    std::string text;
  };
  asio::awaitable<Look> look_at(Result<std::unique_ptr<Process>> process) {
    if (!process) throw std::runtime_error(process.error().message);
    FileDescriptor typed = (*process)->take_stdin();
    asio::posix::stream_descriptor shown(io.get_executor(), (*process)->take_stdout().release());
    co_return Look{std::move(*process), std::move(typed), std::move(shown), ""};
  }
  asio::awaitable<Look> open(std::string command, std::chrono::seconds keep = std::chrono::seconds(600)) {
    ExecOptions options;
    options.command = std::move(command);
    options.pty = PtyOptions{.columns = 100, .rows = 30};
    options.pty->keep = keep;
    auto process = co_await link->exec(options);
    co_return co_await look_at(std::move(process));
  }
  asio::awaitable<Look> attach(AttachOptions options) {
    auto process = co_await link->attach(options);
    co_return co_await look_at(std::move(process));
  }
  static asio::awaitable<bool> until(Look& look, std::string wanted) {
    std::array<char, 65536> part;
    while (look.text.find(wanted) == std::string::npos) {
      boost::system::error_code failure;
      const auto count = co_await look.shown.async_read_some(asio::buffer(part), asio::redirect_error(asio::use_awaitable, failure));
      look.text.append(part.data(), count);
      if (failure) co_return look.text.find(wanted) != std::string::npos;
    }
    co_return true;
  }
  static void type(const Look& look, std::string_view text) { EXPECT_EQ(::write(look.typed.get(), text.data(), text.size()), static_cast<ssize_t>(text.size())); }
  asio::awaitable<std::vector<TerminalInfo>> list() {
    auto terminals = co_await link->terminals();
    if (!terminals) throw std::runtime_error(terminals.error().message);
    co_return std::move(*terminals);
  }
  void play(asio::awaitable<void> scenario) {
    bool done = false;
    std::exception_ptr thrown;
    asio::co_spawn(io, std::move(scenario), [&](const std::exception_ptr& why) {
      done = true;
      thrown = why;
    });
    io.restart();
    while (!done) io.run_one();
    if (thrown) std::rethrow_exception(thrown);
  }
  // Until the agent lists so many, or the condition on the first.
  asio::awaitable<std::vector<TerminalInfo>> list_until(std::function<bool(const std::vector<TerminalInfo>&)> condition) {
    for (;;) {
      auto terminals = co_await list();
      if (condition(terminals)) co_return terminals;
      asio::steady_timer pause(io, std::chrono::milliseconds(5));
      co_await pause.async_wait(asio::use_awaitable);
    }
  }
};

TEST_F(Kept, GoesOnWithoutAViewerAndIsSeenAgain) {
  auto scenario = [](Kept& test) -> asio::awaitable<void> {
    std::string id;
    {
      auto first = co_await test.open("printf '\\033]0;my title\\a'; echo ready; read line; echo got $line; sleep 0.2; echo after; exec sleep 60");
      co_await until(first, "ready");
      id = first.process->terminal();
      type(first, "hello\n");
    }
    auto terminals = co_await test.list_until([](const auto& all) { return !all.empty() && all[0].attached == 0; });
    EXPECT_EQ(terminals.size(), 1u);
    EXPECT_EQ(terminals[0].id, id);
    EXPECT_EQ(terminals[0].title, "my title");
    EXPECT_NE(terminals[0].detached_since, Timestamp{});
    EXPECT_TRUE(terminals[0].kept);
    AttachOptions options{.id = id, .size = {120, 40}};
    auto second = co_await test.attach(options);
    EXPECT_EQ(second.process->view().from, 0u);
    co_await until(second, "after");
    EXPECT_NE(second.text.find("got hello"), std::string::npos) << second.text;
    // What was seen already is not sent again.
    AttachOptions rest{.id = id, .from = second.text.find("after")};
    auto third = co_await test.attach(rest);
    co_await until(third, "after");
    EXPECT_TRUE(third.text.starts_with("after")) << third.text;
    third.process->hang_up();
    EXPECT_EQ((co_await third.process->wait())->signal, "HUP");
    EXPECT_EQ((co_await second.process->wait())->signal, "HUP");
    co_await test.list_until([](const auto& all) { return all.empty(); });
  };
  play(scenario(*this));
}

TEST_F(Kept, OutlivesTheLinkThatOpenedIt) {
  auto begin = [](Kept& test) -> asio::awaitable<std::string> {
    auto look = co_await test.open("echo ready; read line; echo got $line");
    co_await until(look, "ready");
    co_return look.process->terminal();
  };
  const std::string id = run(begin(*this));
  link.reset();
  link = next_link();
  auto end = [](Kept& test, std::string wanted) -> asio::awaitable<void> {
    AttachOptions options{.id = wanted};
    auto look = co_await test.attach(options);
    type(look, "again\n");
    co_await until(look, "got again");
    EXPECT_EQ((co_await look.process->wait())->code, 0);
  };
  play(end(*this, id));
}

TEST_F(Kept, SeveralSeeTheSameAndTheLastSizeHolds) {
  auto scenario = [](Kept& test) -> asio::awaitable<void> {
    // Asks again and again: bash forgets a SIGWINCH that comes while it still runs the trap of the one before. And it forgets a SIGINT at
    // which its child happens to have ended, unless it traps it.
    auto first = co_await test.open("trap 'trap - INT; kill -INT $$' INT; echo ready; while :; do stty size; sleep 0.05; done");
    co_await until(first, "ready");
    TerminalChange heard;
    first.process->on_change([&heard](const TerminalChange& change) { heard = change; });
    AttachOptions options{.id = first.process->terminal(), .size = {120, 40}};
    auto second = co_await test.attach(options);
    EXPECT_TRUE(co_await until(first, "40 120"));
    EXPECT_TRUE(co_await until(second, "40 120"));
    first.process->resize(90, 20, 0, 0);
    EXPECT_TRUE(co_await until(second, "20 90"));
    AttachOptions watching{.id = options.id, .size = {10, 10}, .watch_only = true};
    auto third = co_await test.attach(watching);
    type(third, "\x03");
    auto terminals = co_await test.list();
    EXPECT_EQ(terminals[0].attached, 3u);
    EXPECT_EQ(terminals[0].size.columns, 90u);
    AttachOptions alone{.id = options.id, .size = {90, 20}, .alone = true};
    auto fourth = co_await test.attach(alone);
    EXPECT_EQ((co_await first.process->wait()).error().kind, ErrorKind::conflict);
    EXPECT_EQ((co_await second.process->wait()).error().kind, ErrorKind::conflict);
    type(fourth, "\x03");
    EXPECT_EQ((co_await fourth.process->wait())->signal, "INT");
  };
  play(scenario(*this));
}

TEST_F(Kept, OneThatDoesNotReadStopsNobodyElse) {
  auto scenario = [](Kept& test) -> asio::awaitable<void> {
    auto stuck = co_await test.open("yes 0123456789 | head -c 3000000; echo; echo done; exec sleep 60");
    AttachOptions options{.id = stuck.process->terminal()};
    auto reader = co_await test.attach(options);
    EXPECT_TRUE(co_await until(reader, "done"));
    EXPECT_GT(reader.text.size(), 3'000'000u);
    EXPECT_TRUE(co_await until(stuck, "done")) << "it catches up from what is kept";
    reader.process->hang_up();
    (void)co_await reader.process->wait();
  };
  play(scenario(*this));
}

TEST_F(Kept, AProgramWaitsForItsOnlyViewer) {
  auto scenario = [](Kept& test) -> asio::awaitable<void> {
    auto look = co_await test.open("yes");
    std::uint64_t before = 1, now = 0;
    while (before != now) {
      asio::steady_timer pause(test.io, std::chrono::milliseconds(100));
      co_await pause.async_wait(asio::use_awaitable);
      before = std::exchange(now, (co_await test.list())[0].bytes);
    }
    EXPECT_LT(now, 512u * 1024);
    look.process->hang_up();
    EXPECT_EQ((co_await look.process->wait())->signal, "HUP");
  };
  play(scenario(*this));
}

TEST_F(Kept, AFullScreenProgramIsRestoredAndRedrawn) {
  auto scenario = [](Kept& test) -> asio::awaitable<void> {
    auto first = co_await test.open("printf '\\033[?1049h\\033[?1000h'; trap 'stty size' WINCH; echo ready; while :; do sleep 0.02; done");
    co_await until(first, "ready");
    AttachOptions options{.id = first.process->terminal(), .size = {100, 30}, .replay = 3};
    auto second = co_await test.attach(options);
    EXPECT_EQ(second.process->view().restore, "\x1b[?1000h\x1b[?1049h");
    EXPECT_TRUE(co_await until(second, "30 100")) << second.text;
    second.process->hang_up();
    (void)co_await second.process->wait();
  };
  play(scenario(*this));
}

TEST_F(Kept, WhatEndsUnseenCanStillBeRead) {
  auto scenario = [](Kept& test) -> asio::awaitable<void> {
    std::string id;
    {
      auto look = co_await test.open("read line; echo result $line; exit 7");
      id = look.process->terminal();
      type(look, "x\n");
    }
    co_await test.list_until([](const auto& all) { return !all.empty() && all[0].ended; });
    AttachOptions options{.id = id};
    auto look = co_await test.attach(options);
    EXPECT_TRUE(co_await until(look, "result x"));
    EXPECT_EQ((co_await look.process->wait())->code, 7);
    co_await test.list_until([](const auto& all) { return all.empty(); });
    auto again = co_await test.link->attach(options);
    EXPECT_EQ(again.error().kind, ErrorKind::not_found);
  };
  play(scenario(*this));
}

// Whoever has not read all of its output yet has been told of the end; what others do then is no news, and a word about it would cost the link.
TEST_F(Kept, NothingIsSaidAfterTheExit) {
  auto scenario = [](Kept& test) -> asio::awaitable<void> {
    auto slow = co_await test.open("head -c 40000 /dev/zero | tr '\\0' x; printf '\\033]0;late\\a'; exit 3");
    EXPECT_EQ((co_await slow.process->wait())->code, 3);
    AttachOptions other{.id = slow.process->terminal(), .size = {120, 40}};
    auto second = co_await test.attach(other);
    EXPECT_EQ((co_await second.process->wait())->code, 3);
    AttachOptions alone{.id = other.id, .alone = true};
    auto third = co_await test.attach(alone);
    EXPECT_EQ((co_await third.process->wait())->code, 3);
    (void)co_await test.list();
    EXPECT_TRUE(test.link->alive());
    (void)co_await until(third, "never shown");  // to its end
    EXPECT_GE(third.text.size(), 40'000u);
  };
  play(scenario(*this));
  EXPECT_EQ(closed, 0);
}

TEST_F(Kept, EndsAfterItsTime) {
  auto scenario = [](Kept& test) -> asio::awaitable<void> {
    {
      auto look = co_await test.open("echo ready; exec sleep 60", std::chrono::seconds(1));
      co_await until(look, "ready");
    }
    co_await test.list_until([](const auto& all) { return all.empty(); });
  };
  play(scenario(*this));
  EXPECT_EQ(shell("pgrep -P " + std::to_string(agent->pid()) + " -x sleep; true").out, "");
}

}  // namespace
}  // namespace berth::tunnels
