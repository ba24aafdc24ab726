// The object graph of berthd and its life (server/daemon.hpp). daemon.cpp builds and runs it, daemon_listen.cpp opens its doors, daemon_end.cpp ends it:
// at a stop, or when another berthd has replaced it.
#pragma once
#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <string>
#include <vector>

#include "auth/campaigns.hpp"
#include "auth/host_keys.hpp"
#include "auth/shares.hpp"
#include "auth/tokens.hpp"
#include "auth/web_logins.hpp"
#include "server/daemon.hpp"
#include "server/gateway/gateway.hpp"
#include "server/key_watch.hpp"
#include "server/listeners.hpp"
#include "server/neighbours.hpp"
#include "server/store_watch.hpp"
#include "web/server.hpp"
#include "workspaces/env_builds.hpp"
#include "workspaces/images.hpp"
#include "workspaces/usage.hpp"

namespace berth::server {

inline constexpr char kStopWords[] = "The gateway stops now; your workspace goes on running. Connect again in a moment.";

// In the order of construction. Connections refer to its parts, so it is taken down only after the lanes' threads have ended, and then by the
// end of the process (see run_daemon).
class Daemon {
 public:
  Daemon(const Settings& settings, DaemonOptions options) : settings_(settings), options_(std::move(options)) {}
  // Beside another berthd that serves this changes nothing for that one.
  Result<void> build();
  // Now that one stops accepting. Nothing to do where there is none.
  Result<void> take_over();
  void run();
  void close_store() {
    sessions_.reset();  // closes the rows of what the drain did not end
    store_.reset();
  }

 private:
  // -- daemon.cpp
  Result<void> meet_neighbours();
  Result<void> open_store();
  Result<void> build_web();
  Result<void> start_neighbours();
  boost::asio::awaitable<void> start_workspaces();
  boost::asio::awaitable<void> end_host_key_overlaps();
  void use_host_keys();
  boost::asio::awaitable<void> watchdog(std::chrono::microseconds interval);
  web::Instance self() const;
  void note_life(std::string action) { audit_->note({"berthd", auth::Role::admin, "-", {}}, std::move(action), "version " + options_.version, "ok"); }

  // -- daemon_listen.cpp
  Result<void> listen();
  Result<std::vector<Acceptor>> listen_at(const ListenAddress& address);
  Result<void> listen_ssh(const ListenAddress& address);
  Result<void> listen_web(const ListenAddress& address, web::Face face);
  Result<void> listen_admin();
  void remember_offer(int listening);
  Offer offer() const;

  // -- daemon_end.cpp
  boost::asio::awaitable<void> wait_for_signal();
  boost::asio::awaitable<void> end(std::chrono::seconds patience, std::string words);
  boost::asio::awaitable<void> wait_until_empty(std::chrono::milliseconds limit);
  void stop_accepting();
  bool retire(const web::Instance& by, std::chrono::seconds limit);
  boost::asio::awaitable<void> drain_after_upgrade();

  const Settings& settings_;
  const DaemonOptions options_;
  SystemClock clock_;
  const std::string instance_ = new_instance_id();
  const Timestamp started_at_ = clock_.now();
  std::vector<Found> found_;    // other berthds of the site, until neighbours_ has them
  std::size_t serving_ = SIZE_MAX;  // which of them we replace
  std::vector<FileDescriptor> inherited_;  // listening sockets, from it
  Lanes lanes_;
  std::vector<std::unique_ptr<ServerLane>> server_lanes_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<auth::HostKeys> host_keys_;
  std::unique_ptr<auth::Authorities> authorities_;
  std::unique_ptr<boost::asio::steady_timer> host_key_timer_;
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
  std::unique_ptr<workspaces::Images> images_;
  std::unique_ptr<workspaces::EnvBuilds> environments_;
  std::unique_ptr<workspaces::UsageWatch> usage_;
  std::unique_ptr<ConnectionLimits> limits_;
  GatewayOptions gateway_options_;
  std::unique_ptr<web::WebServer> web_;
  CommandThreads commands_;
  std::unique_ptr<Gateway> gateway_;
  std::unique_ptr<Neighbours> neighbours_;
  std::unique_ptr<StoreWatch> store_watch_;
  std::vector<std::shared_ptr<Acceptor>> ssh_acceptors_;
  std::vector<FileDescriptor> offered_;  // copies of every listening socket, for the berthd that will replace us
  std::atomic<bool> stopped_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<bool> retired_{false};      // another berthd serves
  std::atomic<std::int64_t> until_{0};    // Timestamp in microseconds: when a retired one ends
};

}  // namespace berth::server
