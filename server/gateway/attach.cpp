#include "server/gateway/attach.hpp"

#include <algorithm>
#include <boost/asio/this_coro.hpp>

#include "base/human.hpp"
#include "base/table.hpp"
#include "server/gateway/commands.hpp"
#include "server/gateway/line_editor.hpp"
#include "server/gateway/process_channel.hpp"

namespace berth::server {
namespace asio = boost::asio;
namespace {

constexpr std::uint64_t kBrief = 32 * 1024;    // bytes of output
constexpr char kInterrupt = 0x03;
constexpr std::string_view kUsage =
    "berth attach [ID] [--list] [--watch] [--alone] [--brief]\n"
    "  looks at a terminal of this workspace again: one whose connection was lost, or one that is open elsewhere\n"
    "  --list   show them; without it and without ID: the only one, or a question\n"
    "  --watch  look only; what you type is dropped, the size stays\n"
    "  --alone  detach everybody else who looks at it\n"
    "  --brief  replay only the last of its output\n"
    "Leave it with ~. or by closing the window: it goes on and is kept as after a lost connection. `exit` in its shell ends it.\n";

using Terminals = std::vector<tunnels::TerminalInfo>;

// Ends the channel with a text: on stdout when `code` is 0.
asio::awaitable<std::string> end_with(std::shared_ptr<ssh::Channel> channel, std::string text, std::uint32_t code, bool has_pty) {
  if (has_pty) text = with_returns(text);
  (void)co_await channel->write(asio::buffer(text), code != 0);
  channel->send_eof();
  channel->send_exit_status(code);
  channel->close();
  co_return "exit " + std::to_string(code);
}

asio::awaitable<std::string> refuse(std::shared_ptr<ssh::Channel> channel, Error error, bool has_pty) {
  return end_with(std::move(channel), "berth: " + error.message + "\n", error.kind == ErrorKind::invalid ? 2 : 1, has_pty);
}

// One line that somebody types; Error{closed} for Ctrl-C, Ctrl-D and a client that left.
asio::awaitable<Result<std::string>> read_answer(std::shared_ptr<ssh::Channel> channel) {
  const Error given_up{ErrorKind::closed, "nothing was chosen"};
  LineEditor editor;
  LineEditor::State state = LineEditor::State::typing;
  char typed[64];
  while (state == LineEditor::State::typing) {
    const Result<std::size_t> got = co_await channel->read(asio::buffer(typed));
    if (!got || *got == 0) co_return given_up;
    std::string echo;
    for (std::size_t i = 0; i < *got && state == LineEditor::State::typing; ++i) {
      if (typed[i] == kInterrupt) co_return given_up;
      state = editor.type(typed[i], echo);
    }
    const Result<void> echoed = co_await channel->write(asio::buffer(echo));
    if (!echoed) co_return given_up;
  }
  if (state == LineEditor::State::end) co_return given_up;
  std::string answer = editor.take();
  answer.pop_back();  // the '\n'
  co_return answer;
}

// The one that nobody looks at and was left last; else the newest.
const tunnels::TerminalInfo& likeliest(const Terminals& terminals) {
  return *std::max_element(terminals.begin(), terminals.end(), [](const auto& a, const auto& b) {
    return std::pair(a.detached_since, a.started) < std::pair(b.detached_since, b.started);
  });
}

asio::awaitable<Result<std::string>> choose(std::shared_ptr<Connection> connection, std::shared_ptr<ssh::Channel> channel, Terminals terminals,
                                            bool has_pty) {
  if (terminals.empty()) co_return Error{ErrorKind::not_found, "you have no terminals in workspace '" + connection->workspace.name + "'"};
  if (terminals.size() == 1) co_return terminals.front().id;
  if (!has_pty) co_return Error{ErrorKind::invalid, "there are several terminals; name one (see: berth attach --list)"};
  const std::string likely = likeliest(terminals).id;
  const std::string text = with_returns(describe_terminals(terminals, connection->services.clock.now()) + "Which one (ID; Enter: " + likely + ")? ");
  const Result<void> asked = co_await channel->write(asio::buffer(text));
  if (!asked) co_return asked.error();
  const Result<std::string> answer = co_await read_answer(channel);
  if (!answer) co_return answer.error();
  co_return answer->empty() ? likely : *answer;
}

asio::awaitable<std::string> run_attach(std::shared_ptr<Connection> connection, std::shared_ptr<ssh::Channel> channel, AttachWish wish,
                                        std::optional<tunnels::PtyOptions> pty, std::shared_ptr<auth::LiveSession> live) {
  const bool has_pty = pty.has_value();
  const auth::Permissions& permissions = connection->permissions;
  const Error restricted{ErrorKind::denied, "this key may not open terminals"};
  if (!permissions.pty || permissions.forced_command) {
    std::string refused = co_await refuse(channel, restricted, has_pty);
    co_return refused;
  }
  auto link = co_await workspaces::link_if_running(connection->services.workspaces, connection->lane.lane, connection->workspace);
  const Error not_running{ErrorKind::not_found, "workspace '" + connection->workspace.name + "' does not run, so it has no terminals"};
  if (!link || !*link) {
    const Error& why = link ? not_running : link.error();
    std::string refused = co_await refuse(channel, why, has_pty);
    co_return refused;
  }
  const auto terminals = co_await (*link)->terminals();
  if (!terminals) {
    std::string refused = co_await refuse(channel, terminals.error(), has_pty);
    co_return refused;
  }
  if (wish.list) {
    std::string text = terminals->empty() ? "no terminals\n" : describe_terminals(*terminals, connection->services.clock.now());
    std::string listed = co_await end_with(channel, std::move(text), 0, has_pty);
    co_return listed;
  }
  const Error needs_pty{ErrorKind::invalid, "attach needs a terminal of yours: " + connection->services.options.ssh_command + " -t berth attach"};
  if (!has_pty) {
    std::string refused = co_await refuse(channel, needs_pty, false);
    co_return refused;
  }
  tunnels::AttachOptions options;
  options.id = wish.id;
  if (options.id.empty()) {
    const auto chosen = co_await choose(connection, channel, *terminals, has_pty);
    if (!chosen) {
      std::string refused = co_await refuse(channel, chosen.error(), has_pty);
      co_return refused;
    }
    options.id = *chosen;
  }
  options.size = {pty->columns, pty->rows};
  options.watch_only = wish.watch_only;
  options.alone = wish.alone;
  if (wish.brief) options.replay = kBrief;
  auto attached = co_await (*link)->attach(std::move(options));
  if (!attached) {
    std::string refused = co_await refuse(channel, attached.error(), has_pty);
    co_return refused;
  }
  std::shared_ptr<tunnels::Process> process = std::move(*attached);
  const std::string restore = process->view().restore;
  const Result<void> restored = co_await channel->write(asio::buffer(restore));
  if (!restored) co_return "connection lost";
  // Who leaves what was attached to leaves it running, except when the login itself is no longer allowed.
  const std::function<bool()> ends_with_client = [connection] { return !still_allowed(*connection); };
  std::string outcome = co_await run_process(channel, process, live, ends_with_client);
  co_return outcome;
}

}  // namespace

bool is_attach_command(std::string_view command_line) {
  const auto words = split_words(command_line);
  return words && words->size() >= 2 && (*words)[0] == "berth" && (*words)[1] == "attach";
}

Result<AttachWish> parse_attach(const std::vector<std::string>& words) {
  struct Flag { std::string_view name; bool AttachWish::*flag; };
  constexpr Flag kFlags[] = {{"--list", &AttachWish::list},   {"--watch", &AttachWish::watch_only}, {"--alone", &AttachWish::alone},
                             {"--brief", &AttachWish::brief}, {"--help", &AttachWish::help},        {"-h", &AttachWish::help}};
  AttachWish wish;
  for (const std::string& word : words) {
    const auto* flag = std::find_if(std::begin(kFlags), std::end(kFlags), [&](const Flag& known) { return known.name == word; });
    if (flag != std::end(kFlags)) wish.*(flag->flag) = true;
    else if (word.starts_with('-') || !wish.id.empty() || word.empty()) return Error{ErrorKind::invalid, "usage: " + std::string(kUsage.substr(0, kUsage.find('\n')))};
    else wish.id = word;
  }
  return wish;
}

std::string describe_terminals(const Terminals& terminals, Timestamp now) {
  Table table({{"ID"}, {"STARTED"}, {"STATE"}, {"SIZE"}, {"WHAT"}});
  for (const tunnels::TerminalInfo& terminal : terminals) {
    std::string state = terminal.attached == 1 ? "open" : "open, " + std::to_string(terminal.attached) + " viewers";
    if (terminal.attached == 0) state = "left " + human_age(terminal.detached_since, now);
    if (terminal.ended) state = "ended";
    const std::string program = terminal.command.empty() ? "shell" : terminal.command;
    const std::string what = terminal.title.empty() ? program : terminal.title;
    table.add({terminal.id, human_age(terminal.started, now), state, std::to_string(terminal.size.columns) + "x" + std::to_string(terminal.size.rows),
               cut_to_width(what, 60)});
  }
  return table.render({});
}

asio::awaitable<void> serve_attach(std::shared_ptr<Connection> connection, std::shared_ptr<ssh::Channel> channel, std::string command_line,
                                   std::optional<tunnels::PtyOptions> pty) {
  const std::weak_ptr<ssh::Channel> weak = channel;
  auto words = split_words(command_line);
  words->erase(words->begin(), words->begin() + 2);
  const Result<AttachWish> wish = parse_attach(*words);
  // Named first: g++ 12 destroys what a lambda captured twice when another argument of the same call has co_await.
  const auto executor = co_await asio::this_coro::executor;
  const std::string asked_for = wish ? wish->id : "";
  auto live = connection->services.sessions.open(connection->record("attach", asked_for), executor, [weak](const std::string&) {
    if (const auto target = weak.lock()) target->cut_off();
  });
  std::string outcome;
  if (!wish) {
    outcome = co_await refuse(channel, wish.error(), pty.has_value());
  } else if (wish->help) {
    outcome = co_await end_with(channel, std::string(kUsage), 0, pty.has_value());
  } else {
    outcome = co_await run_attach(connection, channel, *wish, pty, live);
  }
  connection->services.sessions.close(live, std::move(outcome));
}

}  // namespace berth::server
