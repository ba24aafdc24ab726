// Moves bytes between an SSH channel and descriptors in a workspace, with backpressure both ways and half-close passed
// on. Buffers exist only while bytes flow, so an idle channel costs a few hundred bytes.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string_view>

#include "auth/sessions.hpp"
#include "base/handles.hpp"
#include "server/ssh/session.hpp"
#include "tunnels/workspace_socket.hpp"

namespace berth::server {

// What the client sends goes to `input`; what `output` and `errors` yield goes to the client. Pipes are berthd's own; a connected
// socket, both input and output, is the workspace's, and is used by the rules of tunnels/workspace_socket.hpp only.
class Relay : public std::enable_shared_from_this<Relay> {
 public:
  enum class Kind { pipes, terminal, socket };

  static std::shared_ptr<Relay> of_pipes(const boost::asio::any_io_executor& executor, std::shared_ptr<ssh::Channel> channel,
                                         FileDescriptor input, FileDescriptor output, FileDescriptor errors);
  static std::shared_ptr<Relay> of_terminal(const boost::asio::any_io_executor& executor, std::shared_ptr<ssh::Channel> channel,
                                            FileDescriptor input, FileDescriptor output);
  static std::shared_ptr<Relay> of_socket(const boost::asio::any_io_executor& executor, std::shared_ptr<ssh::Channel> channel,
                                          tunnels::WorkspaceSocket socket);

  // Counters of this session follow the channel's. Call before start().
  void count_into(std::shared_ptr<auth::LiveSession> live) { live_ = std::move(live); }
  // Starts moving bytes.
  void start();
  // Ends when everything that the workspace wrote has been handed to the channel, or the client has gone.
  boost::asio::awaitable<void> output_done();
  // Ends when the client has sent EOF and all of it has been passed on, or the client has gone, or the other end of a socket takes nothing more.
  boost::asio::awaitable<void> input_done();
  // The client has closed the channel: what it sent before still reaches the target, nothing more goes to the client.
  void client_left();
  // The client takes no more output: a process gets EPIPE at its next write. Errors still go to the client. A terminal stays as it is.
  void stop_output();
  // Closes every descriptor; pending operations end.
  void close();
  ~Relay() { close(); }

 private:
  Relay(const boost::asio::any_io_executor& executor, std::shared_ptr<ssh::Channel> channel, Kind kind);
  static boost::asio::awaitable<void> pump_in(std::shared_ptr<Relay> self);
  static boost::asio::awaitable<void> close_after(std::shared_ptr<Relay> self, std::chrono::milliseconds limit);
  static boost::asio::awaitable<void> pump_out(std::shared_ptr<Relay> self, boost::asio::posix::stream_descriptor& from, bool as_stderr);
  // As ssh::Channel::Taker.
  std::size_t take(std::string_view data);
  // How many bytes the target takes now; nullopt when it takes no more at all.
  std::optional<std::size_t> pass_on(std::string_view data);
  boost::asio::posix::stream_descriptor& target() { return kind_ == Kind::socket ? output_ : input_; }
  void end_input();
  void close_descriptor(boost::asio::posix::stream_descriptor& descriptor);
  void output_ended();
  void count();

  std::shared_ptr<ssh::Channel> channel_;
  Kind kind_;
  boost::asio::posix::stream_descriptor input_, output_, errors_;
  boost::asio::steady_timer outputs_ended_, input_ended_;  // cancelled, never expiring: used as conditions
  int open_outputs_ = 0;
  bool input_open_ = true, client_gone_ = false;
  std::shared_ptr<auth::LiveSession> live_;
};

}  // namespace berth::server
