#include "keeper/podman_api.hpp"

#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include "base/deadline.hpp"
#include "base/log.hpp"

namespace berth::keeper {
namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::local::stream_protocol;

namespace {

constexpr std::size_t kAnswerLimit = 64 << 20;  // the list of some ten thousand containers

Error engine_error(const std::string& detail) {
  log_error("keeper.podman_unreachable", {{"error", detail}});
  return {ErrorKind::unavailable, "the container engine does not answer; ask your administrator to look at Podman's service (podman.socket)"};
}

asio::awaitable<Result<Answer>> exchange(std::string path, http::request<http::string_body> request) {
  stream_protocol::socket socket(co_await asio::this_coro::executor);
  boost::system::error_code error;
  co_await socket.async_connect(stream_protocol::endpoint(path), asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return engine_error(path + ": " + error.message());
  co_await http::async_write(socket, request, asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return engine_error("sending: " + error.message());
  boost::beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(kAnswerLimit);
  co_await http::async_read(socket, buffer, parser, asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return engine_error("reading: " + error.message());
  Answer answer;
  answer.status = parser.get().result_int();
  answer.body = nlohmann::json::parse(parser.get().body(), nullptr, false);
  if (answer.body.is_discarded()) answer.body = parser.get().body();
  co_return answer;
}

asio::awaitable<Result<stream_protocol::socket>> open_stream(std::string path, std::string target) {
  stream_protocol::socket socket(co_await asio::this_coro::executor);
  boost::system::error_code error;
  co_await socket.async_connect(stream_protocol::endpoint(path), asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return engine_error(path + ": " + error.message());
  http::request<http::empty_body> request(http::verb::post, target, 11);
  request.set(http::field::host, "podman");
  request.set(http::field::connection, "Upgrade");
  request.set(http::field::upgrade, "tcp");
  co_await http::async_write(socket, request, asio::redirect_error(asio::use_awaitable, error));
  if (error) co_return engine_error("sending: " + error.message());
  // Byte by byte, so that nothing of the stream is taken with the head.
  std::string head;
  char c = 0;
  while (!head.ends_with("\r\n\r\n") && head.size() < 8192) {
    co_await asio::async_read(socket, asio::buffer(&c, 1), asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return engine_error("reading: " + error.message());
    head += c;
  }
  if (!head.starts_with("HTTP/1.1 101") && !head.starts_with("HTTP/1.1 200")) co_return engine_error("attach: " + head.substr(0, 100));
  co_return socket;
}

}  // namespace

std::string Answer::why() const {
  if (body.is_object()) {
    const auto message = body.find("message");
    if (message != body.end() && message->is_string()) return message->get<std::string>();
  }
  return "status " + std::to_string(status);
}

asio::awaitable<Result<Answer>> PodmanApi::call(http::verb verb, std::string target, nlohmann::json body, std::chrono::milliseconds limit) {
  http::request<http::string_body> request(verb, "/v4.0.0/libpod" + target, 11);
  request.set(http::field::host, "podman");
  request.set(http::field::connection, "close");
  if (!body.is_null()) {
    request.set(http::field::content_type, "application/json");
    request.body() = body.dump();
  }
  request.prepare_payload();
  const auto began = std::chrono::steady_clock::now();
  auto operation = exchange(socket_path_, std::move(request));
  Result<Answer> answer = co_await with_deadline(std::move(operation), limit, "the container engine");
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began);
  log_debug("keeper.podman", {{"call", std::string(http::to_string(verb)) + " " + target},
                              {"status", answer.has_value() ? static_cast<int>(answer->status) : 0},
                              {"ms", took.count()}});
  co_return answer;
}

asio::awaitable<Result<stream_protocol::socket>> PodmanApi::attach(std::string container, std::chrono::milliseconds limit) {
  auto operation = open_stream(socket_path_, "/v4.0.0/libpod/containers/" + container + "/attach?stream=true&stdout=true&stderr=true");
  co_return co_await with_deadline(std::move(operation), limit, "the container engine");
}

}  // namespace berth::keeper
