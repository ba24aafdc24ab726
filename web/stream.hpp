// A connected byte stream of one lane: a socket, or TLS on a socket by OpenSSL directly (notes on speed in docs/architecture.md). System
// calls are tried first and waited for only when they would block. Deadlines are looked at by one coarse timer per lane.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/handles.hpp"
#include "base/result.hpp"
#include "tunnels/workspace_socket.hpp"

namespace berth::web {

class Stream;

// The streams of one lane that may have deadlines, and the timer that enforces them. Must outlive its streams.
class Deadlines {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;
  Deadlines(const boost::asio::any_io_executor& executor, std::chrono::milliseconds tick) : timer_(executor), tick_(tick) {}
  ~Deadlines() { *alive_ = false; }
  // Of the steady clock, up to some milliseconds ago, for a fraction of its price.
  TimePoint now() const;
  void close_all();  // every stream of the lane

 private:
  friend class Stream;
  void add(Stream& stream);
  void remove(Stream& stream);
  void arm();
  void sweep();
  boost::asio::steady_timer timer_;
  std::chrono::milliseconds tick_;
  Stream* first_ = nullptr;
  bool armed_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

// What a single try moved: `bytes` > 0, or end of stream, or "wait first", or the stream is broken.
struct Moved {
  enum class Kind : std::uint8_t { bytes, end, blocked, broken } kind = Kind::broken;
  std::size_t bytes = 0;
};

class Stream {
 public:
  // Takes a connected socket (any stream family); it becomes non-blocking.
  Stream(boost::asio::any_io_executor executor, FileDescriptor socket, Deadlines& deadlines);
  // One of a workspace: no call here waits, whatever others do to it (tunnels/workspace_socket.hpp).
  Stream(boost::asio::any_io_executor executor, tunnels::WorkspaceSocket socket, Deadlines& deadlines);
  ~Stream();
  Stream(const Stream&) = delete;

  // TLS as the server. Before anything else is read or written.
  boost::asio::awaitable<Result<void>> accept_tls(SSL_CTX* context, std::chrono::milliseconds limit);

  // What has come, as far as it fits; of TLS a record, or several if they are large. Never waits.
  Moved try_read(char* into, std::size_t size);
  Moved try_write(std::string_view data);

  // At least one byte; 0 is the peer's end of stream (half-close: writing goes on). Errors: timeout, closed. `into` is touched only in the
  // resumption that completes the read: several streams of a lane may wait with one scratch buffer if each uses it up before its next co_await.
  boost::asio::awaitable<Result<std::size_t>> read_some(char* into, std::size_t size);
  // What goes at once: `data` becomes the rest. True: all of it is with the socket, there is nothing for write() to do.
  bool write_now(std::string_view& data);
  // Everything, down to the socket. The write deadline starts anew with each byte taken.
  boost::asio::awaitable<Result<void>> write(std::string_view data);
  // After a try_read() that was blocked, or when !has_more(): until the socket has more (data, end of stream or an error), without a buffer. What TLS has kept
  // of it by then is a part of a record, which only the socket can complete.
  boost::asio::awaitable<Result<void>> wait_readable() { return wait(false); }

  // A read that has not got a byte at that time answers Error{timeout}. No deadline: Deadlines::TimePoint::max().
  void read_deadline(Deadlines::TimePoint at) { read_by_ = at; read_late_ = false; }
  void read_within(std::chrono::milliseconds limit) { read_deadline(deadlines_.now() + limit); }
  void no_read_deadline() { read_deadline(Deadlines::TimePoint::max()); }
  void write_limit(std::chrono::milliseconds limit) { write_limit_ = limit; }

  // Reads answer Error{closed} until resume_reading(); writing goes on.
  void stop_reading();
  void resume_reading() { read_stopped_ = false; }
  // Sends the end of stream (close_notify, FIN) after everything written; the peer may still send.
  boost::asio::awaitable<void> finish_writing();
  // Both directions at once; every waiting operation answers Error{closed}. Idempotent, callable at any time on the lane.
  void close();
  bool open() const { return !closed_; }
  bool has_more() const { return ssl_ && SSL_has_pending(ssl_.get()) == 1; }  // TLS has read something that nobody has taken
  // After a read of so many bytes: most likely nothing more has come, so that a try would be in vain and wait_readable() is cheaper.
  bool drained(std::size_t last_read) const;
  bool flushed() const { return encrypted_.empty(); }  // nothing waits for the socket

  // A kept, unused connection: nothing to read and not hung up.
  bool idle_and_alive();
  // The peer has ended its sending or is gone, whatever is still to be read.
  bool peer_hung_up();
  // Gives back memory that an idle connection does not need.
  void shrink();
  int native_handle() { return descriptor_.native_handle(); }

 private:
  friend class Deadlines;
  Moved flush();
  Moved tls_result(int result);
  boost::asio::awaitable<Result<void>> wait(bool to_write);
  void check_deadline(Deadlines::TimePoint now);

  const bool of_workspace_;
  const bool plain_bytes_;  // of a family that carries no descriptors
  boost::asio::posix::stream_descriptor descriptor_;
  Deadlines& deadlines_;
  Stream *previous_ = nullptr, *next_ = nullptr;  // in deadlines_
  SslHandle ssl_;
  std::string encrypted_;       // records that the socket has not taken yet
  std::size_t encrypted_from_ = 0;
  Deadlines::TimePoint read_by_ = Deadlines::TimePoint::max(), write_by_ = Deadlines::TimePoint::max();
  std::chrono::milliseconds write_limit_{60'000};
  bool closed_ = false, read_stopped_ = false, read_late_ = false, write_late_ = false, tls_broken_ = false, tls_ended_ = false;
};

}  // namespace berth::web
