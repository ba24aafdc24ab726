// berthd's HTTP API (docs/api.md) over the admin socket, or inside berthd for a command by SSH; failures in words that say what to do.
#pragma once
#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/encoding.hpp"
#include "base/unix_http.hpp"
#include "cli/outcome.hpp"

namespace berth::cli {

class Api {
 public:
  // `limit`: how long berthd may be silent.
  Api(std::string socket_path, std::chrono::milliseconds limit) : socket_path_(std::move(socket_path)), limit_(limit) {}
  // Over sockets that are connected already, one for each request.
  Api(UnixHttp::Connect connect, std::chrono::milliseconds limit) : connect_(std::move(connect)), limit_(limit) {}

  // Paths begin after /api/v1, parts that are not literal percent-encoded: "/users/" + percent_encode(name).
  Outcome<nlohmann::json> get(const std::string& path) const { return ask({.method = "GET", .target = path}); }
  Outcome<nlohmann::json> post(const std::string& path, const nlohmann::json& body) const { return send("POST", path, body); }
  Outcome<nlohmann::json> patch(const std::string& path, const nlohmann::json& body) const { return send("PATCH", path, body); }
  Outcome<nlohmann::json> remove(const std::string& path) const { return ask({.method = "DELETE", .target = path}); }
  std::chrono::milliseconds limit() const { return limit_; }
  // The array of a list's "items", of all its pages.
  Outcome<nlohmann::json> items(const std::string& path) const;

  // Hands the body of GET `path` to `sink`; fails unless berthd marked the end of the body and it came.
  Outcome<> download(const std::string& path, const UnixHttp::Sink& sink) const;

  // POST with `Accept: text/event-stream`: `on_event(name, data)` for each event until it answers false or the stream ends. berthd may
  // be silent for `silence` between two events.
  using OnEvent = std::function<bool(std::string_view name, const std::string& data)>;
  Outcome<> follow(const std::string& path, std::chrono::milliseconds silence, const OnEvent& on_event,
                   const nlohmann::json& body = nlohmann::json::object()) const;

 private:
  Outcome<nlohmann::json> ask(HttpRequest request) const;
  Outcome<nlohmann::json> send(std::string method, const std::string& path, const nlohmann::json& body) const;
  Failure unreachable(const Error& error) const;
  UnixHttp http(std::chrono::milliseconds limit) const { return connect_ ? UnixHttp(connect_, limit) : UnixHttp(socket_path_, limit); }

  std::string socket_path_;
  UnixHttp::Connect connect_;  // empty: by the path
  std::chrono::milliseconds limit_;
};

// The failure that an error document holds: {"error":{"kind","message"}}, or only its inner part.
Failure failure_in(const nlohmann::json& document);

// The events of a text/event-stream (WHATWG HTML 9.2.6), as far as the API uses it: "event:" and "data:" fields, comments. An event over
// 1 MiB is an error.
class EventStream {
 public:
  // Answers whether to go on.
  explicit EventStream(Api::OnEvent on_event) : on_event_(std::move(on_event)) {}
  Result<bool> feed(std::string_view piece);

 private:
  bool take_line(std::string_view line);

  Api::OnEvent on_event_;
  std::string rest_, name_, data_;
};

}  // namespace berth::cli
