#include "server/gateway/commands.hpp"

#include <algorithm>

#include "base/human.hpp"
#include "base/table.hpp"

namespace berth::server {
namespace asio = boost::asio;
namespace {

using Words = std::vector<std::string>;

// What a command answers: text for stdout, or an Error for stderr.
using Answer = asio::awaitable<Result<std::string>>;

struct Command {
  std::string_view noun, verb;  // verb empty: the noun alone
  std::size_t min_words, max_words;  // after noun and verb
  std::string_view arguments, help;
  Answer (*run)(std::shared_ptr<Connection>, Words);
};

std::string when(Timestamp time) { return time == Timestamp{} ? "-" : format_timestamp(time).substr(0, 19) + "Z"; }

Answer run_web(std::shared_ptr<Connection> connection, Words) {
  Result<std::string> token = co_await connection->services.web_logins.make_link(connection->actor());
  if (!token) co_return token.error();
  co_return "Open this link within a minute (it works once):\n" + connection->services.options.portal_url + "/login#token=" + *token + "\n";
}

Answer run_approve(std::shared_ptr<Connection> connection, Words words) {
  const Result<auth::PendingLogin> pending = connection->services.web_logins.find_code(*connection->lane.reader, connection->actor(), words[0]);
  if (!pending) co_return pending.error();
  Result<void> approved = co_await connection->services.web_logins.approve_code(connection->actor(), words[0]);
  if (!approved) co_return approved.error();
  co_return "Approved: the browser at " + pending->address + " (" + printable(pending->user_agent) + ") is now logged in as " + connection->user.name +
      ".\nIf that was not you: berth web-session list, then berth web-session end ID\n";
}

Answer run_whoami(std::shared_ptr<Connection> connection, Words) {
  const auth::Key& key = connection->key;
  co_return "user " + connection->user.name + ", role " + std::string(auth::name_of(connection->user.role)) + ", workspace " +
      connection->workspace.name + "\nkey " + key.fingerprint + (key.comment.empty() ? "" : " (" + printable(key.comment) + ")") + ", expires " +
      (key.expires_at == Timestamp{} ? "never" : when(key.expires_at)) + "\n";
}

Answer run_key_list(std::shared_ptr<Connection> connection, Words) {
  const Timestamp now = connection->services.clock.now();
  Table table({{"FINGERPRINT"}, {"TYPE"}, {"STATE"}, {"EXPIRES"}, {"LAST USE"}, {"COMMENT"}});
  for (const auth::Key& key : connection->services.directory.list_keys(*connection->lane.reader, connection->user.name)) {
    table.add({key.fingerprint, key.type, std::string(auth::name_of(key.state_at(now))), when(key.expires_at), when(key.last_used_at),
                    key.comment});
  }
  co_return table.render({});
}

Answer run_session_list(std::shared_ptr<Connection> connection, Words) {
  Table table({{"ID"}, {"KIND"}, {"WORKSPACE"}, {"FROM"}, {"SINCE"}, {"IN", Align::right}, {"OUT", Align::right}, {"WHAT"}});
  for (const auth::SessionRecord& session : connection->services.sessions.live()) {
    if (session.user != connection->user.name) continue;
    table.add({session.id, session.kind, session.workspace, session.client_address, when(session.opened_at),
                    std::to_string(session.bytes_in) + " B", std::to_string(session.bytes_out) + " B", session.detail});
  }
  co_return table.render({});
}

Answer run_session_kill(std::shared_ptr<Connection> connection, Words words) {
  const auto live = connection->services.sessions.live();
  const bool own = std::any_of(live.begin(), live.end(), [&](const auth::SessionRecord& session) {
    return session.id == words[0] && session.user == connection->user.name;
  });
  if (!own) co_return Error{ErrorKind::not_found, "you have no live session '" + words[0] + "'; see: berth session list"};
  connection->services.sessions.kill(words[0], "ended by " + connection->user.name);
  co_return "ended " + words[0] + "\n";
}

Answer run_web_session_list(std::shared_ptr<Connection> connection, Words) {
  Table table({{"ID"}, {"FROM"}, {"SINCE"}, {"UNTIL"}, {"BROWSER"}});
  for (const auth::WebSession& session : connection->services.web_logins.list(*connection->lane.reader, connection->user.name)) {
    table.add({session.id, session.address, when(session.created_at), when(session.expires_at), session.user_agent});
  }
  co_return table.render({});
}

Answer run_web_session_end(std::shared_ptr<Connection> connection, Words words) {
  const auto own = connection->services.web_logins.list(*connection->lane.reader, connection->user.name);
  if (std::none_of(own.begin(), own.end(), [&](const auth::WebSession& session) { return session.id == words[0]; })) {
    co_return Error{ErrorKind::not_found, "you have no browser session '" + words[0] + "'; see: berth web-session list"};
  }
  Result<void> ended = co_await connection->services.web_logins.end(connection->actor(), words[0]);
  if (!ended) co_return ended.error();
  // What that browser has open in workspaces does not ask for its login again.
  auto& sessions = connection->services.sessions;
  for (const auth::SessionRecord& session : sessions.live()) {
    const bool of_it = session.kind == "web" && session.user == connection->user.name && session.detail == auth::browser_detail(words[0]);
    if (of_it) sessions.kill(session.id, "ended by " + connection->user.name);
  }
  co_return "ended " + words[0] + "\n";
}

Answer run_workspace_list(std::shared_ptr<Connection> connection, Words) {
  auto listed = co_await connection->services.workspaces.list(connection->lane.lane, connection->user.name);
  if (!listed) co_return listed.error();
  Table table({{"WORKSPACE"}, {"STATE"}, {"SINCE"}, {"IMAGE"}, {"DETAIL"}});
  for (const workspaces::WorkspaceStatus& status : *listed) {
    table.add({status.id.name, std::string(workspaces::name_of(status.state)), when(status.started_at), status.image, status.detail});
  }
  co_return table.render({});
}

workspaces::WorkspaceId named_or_current(const Connection& connection, const Words& words) {
  return {connection.user.name, words.empty() ? connection.workspace.name : words[0]};
}

Answer run_workspace_start(std::shared_ptr<Connection> connection, Words words) {
  auto checked = workspaces::parse_login_name(connection->user.name + "+" + named_or_current(*connection, words).name);
  if (!checked) co_return checked.error();
  auto link = co_await connection->services.workspaces.open(connection->lane.lane, *checked, [](std::string_view) {});
  if (!link) co_return link.error();
  co_return checked->name + " is running\n";
}

Answer run_workspace_stop(std::shared_ptr<Connection> connection, Words words) {
  const auto id = named_or_current(*connection, words);
  Result<void> stopped = co_await connection->services.workspaces.stop(connection->lane.lane, id);
  if (!stopped) co_return stopped.error();
  co_return id.name + " is stopped; your files stay\n";
}

Answer run_workspace_reset(std::shared_ptr<Connection> connection, Words words) {
  const auto id = named_or_current(*connection, words);
  Result<void> reset = co_await connection->services.workspaces.reset(connection->lane.lane, id);
  if (!reset) co_return reset.error();
  co_return id.name + " is made anew at the next use; your home stays\n";
}

Answer run_help(std::shared_ptr<Connection>, Words);

constexpr Command kCommands[] = {
    {"web", "", 0, 0, "", "print a link that logs your browser in", run_web},
    {"approve", "", 1, 1, "CODE", "log in the browser that shows this code", run_approve},
    {"whoami", "", 0, 0, "", "your user, role and the key you came with", run_whoami},
    {"key", "list", 0, 0, "", "your SSH keys, their state and last use", run_key_list},
    {"session", "list", 0, 0, "", "your live sessions and tunnels", run_session_list},
    {"session", "kill", 1, 1, "ID", "end one of them", run_session_kill},
    {"web-session", "list", 0, 0, "", "browsers that are logged in as you", run_web_session_list},
    {"web-session", "end", 1, 1, "ID", "log one of them out", run_web_session_end},
    {"workspace", "list", 0, 0, "", "your workspaces and their state", run_workspace_list},
    {"workspace", "start", 0, 1, "[NAME]", "start a workspace (this one, or NAME)", run_workspace_start},
    {"workspace", "stop", 0, 1, "[NAME]", "stop it; files stay, programs end", run_workspace_stop},
    {"workspace", "reset", 0, 1, "[NAME]", "make its container anew; the home stays", run_workspace_reset},
    {"help", "", 0, 0, "", "this list", run_help},
};

std::string usage_of(const Command& command) {
  std::string text = "berth " + std::string(command.noun);
  if (!command.verb.empty()) text += " " + std::string(command.verb);
  if (!command.arguments.empty()) text += " " + std::string(command.arguments);
  return text;
}

Answer run_help(std::shared_ptr<Connection>, Words) {
  Table table({{"  COMMAND"}, {"DOES"}});
  for (const Command& command : kCommands) table.add({"  " + usage_of(command), std::string(command.help)});
  co_return "Commands of the gateway (ssh HOST berth …):\n" + table.render({}) +
      "Everything else that you run goes to your workspace; NAME+other@HOST is your workspace 'other'.\n";
}

// The row that the words name, with `words` reduced to its arguments; Error{invalid} says what would be right.
Result<const Command*> find_command(Words& words) {
  if (words.empty() || words[0] == "--help" || words[0] == "-h") words = {"help"};
  std::string near;
  for (const Command& command : kCommands) {
    if (command.noun != words[0]) continue;
    near += (near.empty() ? "" : " | ") + usage_of(command);
    const std::size_t used = command.verb.empty() ? 1 : 2;
    if (used == 2 && (words.size() < 2 || words[1] != command.verb)) continue;
    const std::size_t rest = words.size() - used;
    if (rest < command.min_words || rest > command.max_words) return Error{ErrorKind::invalid, "usage: " + usage_of(command)};
    words.erase(words.begin(), words.begin() + static_cast<std::ptrdiff_t>(used));
    return &command;
  }
  if (!near.empty()) return Error{ErrorKind::invalid, "usage: " + near};
  return Error{ErrorKind::invalid, "no such command '" + words[0] + "'; see: berth help"};
}

std::string with_carriage_returns(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\n') out += '\r';
    out += c;
  }
  return out;
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
                                    bool has_pty) {
  auto live = connection->services.sessions.open(connection->record("gateway", command_line.substr(0, 6) == "berth " ? "berth …" : "berth"),
                                                 co_await asio::this_coro::executor, [](const std::string&) {});
  Result<Words> words = split_words(command_line);
  Result<std::string> answer = Error{ErrorKind::internal, ""};
  if (!words) {
    answer = words.error();
  } else {
    words->erase(words->begin());  // "berth"
    Result<const Command*> command = find_command(*words);
    if (command) {
      answer = co_await (*command)->run(connection, *words);
    } else {
      answer = command.error();
    }
  }
  std::string text = answer ? *answer : "berth: " + answer.error().message + "\n";
  if (has_pty) text = with_carriage_returns(text);
  (void)co_await channel->write(asio::buffer(text), !answer);
  channel->send_eof();
  const int code = answer ? 0 : answer.error().kind == ErrorKind::invalid ? 2 : 1;
  channel->send_exit_status(static_cast<std::uint32_t>(code));
  channel->close();
  connection->services.sessions.close(live, "exit " + std::to_string(code));
}

}  // namespace berth::server
