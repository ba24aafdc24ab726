// berthd's end of one connection to a workspace's agent (docs/agent-protocol.md). It opens processes, connections and
// services *inside* the workspace; bytes flow through pipes that berthd made, or sockets that the agent hands over.
// Lives on one lane. The agent is hostile: every message is capped and checked, each descriptor's kind is verified, each
// answer has a deadline, and no descriptor that it knows can make berthd wait (tunnels/workspace_socket.hpp).
#pragma once
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/handles.hpp"
#include "base/result.hpp"
#include "tunnels/workspace_socket.hpp"

namespace berth::tunnels {

struct PtyOptions {
  std::string term = "xterm-256color";
  std::uint32_t columns = 80, rows = 24, width_pixels = 0, height_pixels = 0;
  std::string modes;  // RFC 4254 8 encoding, applied by the agent
  std::chrono::seconds keep{0};  // how long it goes on when nobody looks at it, unless hung up
};

struct TerminalSize { std::uint32_t columns = 0, rows = 0; };

// What others did to a terminal that one looks at; set: changed.
struct TerminalChange {
  std::optional<std::string> title;  // as the program set it, printable
  std::optional<TerminalSize> size;
};

// A terminal that the agent holds, as it says.
struct TerminalInfo {
  std::string id, title, command;  // printable; command: empty for a login shell
  TerminalSize size;
  Timestamp started, detached_since;  // the latter: Timestamp{} while somebody looks at it
  std::uint32_t attached = 0;
  std::uint64_t bytes = 0;  // of output, in all
  bool ended = false;       // only its output is still there
  bool kept = false;        // goes on without a viewer
};

struct AttachOptions {
  std::string id;
  TerminalSize size;                  // 0, 0: leave it
  std::optional<std::uint64_t> from;  // offset in the output up to which the viewer has everything
  std::uint64_t replay = UINT64_MAX;  // else at most so many bytes of what is kept
  bool watch_only = false;            // what is typed is dropped
  bool alone = false;                 // others are detached
};

struct ExecOptions {
  // Exactly one of: argv; or command (run as `$SHELL -c command`); neither: a login shell.
  std::vector<std::string> argv;
  std::optional<std::string> command;
  std::map<std::string, std::string> env;  // added to the workspace's own
  std::string cwd;                         // empty: the user's home
  std::optional<PtyOptions> pty;
};

struct ExitStatus {
  int code = 0;             // valid when signal is empty
  std::string signal;       // without "SIG": "KILL"
  bool core_dumped = false;
};

// A process in the workspace, or one more look at the terminal of one. Dropping it closes our descriptors: the process sees EOF or
// EPIPE, or its terminal hangs up, unless that is kept.
class Process {
 public:
  virtual ~Process() = default;
  virtual std::int64_t pid() const = 0;  // inside the workspace
  // Our ends of pipes, non-blocking, not known to anybody else. Each may be taken (moved out) once. With a pty: what is typed, what
  // it shows, and no stderr.
  virtual FileDescriptor take_stdin() = 0;
  virtual FileDescriptor take_stdout() = 0;
  virtual FileDescriptor take_stderr() = 0;
  virtual void resize(std::uint32_t columns, std::uint32_t rows, std::uint32_t width_pixels, std::uint32_t height_pixels) = 0;
  virtual void signal(std::string_view name) = 0;  // "INT", "TERM", … to the process group; unknown names are ignored
  // Waits for the end; Error{closed} when the workspace or the link went away, Error{conflict} when this look at a terminal was ended.
  virtual boost::asio::awaitable<Result<ExitStatus>> wait() = 0;

  // Of a terminal only.
  virtual std::string terminal() const { return ""; }  // its id, to attach to
  virtual void hang_up() {}                            // ends it, kept or not
  virtual void on_change(std::function<void(const TerminalChange&)>) {}
  // Where the output that take_stdout() gives begins, what has to be sent before it, and the size and title at that time.
  struct View {
    std::uint64_t from = 0;
    std::string restore;  // escape sequences
    TerminalSize size;
    std::string title;
  };
  virtual View view() const { return {}; }
};

// A listening socket inside the workspace. Dropping it stops listening; connections that were accepted stay.
class Listener {
 public:
  virtual ~Listener() = default;
  // Where it listens: the port that was bound (0 was asked: the one chosen), or 0 for a Unix socket.
  virtual std::uint16_t port() const = 0;
  // Of listen_private: the socket, or the directory of the files. Inside the workspace, absolute.
  virtual std::string path() const { return ""; }
  struct Accepted {
    WorkspaceSocket socket;
    std::string peer_host;  // empty for a Unix socket
    std::uint16_t peer_port = 0;
  };
  // The next connection. At most 64 wait here; the agent leaves the rest in the kernel's queue.
  // Error{closed} when the workspace or the link went away.
  virtual boost::asio::awaitable<Result<Accepted>> accept() = 0;
};

struct ServiceOptions {
  std::string name;               // "jupyter"
  std::vector<std::string> argv;  // "{socket}" is replaced by the path that the agent chose
  std::map<std::string, std::string> env;
  std::chrono::seconds start_limit{60};
};

// In a co_await expression pass named variables as arguments: g++ 12 destroys a temporary there twice.
class AgentLink {
 public:
  virtual ~AgentLink() = default;
  virtual bool alive() const = 0;
  virtual boost::asio::awaitable<Result<std::unique_ptr<Process>>> exec(ExecOptions options) = 0;
  // Connects inside the workspace's network. The error's message is the system's ("Connection refused").
  virtual boost::asio::awaitable<Result<WorkspaceSocket>> connect_tcp(std::string host, std::uint16_t port) = 0;
  virtual boost::asio::awaitable<Result<WorkspaceSocket>> connect_unix(std::string path) = 0;
  // Listens inside the workspace's network. `host`: "" or "*" every address, "localhost" the loopback (IPv4), else an IP
  // address or a name; port 0 lets the system choose. The error's message is the system's ("Address already in use").
  virtual boost::asio::awaitable<Result<std::unique_ptr<Listener>>> listen_tcp(std::string host, std::uint16_t port) = 0;
  // Makes the socket with mode 0600; a socket that nobody listens on any more is replaced. It is removed with the Listener.
  virtual boost::asio::awaitable<Result<std::unique_ptr<Listener>>> listen_unix(std::string path) = 0;
  // A socket `name` in a new directory with mode 0700, which goes with the Listener.
  virtual boost::asio::awaitable<Result<std::unique_ptr<Listener>>> listen_private(std::string name);
  // As listen_tcp, with such a directory that holds `files` (at most 4, of up to 4 KiB).
  virtual boost::asio::awaitable<Result<std::unique_ptr<Listener>>> listen_tcp_private(std::string host, std::uint16_t port, std::map<std::string, std::string> files);
  // Starts a supervised service, or finds it running; answers with its Unix socket path once it accepts connections.
  // Requests for one name share one start, also from other lanes; Error{conflict} when it runs with another argv or env.
  // On failure the message ends with the last lines of its log.
  virtual boost::asio::awaitable<Result<std::string>> service(ServiceOptions options) = 0;
  // Stops a service; fine when it does not run.
  virtual boost::asio::awaitable<Result<void>> stop_service(std::string name) = 0;
  // {"cpu_us":…, "memory_bytes":…, "processes":…, "services":[{name, pid, state}], "load1":…}
  virtual boost::asio::awaitable<Result<nlohmann::json>> report() = 0;
  // The terminals that the agent holds, whoever opened them; at most 64.
  virtual boost::asio::awaitable<Result<std::vector<TerminalInfo>>> terminals();
  // One more look at one of them. Error{not_found} when it is gone.
  virtual boost::asio::awaitable<Result<std::unique_ptr<Process>>> attach(AttachOptions options);
  // Hangs it up; fine when it is gone.
  virtual void end_terminal(const std::string& id);
  // Another berthd listens for this agent from now on: it dials that one, and this link goes on serving what it has.
  virtual void dial_another();
};

// Takes over a connected SOCK_SEQPACKET socket whose hello has been checked (tunnels/handshake.hpp); the link runs on
// `executor`, which must be one lane's. It stays open until the agent goes away or the last AgentLink, Process and Listener
// of it is dropped. `on_closed` is called once, on the executor, when the agent goes away or breaks the protocol; not when we drop it.
std::shared_ptr<AgentLink> make_agent_link(boost::asio::any_io_executor executor, FileDescriptor socket,
                                           std::function<void()> on_closed);

}  // namespace berth::tunnels
