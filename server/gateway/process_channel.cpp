#include "server/gateway/process_channel.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/deadline.hpp"
#include "server/gateway/relay.hpp"
#include "server/gateway/spawn.hpp"

namespace berth::server {
namespace asio = boost::asio;
namespace {

constexpr std::chrono::milliseconds kExitAfterOutput{100};  // most processes end right after their output: one EOF, with the exit status

// One running process and what its coroutines tell each other.
struct Running {
  Running(const asio::any_io_executor& executor, std::shared_ptr<ssh::Channel> its_channel, std::shared_ptr<tunnels::Process> its_process)
      : channel(std::move(its_channel)), process(std::move(its_process)), left(executor, asio::steady_timer::time_point::max()),
        gone(executor, asio::steady_timer::time_point::max()) {}
  std::shared_ptr<ssh::Channel> channel;
  std::shared_ptr<tunnels::Process> process;
  std::shared_ptr<Relay> relay;
  asio::steady_timer left;  // due when the client has closed the channel
  asio::steady_timer gone;  // due when nobody waits for the exit status any more
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
    } else if (std::holds_alternative<ssh::BreakRequest>(*request)) {
      known = !running->process->terminal().empty();  // a pty takes it and does nothing, as with sshd
    } else if (std::holds_alternative<ssh::EowRequest>(*request)) {
      running->relay->stop_output();
    } else {
      known = false;
    }
    running->channel->reply(known);
  }
  running->relay->client_left();
  running->left.expires_at(asio::steady_timer::time_point::min());
  co_await running->channel->gone();
  running->gone.expires_at(asio::steady_timer::time_point::min());
}

// The end of the process, or nullopt when the client left before it: such a process goes on as under sshd (its terminal
// hangs up, its pipes break). A client that has closed a channel without a terminal may still wait for the exit status.
asio::awaitable<std::optional<Result<tunnels::ExitStatus>>> exit_or_client_left(std::shared_ptr<Running> running, bool has_pty) {
  asio::steady_timer& stop = has_pty ? running->left : running->gone;
  if (stop.expiry() == asio::steady_timer::time_point::min()) co_return std::nullopt;
  auto exit = co_await unless(running->process->wait(), stop);
  co_return exit;
}

// A process that closes its output and lives on: the client gets EOF while its own input still flows.
asio::awaitable<void> pass_on_end_of_output(std::shared_ptr<Running> running) {
  co_await running->relay->output_done();
  asio::steady_timer timer(co_await asio::this_coro::executor, kExitAfterOutput);
  co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
  running->channel->send_eof();
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

}  // namespace

// A plain sentence on the client's stderr; a terminal in raw mode needs the carriage return.
asio::awaitable<void> say(std::shared_ptr<ssh::Channel> channel, std::string text, bool has_pty) {
  text += has_pty ? "\r\n" : "\n";
  (void)co_await channel->write(asio::buffer(text), true);
}

asio::awaitable<void> fail_channel(std::shared_ptr<ssh::Channel> channel, std::string message, bool has_pty) {
  co_await say(channel, "berth: " + message, has_pty);
  channel->send_eof();
  channel->send_exit_status(255);
  channel->close();
}

asio::awaitable<std::string> run_process(std::shared_ptr<ssh::Channel> channel, std::shared_ptr<tunnels::Process> process,
                                         std::shared_ptr<auth::LiveSession> live, std::function<bool()> ends_with_client) {
  const auto executor = co_await asio::this_coro::executor;
  const bool has_pty = !process->terminal().empty();
  auto running = std::make_shared<Running>(executor, channel, process);
  FileDescriptor input = process->take_stdin(), output = process->take_stdout(), errors = process->take_stderr();
  running->relay = has_pty ? Relay::of_terminal(executor, channel, std::move(input), std::move(output))
                           : Relay::of_pipes(executor, channel, std::move(input), std::move(output), std::move(errors));
  running->relay->count_into(live);
  running->relay->start();
  spawn_logged(executor, serve_requests(running), "channel.requests");
  if (!has_pty) channel->hold_close();
  if (!has_pty) spawn_logged(executor, pass_on_end_of_output(running), "channel.end_of_output");

  const std::optional<Result<tunnels::ExitStatus>> exit = co_await exit_or_client_left(running, has_pty);
  if (!exit) {
    if (has_pty && ends_with_client()) process->hang_up();
    co_return channel->ended_by_client() ? "client left" : "connection lost";
  }
  std::string outcome;
  if (!*exit) {
    outcome = exit->error().message;
    const bool detached = exit->error().kind == ErrorKind::conflict;
    const std::string message = detached ? outcome : "the workspace went away: " + outcome;  // no ?: in what is awaited: g++ 12
    co_await fail_channel(channel, message, has_pty);
  } else {
    co_await running->relay->output_done();
    outcome = send_exit(*channel, **exit);
    channel->close();
  }
  running->relay->close();
  co_return outcome;
}

}  // namespace berth::server
