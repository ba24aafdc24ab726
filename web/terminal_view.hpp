// Inside terminal_page.cpp: a page with its terminal, and the two loops between them.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "auth/sessions.hpp"
#include "tunnels/agent_link.hpp"
#include "web/lane_server.hpp"
#include "web/records.hpp"
#include "web/websocket.hpp"

namespace berth::web {

// One page and its terminal. Everything on one lane; whoever writes to the socket is write_terminal_page() alone.
struct TerminalView {
  TerminalView(LaneServer& its_lane, Connection& its_client, std::shared_ptr<tunnels::Process> its_process)
      : lane(its_lane), client(its_client), process(std::move(its_process)), input(lane.executor()), output(lane.executor()), wake(lane.executor()) {
    input.assign(process->take_stdin().release());
    output.assign(process->take_stdout().release());
    at = acknowledged = process->view().from;
  }
  LaneServer& lane;
  Connection& client;
  std::shared_ptr<tunnels::Process> process;
  boost::asio::posix::stream_descriptor input, output;  // pipes of berthd's own
  boost::asio::steady_timer wake;  // cancelled when there is something to write; expires for a ping
  std::string queued;              // frames that go before more output
  std::uint64_t at = 0, acknowledged = 0;
  std::optional<nlohmann::json> exit;
  std::optional<std::uint16_t> closing;
  std::string closing_reason;
  bool watching = false;  // what is typed here is dropped
  std::function<bool()> still_valid;
  std::chrono::steady_clock::time_point checked = std::chrono::steady_clock::now();
  bool gone = false;     // the page
  bool writing = false;  // a frame may be half-way out

  static constexpr std::size_t kMostQueued = 256 * 1024;  // of control frames: a page that pings and does not read
  void queue(std::string frame) {
    if (queued.size() < kMostQueued) queued += frame;
    else gone = true;
    wake.cancel();
  }
  void tell(const nlohmann::json& message) { queue(websocket_frame(Opcode::text, dump_json(message))); }
  void close(std::uint16_t code, std::string reason) {
    if (!closing) closing = code, closing_reason = std::move(reason);
    wake.cancel();
  }
  // At once, whatever waits.
  void cut(std::uint16_t code, std::string_view reason) {
    gone = true;
    if (!writing) (void)client.stream.try_write(websocket_close(code, reason));
    client.stream.close();
    boost::system::error_code ignored;
    input.close(ignored);
    wake.cancel();
  }
};
using TerminalViewPtr = std::shared_ptr<TerminalView>;

// What the page does: typing, resizing, acknowledging. `early`: what came with the upgrade.
boost::asio::awaitable<void> read_terminal_page(TerminalViewPtr page, std::shared_ptr<auth::LiveSession> live, std::string early);
// What the terminal says, the frames that are queued, and at last why it ends.
boost::asio::awaitable<void> write_terminal_page(TerminalViewPtr page, std::shared_ptr<auth::LiveSession> live);

}  // namespace berth::web
