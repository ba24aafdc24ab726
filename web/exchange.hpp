// One request into a workspace and its answer, over one connection there: bytes both ways with backpressure, and the WebSocket that may come of it.
#pragma once
#include <chrono>
#include <string>
#include <string_view>

#include "web/lane_server.hpp"
#include "web/proxy.hpp"

namespace berth::web {

class Exchange {
 public:
  Exchange(LaneServer& lane, Connection& client, Stream& upstream, const ProxyPlan& plan, auth::LiveSession& live)
      : lane_(lane), client_(client), upstream_(upstream), plan_(plan), live_(live), method_(client.head.method), client_minor_(client.head.minor) {}

  boost::asio::awaitable<Result<void>> run(std::string head);
  bool answered() const { return answered_; }    // the client has got something
  bool reusable() const { return reusable_; }    // the upstream connection may serve another request
  bool heard_nothing() const { return heard_ == 0; }

 private:
  boost::asio::awaitable<Result<void>> run_both();
  boost::asio::awaitable<Result<void>> upload();
  boost::asio::awaitable<Result<void>> download();
  boost::asio::awaitable<Result<void>> read_head();
  boost::asio::awaitable<Result<void>> send_head();
  boost::asio::awaitable<Result<void>> relay_body();
  boost::asio::awaitable<Result<std::size_t>> read_upstream();
  boost::asio::awaitable<Result<void>> tunnel();
  std::size_t take_body(std::string_view data, std::string& decoded);
  bool good_upgrade() const { return plan_.websocket && response_.upgrade; }

  LaneServer& lane_;
  Connection& client_;
  Stream& upstream_;
  const ProxyPlan& plan_;
  auth::LiveSession& live_;
  const std::string method_;
  const int client_minor_;
  std::string in_;  // of the upstream: the head, and what came with it
  std::size_t head_size_ = 0, heard_ = 0;
  ResponseHead response_;
  std::uint64_t body_left_ = 0;
  ChunkScanner chunks_;
  const std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point waiting_since_{};
  bool wait_first_ = false, uploaded_ = true, answered_ = false, reusable_ = false, body_done_ = false, broken_body_ = false, decode_ = false;
};

}  // namespace berth::web
