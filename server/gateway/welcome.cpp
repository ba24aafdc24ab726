#include "server/gateway/welcome.hpp"

#include <nlohmann/json.hpp>

#include "auth/environments.hpp"
#include "base/deadline.hpp"
#include "base/human.hpp"
#include "server/gateway/process_channel.hpp"

namespace berth::server {
namespace asio = boost::asio;
namespace {

constexpr std::chrono::milliseconds kAsk{500};  // a login does not wait longer for what it only tells

// A number of the agent's report, which is hostile input.
std::uint64_t number_of(const nlohmann::json& report, const char* name) {
  const auto found = report.find(name);
  return found != report.end() && found->is_number_unsigned() ? found->get<std::uint64_t>() : 0;
}

std::string counted(std::uint64_t number, const std::string& what) { return std::to_string(number) + " " + what + (number == 1 ? "" : "s"); }

asio::awaitable<void> tell_state(std::shared_ptr<Connection> connection, std::shared_ptr<ssh::Channel> channel,
                                 std::shared_ptr<tunnels::AgentLink> link) {
  const auto report = co_await with_deadline(link->report(), kAsk, "the workspace");
  if (!report) co_return;
  const std::uint64_t programs = number_of(*report, "processes"), sessions = number_of(*report, "sessions");
  std::string text = "Workspace " + connection->workspace.name + ": ";
  if (programs == 0) {
    text += "nothing else runs in it.";
  } else {
    text += counted(programs, "program") + ", " + counted(sessions, "session") + ", " + human_bytes(number_of(*report, "memory_bytes")) + " of memory in use.";
  }
  co_await say(channel, text, true);
}

// One line for a person who logs in again after a loss.
asio::awaitable<void> tell_of_kept(std::shared_ptr<Connection> connection, std::shared_ptr<ssh::Channel> channel,
                                   std::shared_ptr<tunnels::AgentLink> link) {
  const auto listed = co_await with_deadline(link->terminals(), kAsk, "the workspace");
  if (!listed) co_return;
  std::size_t alone = 0;
  Timestamp since;
  for (const tunnels::TerminalInfo& terminal : *listed) {
    if (terminal.ended || terminal.detached_since == Timestamp{}) continue;
    ++alone;
    if (since == Timestamp{} || terminal.detached_since < since) since = terminal.detached_since;
  }
  if (alone == 0) co_return;
  const std::string what = alone == 1 ? "1 terminal, left " : std::to_string(alone) + " terminals, the first left ";
  co_await say(channel, "You have " + what + human_age(since, connection->services.clock.now()) + " and still running: " + connection->services.options.ssh_command + " -t berth attach", true);
}

// Environments that did not come out as they were: who can mend them should hear of it.
asio::awaitable<void> tell_of_environments(std::shared_ptr<Connection> connection, std::shared_ptr<ssh::Channel> channel) {
  const auto failed = auth::failed_verifications(*connection->lane.reader, connection->user.name);
  if (failed.empty()) co_return;
  const auto& first = failed.front();
  std::string text = "Your environment " + first.name + (first.verification.result == "changed" ? " has changed" : " cannot be built again") + " (looked at " +
                     human_age(first.verification.at, connection->services.clock.now()) + ")";
  if (failed.size() > 1) text += ", and " + counted(failed.size() - 1, "other") + " too";
  co_await say(channel, text + ": " + connection->services.options.ssh_command + " berth env list", true);
}

}  // namespace

asio::awaitable<void> welcome(std::shared_ptr<Connection> connection, std::shared_ptr<ssh::Channel> channel, std::shared_ptr<tunnels::AgentLink> link) {
  const GatewayOptions& options = connection->services.options;
  if (!options.message_of_the_day.empty()) {
    std::string text;  // a terminal in raw mode needs carriage returns
    for (const char c : options.message_of_the_day) text += c == '\n' ? std::string("\r\n") : std::string(1, c);
    while (text.ends_with("\r\n")) text.resize(text.size() - 2);
    co_await say(channel, text, true);
  }
  if (options.show_state) co_await tell_state(connection, channel, link);
  co_await tell_of_kept(connection, channel, link);
  co_await tell_of_environments(connection, channel);
}

}  // namespace berth::server
