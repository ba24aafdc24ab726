#include "server/gateway/session_channel.hpp"

#include <algorithm>
#include <functional>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "auth/key_notices.hpp"
#include "base/deadline.hpp"
#include "base/human.hpp"
#include "config/settings.hpp"
#include "server/gateway/attach.hpp"
#include "server/gateway/command_rights.hpp"
#include "server/gateway/commands.hpp"
#include "server/gateway/process_channel.hpp"
#include "server/gateway/side_forwards.hpp"
#include "server/gateway/spawn.hpp"
#include "server/gateway/welcome.hpp"

namespace berth::server {
namespace asio = boost::asio;
namespace {

constexpr std::string_view kKeepVariable = "BERTH_KEEP";
constexpr std::chrono::milliseconds kLastWords{500};          // for a client that does not read
constexpr std::size_t kMaxEnv = 128;                          // variables per channel
constexpr std::size_t kMaxEnvBytes = 32 * 1024;               // names and values together

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
  std::optional<std::chrono::seconds> keep;  // of a terminal whose connection is lost, as the user wants it
  SideWish side;
};

// How long this user wants lost terminals to be kept: "off" or a duration, up to the site's limit.
bool take_keep(Wish& wish, const std::string& value, const GatewayOptions& options) {
  const Result<std::chrono::seconds> wanted = value == "off" || value == "0" ? Result<std::chrono::seconds>(std::chrono::seconds(0)) : parse_duration(value);
  if (!wanted) return false;
  wish.keep = std::clamp(*wanted, std::chrono::seconds(0), options.keep_terminals_most);
  return true;
}

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

void wish_sftp(Wish& wish) {
  wish.kind = "sftp";
  wish.exec.argv = {"/bin/sh", "-c", kSftpServer};
  wish.exec.pty.reset();
}

// Reads requests until one starts something; nullopt when the client left first. The starting request is not yet answered.
asio::awaitable<std::optional<Wish>> read_wish(Connection& connection, ssh::Channel& channel) {
  Wish wish;
  for (;;) {
    Result<ssh::ChannelRequest> request = co_await channel.next_request();
    if (!request) co_return std::nullopt;
    if (auto* pty = std::get_if<ssh::PtyRequest>(&*request)) {
      if (connection.permissions.pty) wish.exec.pty = tunnels::PtyOptions{pty->term, pty->columns, pty->rows, pty->width_pixels, pty->height_pixels, pty->modes};
      channel.reply(connection.permissions.pty);
    } else if (auto* env = std::get_if<ssh::EnvRequest>(&*request); env && env->name == kKeepVariable) {
      channel.reply(take_keep(wish, env->value, connection.services.options));
    } else if (env) {
      take_env(wish, *env, connection.services.options.env_allow, channel);
    } else if (auto* size = std::get_if<ssh::WindowChange>(&*request)) {
      if (wish.exec.pty) {
        wish.exec.pty->columns = size->columns;
        wish.exec.pty->rows = size->rows;
      }
      channel.reply(wish.exec.pty.has_value());
    } else if (std::holds_alternative<ssh::AgentForwardRequest>(*request)) {
      wish.side.agent = may_forward_agent(connection);
      channel.reply(wish.side.agent);
    } else if (auto* x11 = std::get_if<ssh::X11Request>(&*request)) {
      const bool granted = may_forward_x11(connection, *x11);
      if (granted) wish.side.x11 = std::move(*x11);
      channel.reply(granted);
    } else if (std::holds_alternative<ssh::ShellRequest>(*request)) {
      wish.kind = "shell";
      co_return wish;
    } else if (auto* exec = std::get_if<ssh::ExecRequest>(&*request)) {
      wish.kind = "exec";
      wish.detail = exec->command;
      wish.exec.command = exec->command;
      co_return wish;
    } else if (auto* subsystem = std::get_if<ssh::SubsystemRequest>(&*request); subsystem && subsystem->name == "sftp") {
      wish_sftp(wish);
      co_return wish;
    } else {
      channel.reply(false);
    }
  }
}

// What the key's options or the certificate say about what runs: variables, and a command in place of what the client asked for.
void apply_permissions(const auth::Permissions& may, Wish& wish) {
  for (const auto& [name, value] : may.environment) wish.exec.env[name] = value;
  if (!may.forced_command) return;
  const std::string original = wish.kind == "sftp" ? wish.kind : wish.detail;
  if (!original.empty()) wish.exec.env["SSH_ORIGINAL_COMMAND"] = original;
  wish.detail = *may.forced_command;
  wish.exec.argv.clear();
  wish.exec.command = *may.forced_command;
  wish.kind = "exec";
  if (*may.forced_command == "internal-sftp") wish_sftp(wish);
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

// Ends one channel for an administrator or a revocation: the client reads why, if it reads at all.
asio::awaitable<void> end_channel(std::shared_ptr<ssh::Channel> channel, std::string reason, bool has_pty) {
  const std::string text = "berth: " + reason + (has_pty ? "\r\n" : "\n");
  auto telling = channel->write(asio::buffer(text), true);
  (void)co_await with_deadline(std::move(telling), kLastWords, "the client");
  channel->send_eof();
  channel->send_exit_status(255);
  channel->cut_off();
}

void kill_channel(const std::weak_ptr<ssh::Channel>& weak, const std::string& reason, const asio::any_io_executor& executor, bool has_pty) {
  const std::shared_ptr<ssh::Channel> channel = weak.lock();
  if (channel) spawn_logged(executor, end_channel(channel, reason, has_pty), "channel.kill");
}

asio::awaitable<void> serve_in_workspace(std::shared_ptr<Connection> connection, std::shared_ptr<ssh::Channel> channel, Wish wish) {
  const auto executor = co_await asio::this_coro::executor;
  const bool has_pty = wish.exec.pty.has_value();
  const std::weak_ptr<ssh::Channel> weak = channel;
  auto killed = std::make_shared<std::optional<std::string>>();  // why
  auto live = connection->services.sessions.open(
      connection->record(wish.kind, cut_to_width(printable(wish.detail), 256)), executor,
      [weak, executor, has_pty, killed](const std::string& reason) {
        *killed = reason;
        kill_channel(weak, reason, executor, has_pty);
      });

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
  SideForwards side;  // ends with this session
  co_await side.open(connection, *link, wish.side, wish.exec.env);
  // Unless the user says so, a command on a terminal ends with its client, as under sshd.
  const auto usual = wish.kind == "shell" ? connection->services.options.keep_terminals : std::chrono::seconds(0);
  if (has_pty) wish.exec.pty->keep = wish.keep.value_or(usual);
  if (has_pty && wish.kind == "shell") co_await welcome(connection, channel, *link);
  auto started = co_await (*link)->exec(std::move(wish.exec));
  if (!started) {
    co_await fail_channel(channel, started.error().message, has_pty);
    connection->services.sessions.close(live, started.error().message);
    co_return;
  }
  std::shared_ptr<tunnels::Process> process = std::move(*started);
  // Kept is what was lost; what the client closed, or somebody ended, is over.
  const std::function<bool()> ends_with_client = [connection, channel, killed] {
    return killed->has_value() || channel->ended_by_client() || !still_allowed(*connection);
  };
  std::string outcome = co_await run_process(channel, process, live, ends_with_client);
  if (*killed) outcome = **killed;
  connection->services.sessions.close(live, std::move(outcome));
}

}  // namespace

asio::awaitable<void> serve_session(std::shared_ptr<Connection> connection, std::shared_ptr<ssh::Channel> channel) {
  const ConnectionLimits::Place place = connection->services.limits.session_of(connection->user.name);
  if (!place) {
    channel->refuse(ssh::OpenFailure::resource_shortage, "You have too many sessions open; close some first.");
    co_return;
  }
  channel->confirm();
  std::optional<Wish> wish = co_await read_wish(*connection, *channel);
  if (!wish) co_return;
  apply_permissions(connection->permissions, *wish);
  if (wish->kind == "exec" && is_attach_command(wish->detail)) {
    channel->reply(true);
    co_await serve_attach(connection, channel, wish->detail, wish->exec.pty);
  } else if (wish->kind == "exec" && is_gateway_command(wish->detail)) {
    channel->reply(true);
    if (const std::string why = refusal_of_command(*connection, wish->detail); !why.empty()) {
      co_await fail_channel(channel, why, wish->exec.pty.has_value());
      co_return;
    }
    std::optional<CommandTerminal> terminal;
    if (wish->exec.pty) terminal = CommandTerminal{wish->exec.pty->term, wish->exec.pty->columns};
    co_await serve_command(connection, channel, wish->detail, std::move(terminal));
  } else {
    co_await serve_in_workspace(connection, channel, std::move(*wish));
  }
}

}  // namespace berth::server
