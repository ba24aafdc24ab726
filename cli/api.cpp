#include "cli/api.hpp"

#include <grp.h>
#include <sys/stat.h>

#include <filesystem>

namespace berth::cli {
namespace {

using nlohmann::json;

constexpr std::size_t kMostPages = 10'000;  // of one list
constexpr const char* kPrefix = "/api/v1";
constexpr std::size_t kEventCap = 1024 * 1024;

Failure not_the_api(std::string_view what) {
  return {ExitCode::unreachable, {ErrorKind::protocol, "the socket's server does not speak Berth's API (" + std::string(what) + ")"}};
}

// json converts to anything, an error too: say which it is.
Outcome<json> success(json document) { return Outcome<json>(boost::system::in_place_value, std::move(document)); }

// The group that opens the socket, or that enters its directory when the socket itself cannot be seen; empty when nothing can be said.
std::string group_for(const std::string& socket_path) {
  struct stat seen {};
  if (::stat(socket_path.c_str(), &seen) != 0 &&
      ::stat(std::filesystem::path(socket_path).parent_path().c_str(), &seen) != 0) {
    return {};
  }
  const group* entry = ::getgrgid(seen.st_gid);
  return entry == nullptr || seen.st_gid == 0 ? std::string() : std::string(entry->gr_name);
}

std::string denied_advice(const std::string& socket_path) {
  const std::string group = group_for(socket_path);
  std::string advice = "Run berth as root (sudo berth …)";
  if (!group.empty()) advice += ", or join the group with 'sudo usermod -aG " + group + " $USER' and log in again";
  return advice + ".";
}

}  // namespace

Failure failure_in(const json& document) {
  const json& error = document.is_object() && document.contains("error") ? document["error"] : document;
  if (!error.is_object()) return {ExitCode::failed, {ErrorKind::internal, "berthd gave no reason"}};
  const auto text = [&](const char* name) { return error.contains(name) && error[name].is_string() ? error[name].get<std::string>() : ""; };
  const std::string message = text("message");
  return failure_of({kind_named(text("kind")), message.empty() ? "berthd gave no reason" : message});
}

Failure Api::unreachable(const Error& error) const {
  if (connect_) return {ExitCode::unreachable, {error.kind, "berthd broke off: " + error.message}};
  std::string message = "cannot reach berthd: " + error.message + ".";
  switch (error.kind) {
    case ErrorKind::not_found:
      message += " Is berthd running (systemctl status berthd)? Another socket: --admin-socket PATH or $BERTH_ADMIN_SOCKET.";
      break;
    case ErrorKind::unavailable:
      message += " berthd has ended without removing its socket: start it (systemctl start berthd).";
      break;
    case ErrorKind::denied: message += " " + denied_advice(socket_path_); break;
    case ErrorKind::timeout: message += " berthd is there but busy or stuck: see its log (journalctl -u berthd)."; break;
    default: break;
  }
  return {ExitCode::unreachable, {error.kind, message}};
}

Outcome<json> Api::send(std::string method, const std::string& path, const json& body) const {
  return ask({.method = std::move(method), .target = path, .body = body.dump(-1, ' ', true, json::error_handler_t::replace)});
}

Outcome<json> Api::ask(HttpRequest request) const {
  request.target = kPrefix + request.target;
  const Result<HttpResponse> answer = http(limit_).request(request);
  if (!answer) return unreachable(answer.error());
  if (answer->ok() && answer->body.empty()) return success(json::object());
  json document = json::parse(answer->body, nullptr, /*allow_exceptions=*/false);
  if (document.is_discarded()) return not_the_api("status " + std::to_string(answer->status));
  if (!answer->ok()) return failure_in(document);
  return success(std::move(document));
}

Outcome<json> Api::items(const std::string& path) const {
  json all = json::array();
  std::string page = path;
  for (std::size_t pages = 0; pages < kMostPages; ++pages) {
    Outcome<json> answer = get(page);
    if (!answer) return answer;
    if (!answer->is_object() || !(*answer)["items"].is_array()) return not_the_api("a list without items");
    json& items = (*answer)["items"];
    for (json& item : items) all.push_back(std::move(item));
    const json next = answer->value("next", json());
    if (!next.is_string() && !next.is_number_unsigned()) break;
    const std::string after = next.is_string() ? next.get<std::string>() : next.dump();
    page = path + (path.find('?') == std::string::npos ? "?" : "&") + "after=" + percent_encode(after);
  }
  return success(std::move(all));
}

Outcome<> Api::download(const std::string& path, const UnixHttp::Sink& sink) const {
  bool sink_failed = false;
  const auto watched = [&](std::string_view piece) -> Result<void> {
    Result<void> taken = sink(piece);
    sink_failed = !taken;
    return taken;
  };
  const Result<HttpResponse> answer = http(limit_).stream({.target = kPrefix + path, .accept = "*/*"}, watched);
  if (!answer) return sink_failed ? failure_of(answer.error()) : unreachable(answer.error());
  if (!answer->ok()) return failure_in(json::parse(answer->body, nullptr, false));
  if (!answer->end_marked) return not_the_api("a download whose end is not marked");
  return {};
}

Outcome<> Api::follow(const std::string& path, std::chrono::milliseconds silence, const OnEvent& on_event, const json& body) const {
  bool stopped = false;
  EventStream events([&](std::string_view name, const std::string& data) {
    stopped = !on_event(name, data);
    return !stopped;
  });
  const auto feed = [&](std::string_view piece) -> Result<void> {
    const Result<bool> going_on = events.feed(piece);
    if (!going_on) return going_on.error();
    if (!*going_on) return Error{ErrorKind::closed, "enough"};  // ends the exchange; `stopped` tells it from a failure
    return {};
  };
  const Result<HttpResponse> answer =
      http(silence).stream({.method = "POST", .target = kPrefix + path, .body = body.empty() ? "" : body.dump(-1, ' ', true, json::error_handler_t::replace), .accept = "text/event-stream"}, feed);
  if (stopped) return {};
  if (!answer) return unreachable(answer.error());
  if (!answer->ok()) return failure_in(json::parse(answer->body, nullptr, false));
  return {};
}

Result<bool> EventStream::feed(std::string_view piece) {
  rest_ += piece;
  std::size_t from = 0;
  for (std::size_t end = rest_.find('\n', from); end != std::string::npos; end = rest_.find('\n', from)) {
    std::string_view line = std::string_view(rest_).substr(from, end - from);
    if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
    if (!take_line(line)) return false;
    from = end + 1;
  }
  rest_.erase(0, from);
  if (rest_.size() + data_.size() > kEventCap) return Error{ErrorKind::too_large, "an event over 1 MiB"};
  return true;
}

bool EventStream::take_line(std::string_view line) {
  if (line.empty()) {  // the end of an event
    const bool go_on = name_.empty() && data_.empty() ? true : on_event_(name_.empty() ? "message" : name_, data_);
    name_.clear();
    data_.clear();
    return go_on;
  }
  const std::size_t colon = line.find(':');
  const std::string_view field = line.substr(0, colon);  // empty for a comment
  std::string_view value = colon == std::string_view::npos ? "" : line.substr(colon + 1);
  if (!value.empty() && value.front() == ' ') value.remove_prefix(1);
  if (field == "event") name_ = value;
  if (field == "data") {
    if (!data_.empty()) data_ += '\n';
    data_ += value;
  }
  return true;
}

}  // namespace berth::cli
