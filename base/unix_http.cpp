#include "base/unix_http.hpp"

#include <sys/un.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <optional>

namespace berth {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using Stream = beast::basic_stream<asio::local::stream_protocol>;

constexpr std::size_t kBodyCap = 16 * 1024 * 1024;
constexpr std::size_t kPiece = 64 * 1024;

Error error_of(std::string_view what, const error_code& failure) {
  const std::string doing(what);
  if (failure == beast::error::timeout) return {ErrorKind::timeout, doing + ": no answer in time"};
  if (failure == http::error::end_of_stream || failure == http::error::partial_message || failure == asio::error::eof) {
    return {ErrorKind::closed, doing + ": the connection was closed before the end of the answer"};
  }
  if (failure.category() == boost::system::system_category() || failure.category() == boost::system::generic_category()) {
    return errno_error(doing, failure.value());
  }
  return {ErrorKind::protocol, doing + ": not a sound HTTP answer (" + failure.message() + ")"};
}

http::request<http::string_body> message_of(const HttpRequest& request) {
  http::request<http::string_body> message;
  message.method_string(request.method);
  message.target(request.target);
  message.version(11);
  message.set(http::field::host, "localhost");
  message.set(http::field::accept, request.accept);
  message.set(http::field::connection, "close");
  if (!request.body.empty()) message.set(http::field::content_type, "application/json");
  message.body() = request.body;
  // POST and the like state their length even when it is 0 (RFC 9110 8.6).
  if (!request.body.empty() || (request.method != "GET" && request.method != "HEAD")) message.content_length(request.body.size());
  return message;
}

struct Exchange {
  const std::string& socket_path;
  const UnixHttp::Connect& connect;  // empty: by the path
  std::chrono::milliseconds limit;
  const HttpRequest& request;
  const UnixHttp::Sink& sink;  // empty: collect
};

asio::awaitable<Result<HttpResponse>> run_exchange(Exchange exchange) {
  Stream stream(co_await asio::this_coro::executor);
  error_code failure;
  auto token = asio::redirect_error(asio::use_awaitable, failure);
  if (exchange.connect) {
    Result<FileDescriptor> socket = exchange.connect();
    if (!socket) co_return socket.error();
    stream.socket().assign(asio::local::stream_protocol(), socket->release(), failure);
  } else {
    const asio::local::stream_protocol::endpoint endpoint(exchange.socket_path);
    stream.expires_after(exchange.limit);
    co_await stream.async_connect(endpoint, token);
  }
  if (failure) co_return error_of(exchange.socket_path, failure);

  const http::request<http::string_body> message = message_of(exchange.request);
  stream.expires_after(exchange.limit);
  co_await http::async_write(stream, message, token);
  // A server may answer (too large, busy) and close before it has read everything: its answer is worth reading.
  if (failure && failure != asio::error::broken_pipe) co_return error_of("sending the request", failure);

  beast::flat_buffer buffer(kPiece);
  http::response_parser<http::buffer_body> parser;
  parser.body_limit(boost::none);
  stream.expires_after(exchange.limit);
  co_await http::async_read_header(stream, buffer, parser, token);
  if (failure) co_return error_of("reading the answer", failure);

  HttpResponse response;
  response.status = parser.get().result_int();
  response.content_type = std::string(parser.get()[http::field::content_type]);
  response.end_marked = parser.chunked() || parser.content_length().has_value();
  const bool to_sink = exchange.sink && response.ok();
  std::string piece(kPiece, '\0');
  while (!parser.is_done()) {
    parser.get().body().data = piece.data();
    parser.get().body().size = piece.size();
    stream.expires_after(exchange.limit);
    co_await http::async_read_some(stream, buffer, parser, token);
    if (failure && failure != http::error::need_buffer) co_return error_of("reading the answer", failure);
    const std::string_view got(piece.data(), piece.size() - parser.get().body().size);
    if (to_sink) {
      if (const Result<void> taken = exchange.sink(got); !taken) co_return taken.error();
    } else if (response.body.size() + got.size() > kBodyCap) {
      co_return Error{ErrorKind::too_large, "the answer is larger than 16 MiB"};
    } else {
      response.body += got;
    }
  }
  co_return response;
}

Result<HttpResponse> run(const Exchange& exchange) {
  const bool by_path = !exchange.connect;
  if (by_path && (exchange.socket_path.empty() || exchange.socket_path.size() >= sizeof sockaddr_un{}.sun_path)) {
    return Error{ErrorKind::invalid, "'" + exchange.socket_path + "' cannot be a socket: its path is empty or longer than 107 bytes"};
  }
  asio::io_context io(1);
  std::optional<Result<HttpResponse>> answer;
  std::exception_ptr thrown;
  asio::co_spawn(io, run_exchange(exchange), [&](std::exception_ptr exception, Result<HttpResponse> result) {
    thrown = exception;
    answer = std::move(result);
  });
  io.run();
  if (thrown) std::rethrow_exception(thrown);
  return std::move(*answer);
}

}  // namespace

Result<HttpResponse> UnixHttp::request(const HttpRequest& request) const {
  static const Sink kCollect;
  return run({socket_path_, connect_, limit_, request, kCollect});
}

Result<HttpResponse> UnixHttp::stream(const HttpRequest& request, const Sink& sink) const {
  return run({socket_path_, connect_, limit_, request, sink});
}

}  // namespace berth
