#include "web/exchange.hpp"

#include <boost/asio/experimental/parallel_group.hpp>

namespace berth::web {
namespace asio = boost::asio;
namespace {

constexpr std::chrono::milliseconds kLookAtClient{5'000};  // how often a waiting answer looks whether the browser is still there
constexpr std::size_t kYieldBytes = 1024 * 1024;           // after so much in one go the lane's others get their turn
constexpr int kMaxInterimResponses = 16;

asio::awaitable<void> yield() { co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable); }

// One direction of a WebSocket. `half`: the other one has ended; a peer that then says nothing for long is not waited for.
asio::awaitable<Result<void>> pump(LaneServer& lane, Stream& from, Stream& to, std::atomic<std::uint64_t>& count, bool& half) {
  std::size_t in_one_go = 0;
  bool wait_first = false;
  while (true) {
    const Moved got = wait_first ? Moved{Moved::Kind::blocked, 0} : from.try_read(lane.scratch.data(), lane.scratch.size());
    wait_first = false;
    if (got.kind == Moved::Kind::blocked) {  // most WebSockets idle most of the time
      from.shrink();
      to.shrink();
      auto ready = co_await from.wait_readable();
      if (!ready) break;
      continue;
    }
    if (got.kind == Moved::Kind::end) {
      half = true;
      to.read_within(lane.limits().half_open);
      co_await to.finish_writing();
      co_return Result<void>{};
    }
    if (got.kind == Moved::Kind::broken) break;
    if (half) from.read_within(lane.limits().half_open);
    count.fetch_add(got.bytes, std::memory_order_relaxed);
    wait_first = from.drained(got.bytes);
    std::string_view data(lane.scratch.data(), got.bytes);
    if (!to.write_now(data)) {
      auto written = co_await write_scratch(to, data);
      if (!written) break;
    }
    if ((in_one_go += got.bytes) < kYieldBytes) continue;
    in_one_go = 0;
    co_await yield();
  }
  from.close();
  to.close();
  co_return Result<void>{};
}

}  // namespace

asio::awaitable<Result<void>> Exchange::run(std::string head) {
  waiting_since_ = lane_.deadlines.now();
  std::string_view rest = head;
  Result<void> written;
  if (!upstream_.write_now(rest)) written = co_await upstream_.write(rest);
  if (!written) co_return Error{ErrorKind::closed, "the workspace's server closed the connection"};
  live_.bytes_in.fetch_add(head.size(), std::memory_order_relaxed);
  std::string().swap(head);  // what comes may last for days
  if (client_.body_done()) {
    wait_first_ = true;
    co_return co_await download();
  }
  co_return co_await run_both();
}

// A frame of its own: a WebSocket, which may stay for days, needs none of it.
asio::awaitable<Result<void>> Exchange::run_both() {
  uploaded_ = false;
  auto executor = co_await asio::this_coro::executor;
  auto up = asio::co_spawn(executor, upload(), asio::deferred);
  auto down = asio::co_spawn(executor, download(), asio::deferred);
  auto [order, up_exception, up_result, down_exception, down_result] =
      co_await asio::experimental::make_parallel_group(std::move(up), std::move(down)).async_wait(asio::experimental::wait_for_all(), asio::use_awaitable);
  client_.stream.resume_reading();
  if (up_exception) std::rethrow_exception(up_exception);
  if (down_exception) std::rethrow_exception(down_exception);
  // A malformed or missing request body is the client's fault, whatever the workspace made of it.
  if (!answered_ && !up_result) co_return up_result;
  co_return down_result;
}

// The request body. When it cannot be had, the workspace must see a cut request, not a short one.
asio::awaitable<Result<void>> Exchange::upload() {
  std::size_t in_one_go = 0;
  while (!client_.body_done()) {
    auto part = co_await client_.read_raw_body();
    if (!part) {
      upstream_.close();
      co_return part.error().kind == ErrorKind::timeout ? Error{ErrorKind::invalid, "the request body took too long to arrive"} : part.error();
    }
    live_.bytes_in.fetch_add(part->size(), std::memory_order_relaxed);
    lane_.counters.bytes_in.add(static_cast<std::int64_t>(part->size()));
    const std::size_t size = part->size();
    auto written = co_await write_scratch(upstream_, *part);
    if (!written) co_return Result<void>{};  // the workspace may have answered early: download() tells
    if ((in_one_go += size) < kYieldBytes) continue;
    in_one_go = 0;
    co_await yield();
  }
  uploaded_ = true;
  waiting_since_ = lane_.deadlines.now();
  co_return Result<void>{};
}

asio::awaitable<Result<void>> Exchange::download() {
  Result<void> done = co_await read_head();
  if (done && response_.status == 101) done = co_await tunnel();
  else if (done) done = co_await send_head();
  if (done && response_.status != 101 && !body_done_) done = co_await relay_body();
  if (!uploaded_) {
    client_.close_after_this();
    client_.stream.stop_reading();
    upstream_.close();  // it may have stopped reading: upload() is not to wait for that
  }
  reusable_ = done && uploaded_ && body_done_ && response_.keep_alive && response_.framing != Framing::until_close && response_.status != 101 && head_size_ == in_.size();
  co_return done;
}

// Bytes of the workspace into the lane's scratch buffer. It may think as long as it likes while it answers, but for its head there is a limit; and a
// browser that has left ends the wait.
asio::awaitable<Result<std::size_t>> Exchange::read_upstream() {
  const auto limit = lane_.limits().upstream_head;
  while (true) {
    upstream_.read_within(std::min(kLookAtClient, limit));
    if (std::exchange(wait_first_, false)) (void)co_await upstream_.wait_readable();  // nobody answers that fast; what became of it the read tells
    const Moved moved = upstream_.try_read(lane_.scratch.data(), lane_.scratch.size());
    heard_ += moved.bytes;
    if (moved.kind == Moved::Kind::bytes || moved.kind == Moved::Kind::end) co_return moved.bytes;
    if (moved.kind == Moved::Kind::broken) co_return Error{ErrorKind::closed, "the peer went away"};
    auto ready = co_await upstream_.wait_readable();
    if (ready) continue;
    if (ready.error().kind != ErrorKind::timeout) co_return ready.error();
    if (client_.stream.peer_hung_up()) co_return Error{ErrorKind::closed, "the client left"};
    if (!answered_ && uploaded_ && lane_.deadlines.now() - waiting_since_ >= limit)
      co_return Error{ErrorKind::timeout, "the workspace's server did not answer in time"};
  }
}

asio::awaitable<Result<void>> Exchange::read_head() {
  HeadScanner scanner;
  for (int interim = 0; interim <= kMaxInterimResponses;) {
    const auto state = in_.empty() ? HeadScanner::State::more : scanner.scan(in_);
    if (state == HeadScanner::State::bad) co_return Error{ErrorKind::protocol, "the workspace's server does not speak HTTP/1.1"};
    if (state == HeadScanner::State::more) {
      if (in_.size() > lane_.limits().head_bytes) co_return Error{ErrorKind::protocol, "the workspace's server sent too long header fields"};
      auto got = co_await read_upstream();
      if (!got) co_return got.error();
      if (*got == 0) co_return Error{ErrorKind::closed, "the workspace's server closed the connection without an answer"};
      in_.append(lane_.scratch.data(), *got);
      continue;
    }
    head_size_ = scanner.size();
    if (auto error = parse_response(std::string_view(in_).substr(0, head_size_), method_, response_))
      co_return Error{ErrorKind::protocol, "the workspace's server answered wrongly: " + std::string(error->why)};
    if (response_.status == 101 && !good_upgrade()) co_return Error{ErrorKind::protocol, "the workspace's server changed the protocol unasked"};
    if (response_.status >= 200 || response_.status == 101) {
      lane_.counters.first_byte.observe(std::chrono::steady_clock::now() - begun_);
      co_return Result<void>{};
    }
    in_.erase(0, head_size_);  // 100 and 103: we have answered Expect ourselves
    scanner.reset();
    ++interim;
  }
  co_return Error{ErrorKind::protocol, "the workspace's server sends interim answers without end"};
}

// How much of `data` belongs to the response body. With decode_, its payload goes to `decoded`.
std::size_t Exchange::take_body(std::string_view data, std::string& decoded) {
  std::size_t used = data.size();
  switch (response_.framing) {
    case Framing::none:
      used = 0;
      body_done_ = true;
      break;
    case Framing::until_close: break;
    case Framing::length:
      used = static_cast<std::size_t>(std::min<std::uint64_t>(body_left_, data.size()));
      body_left_ -= used;
      body_done_ = body_left_ == 0;
      break;
    case Framing::chunked: {
      const auto state = chunks_.scan(data, used, decode_ ? &decoded : nullptr);
      body_done_ = state == ChunkScanner::State::complete;
      broken_body_ = state == ChunkScanner::State::bad;
      break;
    }
  }
  return used;
}

asio::awaitable<Result<void>> Exchange::send_head() {
  body_left_ = response_.content_length;
  decode_ = response_.framing == Framing::chunked && client_minor_ == 0;
  if (response_.framing == Framing::until_close || decode_ || client_.last_request()) client_.close_after_this();
  ProxyResponse rewrite;
  rewrite.prefix = plan_.prefix;
  rewrite.host = plan_.upstream_host;
  rewrite.workspace_path = plan_.workspace_path;
  rewrite.close = !client_.keeps_open();
  rewrite.keep_alive = client_.keeps_open() && client_minor_ == 0;
  rewrite.drop_framing = decode_ || response_.status == 204;
  std::string out = rewrite_response(response_, rewrite);
  const std::string_view rest = std::string_view(in_).substr(head_size_);
  std::string decoded;
  const std::size_t used = take_body(rest, decoded);
  if (broken_body_) co_return Error{ErrorKind::protocol, "the workspace's server sent malformed chunks"};
  out += decode_ ? std::string_view(decoded) : rest.substr(0, used);
  if (used < rest.size()) response_.keep_alive = false;  // more than it announced: not to be trusted with another request
  const std::size_t size = out.size();
  lane_.counters.count_response(response_.status);
  // The views of response_ end here: an idle event stream keeps no copy of its head.
  std::vector<Field>().swap(response_.fields);
  std::string().swap(in_);
  head_size_ = 0;
  answered_ = true;
  live_.bytes_out.fetch_add(size, std::memory_order_relaxed);
  lane_.counters.bytes_out.add(static_cast<std::int64_t>(size));
  std::string_view left = out;
  if (client_.stream.write_now(left)) co_return Result<void>{};
  co_return co_await client_.stream.write(left);
}

asio::awaitable<Result<void>> Exchange::relay_body() {
  std::size_t in_one_go = 0;
  std::string decoded;
  while (!body_done_) {
    auto got = co_await read_upstream();
    if (!got) co_return got.error();
    if (*got == 0 && response_.framing == Framing::until_close) {
      body_done_ = true;
      co_return Result<void>{};
    }
    if (*got == 0) co_return Error{ErrorKind::closed, "the workspace's server ended its answer early"};
    const std::string_view data(lane_.scratch.data(), *got);
    decoded.clear();
    const std::size_t used = take_body(data, decoded);
    if (broken_body_) co_return Error{ErrorKind::protocol, "the workspace's server sent malformed chunks"};
    if (used < data.size()) response_.keep_alive = false;
    live_.bytes_out.fetch_add(used, std::memory_order_relaxed);
    lane_.counters.bytes_out.add(static_cast<std::int64_t>(used));
    auto written = co_await write_scratch(client_.stream, decode_ ? std::string_view(decoded) : data.substr(0, used));
    if (!written) co_return written.error();
    if ((in_one_go += used) < kYieldBytes) continue;
    in_one_go = 0;
    co_await yield();
  }
  co_return Result<void>{};
}

asio::awaitable<Result<void>> Exchange::tunnel() {
  ProxyResponse rewrite;
  rewrite.upgrade = true;
  rewrite.drop_framing = true;
  rewrite.workspace_path = plan_.workspace_path;
  std::string out = rewrite_response(response_, rewrite) + in_.substr(head_size_);
  answered_ = true;
  client_.close_after_this();
  lane_.counters.count_response(response_.status);
  auto written = co_await client_.stream.write(out);
  if (!written) co_return written.error();
  out = client_.take_buffered();
  if (!out.empty()) written = co_await upstream_.write(out);
  if (!written) co_return written.error();
  // A WebSocket may idle for days: neither head is needed any more.
  std::string().swap(out);
  std::string().swap(in_);
  head_size_ = 0;
  std::vector<Field>().swap(response_.fields);  // "= {}" would keep its memory
  client_.forget_head();
  upstream_.no_read_deadline();
  ++lane_.counters.websockets;
  auto executor = co_await asio::this_coro::executor;
  bool half = false;
  auto in = asio::co_spawn(executor, pump(lane_, client_.stream, upstream_, live_.bytes_in, half), asio::deferred);
  auto back = asio::co_spawn(executor, pump(lane_, upstream_, client_.stream, live_.bytes_out, half), asio::deferred);
  co_await asio::experimental::make_parallel_group(std::move(in), std::move(back)).async_wait(asio::experimental::wait_for_all(), asio::use_awaitable);
  --lane_.counters.websockets;
  co_return Result<void>{};
}

}  // namespace berth::web
