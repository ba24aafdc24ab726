// berth-keeper: the only program that reaches the container engine and makes homes. Faces berthd alone.
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <iostream>

#include "base/log.hpp"
#include "base/notify.hpp"
#include "keeper/podman_engine.hpp"
#include "keeper/process_engine.hpp"
#include "keeper/server.hpp"

namespace berth::keeper {
namespace {
namespace asio = boost::asio;

constexpr std::chrono::seconds kDrain{15};

int fail(std::string_view what, const Error& error) {
  std::cerr << "berth-keeper: " << what << (what.empty() ? "" : ": ") << error.message << "\n";
  return 1;
}

// What only this machine can say of the settings.
Result<Account> check_machine(const Settings& settings) {
  const auto berthd = find_account(settings.allowed_user);
  if (berthd.has_error()) return Error{berthd.error().kind, "allowed_user: " + berthd.error().message};
  if (::access(settings.agent.c_str(), X_OK) != 0) return Error{ErrorKind::not_found, "agent: " + settings.agent.string() + " is not there or not executable"};
  if (settings.engine == EngineKind::podman && ::geteuid() != 0) {
    return Error{ErrorKind::denied, "engine \"podman\" needs root, which gives each user a range of user ids of their own"};
  }
  if (settings.engine == EngineKind::process && ::geteuid() == 0) {
    if (settings.process.user.empty()) return Error{ErrorKind::invalid, "engine \"process\" as root needs process.user: whom the workspaces run as"};
    const auto user = find_account(settings.process.user);
    if (user.has_error()) return Error{user.error().kind, "process.user: " + user.error().message};
    if (user->uid == 0) return Error{ErrorKind::invalid, "process.user must not be root"};
  }
  return *berthd;
}

asio::awaitable<void> feed_watchdog(std::chrono::microseconds interval) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  for (;;) {
    notify_watchdog();
    timer.expires_after(interval);
    co_await timer.async_wait(asio::use_awaitable);
  }
}

// After SIGTERM: what is under way may end, workspaces go on running.
asio::awaitable<void> stop_on_signal(asio::io_context& io, Server& server, Service& service) {
  asio::signal_set signals(io, SIGTERM, SIGINT);
  const int signal = co_await signals.async_wait(asio::use_awaitable);
  log_info("keeper.stopping", {{"signal", signal}, {"busy", service.busy()}});
  notify_stopping();
  server.stop_accepting();
  asio::steady_timer timer(io);
  for (auto waited = std::chrono::milliseconds(0); service.busy() > 0 && waited < kDrain; waited += std::chrono::milliseconds(50)) {
    timer.expires_after(std::chrono::milliseconds(50));
    co_await timer.async_wait(asio::use_awaitable);
  }
  timer.expires_after(std::chrono::milliseconds(20));  // the last answers reach the socket
  co_await timer.async_wait(asio::use_awaitable);
  server.close();
  io.stop();  // what is left only waits for workspaces to end, and they outlive us
}

asio::awaitable<void> adopt(Service& service) {
  // Podman may come up after us: what runs is found at the latest when berthd asks.
  const auto adopted = co_await service.adopt();
  if (adopted.has_error()) log_warn("keeper.not_adopted", {{"error", adopted.error().message}});
}

asio::awaitable<void> purge(PodmanEngine* podman, ProcessEngine* process, Result<void>& result) {
  if (podman) result = co_await podman->purge();
  if (process) result = co_await process->purge();
}

int run(const Settings& settings, Account berthd, bool purge_only) {
  asio::io_context io(1);
  std::optional<Account> owner;  // of homes, without ranges
  if (settings.engine == EngineKind::process) {
    const auto user = settings.process.user.empty() ? Result<Account>(Account{::geteuid(), ::getegid()}) : find_account(settings.process.user);
    if (user.has_error()) return fail("process.user", user.error());
    owner = *user;
  }
  std::unique_ptr<PodmanEngine> podman;
  std::unique_ptr<ProcessEngine> process;
  if (owner) {
    process = std::make_unique<ProcessEngine>(settings, *owner);
  } else {
    podman = std::make_unique<PodmanEngine>(settings);
  }
  if (purge_only) {
    Result<void> purged;
    asio::co_spawn(io, purge(podman.get(), process.get(), purged), asio::detached);
    io.run();
    return purged.has_error() ? fail("", purged.error()) : 0;
  }
  Homes homes(settings.homes, settings.podman.uid_start, settings.podman.uid_count, owner);
  const auto prepared = homes.prepare();
  if (prepared.has_error()) return fail("homes", prepared.error());
  auto given = take_listen_sockets();
  auto socket = given.empty() ? listen_on(settings.socket, berthd) : Result<FileDescriptor>(std::move(given.front()));
  if (socket.has_error()) return fail("socket", socket.error());
  Engine& engine = podman ? static_cast<Engine&>(*podman) : *process;
  if (process) log_warn("keeper.no_isolation", {{"engine", "process"}, {"meaning", "workspaces are plain processes on this machine; for development only"}});
  std::unique_ptr<Environments> environments;
  if (podman) {
    environments = std::make_unique<Environments>(io.get_executor(), settings, *podman, homes);
    const auto ready = environments->prepare();
    if (ready.has_error()) return fail("environments", ready.error());
    if (const std::string why = environments->missing(); !why.empty()) log_warn("keeper.no_environments", {{"why", why}});
    asio::co_spawn(io, environments->clean_up(), asio::detached);
  }
  Service service(io.get_executor(), settings, engine, homes, berthd, environments.get());
  Server server(io.get_executor(), std::move(*socket), service, berthd.uid);
  asio::co_spawn(io, stop_on_signal(io, server, service), asio::detached);
  asio::co_spawn(io, adopt(service), asio::detached);
  if (const auto interval = watchdog_interval()) asio::co_spawn(io, feed_watchdog(*interval), asio::detached);
  server.start();
  log_info("keeper.ready", {{"socket", settings.socket.string()}, {"engine", process ? "process" : "podman"}, {"instance", settings.instance}});
  notify_ready();
  io.run();
  log_info("keeper.stopped");
  // A start that would not end in time is left as a crash would leave it, which the next keeper copes with; its frame refers to the service.
  if (service.busy() > 0) std::_Exit(0);
  return 0;
}

}  // namespace
}  // namespace berth::keeper

int main(int argc, char** argv) {
  using namespace berth;
  CLI::App app{"berth-keeper makes, starts and stops workspaces for berthd, within the limits of its own settings.", "berth-keeper"};
  std::string config = "/etc/berth/keeper.toml";
  bool check = false, purge = false;
  app.add_option("--config", config, "Settings file")->capture_default_str();
  app.add_flag("--check-config", check, "Check the settings file, say what is wrong with it, and end");
  app.add_flag("--purge", purge, "Stop and remove every workspace of this instance (homes stay), and end");
  app.set_version_flag("--version", "berth-keeper 0.1.0");
  CLI11_PARSE(app, argc, argv);
  ::signal(SIGPIPE, SIG_IGN);
  ::umask(022);
  const auto settings = keeper::load_settings(config);
  if (settings.has_error()) {
    std::cerr << settings.error().message << "\n";
    return 2;
  }
  const auto berthd = keeper::check_machine(*settings);
  if (berthd.has_error()) return keeper::fail(config, berthd.error());
  if (check) {
    std::cout << config << ": ok\n";
    return 0;
  }
  start_log(settings->log_level);
  return keeper::run(*settings, *berthd, purge);
}
