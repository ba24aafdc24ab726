#include "agent/services.hpp"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "agent/private_dir.hpp"
#include "agent/spawn.hpp"
#include "tunnels/wire.hpp"

namespace berth::agent {
using nlohmann::json;
using std::chrono::milliseconds;
using Time = std::chrono::steady_clock::time_point;

namespace {

constexpr std::size_t kMaxServices = 32, kMaxWaiters = 256;
constexpr milliseconds kFirstProbe{10}, kLastProbe{100}, kFirstRestart{500}, kLastRestart{30'000}, kTermToKill{5000};
constexpr std::uint64_t kMaxStartLimit = 600'000;
constexpr std::chrono::seconds kSteady{10};  // one that ran this long did not fail by starting
constexpr int kMaxQuickFailures = 5;

enum class State { starting, running, waiting, stopping };
constexpr const char* kStateNames[] = {"starting", "running", "waiting", "stopping"};

bool valid_name(std::string_view name) {
  return !name.empty() && name.size() <= 32 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

bool answers(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  FileDescriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return socket && ::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
}

std::string replace_socket(std::string argument, const std::string& path) {
  constexpr std::string_view kPlaceholder = "{socket}";
  for (std::size_t at = 0; (at = argument.find(kPlaceholder, at)) != argument.npos; at += path.size())
    argument.replace(at, kPlaceholder.size(), path);
  return argument;
}

std::string describe_end(int status) {
  if (WIFEXITED(status)) return "ended with exit code " + std::to_string(WEXITSTATUS(status));
  const char* name = ::sigabbrev_np(WTERMSIG(status));
  return std::string("was ended by SIG") + (name ? name : "?");
}

}  // namespace

void LogTail::add(std::string_view text) {
  text_ += text;
  if (text_.size() > 2 * kKept) text_.erase(0, text_.size() - kKept);
}

std::string LogTail::last_lines() const {
  std::string_view text = text_;
  while (text.ends_with('\n')) text.remove_suffix(1);
  std::size_t start = text.size();
  for (int lines = 0; lines < 20 && start > 0 && start != text.npos; ++lines) start = start ? text.rfind('\n', start - 1) : 0;
  if (start != text.npos && start > 0) text.remove_prefix(start + 1);
  if (text.size() > 4096) text.remove_prefix(text.size() - 4096);
  return std::string(text);
}

class Service : public std::enable_shared_from_this<Service> {
 public:
  struct Settings {
    std::string name;
    std::vector<std::string> argv;
    Environment environment;
    bool operator==(const Settings&) const = default;
  };

  Service(Services& owner, Settings settings, std::string path)
      : owner_(owner), loop_(owner.loop_), settings_(std::move(settings)), path_(std::move(path)) {}
  ~Service() {
    for (auto timer : {probe_timer_, restart_timer_, kill_timer_}) loop_.cancel(timer);
    for (auto& waiter : waiters_) loop_.cancel(waiter.timer);
    loop_.forget(log_watch_);
    ::unlink(path_.c_str());
  }

  void want(const Settings& settings, const Reply& reply, milliseconds limit) {
    if (state_ == State::stopping) return reply.error({ErrorKind::unavailable, settings_.name + " is being stopped: try again"});
    if (!(settings == settings_)) return reply.error({ErrorKind::conflict, settings_.name + " runs with other settings: stop it first"});
    if (state_ == State::running) return answer(reply);
    if (waiters_.size() >= kMaxWaiters) return reply.error({ErrorKind::unavailable, "too many wait for " + settings_.name});
    auto timer = loop_.after(limit, [weak = weak_from_this(), limit] {
      if (auto self = weak.lock()) self->waited_enough(limit);
    });
    waiters_.push_back({reply, timer, std::chrono::steady_clock::now() + limit});
    if (!pid_ && state_ == State::starting) launch();
  }

  void stop(std::optional<Reply> reply) {
    if (reply) stoppers_.push_back(*reply);
    if (state_ == State::stopping) return;
    state_ = State::stopping;
    fail_waiters({ErrorKind::unavailable, settings_.name + " was stopped"});
    loop_.cancel(probe_timer_);
    loop_.cancel(restart_timer_);
    if (!pid_) return gone();
    ::kill(-pid_, SIGTERM);
    kill_timer_ = loop_.after(kTermToKill, [pid = pid_] { ::kill(-pid, SIGKILL); });
  }

  json report() const {
    return {{"name", settings_.name}, {"pid", pid_}, {"state", kStateNames[static_cast<int>(state_)]}, {"restarts", restarts_}};
  }

 private:
  struct Waiter {
    Reply reply;
    Loop::TimerId timer;
    Time until;
  };

  void answer(const Reply& reply) const { reply.done({{"path", tunnels::wire::encode_bytes(path_)}}); }

  void launch() {
    state_ = State::starting;
    ::unlink(path_.c_str());
    int log[2];
    if (::pipe2(log, O_CLOEXEC) < 0) return failed(errno_error(settings_.name, errno));
    FileDescriptor log_write(log[1]);
    take_log(FileDescriptor(log[0]));
    FileDescriptor input(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    SpawnPlan plan;
    for (const auto& argument : settings_.argv) plan.argv.push_back(replace_socket(argument, path_));
    plan.program = plan.argv[0];
    plan.environment = make_environment(owner_.user_, ::environ, settings_.environment);
    plan.cwd = owner_.user_.home;
    plan.home_cwd = true;
    plan.stdin_fd = input.get();
    plan.stdout_fd = plan.stderr_fd = log_write.get();
    auto pid = spawn(plan);
    if (!pid) return failed(pid.error());
    pid_ = *pid;
    started_ = std::chrono::steady_clock::now();
    owner_.children_.add(pid_, [weak = weak_from_this()](int status) {
      if (auto self = weak.lock()) self->ended(status);
    });
    probe(kFirstProbe);
  }

  void take_log(FileDescriptor pipe) {
    loop_.forget(log_watch_);
    log_pipe_ = std::move(pipe);
    ::fcntl(log_pipe_.get(), F_SETFL, O_NONBLOCK);
    log_watch_ = loop_.watch(log_pipe_.get(), EPOLLIN, [weak = weak_from_this()](std::uint32_t) {
      if (auto self = weak.lock()) self->read_log();
    });
  }

  void read_log() {
    char text[4096];
    ssize_t count = ::read(log_pipe_.get(), text, sizeof text);
    if (count > 0) return log_.add({text, static_cast<std::size_t>(count)});
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    loop_.forget(log_watch_);
    log_pipe_.reset();
  }

  void probe(milliseconds delay) {
    probe_timer_ = loop_.after(delay, [weak = weak_from_this(), delay] {
      auto self = weak.lock();
      if (!self || self->state_ != State::starting) return;
      if (answers(self->path_)) return self->ready();
      self->probe(std::min(delay * 3 / 2, kLastProbe));
    });
  }

  void ready() {
    state_ = State::running;
    was_ready_ = true;
    for (auto& waiter : std::exchange(waiters_, {})) {
      loop_.cancel(waiter.timer);
      answer(waiter.reply);
    }
  }

  void waited_enough(milliseconds limit) {
    Error error{ErrorKind::timeout, with_log(settings_.name + " did not answer within " + std::to_string(limit.count() / 1000) + " s")};
    auto now = std::chrono::steady_clock::now();
    std::erase_if(waiters_, [&](const Waiter& waiter) {
      if (waiter.until > now) return false;
      waiter.reply.error(error);
      return true;
    });
    // A first start that nobody waits for any more is given up; one that had answered before is left to its restarts.
    if (waiters_.empty() && !was_ready_) stop(std::nullopt);
  }

  void ended(int status) {
    pid_t group = std::exchange(pid_, 0);
    for (int parts = 0; log_pipe_ && parts < 16; ++parts) read_log();
    loop_.cancel(probe_timer_);
    if (state_ == State::stopping) {
      loop_.cancel(kill_timer_);
      ::kill(-group, SIGKILL);  // helpers that outlived their leader
      return gone();
    }
    bool quick = std::chrono::steady_clock::now() - started_ < kSteady;
    quick_failures_ = quick ? quick_failures_ + 1 : 1;
    std::string reason = settings_.name + " " + describe_end(status);
    if (state_ == State::starting) reason += " before it answered";
    if (!was_ready_ || quick_failures_ >= kMaxQuickFailures || !owner_.restarting_) return failed({ErrorKind::unavailable, with_log(reason)});
    state_ = State::waiting;
    ++restarts_;
    auto delay = std::min(kFirstRestart * (1 << (quick_failures_ - 1)), kLastRestart);
    restart_timer_ = loop_.after(delay, [weak = weak_from_this()] {
      if (auto self = weak.lock()) self->launch();
    });
  }

  std::string with_log(std::string reason) const {
    std::string lines = log_.last_lines();
    return lines.empty() ? reason + "; it wrote nothing" : reason + ":\n" + lines;
  }

  void fail_waiters(const Error& error) {
    for (auto& waiter : std::exchange(waiters_, {})) {
      loop_.cancel(waiter.timer);
      waiter.reply.error(error);
    }
  }

  void failed(const Error& error) {
    state_ = State::stopping;
    fail_waiters(error);
    gone();
  }

  void gone() {
    for (auto& reply : std::exchange(stoppers_, {})) reply.done();
    owner_.remove(settings_.name);
  }

  Services& owner_;
  Loop& loop_;
  Settings settings_;
  std::string path_;
  State state_ = State::starting;
  pid_t pid_ = 0;
  bool was_ready_ = false;
  int quick_failures_ = 0, restarts_ = 0;
  Time started_{};
  std::vector<Waiter> waiters_;
  std::vector<Reply> stoppers_;
  FileDescriptor log_pipe_;
  LogTail log_;
  Loop::WatchId log_watch_ = 0;
  Loop::TimerId probe_timer_ = 0, restart_timer_ = 0, kill_timer_ = 0;
};

Services::Services(Loop& loop, Children& children, const User& user) : loop_(loop), children_(children), user_(user) {}

Services::~Services() {
  services_.clear();
  if (!directory_.empty()) ::rmdir(directory_.c_str());
}

Result<std::string> Services::directory() {
  if (!directory_.empty()) return directory_;
  std::string path = runtime_directory() + "/berth-XXXXXX";
  if (!::mkdtemp(path.data())) return errno_error(path, errno);
  return directory_ = path;
}

void Services::ensure(const Request& request) {
  Service::Settings settings{request.text("name"), {}, {}};
  if (!valid_name(settings.name)) throw BadRequest("'name' must be 1 to 32 of a-z, 0-9, '-' and '_'");
  if (!request.has("argv")) throw BadRequest("'argv' is missing");
  settings.argv = decode_list(request.fields["argv"], "argv");
  if (settings.argv.empty()) throw BadRequest("'argv' is empty");
  if (request.has("env")) settings.environment = decode_environment(request.fields["env"]);
  milliseconds limit(request.number("start_limit_ms", kMaxStartLimit));
  auto& service = services_[settings.name];
  if (!service) {
    auto place = directory();
    if (!place || services_.size() > kMaxServices) {
      services_.erase(settings.name);
      return request.reply.error(place ? Error{ErrorKind::unavailable, "too many services"} : place.error());
    }
    service = std::make_shared<Service>(*this, settings, *place + "/" + settings.name + ".sock");
  }
  auto keep = service;
  keep->want(settings, request.reply, limit);
}

void Services::stop(const Request& request) {
  auto found = services_.find(request.text("name"));
  if (found == services_.end()) return request.reply.done();
  auto keep = found->second;
  keep->stop(request.reply);
}

void Services::stop_restarting() { restarting_ = false; }

void Services::remove(const std::string& name) {
  auto found = services_.find(name);
  if (found == services_.end()) return;
  // Its own member function is running: let the last reference go from the loop.
  loop_.after(milliseconds(0), [service = std::move(found->second)] {});
  services_.erase(found);
}

json Services::report() const {
  json list = json::array();
  for (const auto& [name, service] : services_) list.push_back(service->report());
  return list;
}

}  // namespace berth::agent
