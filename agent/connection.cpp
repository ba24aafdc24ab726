#include "agent/connection.hpp"

#include <sys/epoll.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "tunnels/wire.hpp"

namespace berth::agent {
namespace wire = tunnels::wire;

namespace {
std::uint64_t next_connection_id() {
  static std::uint64_t last = 0;
  return ++last;
}
// One for all connections: the loop has one thread, and a message is handled before the next is read.
std::array<char, wire::kMaxMessage + 1> read_buffer;
}  // namespace

Connection::Connection(Loop& loop, FileDescriptor socket, Handlers handlers)
    : loop_(loop), socket_(std::move(socket)), handlers_(std::move(handlers)), id_(next_connection_id()) {}

Connection::~Connection() {
  loop_.cancel(failing_);
  loop_.forget(watch_);
}

void Connection::start() {
  watch_ = loop_.watch(socket_.get(), EPOLLIN, [weak = weak_from_this()](std::uint32_t events) {
    if (auto self = weak.lock()) self->on_ready(events);
  });
  if (!watch_) fail_later();
}

void Connection::on_ready(std::uint32_t events) {
  if (events & EPOLLOUT) write_queued();
  if (open() && (events & (EPOLLIN | EPOLLHUP | EPOLLERR))) read_all();
}

void Connection::read_all() {
  // A few at a time, so that one busy connection does not keep the others waiting.
  for (int budget = 16; budget > 0 && open(); --budget) {
    auto received = wire::receive(socket_.get(), read_buffer);
    if (received.status == wire::Status::again) return;
    if (received.status != wire::Status::ok) return close();
    handlers_.message(shared_from_this(), received.text, std::move(received.descriptors));
  }
}

bool Connection::try_send(Outgoing& message) {
  std::vector<int> descriptors;
  for (auto& descriptor : message.descriptors) descriptors.push_back(descriptor.get());
  auto sent = wire::send(socket_.get(), message.text, descriptors);
  if (sent.status == wire::Status::again) return false;
  if (sent.status == wire::Status::failed && !message.instead.empty()) {
    message = Outgoing{std::move(message.instead), {}, {}};
    return try_send(message);
  }
  if (sent.status != wire::Status::ok) fail_later();
  return true;
}

void Connection::send(std::string text, std::vector<FileDescriptor> descriptors, std::string instead) {
  if (!open() || failing_) return;
  Outgoing message{std::move(text), std::move(descriptors), std::move(instead)};
  if (queue_.empty() && try_send(message)) return;
  queued_bytes_ += message.text.size();
  queue_.push_back(std::move(message));
  if (queued_bytes_ > kMaxQueued) return fail_later();
  loop_.change(watch_, EPOLLIN | EPOLLOUT);
}

void Connection::write_queued() {
  while (!queue_.empty() && open() && !failing_) {
    if (!try_send(queue_.front())) return;
    queued_bytes_ -= queue_.front().text.size();
    queue_.pop_front();
  }
  loop_.change(watch_, EPOLLIN);
}

// Closing from inside send() would pull the ground from under whoever is sending.
void Connection::fail_later() {
  if (failing_) return;
  failing_ = loop_.after(std::chrono::milliseconds(0), [weak = weak_from_this()] {
    if (auto self = weak.lock()) self->close();
  });
}

void Connection::close() {
  if (!open()) return;
  auto keep = shared_from_this();
  loop_.forget(watch_);
  socket_.reset();
  queue_.clear();
  handlers_.closed(keep);
}

}  // namespace berth::agent
