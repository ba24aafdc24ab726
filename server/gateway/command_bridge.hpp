// Between a command, which blocks on a thread of its own, and its SSH channel on a lane: standard input and output with bounded buffers and
// backpressure both ways, and connections to the API that live no longer than the channel.
#pragma once
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/handles.hpp"
#include "base/result.hpp"

namespace berth::server {

class CommandBridge : public std::enable_shared_from_this<CommandBridge> {
 public:
  // `serve_api` gets the server's end of each connection to the API; it runs on `executor`, the lane's.
  using ServeApi = std::function<void(FileDescriptor socket)>;
  CommandBridge(boost::asio::any_io_executor executor, ServeApi serve_api);

  // On the command's thread.
  // Waits while the client does not take what was written before. False: the client has left.
  bool write(std::string_view text, bool as_stderr);
  // At least one byte; empty at the end of the input, when the client has left, or when it sent nothing for five minutes.
  std::string read();
  Result<FileDescriptor> connect();
  void finish(int exit_code);

  // On the lane.
  struct Output {
    std::string text;
    bool as_stderr = false;
  };
  // The next piece, nullopt when the command has ended or was given up and everything has been taken.
  boost::asio::awaitable<std::optional<Output>> next_output();
  // Waits until the command reads (`ahead`: until little enough lies here unread). False: it reads no more.
  boost::asio::awaitable<bool> input_wanted(bool ahead);
  void give_input(std::string_view bytes);
  void end_input();
  // From any thread: every operation of the command ends, and so will it.
  void give_up();
  bool given_up() const;
  std::optional<int> exit_code() const;

 private:
  void wake();  // the lane's waits

  const boost::asio::any_io_executor executor_;
  const ServeApi serve_api_;
  boost::asio::steady_timer output_changed_, input_changed_;  // used as conditions on the lane
  mutable std::mutex mutex_;  // of all below
  std::condition_variable changed_;
  std::deque<Output> output_;
  std::size_t output_bytes_ = 0;
  std::string input_;
  bool reading_ = false, input_ended_ = false, given_up_ = false;
  std::optional<int> exit_code_;
  FileDescriptor api_;  // a second handle on the command's connection, to cut it
};

}  // namespace berth::server
