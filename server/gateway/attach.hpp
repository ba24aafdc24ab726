// `ssh -t gpu-box berth attach`: terminals that the workspace's agent holds, listed and looked at again. Served here and not by the table
// of commands, since it needs the channel itself.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/gateway/context.hpp"
#include "tunnels/agent_link.hpp"

namespace berth::server {

bool is_attach_command(std::string_view command_line);

// What follows `berth attach`.
struct AttachWish {
  std::string id;  // empty: the only one there is, or ask
  bool list = false, watch_only = false, alone = false, brief = false, help = false;
};
Result<AttachWish> parse_attach(const std::vector<std::string>& words);

// What people see of them, by line.
std::string describe_terminals(const std::vector<tunnels::TerminalInfo>& terminals, Timestamp now);

// Runs it and ends the channel.
boost::asio::awaitable<void> serve_attach(std::shared_ptr<Connection> connection, std::shared_ptr<ssh::Channel> channel, std::string command_line,
                                          std::optional<tunnels::PtyOptions> pty);

}  // namespace berth::server
