// `ssh HOST berth …`: commands of Berth itself, which never reach the workspace. The gateway runs the command line's own table (cli/) on a
// thread, against the HTTP API inside this program, as the user who has logged in: one set of commands, one place where roles are checked.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/gateway/context.hpp"

namespace berth::server {

// "berth" alone or "berth …" (a word boundary follows).
bool is_gateway_command(std::string_view command_line);

// Splits at blanks; quotes '…' and "…" group. Answers Error{invalid} for an open quote.
Result<std::vector<std::string>> split_words(std::string_view command_line);

// The client's terminal, when it asked for one.
struct CommandTerminal {
  std::string term;
  std::size_t columns = 0;
};

// Runs the command and ends the channel with its exit code (cli/outcome.hpp). The channel's request has been answered.
boost::asio::awaitable<void> serve_command(std::shared_ptr<Connection> connection, std::shared_ptr<ssh::Channel> channel,
                                           std::string command_line, std::optional<CommandTerminal> terminal);

}  // namespace berth::server
