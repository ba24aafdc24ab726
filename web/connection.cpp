#include "web/connection.hpp"

#include "web/lane_server.hpp"

namespace berth::web {
namespace asio = boost::asio;
namespace {

constexpr std::size_t kLingerBytes = 1024 * 1024;
constexpr std::chrono::milliseconds kLinger{2'000};

}  // namespace

Connection::Connection(LaneServer& server, FileDescriptor socket, Peer from, bool is_secure)
    : lane(server), stream(server.executor(), std::move(socket), server.deadlines), peer(std::move(from)), secure(is_secure) {
  stream.write_limit(lane.limits().write);
  lane.enter(*this);
}

Connection::~Connection() { lane.leave(*this); }

asio::awaitable<Result<void>> Connection::next_head() {
  if (in_from_ == in_.size()) in_.clear();
  else in_.erase(0, in_from_);
  in_from_ = 0;
  in_ += carry_;
  std::string().swap(carry_);
  head.fields.clear();
  auto filled = co_await fill_head();
  idle_ = false;
  served_ = true;
  if (!filled) co_return filled.error();
  ++lane.counters.requests;
  body_bytes_read = 0;
  continue_sent_ = false;
  body_left_ = head.framing == Framing::length ? head.content_length : 0;
  body_done_ = head.framing == Framing::none;
  chunks_ = {};
  body_by_ = Deadlines::TimePoint::max();
  keep_open_ = head.keep_alive && !last_request();
  co_return Result<void>{};
}

// Reads until there is a whole, well-formed head. Bad ones are answered here.
asio::awaitable<Result<void>> Connection::fill_head() {
  const WebLimits& limits = lane.limits();
  HeadScanner scanner;
  bool begun = false;
  // Right after an answer there is nothing yet: a try would be in vain.
  bool wait_first = served_ && in_.empty() && !last_request() && !stream.has_more();
  stream.read_within(last_request() ? limits.last_request : limits.idle);
  idle_ = true;
  while (true) {
    if (!in_.empty()) {
      if (!begun) stream.read_within(limits.head);
      begun = true;
      idle_ = false;
      const auto state = scanner.scan(in_);
      if (state == HeadScanner::State::bad) co_return co_await refuse(400, "the request is not HTTP/1.1");
      const bool long_line = scanner.first_line() > limits.request_line_bytes || (scanner.first_line() == 0 && in_.size() > limits.request_line_bytes);
      if (long_line) co_return co_await refuse(414, "the request line is too long");
      if (state == HeadScanner::State::complete ? scanner.size() > limits.head_bytes : in_.size() > limits.head_bytes)
        co_return co_await refuse(431, "the header fields are too long");
      if (state == HeadScanner::State::complete) break;
    }
    const Moved moved = std::exchange(wait_first, false) ? Moved{Moved::Kind::blocked, 0} : stream.try_read(lane.scratch.data(), lane.scratch.size());
    if (moved.kind == Moved::Kind::bytes) {
      in_.append(lane.scratch.data(), moved.bytes);
      continue;
    }
    if (moved.kind != Moved::Kind::blocked) co_return Error{ErrorKind::closed, "the client left"};
    if (!begun && last_request() && (served_ || lane.stopping())) co_return Error{ErrorKind::closed, "the server is stopping"};
    if (in_.empty()) {
      std::string().swap(in_);
      stream.shrink();
    }
    auto ready = co_await stream.wait_readable();
    if (!ready && ready.error().kind == ErrorKind::timeout && begun) co_return co_await refuse(408, "the request took too long to arrive");
    if (!ready) co_return ready.error();
  }
  stream.no_read_deadline();
  in_from_ = scanner.size();
  if (auto error = parse_request(std::string_view(in_).substr(0, scanner.size()), head)) co_return co_await refuse(error->status, error->why);
  co_return Result<void>{};
}

asio::awaitable<Result<void>> Connection::refuse(int status, std::string_view why) {
  ++lane.counters.refused;
  head = {};
  body_done_ = keep_open_ = false;
  Response response = error_response(status, status == 408 ? "timeout" : status == 413 || status == 414 || status == 431 ? "too_large" : "invalid", why);
  (void)co_await send(std::move(response));
  co_await linger_close();
  co_return Error{ErrorKind::protocol, std::string(why)};
}

asio::awaitable<Result<std::string_view>> Connection::read_raw_body(std::string* decoded) {
  while (!body_done_) {
    std::string_view data = std::string_view(in_).substr(in_from_);
    const bool buffered = !data.empty();
    if (!buffered) {
      auto got = co_await read_more_body();
      if (!got) co_return got.error();
      data = *got;
    }
    std::size_t used = 0;
    auto part = take_body(data, used, decoded);
    if (buffered) in_from_ += used;
    else if (used < data.size()) carry_.assign(data.substr(used));
    body_bytes_read += used;
    if (!part || !part->empty()) co_return part;
  }
  co_return std::string_view{};
}

// At least one byte from the socket, in the lane's scratch buffer.
asio::awaitable<Result<std::string_view>> Connection::read_more_body() {
  if (head.expects_continue && !continue_sent_) {
    continue_sent_ = true;
    auto sent = co_await stream.write("HTTP/1.1 100 Continue\r\n\r\n");
    if (!sent) co_return sent.error();
  }
  stream.read_deadline(std::min(body_by_, lane.deadlines.now() + lane.limits().body));
  auto got = co_await stream.read_some(lane.scratch.data(), lane.scratch.size());
  stream.no_read_deadline();
  if (!got) co_return got.error();
  if (*got == 0) co_return Error{ErrorKind::closed, "the request body ended early"};
  co_return std::string_view(lane.scratch.data(), *got);
}

// What of `data` goes on to the workspace; `used`: how much of it belongs to this request.
Result<std::string_view> Connection::take_body(std::string_view data, std::size_t& used, std::string* decoded) {
  if (head.framing == Framing::length) {
    used = static_cast<std::size_t>(std::min<std::uint64_t>(body_left_, data.size()));
    body_left_ -= used;
    body_done_ = body_left_ == 0;
    if (decoded) decoded->append(data.substr(0, used));
    return data.substr(0, used);
  }
  const auto state = chunks_.scan(data, used, decoded);
  if (state == ChunkScanner::State::bad) return Error{ErrorKind::invalid, "the request body's chunks are malformed"};
  body_done_ = state == ChunkScanner::State::complete;
  if (!chunks_.has_trailers()) return data.substr(0, used);
  // Trailers are left out (RFC 9110 6.5.1): they would reach the workspace unchecked, and nothing in a browser sends them.
  const std::string_view before = data.substr(0, chunks_.trailers_from());
  if (!body_done_) return before;
  last_part_ = std::string(before) + "\r\n";
  return std::string_view(last_part_);
}

asio::awaitable<Result<std::string>> Connection::read_body(std::size_t limit) {
  const Error too_large{ErrorKind::too_large, "the request body is larger than " + std::to_string(limit) + " bytes"};
  if (head.framing == Framing::length && head.content_length > limit) co_return too_large;
  std::string body;
  body_by_ = lane.deadlines.now() + lane.limits().body;  // for all of it: a byte a minute is no request
  while (!body_done_) {
    auto part = co_await read_raw_body(&body);
    if (!part) co_return part.error();
    // Chunk framing counts too: endless tiny chunks are as bad as a long body.
    if (body.size() > limit || body_bytes_read > 8 * limit + 1024) co_return too_large;
  }
  co_return body;
}

void Connection::retire() {
  if (!idle_ || !last_request()) return;
  if (lane.stopping() || (served_ && stream.idle_and_alive())) stream.close();
  else stream.read_within(lane.limits().last_request);
}

bool Connection::last_request() const { return lane.stopping() || (lane.retired() && !ssh_login); }

void Connection::append_head(std::string& out, const Response& response) {
  append_status_line(out, response.status);
  append_field(out, "Date", http_date());
  if (!response.content_type.empty()) append_field(out, "Content-Type", response.content_type);
  for (const auto& [name, value] : response.headers) append_field(out, name, value);
  if (!keep_open_) out += "Connection: close\r\n";
  else if (head.minor == 0) out += "Connection: keep-alive\r\n";
}

asio::awaitable<Result<void>> Connection::send(Response response) {
  if (!body_done_ || last_request()) keep_open_ = false;
  lane.counters.count_response(response.status);
  std::string out;
  out.reserve(512 + response.body.size());
  append_head(out, response);
  if (response.status != 304 && response.status != 204) append_field(out, "Content-Length", std::to_string(response.body.size()));
  out += "\r\n";
  if (head.method != "HEAD") out += response.body;
  std::string_view rest = out;
  if (stream.write_now(rest)) co_return Result<void>{};
  co_return co_await stream.write(rest);
}

asio::awaitable<Result<void>> Connection::start_parts(Response response) {
  if (!body_done_ || head.minor == 0) keep_open_ = false;
  lane.counters.count_response(response.status);
  chunked_out_ = head.minor == 1;
  std::string out;
  append_head(out, response);
  if (chunked_out_) out += "Transfer-Encoding: chunked\r\n";
  out += "\r\n";
  co_return co_await stream.write(out);
}

asio::awaitable<Result<void>> Connection::send_part(std::string_view part) {
  if (part.empty() || head.method == "HEAD") co_return Result<void>{};
  if (!chunked_out_) co_return co_await stream.write(part);
  char size[24];
  std::snprintf(size, sizeof size, "%zx\r\n", part.size());
  std::string out(size);
  out += part;
  out += "\r\n";
  co_return co_await stream.write(out);
}

asio::awaitable<Result<void>> Connection::finish_parts() {
  if (!chunked_out_ || head.method == "HEAD") co_return Result<void>{};
  co_return co_await stream.write("0\r\n\r\n");
}

asio::awaitable<void> Connection::linger_close() {
  stream.write_limit(kLinger);
  co_await stream.finish_writing();
  stream.read_within(kLinger);
  for (std::size_t total = 0; total < kLingerBytes;) {
    auto got = co_await stream.read_some(lane.scratch.data(), lane.scratch.size());
    if (!got || *got == 0) break;
    total += *got;
  }
  stream.close();
}

void Connection::forget_head() {
  head = {};
  std::string().swap(in_);
  in_from_ = 0;
}

std::string Connection::take_buffered() {
  std::string rest = in_.substr(in_from_) + carry_;
  in_.clear();
  in_from_ = 0;
  carry_.clear();
  return rest;
}

asio::awaitable<Result<void>> write_scratch(Stream& to, std::string_view data) {
  if (to.write_now(data)) co_return Result<void>{};
  const std::string rest(data);
  co_return co_await to.write(rest);
}

}  // namespace berth::web
