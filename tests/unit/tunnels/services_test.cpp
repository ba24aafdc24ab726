#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "tests/unit/tunnels/harness.hpp"

namespace berth::tunnels {
namespace {
namespace asio = boost::asio;

class Services : public AgentTest {
 protected:
  // A small server: answers each connection with its pid.
  ServiceOptions server(std::string name = "web") {
    ServiceOptions options;
    options.name = std::move(name);
    options.argv = {"python3", "-c",
                    "import socket,sys,os\n"
                    "s=socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen()\n"
                    "open(os.environ['STARTS'],'a').write('x')\n"
                    "while True:\n"
                    " c,_=s.accept()\n"
                    " try: c.sendall(str(os.getpid()).encode())\n"
                    " except OSError: pass\n"
                    " c.close()\n",
                    "{socket}"};
    options.env = {{"STARTS", directory / "starts"}};
    options.start_limit = std::chrono::seconds(20);
    return options;
  }
  static asio::awaitable<std::string> optional_path(AgentLink& link, ServiceOptions options) {
    auto path = co_await link.service(options);
    co_return path ? *path : std::string();
  }
  asio::awaitable<Result<std::string>> ask_pid(std::string path) {
    auto connected = co_await link->connect_unix(path);
    if (!connected) co_return connected.error();
    co_return co_await read_all(std::move(*connected));
  }
};

TEST_F(Services, StartsOnceForAllAndAnswersOnAPrivateSocket) {
  auto both = [](AgentLink& link, ServiceOptions options) -> asio::awaitable<std::pair<std::string, std::string>> {
    auto executor = co_await asio::this_coro::executor;
    auto [order, e1, first, e2, second] =
        co_await asio::experimental::make_parallel_group(asio::co_spawn(executor, optional_path(link, options), asio::deferred),
                                                         asio::co_spawn(executor, optional_path(link, options), asio::deferred))
            .async_wait(asio::experimental::wait_for_all(), asio::use_awaitable);
    co_return std::pair(first, second);
  };
  auto [first, second] = run(both(*link, server()));
  EXPECT_FALSE(first.empty());
  EXPECT_EQ(first, second);
  EXPECT_EQ(shell("cat " + (directory / "starts")).out, "x");
  struct stat status{};
  ASSERT_EQ(::stat(std::filesystem::path(first).parent_path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
  auto pid = run(ask_pid(first));
  ASSERT_TRUE(pid);
  auto report = run(link->report());
  ASSERT_TRUE(report);
  EXPECT_EQ((*report)["services"][0]["name"], "web");
  EXPECT_EQ((*report)["services"][0]["state"], "running");
  EXPECT_EQ(std::to_string((*report)["services"][0]["pid"].get<int>()), *pid);
  EXPECT_GT((*report)["memory_bytes"].get<std::uint64_t>(), 1000u);
}

TEST_F(Services, AFailedStartTellsTheEndOfItsLog) {
  ServiceOptions options;
  options.name = "broken";
  options.argv = {"bash", "-c", "for i in {1..100}; do echo line $i; done; echo 'No module named jupyterlab' >&2; exit 3"};
  auto path = run(link->service(options));
  ASSERT_FALSE(path);
  EXPECT_TRUE(path.error().message.starts_with("broken ended with exit code 3 before it answered:\nline 82\n")) << path.error().message;
  EXPECT_TRUE(path.error().message.ends_with("\nNo module named jupyterlab")) << path.error().message;
}

TEST_F(Services, OneThatNeverAnswersIsEndedAtItsLimit) {
  ServiceOptions options;
  options.name = "silent";
  options.argv = {"sleep", "77"};
  options.start_limit = std::chrono::seconds(1);
  auto path = run(link->service(options));
  ASSERT_FALSE(path);
  EXPECT_EQ(path.error().kind, ErrorKind::timeout);
  EXPECT_EQ(path.error().message, "silent did not answer within 1 s; it wrote nothing");
  EXPECT_TRUE(run(link->stop_service("silent")));
  EXPECT_EQ(shell("pgrep -P " + std::to_string(agent->pid()) + " -x sleep").out, "");
}

TEST_F(Services, OtherSettingsAreAConflictUntilItIsStopped) {
  ASSERT_TRUE(run(link->service(server())));
  auto changed = server();
  changed.env["TOKEN"] = "new";
  auto refused = run(link->service(changed));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::conflict);
  ASSERT_TRUE(run(link->stop_service("web")));
  EXPECT_TRUE(run(link->stop_service("web"))) << "stopping what does not run is fine";
  EXPECT_TRUE(run(link->service(changed)));
}

TEST_F(Services, OneThatDiesIsRestarted) {
  auto path = run(link->service(server()));
  ASSERT_TRUE(path) << path.error().message;
  auto before = run(ask_pid(*path));
  ASSERT_TRUE(before);
  ASSERT_EQ(::kill(std::stoi(*before), SIGKILL), 0);
  // Asking again joins the restart; until the agent has noticed the death it still answers with the path.
  for (int tries = 0; tries < 500; ++tries) {
    ASSERT_TRUE(run(link->service(server())));
    auto after = run(ask_pid(*path));
    if (after && !after->empty() && *after != *before) return;
    ::usleep(10'000);
  }
  FAIL() << "not restarted";
}

TEST_F(Services, BadNamesAndEmptyCommandsAreRefused) {
  for (std::string name : {"", "../x", "A", "very-long-name-very-long-name-very-long"}) {
    auto options = server(name);
    auto path = run(link->service(options));
    ASSERT_FALSE(path) << name;
    EXPECT_EQ(path.error().kind, ErrorKind::invalid);
  }
}

}  // namespace
}  // namespace berth::tunnels
