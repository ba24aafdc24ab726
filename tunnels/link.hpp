// Inside of AgentLink: the connection, its operations and their answers. Everything runs on one lane.
#pragma once
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/handles.hpp"
#include "base/result.hpp"
#include "tunnels/agent_link.hpp"
#include "tunnels/wire.hpp"
#include "tunnels/workspace_socket.hpp"

namespace berth::tunnels {

// The agent did what it may not.
inline Error broken(std::string message) { return {ErrorKind::protocol, std::move(message)}; }

// What an answer must carry.
enum class Expected { nothing, socket };
// One connected stream socket of plain TCP or Unix, or none. Error{protocol} for anything else.
Result<void> check_descriptors(const std::vector<FileDescriptor>& descriptors, Expected expected);

// What may follow a request's `done`.
enum class Follows { nothing, exit, connections };

// One request and what came back for it. The link's table keeps it until the agent has said its last word on it, also when
// nobody waits any more: a late answer is then known for what it is, and its descriptors are closed.
struct Operation {
  Operation(boost::asio::any_io_executor executor, Expected expected_descriptors, Follows what_follows)
      : expected(expected_descriptors), follows(what_follows), changed(executor, boost::asio::steady_timer::time_point::max()) {}
  const Expected expected;
  const Follows follows;
  std::size_t sent_descriptors = 0;
  bool answered = false;
  bool abandoned = false;  // nobody waits
  bool ended = false;      // exit or closed came, or the link went away (`lost`)
  bool lost = false;
  std::optional<Error> refused;  // the agent's answer: this, or the fields and descriptors
  nlohmann::json fields;
  WorkspaceSocket socket;
  ExitStatus exit;
  std::optional<std::string> detached;            // why; instead of an exit
  std::function<void(const TerminalChange&)> changes;  // of a terminal's title or size
  std::deque<Listener::Accepted> accepted;
  boost::asio::steady_timer changed;  // cancelled when any of these changes; while unanswered also the deadline
};

class Link : public std::enable_shared_from_this<Link> {
 public:
  using Json = nlohmann::json;
  Link(boost::asio::any_io_executor executor, FileDescriptor socket, std::function<void()> on_closed);
  void start();
  void close();  // by us: on_closed is not called
  bool alive() const { return socket_.is_open(); }
  boost::asio::any_io_executor executor() { return socket_.get_executor(); }

  struct Asked {
    std::uint64_t op = 0;
    std::shared_ptr<Operation> operation;  // answered, descriptors checked
    const Json& fields() const { return operation->fields; }
  };
  // Sends a request and waits for its answer, at most `limit`.
  // `descriptors` go with it and are closed here. At most kMaxUnansweredDescriptors may be on their way: it waits for its turn, at most `limit` too.
  boost::asio::awaitable<Result<Asked>> ask(Json request, Expected expected, Follows follows, std::chrono::milliseconds limit,
                                            std::vector<FileDescriptor> descriptors = {});
  // Sends without waiting; nothing comes back.
  void tell(Json message);

 private:
  static constexpr std::size_t kMaxOperations = 4096;
  static constexpr std::size_t kMaxQueued = 1024 * 1024;
  static constexpr std::size_t kMaxAccepted = 64;
  // The kernel counts what is on its way against all of berthd: an agent that does not read must not use that up.
  static constexpr std::size_t kMaxUnansweredDescriptors = 768;
  static constexpr std::size_t kMaxWaiting = 512;  // requests, for their turn to send descriptors

  using Entry = std::unordered_map<std::uint64_t, std::shared_ptr<Operation>>::iterator;
  static boost::asio::awaitable<void> read_messages(std::shared_ptr<Link> self);
  static boost::asio::awaitable<void> write_messages(std::shared_ptr<Link> self);
  Result<void> take(wire::Received& received);
  Result<void> take_done(Entry entry, Json& message, wire::Received& received);
  Result<void> take_error(Entry entry, Json& message, wire::Received& received);
  Result<void> take_exit(Entry entry, Json& message, wire::Received& received);
  Result<void> take_accepted(Entry entry, Json& message, wire::Received& received);
  Result<void> take_closed(Entry entry, Json& message, wire::Received& received);
  Result<void> take_detached(Entry entry, Json& message, wire::Received& received);
  Result<void> take_title(Entry entry, Json& message, wire::Received& received);
  Result<void> take_size(Entry entry, Json& message, wire::Received& received);
  struct Kind {
    std::string_view type;
    Result<void> (Link::*take)(Entry, Json&, wire::Received&);
  };
  static const Kind kKinds[];
  struct Outgoing {
    std::string text;
    std::vector<FileDescriptor> descriptors;
  };
  Result<void> send(Outgoing message);
  static wire::Sent send_now(int socket, const Outgoing& message);
  void settle_answer(Operation& operation);
  // False: none came until then.
  boost::asio::awaitable<bool> next_answer(std::chrono::steady_clock::time_point until);
  void fail(const Error& why);
  void shut();

  boost::asio::posix::stream_descriptor socket_;
  std::function<void()> on_closed_;
  std::uint64_t last_op_ = 0;
  std::unordered_map<std::uint64_t, std::shared_ptr<Operation>> operations_;
  std::deque<Outgoing> outgoing_;
  std::size_t outgoing_bytes_ = 0;
  std::size_t unanswered_descriptors_ = 0;
  std::vector<boost::asio::steady_timer*> waiting_;  // for fewer of them
};

}  // namespace berth::tunnels
