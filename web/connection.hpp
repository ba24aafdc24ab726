// One client connection: reads request heads and bodies, writes responses. What to answer is decided above (web/portal.hpp,
// web/workspace_origin.hpp); this is only HTTP/1.1.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/address.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "web/http_head.hpp"
#include "web/response.hpp"
#include "web/server.hpp"
#include "web/ssh_login.hpp"
#include "web/stream.hpp"

namespace berth::web {

class LaneServer;

// Who is on the other end, as far as the socket tells.
struct Peer {
  std::string address;  // "203.0.113.7", or "unix"
  std::uint16_t port = 0;
  std::string label() const { return port == 0 ? address : address + ":" + std::to_string(port); }
};

class Connection {
 public:
  Connection(LaneServer& lane, FileDescriptor socket, Peer peer, bool secure);
  ~Connection();

  LaneServer& lane;
  Stream stream;
  const Peer peer;
  const bool secure;  // TLS
  std::optional<SshLogin> ssh_login;  // whom the gateway vouches for; on its sockets only
  RequestHead head;   // of the request being served; its views are valid until next_head()
  std::uint64_t body_bytes_read = 0;

  // Waits for a request. Error{closed}: the client is done or we are stopping; others have been answered already.
  boost::asio::awaitable<Result<void>> next_head();
  // Raw bytes of the request body as they came (chunk framing included, trailers not), at least one; empty at its end. They may lie in the lane's scratch
  // buffer: use or copy them before the next co_await that can wait. With `decoded`, the payload is added to it. Sends 100 Continue when asked for.
  boost::asio::awaitable<Result<std::string_view>> read_raw_body(std::string* decoded = nullptr);
  bool body_done() const { return body_done_; }
  // The whole body; Error{too_large} over `limit`.
  boost::asio::awaitable<Result<std::string>> read_body(std::size_t limit);

  // Writes a whole response (without body for HEAD). When the request's body was not read, the connection ends afterwards.
  boost::asio::awaitable<Result<void>> send(Response response);
  // Head of a streamed response of unknown length: chunked, or until close for HTTP/1.0. Then send_part() and finish_parts().
  boost::asio::awaitable<Result<void>> start_parts(Response head_only);
  boost::asio::awaitable<Result<void>> send_part(std::string_view part);
  boost::asio::awaitable<Result<void>> finish_parts();

  // After the answer: shall there be another request?
  bool keeps_open() const { return keep_open_; }
  // The next one is for another berthd, or for none. (A command that the gateway runs has this connection only.)
  bool last_request() const;
  void close_after_this() { keep_open_ = false; }
  // Another berthd serves from now on, or none: ends now if that takes no request from anybody, else after the next one.
  void retire();
  // Sends the end of stream and reads what the client still sends for a moment, so that the answer is not lost to a reset.
  boost::asio::awaitable<void> linger_close();
  // Bytes that came after an upgrade request's head.
  std::string take_buffered();
  void forget_head();  // gives its memory back; there is no further request

 private:
  friend class LaneServer;
  boost::asio::awaitable<Result<void>> fill_head();
  boost::asio::awaitable<Result<std::string_view>> read_more_body();
  Result<std::string_view> take_body(std::string_view data, std::size_t& used, std::string* decoded);
  boost::asio::awaitable<Result<void>> refuse(int status, std::string_view why);
  void append_head(std::string& out, const Response& response);

  std::string in_;             // bytes read and not used up; from in_from_ on
  std::size_t in_from_ = 0;
  std::string carry_;          // bytes after the body, found while it was read
  std::string last_part_;      // of a body with trailers
  std::uint64_t body_left_ = 0;
  Deadlines::TimePoint body_by_ = Deadlines::TimePoint::max();  // of a body that is read as a whole
  ChunkScanner chunks_;
  bool idle_ = true;      // between two requests
  bool served_ = false;   // has had one
  bool body_done_ = true, keep_open_ = true, continue_sent_ = false, chunked_out_ = false;
  Connection *previous_ = nullptr, *next_ = nullptr;  // in the lane's list
};

// `data` may lie in the lane's scratch buffer: what the peer does not take at once is copied.
boost::asio::awaitable<Result<void>> write_scratch(Stream& to, std::string_view data);

}  // namespace berth::web
