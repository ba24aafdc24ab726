// An ssh::Channel without a network: tests push what the client sends and read what it would receive.
#pragma once
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>
#include <deque>

#include "server/ssh/session.hpp"

namespace berth::ssh {

class FakeChannel final : public Channel {
 public:
  explicit FakeChannel(boost::asio::io_context& io) : changed_(io, boost::asio::steady_timer::time_point::max()) {}

  // The client's side.
  void client_sends(std::string_view data) {
    const std::size_t taken = taker_ && incoming_.empty() ? taker_(data) : 0;
    in_ += taken;
    incoming_ += data.substr(taken);
    wake();
  }
  void client_eof() { eof_ = true, wake(); }
  void client_closes() { closed_ = true, by_client_ = true, wake(); }
  void connection_breaks() { closed_ = true, wake(); }
  std::string received, received_stderr;
  bool got_eof = false, got_close = false;

  const ChannelOpen& opening() const override { return opening_; }
  void confirm() override {}
  void refuse(OpenFailure, std::string_view) override {}
  boost::asio::awaitable<Result<ChannelRequest>> next_request() override {
    while (!closed_) co_await wait();
    co_return Error{ErrorKind::closed, "closed"};
  }
  void reply(bool) override {}
  boost::asio::awaitable<Result<std::size_t>> read(boost::asio::mutable_buffer into) override {
    const Result<std::string_view> come = co_await peek();
    if (!come) co_return come.error();
    const std::size_t size = std::min(into.size(), come->size());
    std::memcpy(into.data(), come->data(), size);
    consume(size);
    co_return size;
  }
  boost::asio::awaitable<Result<std::string_view>> peek() override {
    while (incoming_.empty() && !eof_ && !closed_) co_await wait();
    if (incoming_.empty() && !eof_) co_return Error{ErrorKind::closed, "closed"};
    co_return std::string_view(incoming_);
  }
  void consume(std::size_t count) override {
    incoming_.erase(0, count);
    in_ += count;
  }
  void take_at_once(Taker taker) override { taker_ = std::move(taker); }
  boost::asio::awaitable<Result<void>> write(boost::asio::const_buffer data, bool as_stderr) override {
    if (closed_ || got_close) co_return Error{ErrorKind::closed, "closed"};
    (as_stderr ? received_stderr : received).append(static_cast<const char*>(data.data()), data.size());
    out_ += data.size();
    co_return Result<void>();
  }
  void send_eof() override { got_eof = true; }
  void send_exit_status(std::uint32_t) override {}
  void send_exit_signal(std::string_view, bool, std::string_view) override {}
  void hold_close() override {}
  boost::asio::awaitable<void> gone() override { co_return; }
  void close() override { got_close = true; }
  void cut_off() override { got_close = closed_ = true, wake(); }
  bool ended_by_client() const override { return by_client_; }
  std::uint64_t bytes_in() const override { return in_; }
  std::uint64_t bytes_out() const override { return out_; }

 private:
  void wake() { changed_.cancel(); }
  boost::asio::awaitable<void> wait() { co_await changed_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable)); }

  ChannelOpen opening_ = SessionOpen{};
  boost::asio::steady_timer changed_;
  std::string incoming_;
  Taker taker_;
  bool eof_ = false, closed_ = false, by_client_ = false;
  std::uint64_t in_ = 0, out_ = 0;
};

}  // namespace berth::ssh
