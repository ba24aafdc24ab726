#include "server/gateway/commands.hpp"

#include <array>
#include <boost/asio/this_coro.hpp>
#include <istream>
#include <ostream>

#include "base/deadline.hpp"
#include "cli/app.hpp"
#include "server/gateway/command_streams.hpp"
#include "server/gateway/command_threads.hpp"
#include "server/gateway/spawn.hpp"
#include "web/server.hpp"
#include "web/ssh_login.hpp"

namespace berth::server {
namespace asio = boost::asio;
namespace {

using Words = std::vector<std::string>;

constexpr std::chrono::minutes kClientPatience{10};  // for a client that takes no output
constexpr int kExitInterrupted = 130, kExitGone = 255;
constexpr char kInterrupt = 0x03;  // what ^C is on a terminal in raw mode

struct RoleRow {
  auth::Role role;
  cli::Who who;
};
constexpr RoleRow kRoles[] = {{auth::Role::user, cli::Who::user}, {auth::Role::auditor, cli::Who::auditor}, {auth::Role::admin, cli::Who::admin}};

cli::Who who_of(auth::Role role) {
  for (const RoleRow& row : kRoles) {
    if (row.role == role) return row.who;
  }
  return cli::Who::user;
}

// What the command's thread needs, all its own.
struct Job {
  std::shared_ptr<CommandBridge> bridge;
  Words words;
  cli::Self self;
  std::optional<CommandTerminal> terminal;
  const Clock& clock;
};

// On the command's thread.
void run_job(const Job& job) {
  const bool has_terminal = job.terminal.has_value();
  ChannelInput input(*job.bridge, has_terminal);
  ChannelOutput output(*job.bridge, false, has_terminal), errors(*job.bridge, true, has_terminal);
  std::istream in(&input);
  std::ostream out(&output), err(&errors);
  err << std::unitbuf;
  err.tie(&out);
  cli::Streams streams{in, out, err, has_terminal, has_terminal, {}};
  if (has_terminal) streams.style = {.width = job.terminal->columns, .colour = !job.terminal->term.empty() && job.terminal->term != "dumb"};
  const int code = cli::run(job.words, {streams, job.clock, nullptr, &job.self, [bridge = job.bridge] { return bridge->connect(); }});
  out.flush();
  job.bridge->finish(code);
}

// One command while it runs.
struct Serving {
  std::shared_ptr<ssh::Channel> channel;
  std::shared_ptr<CommandBridge> bridge;
  bool has_terminal = false;
  bool interrupted = false;
  std::string killed;  // why somebody ended it
};

// The end of the channel ends the command.
asio::awaitable<void> watch_requests(std::shared_ptr<Serving> serving) {
  for (;;) {
    const Result<ssh::ChannelRequest> request = co_await serving->channel->next_request();
    if (!request) break;
    const auto* signal = std::get_if<ssh::SignalRequest>(&*request);
    serving->channel->reply(signal != nullptr);
    if (signal != nullptr) break;  // INT, TERM, HUP: there is one answer to all
  }
  serving->bridge->give_up();
}

// Standard input, read when the command asks for it; with a terminal before that too, since ^C comes that way.
asio::awaitable<void> pump_input(std::shared_ptr<Serving> serving) {
  std::array<char, 4096> bytes{};
  for (;;) {
    const bool wanted = co_await serving->bridge->input_wanted(serving->has_terminal);
    if (!wanted) co_return;
    const Result<std::size_t> got = co_await serving->channel->read(asio::buffer(bytes));
    if (!got || *got == 0) break;
    const std::string_view text(bytes.data(), *got);
    if (serving->has_terminal && text.find(kInterrupt) != std::string_view::npos) {
      serving->interrupted = true;
      serving->bridge->give_up();
      co_return;
    }
    serving->bridge->give_input(text);
  }
  serving->bridge->end_input();
}

asio::awaitable<void> pump_output(std::shared_ptr<Serving> serving) {
  for (;;) {
    std::optional<CommandBridge::Output> piece = co_await serving->bridge->next_output();
    if (!piece) co_return;
    auto writing = serving->channel->write(asio::buffer(piece->text), piece->as_stderr);
    const Result<void> written = co_await with_deadline(std::move(writing), kClientPatience, "the client");
    if (!written) serving->bridge->give_up();
  }
}

asio::awaitable<void> say(std::shared_ptr<Serving> serving, std::string text) {
  text = "berth: " + text + (serving->has_terminal ? "\r\n" : "\n");
  auto writing = serving->channel->write(asio::buffer(text), true);
  (void)co_await with_deadline(std::move(writing), kClientPatience, "the client");
}

// Starts the command; an Error says why it cannot be.
Result<void> start(Connection& connection, const std::shared_ptr<Serving>& serving, Words words, std::optional<CommandTerminal> terminal) {
  Job job{serving->bridge, std::move(words), {connection.user.name, who_of(connection.user.role), connection.workspace.name}, std::move(terminal),
          connection.services.clock};
  return connection.services.commands.run(connection.user.name, serving->bridge, [job = std::move(job)] { run_job(job); });
}

int exit_code_of(const Serving& serving) {
  if (serving.interrupted) return kExitInterrupted;
  return serving.killed.empty() ? serving.bridge->exit_code().value_or(kExitGone) : kExitGone;
}

}  // namespace

bool is_gateway_command(std::string_view command_line) {
  return command_line == "berth" || command_line.starts_with("berth ") || command_line.starts_with("berth\t");
}

Result<std::vector<std::string>> split_words(std::string_view command_line) {
  std::vector<std::string> words;
  bool in_word = false;
  char quote = 0;
  for (const char c : command_line) {
    if (quote != 0) {
      if (c == quote) {
        quote = 0;
      } else {
        words.back() += c;
      }
    } else if (c == ' ' || c == '\t') {
      in_word = false;
    } else {
      if (!in_word) words.emplace_back();
      in_word = true;
      if (c == '\'' || c == '"') {
        quote = c;
      } else {
        words.back() += c;
      }
    }
  }
  if (quote != 0) return Error{ErrorKind::invalid, std::string("a quote (") + quote + ") is not closed"};
  return words;
}

asio::awaitable<void> serve_command(std::shared_ptr<Connection> connection, std::shared_ptr<ssh::Channel> channel, std::string command_line,
                                    std::optional<CommandTerminal> terminal) {
  const auto executor = co_await asio::this_coro::executor;
  Result<Words> words = split_words(command_line);
  if (words) words->erase(words->begin());  // "berth"
  // The words may hold a code that is still good: the row names the command only.
  const std::string name = words ? cli::command_named(*words) : "";

  const auto serve_api = [&web = connection->services.web, &lane = connection->lane.lane,
                          login = web::SshLogin{connection->actor(), connection->workspace.name}](FileDescriptor socket) {
    web.serve_ssh(lane, std::move(socket), login);
  };
  auto serving = std::make_shared<Serving>(Serving{channel, std::make_shared<CommandBridge>(executor, serve_api), terminal.has_value()});
  auto live = connection->services.sessions.open(connection->record("gateway", name.empty() ? "berth" : "berth " + name), executor,
                                                 [serving](const std::string& reason) {
                                                   serving->killed = reason;
                                                   serving->bridge->give_up();
                                                 });
  Result<void> started = words ? start(*connection, serving, std::move(*words), std::move(terminal)) : Result<void>(words.error());
  if (started) {
    spawn_logged(executor, watch_requests(serving), "command.requests");
    spawn_logged(executor, pump_input(serving), "command.input");
    co_await pump_output(serving);
    if (!serving->killed.empty()) co_await say(serving, serving->killed);
  } else {
    co_await say(serving, started.error().message);
  }
  const int code = started ? exit_code_of(*serving) : static_cast<int>(started.error().kind == ErrorKind::invalid ? cli::ExitCode::usage : cli::ExitCode::try_again);
  channel->send_eof();
  channel->send_exit_status(static_cast<std::uint32_t>(code));
  channel->close();
  serving->bridge->give_up();  // wakes what still waits for the client
  live->bytes_in = channel->bytes_in();
  live->bytes_out = channel->bytes_out();
  connection->services.sessions.close(live, serving->killed.empty() ? "exit " + std::to_string(code) : serving->killed);
}

}  // namespace berth::server
