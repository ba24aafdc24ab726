// The web server on one lane: its listeners, connections and what they use. Nothing here is touched by another lane but the counters.
#pragma once
#include <SQLiteCpp/Database.h>

#include <boost/asio/thread_pool.hpp>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/store.hpp"
#include "web/connection.hpp"
#include "web/counters.hpp"
#include "web/events.hpp"
#include "web/login_cache.hpp"
#include "web/origins.hpp"
#include "web/presence.hpp"
#include "web/rate_limit.hpp"
#include "web/server.hpp"
#include "web/start_task.hpp"
#include "web/static_files.hpp"
#include "web/upstream.hpp"

namespace berth::web {

// What all lanes read; fixed before they run.
struct SharedState {
  WebOptions options;
  WebServices services;
  StaticFiles files;
  Origins origins;
  std::string csrf_secret;
  std::chrono::steady_clock::time_point started_at = std::chrono::steady_clock::now();
  std::shared_ptr<EventHub> events = std::make_shared<EventHub>();
  std::vector<std::unique_ptr<LaneServer>> lanes;
  boost::asio::thread_pool background{1};  // for the few requests that read much (verifying the audit trail)
};

enum class Listening { portal, workspaces, admin, ssh };  // ssh: sockets that the gateway hands over

class LaneServer {
 public:
  LaneServer(Lane& lane, SharedState& shared, SSL_CTX* tls);
  ~LaneServer();

  Lane& lane;
  SharedState& shared;
  std::unique_ptr<SQLite::Database> reader;
  Deadlines deadlines;
  std::vector<char> scratch;  // one read's worth for every stream of the lane (stream.hpp says how)
  Counters counters;
  RateLimit login_rate;
  LoginCache login_cache;
  StartTasks starts;
  Upstreams upstreams;
  Presences presences;
  std::unordered_set<EventListener*> listeners;  // event streams of this lane

  boost::asio::any_io_executor executor() const { return lane.io.get_executor(); }
  const WebLimits& limits() const { return shared.options.limits; }
  const WebServices& services() const { return shared.services; }
  bool stopping() const { return stopping_; }
  bool retired() const { return retired_; }  // another berthd takes the next request

  void listen(FileDescriptor listener, Listening what, bool secure);
  void serve_ssh(FileDescriptor socket, SshLogin login);  // WebServer::serve_ssh
  void use_tls(SSL_CTX* context);  // for connections accepted from now on
  // On every lane: closes what this browser login has open.
  void end_web_session_everywhere(const std::string& session_id);

  // On every lane: looks whether what visitors do by shares still rests on one that holds.
  void end_shares_everywhere();

  // Called on this lane.
  void retire();
  void begin_stop();
  // Waits for requests under way until `patience`, closes what is left, waits until `give_up` for that to end. Has all ended?
  boost::asio::awaitable<bool> drain(std::chrono::steady_clock::time_point patience, std::chrono::steady_clock::time_point give_up);

  void enter(Connection& connection);
  void leave(Connection& connection);

 private:
  boost::asio::awaitable<void> accept_loop(std::shared_ptr<boost::asio::posix::stream_descriptor> listener, Listening what, bool secure);
  boost::asio::awaitable<void> serve(std::unique_ptr<Connection> connection, Listening what);
  boost::asio::awaitable<void> serve_requests(Connection& connection, Listening what);
  boost::asio::awaitable<void> keep_house();
  boost::asio::awaitable<void> each_second();
  void end_shares();
  void take_connection(FileDescriptor socket, Peer peer, Listening what, bool secure);
  void start_connection(std::unique_ptr<Connection> connection, Listening what);

  SslContextHandle tls_;
  std::vector<std::shared_ptr<boost::asio::posix::stream_descriptor>> listeners_;
  boost::asio::steady_timer house_timer_, second_timer_;
  Connection* first_ = nullptr;  // open connections
  std::size_t open_ = 0, running_ = 0;
  bool stopping_ = false, retired_ = false;
};

}  // namespace berth::web
