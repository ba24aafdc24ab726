#include "web/stream.hpp"

#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <cerrno>
#include <ctime>

namespace berth::web {
namespace asio = boost::asio;
namespace {

constexpr std::size_t kLargestRecord = 16 * 1024, kLargeRecord = 4 * 1024;  // of TLS: after a large one most likely more has come
constexpr std::size_t kPlainPerWrite = 64 * 1024;  // four records: what is encrypted before the socket is asked
constexpr std::size_t kSmall = 512;  // what a connection may keep while it idles
constexpr std::size_t kMostEncrypted = 1024 * 1024;  // only answers to a flood of key updates come near this

// OpenSSL's way to the socket. Reads go straight to it, and so do large records while they are still in the nearest cache; small ones gather in the stream's
// own buffer, behind what the socket has not taken.
struct BioState {
  int fd;
  std::string* out;
  std::size_t following;  // large records that the call under way still has to write: the kernel may join them with this one
};

int bio_write(BIO* bio, const char* data, int size) {
  BioState& state = *static_cast<BioState*>(BIO_get_data(bio));
  if (state.out->size() > kMostEncrypted) return -1;
  std::size_t sent = 0;
  if (static_cast<std::size_t>(size) >= kLargeRecord && state.out->empty()) {
    const bool more = state.following > 1;
    const ssize_t taken = ::send(state.fd, data, static_cast<std::size_t>(size), MSG_DONTWAIT | MSG_NOSIGNAL | (more ? MSG_MORE : 0));
    if (taken > 0) sent = static_cast<std::size_t>(taken);  // what went wrong otherwise, flush() finds out
  }
  if (state.following > 0) --state.following;
  state.out->append(data + sent, static_cast<std::size_t>(size) - sent);
  return size;
}

int bio_read(BIO* bio, char* into, int size) {
  BIO_clear_retry_flags(bio);
  const ssize_t got = ::recv(static_cast<BioState*>(BIO_get_data(bio))->fd, into, static_cast<std::size_t>(size), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
  if (got == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  return static_cast<int>(got);
}

long bio_control(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) ? 1 : 0;
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

int bio_destroy(BIO* bio) {
  delete static_cast<BioState*>(BIO_get_data(bio));
  return 1;
}

struct BioMethod {
  BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "berth stream");
  BioMethod() {
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_ctrl(method, bio_control);
    BIO_meth_set_destroy(method, bio_destroy);
  }
  ~BioMethod() { BIO_meth_free(method); }
};

BIO* make_bio(int fd, std::string* out) {
  static const BioMethod kMethod;
  BIO* bio = BIO_new(kMethod.method);
  BIO_set_data(bio, new BioState{fd, out, 0});
  BIO_set_init(bio, 1);
  return bio;
}

// Nobody can change what family a socket is of.
bool carries_only_bytes(int socket) {
  int family = AF_UNSPEC;
  socklen_t size = sizeof family;
  return ::getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &family, &size) == 0 && (family == AF_INET || family == AF_INET6);
}

}  // namespace

Deadlines::TimePoint Deadlines::now() const {
  timespec at{};
  if (::clock_gettime(CLOCK_MONOTONIC_COARSE, &at) != 0) return std::chrono::steady_clock::now();
  return TimePoint(std::chrono::seconds(at.tv_sec) + std::chrono::nanoseconds(at.tv_nsec));
}

void Deadlines::add(Stream& stream) {
  stream.next_ = first_;
  if (first_) first_->previous_ = &stream;
  first_ = &stream;
  if (!armed_) arm();
}

void Deadlines::remove(Stream& stream) {
  (stream.previous_ ? stream.previous_->next_ : first_) = stream.next_;
  if (stream.next_) stream.next_->previous_ = stream.previous_;
}

// Runs only while there are streams: an idle daemon sleeps.
void Deadlines::arm() {
  armed_ = true;
  timer_.expires_after(tick_);
  timer_.async_wait([this, alive = alive_](boost::system::error_code) {
    if (!*alive) return;
    armed_ = false;
    sweep();
    if (first_) arm();
  });
}

void Deadlines::sweep() {
  const TimePoint at = now();
  for (Stream* stream = first_; stream; stream = stream->next_) stream->check_deadline(at);
}

void Deadlines::close_all() {
  for (Stream* stream = first_; stream; stream = stream->next_) stream->close();
}

Stream::Stream(asio::any_io_executor executor, FileDescriptor socket, Deadlines& deadlines)
    : of_workspace_(false), plain_bytes_(carries_only_bytes(socket.get())), descriptor_(executor), deadlines_(deadlines) {
  descriptor_.assign(socket.release());
  deadlines_.add(*this);
}

Stream::Stream(asio::any_io_executor executor, tunnels::WorkspaceSocket socket, Deadlines& deadlines)
    : of_workspace_(true), plain_bytes_(carries_only_bytes(socket.get())), descriptor_(executor), deadlines_(deadlines) {
  descriptor_.assign(socket.release());
  deadlines_.add(*this);
}

Stream::~Stream() {
  close();
  deadlines_.remove(*this);
}

void Stream::check_deadline(Deadlines::TimePoint now) {
  const bool read_late = now >= read_by_, write_late = now >= write_by_;
  if (closed_ || (!read_late && !write_late)) return;
  if (read_late) read_late_ = true, read_by_ = Deadlines::TimePoint::max();
  if (write_late) write_late_ = true, write_by_ = Deadlines::TimePoint::max();
  descriptor_.cancel();  // both directions wake; the one that is not late waits again
}

asio::awaitable<Result<void>> Stream::wait(bool to_write) {
  if (!to_write && read_stopped_) co_return Error{ErrorKind::closed, "reading was stopped"};
  if (!closed_ && !(to_write ? write_late_ : read_late_)) {
    const auto direction = to_write ? asio::posix::stream_descriptor::wait_write : asio::posix::stream_descriptor::wait_read;
    auto [error] = co_await descriptor_.async_wait(direction, asio::as_tuple(asio::deferred));  // no frame of its own
    (void)error;  // cancelled or ready alike: the next try tells
  }
  if (closed_ || (!to_write && read_stopped_)) co_return Error{ErrorKind::closed, "the connection is closed"};
  if (to_write ? write_late_ : read_late_) co_return Error{ErrorKind::timeout, "the peer is too slow"};
  co_return Result<void>{};
}

asio::awaitable<Result<void>> Stream::accept_tls(SSL_CTX* context, std::chrono::milliseconds limit) {
  ssl_.reset(SSL_new(context));
  if (!ssl_) co_return Error{ErrorKind::internal, "no memory for a TLS connection"};
  BIO* bio = make_bio(descriptor_.native_handle(), &encrypted_);
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_accept_state(ssl_.get());
  read_within(limit);
  while (true) {
    ERR_clear_error();
    const int result = SSL_do_handshake(ssl_.get());
    const int why = result == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), result);
    auto sent = co_await write({});
    if (!sent) co_return sent.error();
    if (why == SSL_ERROR_NONE) break;
    if (why != SSL_ERROR_WANT_READ) {
      tls_broken_ = true;
      co_return Error{ErrorKind::protocol, "the TLS handshake failed"};
    }
    auto ready = co_await wait(false);
    if (!ready) co_return ready.error();
  }
  no_read_deadline();
  co_return Result<void>{};
}

// Sends records that wait in `encrypted_`. `bytes`: all gone.
Moved Stream::flush() {
  while (encrypted_from_ < encrypted_.size()) {
    const ssize_t sent = ::send(descriptor_.native_handle(), encrypted_.data() + encrypted_from_, encrypted_.size() - encrypted_from_, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) encrypted_from_ += static_cast<std::size_t>(sent);
    else if (errno == EAGAIN) return {Moved::Kind::blocked, 0};
    else if (errno != EINTR) return {Moved::Kind::broken, 0};
  }
  encrypted_.clear();
  encrypted_from_ = 0;
  return {Moved::Kind::bytes, 0};
}

Moved Stream::tls_result(int result) {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ: return {Moved::Kind::blocked, 0};
    case SSL_ERROR_ZERO_RETURN: tls_ended_ = true; return {Moved::Kind::end, 0};
    default: tls_broken_ = true; return {Moved::Kind::broken, 0};  // after this OpenSSL forbids every further call
  }
}

Moved Stream::try_read(char* into, std::size_t size) {
  if (closed_ || read_stopped_ || tls_broken_) return {Moved::Kind::broken, 0};
  if (!ssl_) {
    const int socket = descriptor_.native_handle();
    const ssize_t got = plain_bytes_ ? ::recv(socket, into, size, MSG_DONTWAIT) : tunnels::receive_some(socket, into, size);
    if (got > 0) return {Moved::Kind::bytes, static_cast<std::size_t>(got)};
    if (got == 0) return {Moved::Kind::end, 0};
    return {errno == EAGAIN || errno == EINTR ? Moved::Kind::blocked : Moved::Kind::broken, 0};
  }
  if (tls_ended_) return {Moved::Kind::end, 0};
  std::size_t total = 0, got = 0;
  int result = 0;
  do {
    ERR_clear_error();
    result = SSL_read_ex(ssl_.get(), into + total, size - total, &got);
    if (result == 1) total += got;
  } while (result == 1 && got >= kLargeRecord && size - total >= kLargestRecord);
  if (!encrypted_.empty()) flush();  // a key update or an alert may have been answered
  if (result == 1) return {Moved::Kind::bytes, total};
  const Moved why = tls_result(result);  // an end or a break is told by the next try too
  return total > 0 ? Moved{Moved::Kind::bytes, total} : why;
}

Moved Stream::try_write(std::string_view data) {
  if (closed_ || tls_broken_) return {Moved::Kind::broken, 0};
  if (!ssl_) {
    while (true) {
      const ssize_t sent = tunnels::send_some(descriptor_.native_handle(), data.data(), data.size());
      if (sent >= 0) return {Moved::Kind::bytes, static_cast<std::size_t>(sent)};
      if (errno != EINTR) return {errno == EAGAIN ? Moved::Kind::blocked : Moved::Kind::broken, 0};
    }
  }
  if (const Moved before = flush(); before.kind != Moved::Kind::bytes || data.empty()) return before;
  ERR_clear_error();
  std::size_t taken = 0;
  const std::size_t size = std::min(data.size(), kPlainPerWrite);
  static_cast<BioState*>(BIO_get_data(SSL_get_wbio(ssl_.get())))->following = size / kLargestRecord + (size % kLargestRecord >= kLargeRecord ? 1 : 0);
  const int result = SSL_write_ex(ssl_.get(), data.data(), size, &taken);
  if (result != 1) return tls_result(result);
  const Moved after = flush();  // what stays is sent by the next try or write()
  return after.kind == Moved::Kind::broken ? after : Moved{Moved::Kind::bytes, taken};
}

asio::awaitable<Result<std::size_t>> Stream::read_some(char* into, std::size_t size) {
  while (true) {
    const Moved moved = try_read(into, size);
    if (moved.kind == Moved::Kind::bytes || moved.kind == Moved::Kind::end) co_return moved.bytes;
    if (moved.kind == Moved::Kind::broken) co_return Error{ErrorKind::closed, "the peer went away"};
    auto ready = co_await wait(false);
    if (!ready) co_return ready.error();
  }
}

bool Stream::write_now(std::string_view& data) {
  if (data.empty()) return encrypted_.empty();
  const Moved moved = try_write(data);
  if (moved.kind != Moved::Kind::bytes) return false;  // write() finds out why
  data.remove_prefix(moved.bytes);
  return data.empty() && encrypted_.empty();
}

asio::awaitable<Result<void>> Stream::write(std::string_view data) {
  while (true) {
    const Moved moved = data.empty() && !ssl_ ? Moved{Moved::Kind::bytes, 0} : try_write(data);
    if (moved.kind == Moved::Kind::broken || moved.kind == Moved::Kind::end) co_return Error{ErrorKind::closed, "the peer went away"};
    data.remove_prefix(moved.bytes);
    if (data.empty() && encrypted_.empty()) co_return Result<void>{};
    if (moved.kind == Moved::Kind::bytes && encrypted_.empty()) continue;
    write_late_ = false;
    write_by_ = deadlines_.now() + write_limit_;
    auto ready = co_await wait(true);
    write_by_ = Deadlines::TimePoint::max();
    if (!ready) co_return ready.error();
  }
}

void Stream::stop_reading() {
  if (closed_) return;
  read_stopped_ = true;
  descriptor_.cancel();
}

asio::awaitable<void> Stream::finish_writing() {
  if (closed_ || tls_broken_) co_return;
  if (ssl_) {
    ERR_clear_error();
    if (SSL_shutdown(ssl_.get()) < 0) ERR_clear_error();
    (void)co_await write({});
  }
  if (!closed_) ::shutdown(descriptor_.native_handle(), SHUT_WR);
}

void Stream::close() {
  if (closed_) return;
  closed_ = true;
  FileDescriptor released(descriptor_.release());
  if (of_workspace_) tunnels::close_elsewhere(std::move(released));
}

bool Stream::idle_and_alive() {
  pollfd look{closed_ ? -1 : descriptor_.native_handle(), POLLIN | POLLRDHUP, 0};
  return !closed_ && ::poll(&look, 1, 0) == 0;
}

bool Stream::peer_hung_up() {
  pollfd look{closed_ ? -1 : descriptor_.native_handle(), POLLRDHUP, 0};
  return closed_ || (::poll(&look, 1, 0) > 0 && (look.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0);
}

bool Stream::drained(std::size_t last_read) const { return last_read < kLargeRecord && !has_more(); }

void Stream::shrink() {
  if (encrypted_.empty() && encrypted_.capacity() > kSmall) std::string().swap(encrypted_);
}

}  // namespace berth::web
