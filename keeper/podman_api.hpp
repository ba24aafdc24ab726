// Podman's REST API on its Unix socket: one request, one connection, JSON both ways.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/http/verb.hpp>
#include <chrono>
#include <nlohmann/json.hpp>
#include <string>

#include "base/result.hpp"

namespace berth::keeper {

struct Answer {
  unsigned status = 0;
  nlohmann::json body;  // null when it is no JSON
  bool ok() const { return status >= 200 && status < 300; }
  // Podman's own words for a failure, or the status.
  std::string why() const;
};

class PodmanApi {
 public:
  explicit PodmanApi(std::string socket_path) : socket_path_(std::move(socket_path)) {}
  // `target` without the version: "/containers/json?all=true". Error{unavailable} when Podman is not there.
  boost::asio::awaitable<Result<Answer>> call(boost::beast::http::verb verb, std::string target, nlohmann::json body = nullptr,
                                              std::chrono::milliseconds limit = std::chrono::seconds(60));
  // What a container that was made and not started yet will print: Podman's frames (8 bytes of head, then as many as the last four of them
  // say, big-endian) until it ends.
  boost::asio::awaitable<Result<boost::asio::local::stream_protocol::socket>> attach(std::string container, std::chrono::milliseconds limit);

 private:
  std::string socket_path_;
};

}  // namespace berth::keeper
