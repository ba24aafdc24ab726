#include "server/gateway/session_channel.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "auth/key_notices.hpp"
#include "base/deadline.hpp"
#include "base/human.hpp"
#include "config/settings.hpp"
#include "server/gateway/commands.hpp"
#include "server/gateway/relay.hpp"
#include "server/gateway/spawn.hpp"

namespace berth::server {
namespace asio = boost::asio;
namespace {

constexpr std::size_t kMaxEnv = 128;                          // variables per channel
constexpr std::size_t kMaxEnvBytes = 32 * 1024;               // names and values together
constexpr std::chrono::milliseconds kExitAfterOutput{100};     // most processes end right after their output: one EOF, with the exit status
constexpr std::chrono::milliseconds kLastTerminalOutput{200};  // a background process may hold the terminal open

// sftp-server lives where the image's distribution put it.
constexpr const char* kSftpServer =
    "for p in /usr/lib/openssh/sftp-server /usr/libexec/openssh/sftp-server /usr/lib/ssh/sftp-server /usr/libexec/sftp-server "
    "/usr/lib/sftp-server; do [ -x \"$p\" ] && exec \"$p\"; done; "
    "echo 'berth: the image of this workspace has no sftp-server (package openssh-sftp-server)' >&2; exit 127";

// What the client asked for before it starts something (RFC 4254 6.2 to 6.5).
struct Wish {
  std::string kind;    // "shell", "exec", "sftp"
  std::string detail;  // command line
  tunnels::ExecOptions exec;
  std::size_t env_bytes = 0;
};

void take_env(Wish& wish, const ssh::EnvRequest& env, const std::vector<std::string>& allowed, ssh::Channel& channel) {
  const std::size_t size = env.name.size() + env.value.size();
  const bool fits = wish.exec.env.size() < kMaxEnv && wish.env_bytes + size <= kMaxEnvBytes;
  const bool clean = env.name.find_first_of(std::string_view("=\0", 2)) == std::string::npos && env.value.find('\0') == std::string::npos;
  const bool ok = fits && clean && matches_any(env.name, allowed);
  if (ok) {
    wish.exec.env[env.name] = env.value;
    wish.env_bytes += size;
  }
  channel.reply(ok);
}

// Reads requests until one starts something; nullopt when the client left first. The starting request is not yet answered.
asio::awaitable<std::optional<Wish>> read_wish(Connection& connection, ssh::Channel& channel) {
  Wish wish;
  for (;;) {
    Result<ssh::ChannelRequest> request = co_await channel.next_request();
    if (!request) co_return std::nullopt;
    if (auto* pty = std::get_if<ssh::PtyRequest>(&*request)) {
      wish.exec.pty = tunnels::PtyOptions{pty->term, pty->columns, pty->rows, pty->width_pixels, pty->height_pixels, pty->modes};
      channel.reply(true);
    } else if (auto* env = std::get_if<ssh::EnvRequest>(&*request)) {
      take_env(wish, *env, connection.services.options.env_allow, channel);
    } else if (auto* size = std::get_if<ssh::WindowChange>(&*request)) {
      if (wish.exec.pty) {
        wish.exec.pty->columns = size->columns;
        wish.exec.pty->rows = size->rows;
      }
      channel.reply(wish.exec.pty.has_value());
    } else if (std::holds_alternative<ssh::ShellRequest>(*request)) {
      wish.kind = "shell";
      co_return wish;
    } else if (auto* exec = std::get_if<ssh::ExecRequest>(&*request)) {
      wish.kind = "exec";
      wish.detail = exec->command;
      wish.exec.command = exec->command;
      co_return wish;
    } else if (auto* subsystem = std::get_if<ssh::SubsystemRequest>(&*request); subsystem && subsystem->name == "sftp") {
      wish.kind = "sftp";
      wish.exec.argv = {"/bin/sh", "-c", kSftpServer};
      wish.exec.pty.reset();
      co_return wish;
    } else {
      channel.reply(false);
    }
  }
}

// A plain sentence on the client's stderr; a terminal in raw mode needs the carriage return.
asio::awaitable<void> say(std::shared_ptr<ssh::Channel> channel, std::string text, bool has_pty) {
  text += has_pty ? "\r\n" : "\n";
  (void)co_await channel->write(asio::buffer(text), true);
}

// What the user should know about the key that they came with.
asio::awaitable<void> say_notices(const Connection& connection, std::shared_ptr<ssh::Channel> channel, bool has_pty) {
  const GatewayServices& services = connection.services;
  const auto notices = auth::notices_for(*connection.lane.reader, services.directory, services.campaigns, connection.user.name, connection.key.fingerprint,
                                         services.options.ssh_command, services.clock.now());
  for (const auth::Notice& notice : notices) {
    if (auth::is_said_at_login(notice)) co_await say(channel, "berth: " + notice.text, has_pty);
  }
}

asio::awaitable<void> fail_channel(std::shared_ptr<ssh::Channel> channel, std::string message, bool has_pty) {
  co_await say(channel, "berth: " + message, has_pty);
  channel->send_eof();
  channel->send_exit_status(255);
  channel->close();
}

// One running process and what its coroutines tell each other.
struct Running {
  Running(const asio::any_io_executor& executor, std::shared_ptr<ssh::Channel> its_channel, std::shared_ptr<tunnels::Process> its_process)
      : channel(std::move(its_channel)), process(std::move(its_process)), left(executor, asio::steady_timer::time_point::max()) {}
  std::shared_ptr<ssh::Channel> channel;
  std::shared_ptr<tunnels::Process> process;
  std::shared_ptr<Relay> relay;
  asio::steady_timer left;  // cancelled when the client has closed the channel
  bool client_left = false;
};

// After the start: resize and signals go to the process; the end of the channel ends the relay.
asio::awaitable<void> serve_requests(std::shared_ptr<Running> running) {
  for (;;) {
    const Result<ssh::ChannelRequest> request = co_await running->channel->next_request();
    if (!request) break;
    bool known = true;
    if (const auto* size = std::get_if<ssh::WindowChange>(&*request)) {
      running->process->resize(size->columns, size->rows, size->width_pixels, size->height_pixels);
    } else if (const auto* signal = std::get_if<ssh::SignalRequest>(&*request)) {
      running->process->signal(signal->name);
    } else {
      known = false;
    }
    running->channel->reply(known);
  }
  running->client_left = true;
  running->relay->client_left();
  running->left.expires_at(asio::steady_timer::time_point::min());
}

// The end of the process, or nullopt when the client left before it: such a process goes on as under sshd (its terminal
// hangs up, its pipes break).
asio::awaitable<std::optional<Result<tunnels::ExitStatus>>> exit_or_client_left(std::shared_ptr<Running> running) {
  if (running->client_left) co_return std::nullopt;
  co_return co_await unless(running->process->wait(), running->left);
}

// A process that closes its output and lives on: the client gets EOF while its own input still flows.
asio::awaitable<void> pass_on_end_of_output(std::shared_ptr<Running> running) {
  co_await running->relay->output_done();
  asio::steady_timer timer(co_await asio::this_coro::executor, kExitAfterOutput);
  co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
  running->channel->send_eof();
}

void describe_client(Connection& connection, tunnels::ExecOptions& exec) {
  // As sshd(8) sets them: "client-ip client-port server-ip server-port".
  const auto split = [](const std::string& address) {
    const std::size_t colon = address.rfind(':');
    std::string host = address.substr(0, colon);
    if (host.size() > 2 && host.front() == '[') host = host.substr(1, host.size() - 2);
    return std::pair(host, colon == std::string::npos ? std::string() : address.substr(colon + 1));
  };
  const auto [client, client_port] = split(connection.client_address);
  const auto [server, server_port] = split(connection.server_address);
  exec.env["SSH_CONNECTION"] = client + " " + client_port + " " + server + " " + server_port;
  exec.env["SSH_CLIENT"] = client + " " + client_port + " " + server_port;
}

// Tells the client how the process ended; answers the outcome for the session's row.
std::string send_exit(ssh::Channel& channel, const tunnels::ExitStatus& exit) {
  channel.send_eof();
  if (!exit.signal.empty()) {
    channel.send_exit_signal(exit.signal, exit.core_dumped, "");
    return "signal " + exit.signal;
  }
  channel.send_exit_status(static_cast<std::uint32_t>(exit.code));
  return "exit " + std::to_string(exit.code);
}

asio::awaitable<std::string> run_process(std::shared_ptr<ssh::Channel> channel, std::shared_ptr<tunnels::Process> process,
                                         std::shared_ptr<auth::LiveSession> live, bool has_pty) {
  const auto executor = co_await asio::this_coro::executor;
  auto running = std::make_shared<Running>(executor, channel, process);
  if (has_pty) {
    running->relay = Relay::of_terminal(executor, channel, process->take_terminal());
  } else {
    FileDescriptor input = process->take_stdin(), output = process->take_stdout(), errors = process->take_stderr();
    running->relay = Relay::of_pipes(executor, channel, std::move(input), std::move(output), std::move(errors));
  }
  running->relay->count_into(live);
  running->relay->start();
  spawn_logged(executor, serve_requests(running), "channel.requests");
  if (!has_pty) spawn_logged(executor, pass_on_end_of_output(running), "channel.end_of_output");

  const std::optional<Result<tunnels::ExitStatus>> exit = co_await exit_or_client_left(running);
  if (!exit) co_return "client left";
  std::string outcome;
  if (!*exit) {
    outcome = exit->error().message;
    co_await fail_channel(channel, "the workspace went away: " + outcome, has_pty);
  } else {
    if (has_pty) {
      co_await running->relay->output_done_within(kLastTerminalOutput);
    } else {
      co_await running->relay->output_done();
    }
    outcome = send_exit(*channel, **exit);
    channel->close();
  }
  running->relay->close();
  co_return outcome;
}

// Ends one channel for an administrator or a revocation: the client reads why.
void kill_channel(const std::weak_ptr<ssh::Channel>& weak, const std::string& reason, const asio::any_io_executor& executor, bool has_pty) {
  const std::shared_ptr<ssh::Channel> channel = weak.lock();
  if (channel) spawn_logged(executor, fail_channel(channel, reason, has_pty), "channel.kill");
}

asio::awaitable<void> serve_in_workspace(std::shared_ptr<Connection> connection, std::shared_ptr<ssh::Channel> channel, Wish wish) {
  const auto executor = co_await asio::this_coro::executor;
  const bool has_pty = wish.exec.pty.has_value();
  const std::weak_ptr<ssh::Channel> weak = channel;
  auto live = connection->services.sessions.open(
      connection->record(wish.kind, cut_to_width(printable(wish.detail), 256)), executor,
      [weak, executor, has_pty](const std::string& reason) { kill_channel(weak, reason, executor, has_pty); });

  channel->reply(true);
  // Never into a command, scp, sftp or rsync: what they print is read by programs.
  if (wish.kind == "shell" || has_pty) co_await say_notices(*connection, channel, has_pty);
  const auto progress = [weak, executor, has_pty](std::string_view line) {
    if (auto target = weak.lock()) spawn_logged(executor, say(target, std::string(line), has_pty), "channel.progress");
  };
  auto link = co_await connection->services.workspaces.open(connection->lane.lane, connection->workspace, progress);
  if (!link) {
    co_await fail_channel(channel, link.error().message, has_pty);
    connection->services.sessions.close(live, link.error().message);
    co_return;
  }
  describe_client(*connection, wish.exec);
  auto started = co_await (*link)->exec(std::move(wish.exec));
  if (!started) {
    co_await fail_channel(channel, started.error().message, has_pty);
    connection->services.sessions.close(live, started.error().message);
    co_return;
  }
  std::shared_ptr<tunnels::Process> process = std::move(*started);
  std::string outcome = co_await run_process(channel, process, live, has_pty);
  connection->services.sessions.close(live, std::move(outcome));
}

}  // namespace

asio::awaitable<void> serve_session(std::shared_ptr<Connection> connection, std::shared_ptr<ssh::Channel> channel) {
  channel->confirm();
  std::optional<Wish> wish = co_await read_wish(*connection, *channel);
  if (!wish) co_return;
  if (wish->kind == "exec" && is_gateway_command(wish->detail)) {
    channel->reply(true);
    std::optional<CommandTerminal> terminal;
    if (wish->exec.pty) terminal = CommandTerminal{wish->exec.pty->term, wish->exec.pty->columns};
    co_await serve_command(connection, channel, wish->detail, std::move(terminal));
  } else {
    co_await serve_in_workspace(connection, channel, std::move(*wish));
  }
}

}  // namespace berth::server
