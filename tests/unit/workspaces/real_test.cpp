// The manager against the real keeper and the real agent. Engine "process" always; engine "podman" when
// BERTH_TEST_PODMAN names a socket of Podman's service (and the image exists), run by hand as root:
//   dir=$(mktemp -d); scripts/podman-service $dir; BERTH_TEST_PODMAN=$dir/podman.sock build/dev/bin/workspaces_test
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "base/log.hpp"
#include "workspaces/manager.hpp"

extern char** environ;

namespace berth::workspaces {
namespace {
namespace asio = boost::asio;
namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr std::size_t kLanes = 3;

class Real : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    podman_ = std::getenv("BERTH_TEST_PODMAN");
    std::string made = (fs::temp_directory_path() / "bwXXXXXX").string();
    ASSERT_NE(::mkdtemp(made.data()), nullptr);
    dir_ = made;
    fs::permissions(dir_, fs::perms(0711));
    // Root's build folder may be closed to the user that runs the agent.
    fs::copy_file(fs::path(BERTH_BIN_DIR) / "berth-agent", dir_ / "agent");
    std::ofstream config(dir_ / "keeper.toml");
    config << "socket = \"" << (dir_ / "keeper.sock").string() << "\"\nallowed_user = \"" << ::geteuid() << "\"\ninstance = \"test" << ::getpid()
           << "\"\nengine = \"" << GetParam() << "\"\nhomes = \"" << (dir_ / "homes").string() << "\"\nagent = \"" << (dir_ / "agent").string()
           << "\"\nagent_sockets = \"" << (dir_ / "a").string() << "\"\n[limits]\nmemory = \"1g\"\n";
    if (is_podman()) config << "[podman]\nsocket = \"" << podman_ << "\"\n";
    if (!is_podman() && ::geteuid() == 0) config << "[process]\nuser = \"nobody\"\n";
    config.close();
    start_keeper();
    start_berthd();
  }

  void TearDown() override {
    if (dir_.empty()) return;
    stop_berthd();
    if (keeper_ > 0) kill_keeper(SIGTERM);
    const std::string purge = std::string(BERTH_BIN_DIR) + "/berth-keeper --config " + (dir_ / "keeper.toml").string() + " --purge 2>>" + (dir_ / "log").string();
    EXPECT_EQ(std::system(purge.c_str()), 0);
    if (HasFailure()) {
      std::ifstream log(dir_ / "log");
      std::cerr << log.rdbuf();
    }
    fs::remove_all(dir_);
  }

  bool is_podman() const { return std::string_view(GetParam()) == "podman"; }

  void start_keeper() {
    const std::string program = std::string(BERTH_BIN_DIR) + "/berth-keeper", config = dir_ / "keeper.toml", log = dir_ / "log";
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 2, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    const char* argv[] = {program.c_str(), "--config", config.c_str(), nullptr};
    ASSERT_EQ(::posix_spawn(&keeper_, program.c_str(), &actions, nullptr, const_cast<char**>(argv), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
  }
  void kill_keeper(int signal) {
    ::kill(keeper_, signal);
    ::waitpid(keeper_, nullptr, 0);
    keeper_ = 0;
  }

  void start_berthd() {
    for (std::size_t i = 0; i < kLanes; ++i) lanes_.push_back(std::make_unique<Lane>(i));
    manager_ = make_manager({(dir_ / "keeper.sock").string(), (dir_ / "a").string(), "secret"}, lanes_);
    for (auto& lane : lanes_) {
      guards_.push_back(asio::make_work_guard(lane->io));
      threads_.emplace_back([&io = lane->io] { io.run(); });
    }
    const auto started = run(0, manager_->start());
    ASSERT_TRUE(started.has_value()) << started.error().message;
  }
  void stop_berthd() {
    asio::post(lanes_.front()->io, [this] { manager_->shutdown(); });
    std::this_thread::sleep_for(50ms);
    guards_.clear();
    for (auto& lane : lanes_) lane->io.stop();
    for (auto& thread : threads_) thread.join();
    threads_.clear();
    manager_.reset();
    lanes_.clear();
  }

  // Runs a coroutine on a lane and waits for it here.
  template <class T>
  T run(std::size_t lane, asio::awaitable<T> operation) {
    std::promise<T> promise;
    asio::co_spawn(lanes_[lane]->io, std::move(operation), [&promise](std::exception_ptr failed, T value) {
      if (failed) {
        promise.set_exception(failed);
      } else {
        promise.set_value(std::move(value));
      }
    });
    return promise.get_future().get();
  }
  auto open(std::size_t lane, const WorkspaceId& id, Progress progress = nullptr) { return run(lane, manager_->open(*lanes_[lane], id, progress)); }

  // What a command prints in the workspace.
  std::string output_of(std::size_t lane, const WorkspaceId& id, std::string command) {
    auto link = open(lane, id);
    if (link.has_error()) return "error: " + link.error().message;
    tunnels::ExecOptions options;
    options.command = std::move(command);
    auto process = run(lane, (*link)->exec(options));
    if (process.has_error()) return "error: " + process.error().message;
    FileDescriptor out = (*process)->take_stdout();
    ::fcntl(out.get(), F_SETFL, 0);
    std::string text(4096, '\0');
    std::size_t size = 0;
    for (ssize_t got; (got = ::read(out.get(), text.data() + size, text.size() - size)) > 0;) size += static_cast<std::size_t>(got);
    text.resize(size);
    while (!text.empty() && text.back() == '\n') text.pop_back();
    // The process belongs to its lane: dropped there.
    std::promise<void> dropped;
    asio::post(lanes_[lane]->io, [&] {
      (*process).reset();
      link->reset();
      dropped.set_value();
    });
    dropped.get_future().get();
    return text;
  }

  const char* podman_ = nullptr;
  fs::path dir_;
  pid_t keeper_ = 0;
  Lanes lanes_;
  std::unique_ptr<Manager> manager_;
  std::vector<asio::executor_work_guard<asio::io_context::executor_type>> guards_;
  std::vector<std::thread> threads_;
  const WorkspaceId ada_{"ada", "main"}, nlp_{"ada", "nlp"};
};

TEST_P(Real, StartsOnFirstUseWithProgressOnEveryLane) {
  std::mutex mutex;
  std::vector<std::string> lines;
  const auto began = std::chrono::steady_clock::now();
  auto link = open(1, ada_, [&](std::string_view line) {
    const std::lock_guard lock(mutex);
    lines.emplace_back(line);
  });
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began);
  ASSERT_TRUE(link.has_value()) << link.error().message;
  std::cerr << "first open: " << took.count() << " ms\n";
  for (const auto& line : lines) std::cerr << "  " << line << "\n";
  EXPECT_FALSE(lines.empty());
  for (std::size_t lane = 0; lane < kLanes; ++lane) EXPECT_EQ(output_of(lane, ada_, "echo $USER in $PWD").substr(0, 7), "ada in ");
  EXPECT_EQ(output_of(2, ada_, "pwd; : > f; ls"), is_podman() ? "/home/ada\nf" : (dir_ / "homes/ada").string() + "\nf");
  const auto status = run(0, manager_->list(*lanes_[0], "ada"));
  ASSERT_TRUE(status.has_value());
  ASSERT_EQ(status->size(), 1u);
  EXPECT_EQ(status->front().state, WorkspaceState::running);
  EXPECT_GT(status->front().started_at.time_since_epoch().count(), 0);
}

TEST_P(Real, AdoptsWhatRunsAfterEitherWasKilled) {
  EXPECT_EQ(output_of(0, ada_, "sleep 600 >/dev/null 2>&1 & echo $! > pid; echo ok"), "ok");
  stop_berthd();
  kill_keeper(SIGKILL);
  start_keeper();
  start_berthd();
  EXPECT_EQ(output_of(1, ada_, "kill -0 $(cat pid) && echo alive"), "alive");
  kill_keeper(SIGKILL);
  EXPECT_EQ(output_of(1, ada_, "echo without keeper"), "without keeper");
  start_keeper();
  EXPECT_EQ(output_of(2, nlp_, "kill -0 $(cat pid) 2>/dev/null || echo other; echo $BERTH_WORKSPACE").substr(0, is_podman() ? 9 : 3), is_podman() ? "other\nnlp" : "nlp");
}

TEST_P(Real, StopsResetsAndRemoves) {
  EXPECT_EQ(output_of(0, ada_, "echo kept > note; cat note"), "kept");
  EXPECT_TRUE(run(0, manager_->stop(*lanes_[0], ada_)).has_value());
  EXPECT_EQ(run(0, manager_->list(*lanes_[0], "ada"))->front().state, WorkspaceState::stopped);
  EXPECT_EQ(output_of(0, ada_, "cat note"), "kept");
  EXPECT_TRUE(run(2, manager_->reset(*lanes_[2], ada_)).has_value());
  EXPECT_EQ(output_of(1, ada_, "cat note"), "kept");
  EXPECT_TRUE(run(1, manager_->remove(*lanes_[1], ada_, true)).has_value());
  EXPECT_EQ(output_of(1, ada_, "ls | wc -l"), "0");
}

TEST_P(Real, ManyAtOnceShareOneStart) {
  std::vector<std::future<std::string>> all;
  for (int i = 0; i < 12; ++i) all.push_back(std::async(std::launch::async, [this, i] { return output_of(i % kLanes, ada_, "cut -d' ' -f22 /proc/$PPID/stat"); }));
  const std::string first = all.front().get();
  EXPECT_FALSE(first.empty());
  for (std::size_t i = 1; i < all.size(); ++i) EXPECT_EQ(all[i].get(), first);
}

TEST_P(Real, AWorkspaceThatEndsIsSeenAndComesBack) {
  EXPECT_EQ(output_of(0, ada_, "echo one"), "one");
  (void)output_of(0, ada_, "kill -TERM 1 2>/dev/null; kill -TERM $PPID");
  for (int i = 0; i < 100 && run(0, manager_->list(*lanes_[0], "ada"))->front().state == WorkspaceState::running; ++i) std::this_thread::sleep_for(100ms);
  EXPECT_NE(run(0, manager_->list(*lanes_[0], "ada"))->front().state, WorkspaceState::running);
  EXPECT_EQ(output_of(1, ada_, "echo two"), "two");
}

class RealImage : public Real {};
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(RealImage);

TEST_P(RealImage, HasJupyter) {
  const auto began = std::chrono::steady_clock::now();
  const auto jupyter = run(1, manager_->jupyter(*lanes_[1], ada_, nullptr));
  ASSERT_TRUE(jupyter.has_value()) << jupyter.error().message;
  std::cerr << "jupyter: " << std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began).count() << " ms\n";
  EXPECT_EQ(output_of(0, ada_, "curl -s -o /dev/null -w '%{http_code}' --unix-socket " + jupyter->socket_path +
                                   " -H 'Authorization: token " + jupyter->token + "' http://x/w/ada/main/jupyter/api/status"), "200");
  EXPECT_EQ(output_of(0, ada_, "curl -s -o /dev/null -w '%{http_code}' --unix-socket " + jupyter->socket_path + " http://x/w/ada/main/jupyter/api/status"), "403");
  EXPECT_EQ(run(2, manager_->jupyter(*lanes_[2], ada_, nullptr))->socket_path, jupyter->socket_path);
}

bool with_podman() { return std::getenv("BERTH_TEST_PODMAN") != nullptr && ::geteuid() == 0; }
std::vector<const char*> images() { return with_podman() ? std::vector<const char*>{"podman"} : std::vector<const char*>{}; }
std::vector<const char*> engines() { return with_podman() ? std::vector<const char*>{"process", "podman"} : std::vector<const char*>{"process"}; }

INSTANTIATE_TEST_SUITE_P(Engines, Real, testing::ValuesIn(engines()), [](const auto& chosen) { return std::string(chosen.param); });
INSTANTIATE_TEST_SUITE_P(Engines, RealImage, testing::ValuesIn(images()), [](const auto& chosen) { return std::string(chosen.param); });

}  // namespace
}  // namespace berth::workspaces
