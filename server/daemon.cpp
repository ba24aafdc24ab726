#include "server/daemon.hpp"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <csignal>
#include <cstdlib>
#include <thread>

#include "auth/migrations.hpp"
#include "base/kept_statements.hpp"
#include "base/log.hpp"
#include "base/notify.hpp"
#include "server/audit_keeper.hpp"
#include "server/daemon_impl.hpp"
#include "server/gateway/spawn.hpp"
#include "server/options.hpp"

namespace berth::server {
namespace asio = boost::asio;
namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::seconds kHostKeyLook{30};          // at least this often: the clock may be set

// Every connection needs a descriptor or several: take what the hard limit allows.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
}

// We become the main process of the unit that the one before us is of. Before there are threads.
void use_notifications_of(const Offer& offer) {
  if (offer.notify_socket.empty()) return;
  ::setenv("NOTIFY_SOCKET", offer.notify_socket.c_str(), 1);
  if (offer.watchdog_us == 0) return;
  ::setenv("WATCHDOG_USEC", std::to_string(offer.watchdog_us).c_str(), 1);
  ::setenv("WATCHDOG_PID", std::to_string(::getpid()).c_str(), 1);
}

}  // namespace

web::Instance Daemon::self() const {
  web::Instance one{instance_, ::getpid(), options_.version, started_at_, retired_, 0, {}};
  if (gateway_ && web_) one.connections = gateway_->connections() + web_->connections();
  one.until = Timestamp(std::chrono::microseconds(until_.load()));
  return one;
}

// Others of this site that run: the one that serves, which we replace or leave alone, and those that were replaced before.
Result<void> Daemon::meet_neighbours() {
  Result<std::vector<Found>> found = find_neighbours(settings_.server.run_dir, self());
  if (!found) return found.error();
  found_ = std::move(*found);
  for (std::size_t i = 0; i < found_.size(); ++i) {
    if (found_[i].who.draining) continue;
    const std::string process = "process " + std::to_string(found_[i].who.pid) + ", version " + found_[i].who.version;
    if (!options_.take_over)
      return Error{ErrorKind::conflict, "another berthd (" + process + ") serves this site already; to replace it without ending its connections: systemctl reload berthd, or berthd --take-over"};
    if (serving_ != SIZE_MAX) return Error{ErrorKind::conflict, "a second berthd (" + process + ") is about to serve this site"};
    serving_ = i;
  }
  if (options_.take_over && serving_ == SIZE_MAX) return Error{ErrorKind::not_found, "no berthd serves this site: there is nothing to take over; start it without --take-over"};
  if (serving_ == SIZE_MAX) return {};
  Result<Offer> offered = ask_for_sockets(found_[serving_]);
  if (!offered) return offered.error();
  inherited_ = std::move(offered->sockets);
  use_notifications_of(*offered);
  return {};
}

Result<void> Daemon::take_over() {
  Result<void> taken;
  if (serving_ != SIZE_MAX) taken = ::berth::server::take_over(found_[serving_], settings_.server.upgrade_drain);
  found_.clear();
  return taken;
}

Result<void> Daemon::open_store() {
  FileDescriptor lock;
  std::vector<std::string> others;
  for (Found& one : found_) {
    lock = std::move(one.lock);  // all have the same
    others.push_back(one.who.instance);
  }
  Result<std::unique_ptr<Store>> store = Store::open(settings_.server.state_dir / "berth.db", auth::migrations(), std::move(lock));
  if (!store) return store.error();
  store_ = std::move(*store);
  directory_ = std::make_unique<auth::Directory>(*store_, clock_, settings_.keys);
  campaigns_ = std::make_unique<auth::Campaigns>(*store_, clock_, *directory_);
  key_clock_ = std::make_unique<auth::KeyClock>(*store_, clock_, *directory_);
  sessions_ = std::make_unique<auth::Sessions>(*store_, clock_, instance_);
  web_logins_ = std::make_unique<auth::WebLogins>(*store_, clock_, settings_.web.session_lifetime, settings_.keys);
  tokens_ = std::make_unique<auth::Tokens>(*store_, clock_, settings_.keys);
  shares_ = std::make_unique<auth::Shares>(*store_, clock_, settings_.keys);
  audit_ = std::make_unique<auth::Audit>(*store_, clock_);
  const auto parse_key = [policy = settings_.keys](std::string_view line) { return auth::parse_public_key(line, policy); };
  authorities_ = std::make_unique<auth::Authorities>(*store_, clock_, parse_key, settings_.certificates.lifetime);
  // What came due while berthd was away, before anybody logs in.
  if (Result<void> done = key_clock_->run_due_now(); !done) return done;
  return sessions_->close_leftovers(others);
}

Result<void> Daemon::build() {
  raise_descriptor_limit();
  if (Result<void> met = meet_neighbours(); !met) return met;
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
  images_ = std::make_unique<workspaces::Images>(*store_, clock_);
  manager_options.choose_image = [this, reader = std::shared_ptr<SQLite::Database>(store_->open_reader())](const workspaces::WorkspaceId& id) {
    return workspaces::ManagerOptions::Choice{images_->chosen(*reader, id), images_->warnings_of(*reader, id)};
  };
  manager_ = workspaces::make_manager(std::move(manager_options), lanes_);
  auto keeper = workspaces::make_keeper_link(lanes_.front()->io.get_executor(), settings_.keeper.socket);
  environments_ = std::make_unique<workspaces::EnvBuilds>(lanes_, *store_, clock_, std::move(keeper), *images_, settings_.environments.verify_every);

  auto usage_keeper = workspaces::make_keeper_link(lanes_.front()->io.get_executor(), settings_.keeper.socket);
  usage_ = std::make_unique<workspaces::UsageWatch>(lanes_.front()->io.get_executor(), std::move(usage_keeper));

  if (Result<void> made = build_web(); !made) return made;
  if (Result<void> listening = listen(); !listening) return listening;
  return start_neighbours();
}

Result<void> Daemon::build_web() {
  limits_ = std::make_unique<ConnectionLimits>(limits_of(settings_.ssh));
  web::WebOptions options = web_options(settings_, options_.version);
  const auth::ForwardRules forwards{settings_.ssh.forwards, settings_.ssh.permit_open, settings_.ssh.permit_listen};
  if (const Result<void> fits = auth::check_forward_rules(forwards); !fits) return Error{ErrorKind::invalid, "[ssh] " + fits.error().message};
  gateway_options_ = {settings_.ssh.env_allow, settings_.ssh.banner, settings_.ssh.keep_terminals, settings_.ssh.keep_terminals_most, options.ssh_command(),
                      forwards, settings_.ssh.message_of_the_day, settings_.ssh.show_state, settings_.ssh.proxy_protocol_from};

  web::WebServices web_services{*store_, clock_, *directory_, *campaigns_, *web_logins_, *tokens_, *shares_, *sessions_, *audit_, *manager_, {}, {}};
  web_services.not_ready = [this]() -> std::vector<std::string> {
    if (stopping_) return {"berthd is stopping"};
    if (!manager_->keeper_connected()) return {"berth-keeper does not answer on " + settings_.keeper.socket.string() + ": no workspace can be started"};
    return {};
  };
  web_services.instances = [this] { return neighbours_->all(); };
  web_services.host_keys = host_keys_.get();
  web_services.authorities = authorities_.get();
  web_services.more_metrics = [this] { return gateway_->metrics(); };
  web_services.environments = environments_.get();
  web_services.usage = &usage_->history();
  web_services.images = images_.get();
  web_services.sharing_by_admins = settings_.environments.sharing == "admins";
  Result<std::unique_ptr<web::WebServer>> web = web::WebServer::create(std::move(options), std::move(web_services));
  if (!web) return web.error();
  web_ = std::move(*web);
  const GatewayServices services{gateway_options_, *directory_, *campaigns_, refused_uses_, *sessions_, *audit_, *manager_, *web_, commands_, *limits_, clock_, *authorities_};
  gateway_ = std::make_unique<Gateway>(services, ssh_options(settings_, *host_keys_->current(), options_.version));
  host_key_timer_ = std::make_unique<asio::steady_timer>(lanes_.front()->io);
  host_keys_->on_change([this] { use_host_keys(); });
  return {};
}

Result<void> Daemon::start_neighbours() {
  Neighbours::Events events;
  events.self = [this] { return self(); };
  events.offer = [this] { return offer(); };
  events.taken = [this](const web::Instance& by, std::chrono::seconds limit) { return retire(by, limit); };
  events.agents = [this] { manager_->send_agents_on(); };
  events.stop = [this] {
    spawn_logged(lanes_.front()->io.get_executor(), end(settings_.server.drain, kStopWords), "stop");
  };
  events.gone = [this](const std::string& instance) {
    sessions_->close_rows_of(instance);
    environments_->apply_again();
  };
  neighbours_ = std::make_unique<Neighbours>(lanes_.front()->io, settings_.server.run_dir, store_->share_lock(), std::move(events));
  std::vector<Found> known;
  for (std::size_t i = 0; i < found_.size(); ++i) {
    const int copy = ::fcntl(found_[i].socket.get(), F_DUPFD_CLOEXEC, 0);  // take_over() needs the socket once more
    if (copy < 0) return errno_error("the socket of the other berthd", errno);
    known.push_back({FileDescriptor(copy), found_[i].who, {}});
    if (i == serving_) known.back().who.draining = true;  // by the time that anybody asks
  }
  if (Result<void> started = neighbours_->start(std::move(known)); !started) return started;
  store_watch_ = std::make_unique<StoreWatch>(*store_, *directory_, *authorities_, *web_logins_, *sessions_);
  return {};
}

asio::awaitable<void> Daemon::start_workspaces() {
  environments_->start();
  usage_->start();
  const Result<void> started = co_await manager_->start();
  // Not fatal: the keeper may come later, and users are told so until then.
  if (!started) log_warn("workspaces.not_ready", {{"error", started.error().message}});
  neighbours_->tell_all("agents");
  notify_ready();
  log_info("berthd.ready", {{"version", options_.version}, {"lanes", lanes_.size()}});
  if (options_.ready) options_.ready();
}

// On the thread that changed them. Connections that are there keep the keys that they began with.
void Daemon::use_host_keys() {
  gateway_->use(ssh_options(settings_, *host_keys_->current(), options_.version));
  asio::post(host_key_timer_->get_executor(), [this] { host_key_timer_->cancel(); });
}

asio::awaitable<void> Daemon::end_host_key_overlaps() {
  while (!stopping_ && !retired_) {
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
  while (!retired_) {
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
  spawn_logged(first.get_executor(), keep_audit_short(*audit_, clock_, settings_.audit, retired_), "audit.keep");
  spawn_logged(first.get_executor(), copy_audit(*audit_, *store_, settings_.audit, retired_), "audit.copy");
  spawn_logged(first.get_executor(), end_host_key_overlaps(), "hostkeys");
  spawn_logged(first.get_executor(), store_watch_->run([this] { return retired_ || neighbours_->any(); }), "store.watch");
  if (const auto interval = watchdog_interval()) spawn_logged(first.get_executor(), watchdog(*interval), "watchdog");
  std::vector<std::thread> threads;
  for (const auto& lane : server_lanes_) {
    threads.emplace_back([this, &io = lane->lane.io, &reader = *lane->reader] {
      const KeptStatements kept(reader);  // for what each login and forward asks
      const auto guard = asio::make_work_guard(io);
      while (!stopped_.load()) io.run_one();
    });
  }
  for (std::thread& thread : threads) thread.join();
}

Result<void> run_daemon(const Settings& settings, DaemonOptions options) {
  std::signal(SIGPIPE, SIG_IGN);
  // Never destroyed: coroutines that are still suspended after the drain hold references into it, and the process ends right after.
  static Daemon* const daemon = new Daemon(settings, std::move(options));
  if (Result<void> built = daemon->build(); !built) return built;
  if (Result<void> taken = daemon->take_over(); !taken) return taken;
  daemon->run();
  daemon->close_store();  // queued writes reach the disk
  log_info("berthd.ended");
  return {};
}

}  // namespace berth::server
