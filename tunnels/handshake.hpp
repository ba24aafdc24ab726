// How a workspace's agent reaches berthd: berthd listens in the workspace's directory, the agent dials, says hello and is
// told its lane. The caller checks who dialled (peer_of) before it believes the hello, then hands the socket to that
// lane's make_agent_link.
#pragma once
#include <sys/types.h>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <chrono>
#include <cstdint>
#include <string>

#include "base/handles.hpp"
#include "base/result.hpp"
#include "tunnels/workspace_socket.hpp"

namespace berth::tunnels {

inline constexpr std::chrono::milliseconds kHelloLimit{5000};

// What an agent says of itself: a claim, not a proof.
struct Hello {
  int protocol = 0;
  std::string version;   // of berth-agent
  std::string instance;  // random, the same on all connections of one run of an agent
  std::int64_t pid = 0;  // in its own namespace; 1 in a container
};

// The kernel's word on who dialled, as seen from this process's namespaces.
struct PeerCredentials {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
};
Result<PeerCredentials> peer_of(const WorkspaceSocket& socket);

// A listening SOCK_SEQPACKET Unix socket. Opening replaces what a former berthd left at `path` and sets the file mode;
// closing removes the file. `path`: at most 107 bytes.
class AgentListener {
 public:
  static Result<AgentListener> open(boost::asio::any_io_executor executor, std::string path, mode_t mode = 0600);
  AgentListener(AgentListener&&) = default;
  AgentListener& operator=(AgentListener&&) = delete;
  ~AgentListener();
  // The next connection; Error{closed} after close(), Error{unavailable} when out of descriptors (wait before the next try).
  boost::asio::awaitable<Result<WorkspaceSocket>> accept();
  void close();
  // Closes it and leaves the file: another berthd listens there, or is about to.
  void give_up();
  const std::string& path() const { return path_; }

 private:
  AgentListener(boost::asio::posix::stream_descriptor socket, std::string path);
  boost::asio::posix::stream_descriptor socket_;
  std::string path_;
};

// Waits at most kHelloLimit for the hello; Error{protocol} for anything else, Error{conflict} for an agent that speaks another version.
boost::asio::awaitable<Result<Hello>> read_hello(WorkspaceSocket& socket);
// Tells the agent its lane and how many connections to make in all. Never waits.
Result<void> send_welcome(const WorkspaceSocket& socket, unsigned lanes, unsigned lane);

}  // namespace berth::tunnels
