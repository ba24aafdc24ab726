// Commands that the gateway itself serves on an SSH exec request: `ssh gpu-box berth web`. They never reach the workspace.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "server/gateway/context.hpp"

namespace berth::server {

// "berth" alone or "berth …" (a word boundary follows).
bool is_gateway_command(std::string_view command_line);

// Splits at blanks; quotes '…' and "…" group. Answers Error{invalid} for an open quote.
Result<std::vector<std::string>> split_words(std::string_view command_line);

// Runs the command and ends the channel: exit 0 done, 1 failed, 2 usage.
boost::asio::awaitable<void> serve_command(std::shared_ptr<Connection> connection, std::shared_ptr<ssh::Channel> channel,
                                           std::string command_line, bool has_pty);

}  // namespace berth::server
