#include "keeper/process_engine.hpp"

#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/redirect_error.hpp>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/handles.hpp"
#include "base/log.hpp"
#include "keeper/processes.hpp"
#include "workspaces/names.hpp"

namespace berth::keeper {
namespace asio = boost::asio;
namespace fs = std::filesystem;

namespace {

Timestamp modified_at(const fs::path& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) < 0) return {};
  return Timestamp(std::chrono::seconds(info.st_mtim.tv_sec) + std::chrono::microseconds(info.st_mtim.tv_nsec / 1000));
}

// What the new process needs, made before fork: afterwards only system calls are safe.
struct Launch {
  std::vector<std::string> arguments, environment;
  std::vector<char*> argv, envp;
  std::string home;
  Account account;
  bool change_user = false;
  int log = -1, null = -1, report = -1;
};

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> all;
  all.reserve(texts.size() + 1);
  for (std::string& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

[[noreturn]] void become_agent(const Launch& launch) {
  ::setsid();
  ::dup2(launch.null, 0);
  ::dup2(launch.log, 1);
  ::dup2(launch.log, 2);
  ::close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::signal(SIGPIPE, SIG_DFL);
  const bool changed = !launch.change_user || (::setgroups(0, nullptr) == 0 && ::setresgid(launch.account.gid, launch.account.gid, launch.account.gid) == 0 &&
                                               ::setresuid(launch.account.uid, launch.account.uid, launch.account.uid) == 0);
  if (changed && ::chdir(launch.home.c_str()) == 0) ::execve(launch.argv[0], launch.argv.data(), launch.envp.data());
  const int why = errno;
  (void)!::write(launch.report, &why, sizeof why);
  ::_exit(127);
}

}  // namespace

std::optional<KeeperRecord> ProcessEngine::read(const WorkspaceId& id) const {
  std::ifstream file(file_of(id));
  const auto json = nlohmann::json::parse(file, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  KeeperRecord record;
  record.id = id;
  record.image = "process";
  record.home = settings_.homes / id.user;
  record.created_at = record.started_at = modified_at(file_of(id));
  record.uid = account_.uid;
  const auto pid = json.value("pid", 0);
  const auto started = start_time_of(pid);
  if (pid > 0 && started.has_value() && *started == json.value("start_time", std::uint64_t{0})) {
    record.pid = pid;
    record.state = WorkspaceState::running;
  }
  return record;
}

Result<void> ProcessEngine::write(const Plan& plan, pid_t pid) {
  const auto started = start_time_of(pid);
  if (started.has_error()) return Error{ErrorKind::unavailable, "the agent ended as soon as it was started; see the log of berth-keeper"};
  const fs::path unfinished = folder() / ("." + plan.id.user + "." + plan.id.name);
  std::ofstream file(unfinished, std::ios::trunc);
  file << nlohmann::json{{"pid", pid}, {"start_time", *started}} << std::flush;
  if (!file || ::rename(unfinished.c_str(), file_of(plan.id).c_str()) < 0) return errno_error("remembering the process", errno);
  return {};
}

Result<void> ProcessEngine::launch(const Plan& plan) {
  std::error_code made;
  fs::create_directories(folder(), made);
  ::chmod(folder().c_str(), 0700);
  Launch launch;
  launch.arguments = {settings_.agent, "--socket", plan.agent_directory / "agent.sock"};
  for (const auto& [name, value] : settings_.env) launch.environment.push_back(name + "=" + value);
  const std::string home = plan.home.path;
  for (const auto& [name, value] : std::initializer_list<std::pair<std::string, std::string>>{
           {"PATH", home + "/.local/bin:/usr/local/bin:/usr/bin:/bin"}, {"LANG", "C.UTF-8"}, {"SHELL", "/bin/bash"}, {"HOME", home},
           {"USER", plan.id.user}, {"LOGNAME", plan.id.user}, {"BERTH_USER", plan.id.user}, {"BERTH_WORKSPACE", plan.id.name}}) {
    if (!settings_.env.contains(name)) launch.environment.push_back(name + "=" + value);
  }
  launch.argv = pointers(launch.arguments);
  launch.envp = pointers(launch.environment);
  launch.home = home;
  launch.account = account_;
  launch.change_user = account_.uid != ::geteuid();
  FileDescriptor null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  FileDescriptor log(::open((folder() / (plan.id.user + "." + plan.id.name + ".log")).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  int ends[2];
  if (!null || !log || ::pipe2(ends, O_CLOEXEC) < 0) return errno_error("starting the agent", errno);
  FileDescriptor reading(ends[0]), writing(ends[1]);
  launch.null = null.get();
  launch.log = log.get();
  launch.report = writing.get();
  const pid_t pid = ::fork();
  if (pid < 0) return errno_error("starting the agent", errno);
  if (pid == 0) become_agent(launch);
  writing.reset();
  int why = 0;
  if (::read(reading.get(), &why, sizeof why) == sizeof why) {
    ::waitpid(pid, nullptr, 0);
    return errno_error("starting the agent " + settings_.agent.string(), why);
  }
  auto written = write(plan, pid);
  if (written.has_error()) ::kill(pid, SIGKILL);
  return written;
}

asio::awaitable<Result<KeeperRecord>> ProcessEngine::ensure(Plan plan, Progress progress) {
  auto record = read(plan.id);
  if (!record || record->state != WorkspaceState::running) {
    log_warn("keeper.no_isolation", {{"user", plan.id.user}, {"workspace", plan.id.name}, {"engine", "process"}});
    progress("WARNING: no isolation: this workspace is a plain process on the server (engine = \"process\", for development only)");
    const auto launched = launch(plan);
    if (launched.has_error()) co_return launched.error();
    record = read(plan.id);
  }
  if (!record || record->state != WorkspaceState::running) co_return Error{ErrorKind::unavailable, "the agent ended as soon as it was started"};
  co_return *record;
}

asio::awaitable<Result<void>> ProcessEngine::stop(WorkspaceId id) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  for (int tenths = 0;; ++tenths) {
    const auto record = read(id);
    if (!record || record->state != WorkspaceState::running) break;
    if (tenths == 0) ::kill(record->pid, SIGTERM);
    if (tenths == settings_.limits.stop_seconds * 10) ::kill(-record->pid, SIGKILL);
    if (tenths > settings_.limits.stop_seconds * 10 + 20) co_return Error{ErrorKind::timeout, "the workspace's agent does not end"};
    ::waitpid(record->pid, nullptr, WNOHANG);
    timer.expires_after(std::chrono::milliseconds(tenths == 0 ? 20 : 100));
    co_await timer.async_wait(asio::use_awaitable);
  }
  co_return Result<void>();
}

asio::awaitable<Result<void>> ProcessEngine::remove(WorkspaceId id) {
  const auto stopped = co_await stop(id);
  if (stopped.has_error()) co_return stopped.error();
  ::unlink(file_of(id).c_str());
  co_return Result<void>();
}

asio::awaitable<Result<std::vector<KeeperRecord>>> ProcessEngine::list() {
  std::vector<KeeperRecord> records;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder(), error)) {
    const std::string name = entry.path().filename();
    const std::size_t dot = name.find('.');
    if (dot == std::string::npos) continue;
    const WorkspaceId id{name.substr(0, dot), name.substr(dot + 1)};
    if (!workspaces::is_user_name(id.user) || !workspaces::is_workspace_name(id.name)) continue;
    if (auto record = read(id)) records.push_back(std::move(*record));
  }
  co_return records;
}

asio::awaitable<Result<KeeperRecord>> ProcessEngine::how_it_ended(WorkspaceId id) {
  auto record = read(id);
  if (!record) {
    record.emplace();
    record->id = id;
  }
  co_return *record;
}

asio::awaitable<Result<void>> ProcessEngine::purge() {
  auto records = co_await list();
  for (const KeeperRecord& record : *records) {
    const auto removed = co_await remove(record.id);
    if (removed.has_error()) co_return removed.error();
  }
  co_return Result<void>();
}

}  // namespace berth::keeper
