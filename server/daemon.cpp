#include "server/daemon.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <thread>

#include "auth/host_keys.hpp"
#include "auth/migrations.hpp"
#include "auth/shares.hpp"
#include "auth/tokens.hpp"
#include "auth/web_logins.hpp"
#include "base/log.hpp"
#include "base/notify.hpp"
#include "server/audit_keeper.hpp"
#include "server/gateway/gateway.hpp"
#include "server/gateway/spawn.hpp"
#include "server/key_watch.hpp"
#include "server/listeners.hpp"
#include "server/options.hpp"
#include "web/server.hpp"
#include "workspaces/env_builds.hpp"
#include "workspaces/usage.hpp"

namespace berth::server {
namespace asio = boost::asio;
namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds kDrainLook{50};       // how often the drain looks whether all have left
constexpr std::chrono::milliseconds kLastWords{2'000};    // after the drain: for DISCONNECT to reach clients and rows to close
constexpr std::chrono::seconds kHostKeyLook{30};          // at least this often: the clock may be set

// Every connection needs a descriptor or several: take what the hard limit allows.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
}

// The object graph, in the order of construction. Connections refer to its parts, so it is taken down only after the lanes' threads
// have ended, and then by the end of the process (see run_daemon).
class Daemon {
 public:
  Daemon(const Settings& settings, std::string version) : settings_(settings), version_(std::move(version)) {}
  Result<void> build();
  void run();
  void close_store() {
    sessions_.reset();  // closes the rows of what the drain did not end
    store_.reset();
  }

 private:
  Result<void> open_store();
  Result<void> listen();
  asio::awaitable<void> start_workspaces();
  asio::awaitable<void> wait_for_signal();
  asio::awaitable<void> stop();
  asio::awaitable<void> wait_until_empty(std::chrono::milliseconds limit);
  asio::awaitable<void> end_host_key_overlaps();
  void use_host_keys();
  asio::awaitable<void> watchdog(std::chrono::microseconds interval);
  void stop_accepting();
  void note_life(std::string action) { audit_->note({"berthd", auth::Role::admin, "-", {}}, std::move(action), "version " + version_, "ok"); }

  const Settings& settings_;
  const std::string version_;
  SystemClock clock_;
  Lanes lanes_;
  std::vector<std::unique_ptr<ServerLane>> server_lanes_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<auth::HostKeys> host_keys_;
  std::unique_ptr<auth::Authorities> authorities_;
  std::unique_ptr<asio::steady_timer> host_key_timer_;
  std::unique_ptr<auth::Directory> directory_;
  std::unique_ptr<auth::Campaigns> campaigns_;
  std::unique_ptr<auth::KeyClock> key_clock_;
  auth::RefusedUses refused_uses_;
  std::unique_ptr<auth::Sessions> sessions_;
  std::unique_ptr<KeyWatch> key_watch_;
  std::unique_ptr<auth::WebLogins> web_logins_;
  std::unique_ptr<auth::Tokens> tokens_;
  std::unique_ptr<auth::Shares> shares_;
  std::unique_ptr<auth::Audit> audit_;
  std::unique_ptr<workspaces::Manager> manager_;
  std::unique_ptr<workspaces::EnvBuilds> environments_;
  std::unique_ptr<workspaces::UsageWatch> usage_;
  std::unique_ptr<ConnectionLimits> limits_;
  GatewayOptions gateway_options_;
  std::unique_ptr<web::WebServer> web_;
  CommandThreads commands_;
  std::unique_ptr<Gateway> gateway_;
  std::vector<std::shared_ptr<Acceptor>> ssh_acceptors_;
  std::atomic<bool> stopped_{false};
  std::atomic<bool> stopping_{false};
};

Result<void> Daemon::open_store() {
  Result<std::unique_ptr<Store>> store = Store::open(settings_.server.state_dir / "berth.db", auth::migrations());
  if (!store) return store.error();
  store_ = std::move(*store);
  directory_ = std::make_unique<auth::Directory>(*store_, clock_, settings_.keys);
  campaigns_ = std::make_unique<auth::Campaigns>(*store_, clock_, *directory_);
  key_clock_ = std::make_unique<auth::KeyClock>(*store_, clock_, *directory_);
  sessions_ = std::make_unique<auth::Sessions>(*store_, clock_);
  web_logins_ = std::make_unique<auth::WebLogins>(*store_, clock_, settings_.web.session_lifetime, settings_.keys);
  tokens_ = std::make_unique<auth::Tokens>(*store_, clock_, settings_.keys);
  shares_ = std::make_unique<auth::Shares>(*store_, clock_, settings_.keys);
  audit_ = std::make_unique<auth::Audit>(*store_, clock_);
  const auto parse_key = [policy = settings_.keys](std::string_view line) { return auth::parse_public_key(line, policy); };
  authorities_ = std::make_unique<auth::Authorities>(*store_, clock_, parse_key, settings_.certificates.lifetime);
  // What came due while berthd was away, before anybody logs in.
  if (Result<void> done = key_clock_->run_due_now(); !done) return done;
  return sessions_->close_leftovers();
}

Result<void> Daemon::build() {
  raise_descriptor_limit();
  if (Result<void> opened = open_store(); !opened) return opened;
  const std::size_t count = settings_.server.lanes > 0 ? static_cast<std::size_t>(settings_.server.lanes) : std::max(1u, std::thread::hardware_concurrency());
  for (std::size_t i = 0; i < count; ++i) {
    lanes_.push_back(std::make_unique<Lane>(i));
    server_lanes_.push_back(std::make_unique<ServerLane>(ServerLane{*lanes_.back(), store_->open_reader()}));
  }
  key_watch_ = std::make_unique<KeyWatch>(lanes_.front()->io, *key_clock_, *directory_, *sessions_, clock_, store_->open_reader());
  directory_->on_change([watch = key_watch_.get()] { watch->look_again(); });
  host_keys_ = std::make_unique<auth::HostKeys>(*store_, clock_, host_key_tools(), settings_.ssh.host_key_types);
  if (Result<void> started = host_keys_->start(); !started) return started;
  Result<std::string> secret = auth::load_or_make_secret(*store_, "jupyter");
  if (!secret) return secret.error();

  workspaces::ManagerOptions manager_options;
  manager_options.keeper_socket = settings_.keeper.socket;
  manager_options.agent_socket_root = settings_.workspaces.agent_socket_root;
  manager_options.jupyter_secret = std::move(*secret);
  manager_ = workspaces::make_manager(std::move(manager_options), lanes_);
  auto keeper = workspaces::make_keeper_link(lanes_.front()->io.get_executor(), settings_.keeper.socket);
  environments_ = std::make_unique<workspaces::EnvBuilds>(lanes_, *store_, clock_, std::move(keeper));

  auto usage_keeper = workspaces::make_keeper_link(lanes_.front()->io.get_executor(), settings_.keeper.socket);
  usage_ = std::make_unique<workspaces::UsageWatch>(lanes_.front()->io.get_executor(), std::move(usage_keeper));

  limits_ = std::make_unique<ConnectionLimits>(limits_of(settings_.ssh));
  web::WebOptions options = web_options(settings_, version_);
  gateway_options_ = {settings_.ssh.env_allow, settings_.ssh.banner, settings_.ssh.keep_terminals, settings_.ssh.keep_terminals_most, options.ssh_command(),
                      settings_.ssh.forwards, settings_.ssh.message_of_the_day, settings_.ssh.show_state, settings_.ssh.proxy_protocol_from};

  web::WebServices web_services{*store_, clock_, *directory_, *campaigns_, *web_logins_, *tokens_, *shares_, *sessions_, *audit_, *manager_, {}, {}};
  web_services.not_ready = [this]() -> std::vector<std::string> {
    if (stopping_) return {"berthd is stopping"};
    if (!manager_->keeper_connected()) return {"berth-keeper does not answer on " + settings_.keeper.socket.string() + ": no workspace can be started"};
    return {};
  };
  web_services.host_keys = host_keys_.get();
  web_services.authorities = authorities_.get();
  web_services.more_metrics = [this] { return gateway_->metrics(); };
  web_services.environments = environments_.get();
  web_services.usage = &usage_->history();
  Result<std::unique_ptr<web::WebServer>> web = web::WebServer::create(std::move(options), std::move(web_services));
  if (!web) return web.error();
  web_ = std::move(*web);
  const GatewayServices services{gateway_options_, *directory_, *campaigns_, refused_uses_, *sessions_, *audit_, *manager_, *web_, commands_, *limits_, clock_, *authorities_};
  gateway_ = std::make_unique<Gateway>(services, ssh_options(settings_, *host_keys_->current(), version_));
  host_key_timer_ = std::make_unique<asio::steady_timer>(lanes_.front()->io);
  host_keys_->on_change([this] { use_host_keys(); });
  return listen();
}

Result<void> Daemon::listen() {
  for (const ListenAddress& address : settings_.ssh.listen) {
    Result<std::vector<Acceptor>> acceptors = listen_on_lanes(lanes_, address);
    if (!acceptors) return acceptors.error();
    for (std::size_t i = 0; i < acceptors->size(); ++i) {
      auto acceptor = std::make_shared<Acceptor>(std::move((*acceptors)[i]));
      ssh_acceptors_.push_back(acceptor);
      spawn_logged(lanes_[i]->io.get_executor(), gateway_->accept_loop(*server_lanes_[i], acceptor), "ssh.accept");
    }
    if (!acceptors->empty()) log_info("ssh.listening", {{"address", format_listen_address(address)}});
  }
  if (ssh_acceptors_.empty()) return Error{ErrorKind::unavailable, "ssh.listen names only IPv6 addresses, and this machine has no IPv6"};
  for (const ListenAddress& address : settings_.web.listen) {
    ListenAddress other = address;
    if (address.port != 0) other.port = static_cast<std::uint16_t>(address.port + settings_.web.workspace_port_offset);
    for (const auto& [where, face] : {std::pair(address, web::Face::portal), std::pair(other, web::Face::workspaces)}) {
      Result<std::vector<Acceptor>> acceptors = listen_on_lanes(lanes_, where);
      if (!acceptors) return acceptors.error();
      for (std::size_t i = 0; i < acceptors->size(); ++i) web_->listen(*lanes_[i], std::move((*acceptors)[i]), face);
      if (!acceptors->empty()) log_info("web.listening", {{"address", format_listen_address(where)}, {"face", face == web::Face::portal ? "portal" : "workspaces"}});
    }
  }
  auto admin = web::listen_unix(*lanes_.front(), settings_.admin.socket);
  if (!admin) return admin.error();
  if (Result<void> given = give_to_group(settings_.admin.socket, settings_.admin.socket_group); !given) return given;
  web_->listen_admin(*lanes_.front(), std::move(*admin));
  return {};
}

asio::awaitable<void> Daemon::start_workspaces() {
  environments_->start();
  usage_->start();
  const Result<void> started = co_await manager_->start();
  // Not fatal: the keeper may come later, and users are told so until then.
  if (!started) log_warn("workspaces.not_ready", {{"error", started.error().message}});
  notify_ready();
  log_info("berthd.ready", {{"version", version_}, {"lanes", lanes_.size()}});
}

void Daemon::stop_accepting() {
  for (const std::shared_ptr<Acceptor>& acceptor : ssh_acceptors_) {
    asio::post(acceptor->get_executor(), [acceptor] {
      boost::system::error_code ignored;
      acceptor->close(ignored);
    });
  }
}

asio::awaitable<void> Daemon::wait_until_empty(std::chrono::milliseconds limit) {
  asio::steady_timer look(lanes_.front()->io);
  const auto end = std::chrono::steady_clock::now() + limit;
  while (gateway_->connections() > 0 && std::chrono::steady_clock::now() < end) {
    look.expires_after(kDrainLook);
    co_await look.async_wait(kTuple);
  }
}

asio::awaitable<void> Daemon::stop() {
  stopping_ = true;
  notify_stopping();
  log_info("berthd.stopping", {{"connections", gateway_->connections()}, {"drain_s", settings_.server.drain.count()}});
  stop_accepting();
  co_await wait_until_empty(settings_.server.drain);
  for (const auth::SessionRecord& session : sessions_->live()) {
    if (session.kind == "connection") sessions_->kill(session.id, "The gateway stops now; your workspace goes on running. Connect again in a moment.");
  }
  co_await wait_until_empty(kLastWords);
  commands_.stop();
  co_await web_->shutdown(kLastWords);
  note_life("berthd.stop");
  manager_->shutdown();
  environments_->shutdown();
  usage_->shutdown();
}

asio::awaitable<void> Daemon::wait_for_signal() {
  asio::signal_set signals(lanes_.front()->io, SIGTERM, SIGINT);
  const auto [error, number] = co_await signals.async_wait(kTuple);
  (void)error;
  log_info("berthd.signal", {{"signal", number == SIGTERM ? "TERM" : "INT"}});
  signals.clear();  // a second signal ends the program at once, by its default action
  std::signal(SIGTERM, SIG_DFL);
  std::signal(SIGINT, SIG_DFL);
  co_await stop();
  for (const auto& lane : lanes_) {
    stopped_ = true;
    asio::post(lane->io, [] {});  // wakes the lane, which then sees stopped_
  }
}

// On the thread that changed them. Connections that are there keep the keys that they began with.
void Daemon::use_host_keys() {
  gateway_->use(ssh_options(settings_, *host_keys_->current(), version_));
  asio::post(host_key_timer_->get_executor(), [this] { host_key_timer_->cancel(); });
}

asio::awaitable<void> Daemon::end_host_key_overlaps() {
  while (!stopping_) {
    const Result<void> ended = co_await host_keys_->tick();
    if (!ended) log_error("hostkey.overlap", {{"error", ended.error().message}});
    const Timestamp end = host_keys_->next_end();
    std::chrono::microseconds pause = kHostKeyLook;
    if (end != Timestamp{} && ended) pause = std::clamp<std::chrono::microseconds>(end - clock_.now(), std::chrono::milliseconds(1), kHostKeyLook);
    host_key_timer_->expires_after(pause);
    co_await host_key_timer_->async_wait(kTuple);
  }
}

asio::awaitable<void> Daemon::watchdog(std::chrono::microseconds interval) {
  asio::steady_timer timer(lanes_.front()->io);
  for (;;) {
    notify_watchdog();
    timer.expires_after(interval);
    co_await timer.async_wait(kTuple);
  }
}

void Daemon::run() {
  asio::io_context& first = lanes_.front()->io;
  spawn_logged(first.get_executor(), start_workspaces(), "workspaces.start");
  spawn_logged(first.get_executor(), wait_for_signal(), "signals");
  spawn_logged(first.get_executor(), key_watch_->run(), "keys.clock");
  note_life("berthd.start");
  spawn_logged(first.get_executor(), keep_audit_short(*audit_, clock_, settings_.audit), "audit.keep");
  spawn_logged(first.get_executor(), copy_audit(*audit_, *store_, settings_.audit), "audit.copy");
  spawn_logged(first.get_executor(), end_host_key_overlaps(), "hostkeys");
  if (const auto interval = watchdog_interval()) spawn_logged(first.get_executor(), watchdog(*interval), "watchdog");
  std::vector<std::thread> threads;
  for (const auto& lane : lanes_) {
    threads.emplace_back([this, &io = lane->io] {
      const auto guard = asio::make_work_guard(io);
      while (!stopped_.load()) io.run_one();
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

Result<void> run_daemon(const Settings& settings, const std::string& version) {
  std::signal(SIGPIPE, SIG_IGN);
  // Never destroyed: coroutines that are still suspended after the drain hold references into it, and the process ends right after.
  static Daemon* const daemon = new Daemon(settings, version);
  if (Result<void> built = daemon->build(); !built) return built;
  daemon->run();
  daemon->close_store();  // queued writes reach the disk
  log_info("berthd.ended");
  return {};
}

}  // namespace berth::server
