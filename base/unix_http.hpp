// An HTTP/1.1 client for local servers on a Unix socket: synchronous, one connection a request, no proxies, no redirects. For command
// lines; servers use coroutines of their own.
#pragma once
#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include "base/handles.hpp"
#include "base/result.hpp"

namespace berth {

struct HttpRequest {
  std::string method = "GET";
  std::string target = "/";
  std::string body;  // sent as application/json when not empty
  std::string accept = "application/json";
};

struct HttpResponse {
  unsigned status = 0;
  std::string content_type;
  std::string body;
  bool end_marked = false;  // by Content-Length or chunks: a body that was cut short cannot pass for whole
  bool ok() const { return status >= 200 && status < 300; }
};

class UnixHttp {
 public:
  // `limit` bounds the silence of the server, not the whole exchange: connecting, sending, and each wait for more bytes.
  UnixHttp(std::string socket_path, std::chrono::milliseconds limit) : socket_path_(std::move(socket_path)), limit_(limit) {}
  // Another way to the server: `connect` gives a connected Unix stream socket for each exchange.
  using Connect = std::function<Result<FileDescriptor>()>;
  UnixHttp(Connect connect, std::chrono::milliseconds limit) : connect_(std::move(connect)), limit_(limit) {}

  // The whole answer, whatever its status. Errors: what connect(2) said (not_found, denied, unavailable); timeout; protocol; closed;
  // too_large for a body over 16 MiB.
  Result<HttpResponse> request(const HttpRequest& request) const;

  // Hands each piece of a 2xx answer's body to `sink` as it arrives, of any size; the answer's own `body` stays empty. The body of
  // another status is read as in request(). An error of the sink ends the exchange and is the answer.
  using Sink = std::function<Result<void>(std::string_view piece)>;
  Result<HttpResponse> stream(const HttpRequest& request, const Sink& sink) const;

 private:
  std::string socket_path_;
  Connect connect_;  // empty: by the path
  std::chrono::milliseconds limit_;
};

}  // namespace berth
