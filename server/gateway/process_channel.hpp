// A process of a workspace on a "session" channel: its bytes, its requests, its end.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <string>

#include "auth/sessions.hpp"
#include "server/ssh/session.hpp"
#include "tunnels/agent_link.hpp"

namespace berth::server {

// Relays until the process has ended, or this look at its terminal, or the client has left. The outcome for the session's row.
// `ends_with_client` is asked when the client has left a terminal: true hangs it up, false leaves it to the agent, which keeps it
// for as long as it was told.
boost::asio::awaitable<std::string> run_process(std::shared_ptr<ssh::Channel> channel, std::shared_ptr<tunnels::Process> process,
                                                std::shared_ptr<auth::LiveSession> live, std::function<bool()> ends_with_client);

// A plain sentence on the client's stderr; a terminal in raw mode needs the carriage return.
boost::asio::awaitable<void> say(std::shared_ptr<ssh::Channel> channel, std::string text, bool has_pty);
// "berth: MESSAGE" and exit status 255; closes the channel.
boost::asio::awaitable<void> fail_channel(std::shared_ptr<ssh::Channel> channel, std::string message, bool has_pty);

}  // namespace berth::server
