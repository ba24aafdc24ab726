#include "web/terminal_page.hpp"

#include <unistd.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/parallel_group.hpp>
#include <cerrno>

#include "base/deadline.hpp"
#include "web/lane_server.hpp"
#include "web/records.hpp"
#include "web/websocket.hpp"

namespace berth::web {
namespace asio = boost::asio;
using asio::posix::stream_descriptor;
using nlohmann::json;

namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::uint64_t kAhead = 1024 * 1024;           // bytes that the page has not acknowledged
constexpr std::size_t kMostMessage = 64 * 1024;         // from the page
constexpr std::size_t kMostQueued = 256 * 1024;         // of control frames: a page that pings and does not read
constexpr std::size_t kMostInFrame = 32 * 1024;
constexpr std::chrono::seconds kPing{30}, kSilent{75};
constexpr std::chrono::seconds kTypingLook{5};  // how often typing that the terminal does not take looks whether the page is still there
constexpr std::chrono::seconds kWatchCheck{1};
constexpr std::uint32_t kMostColumns = 1000;

// One page and its terminal. Everything on one lane; whoever writes to the socket is write_loop alone.
struct Page {
  Page(LaneServer& its_lane, Connection& its_client, std::shared_ptr<tunnels::Process> its_process)
      : lane(its_lane), client(its_client), process(std::move(its_process)), input(lane.executor()), output(lane.executor()), wake(lane.executor()) {
    input.assign(process->take_stdin().release());
    output.assign(process->take_stdout().release());
    at = acknowledged = process->view().from;
  }
  LaneServer& lane;
  Connection& client;
  std::shared_ptr<tunnels::Process> process;
  stream_descriptor input, output;  // pipes of berthd's own
  asio::steady_timer wake;          // cancelled when there is something to write; expires for a ping
  std::string queued;               // frames that go before more output
  std::uint64_t at = 0, acknowledged = 0;
  std::optional<json> exit;
  std::optional<std::uint16_t> closing;
  std::string closing_reason;
  bool watching = false;  // what is typed here is dropped
  std::function<bool()> still_valid;
  std::chrono::steady_clock::time_point checked = std::chrono::steady_clock::now();
  bool gone = false;     // the page
  bool writing = false;  // a frame may be half-way out

  void queue(std::string frame) {
    if (queued.size() < kMostQueued) queued += frame;
    else gone = true;
    wake.cancel();
  }
  void tell(const json& message) { queue(websocket_frame(Opcode::text, dump_json(message))); }
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
using PagePtr = std::shared_ptr<Page>;

// The next part of the output as a frame; empty: nothing now.
std::string next_output(Page& page) {
  if (!page.output.is_open() || page.at - page.acknowledged >= kAhead) return "";
  static thread_local std::array<char, kMostInFrame> buffer;
  const ssize_t got = ::read(page.output.native_handle(), buffer.data(), buffer.size());
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return "";
  if (got <= 0) {
    boost::system::error_code ignored;
    page.output.close(ignored);
    return "";
  }
  page.at += static_cast<std::uint64_t>(got);
  return websocket_frame(Opcode::binary, {buffer.data(), static_cast<std::size_t>(got)});
}

asio::awaitable<Result<void>> wait_readable(PagePtr page) {
  const auto [error] = co_await page->output.async_wait(stream_descriptor::wait_read, kTuple);
  if (error) co_return Error{ErrorKind::closed, "closed"};
  co_return Result<void>();
}

// Who looks on by their role does so no longer than they have it.
bool may_still_watch(Page& page) {
  const auto now = std::chrono::steady_clock::now();
  if (!page.watching || now - page.checked < kWatchCheck) return true;
  page.checked = now;
  return page.still_valid();
}

// Until there may be something to write. A ping is queued when there was nothing for long.
asio::awaitable<void> wait_for_more(PagePtr page) {
  page->wake.expires_after(page->watching ? kWatchCheck : kPing);
  if (page->output.is_open() && page->at - page->acknowledged < kAhead) {
    (void)co_await unless(wait_readable(page), page->wake);
  } else {
    co_await page->wake.async_wait(kTuple);
  }
  if (std::chrono::steady_clock::now() >= page->wake.expiry()) page->queued += websocket_frame(Opcode::ping, "");
}

asio::awaitable<void> write_loop(PagePtr page, std::shared_ptr<auth::LiveSession> live) {
  std::string reason;
  while (!page->gone) {
    if (!may_still_watch(*page)) page->cut(kClosePolicy, "the login has ended");
    std::string frame = std::exchange(page->queued, {});
    if (frame.empty()) frame = next_output(*page);
    if (frame.empty() && page->exit && !page->output.is_open()) {
      frame = websocket_frame(Opcode::text, dump_json(*std::exchange(page->exit, std::nullopt)));
      page->close(kCloseNormal, "the program has ended");
    }
    if (frame.empty() && page->closing) {
      const std::string last = websocket_close(*page->closing, page->closing_reason);
      page->writing = true;
      (void)co_await page->client.stream.write(last);
      break;
    }
    if (frame.empty()) {
      co_await wait_for_more(page);
      continue;
    }
    live->bytes_out.fetch_add(frame.size(), std::memory_order_relaxed);
    page->writing = true;
    const auto written = co_await page->client.stream.write(frame);
    page->writing = false;
    if (!written) break;
  }
  page->gone = true;
  page->client.stream.stop_reading();  // wakes read_loop
}

asio::awaitable<Result<void>> wait_input(PagePtr page) {
  const auto [error] = co_await page->input.async_wait(stream_descriptor::wait_write, kTuple);
  if (error) co_return Error{ErrorKind::closed, "closed"};
  co_return Result<void>();
}

// Until the terminal takes more. false: it will not, or a program has not read for a while and the page that typed has left.
asio::awaitable<bool> takes_more(PagePtr page) {
  while (!page->gone) {
    auto waiting = wait_input(page);
    auto ready = co_await with_deadline(std::move(waiting), kTypingLook, "the terminal");
    if (ready) co_return true;
    if (ready.error().kind != ErrorKind::timeout || page->client.stream.peer_hung_up()) break;
  }
  co_return false;
}

asio::awaitable<bool> type(PagePtr page, std::string data) {
  std::string_view rest = data;
  while (!rest.empty() && page->input.is_open()) {
    const ssize_t taken = ::write(page->input.native_handle(), rest.data(), rest.size());
    if (taken >= 0) {
      rest.remove_prefix(static_cast<std::size_t>(taken));
    } else if (errno == EAGAIN) {
      const bool more = co_await takes_more(page);
      if (!more) co_return false;
    } else if (errno != EINTR) {
      co_return false;  // the terminal takes no more; its exit says why
    }
  }
  co_return true;
}

std::optional<std::uint64_t> number_of(const json& message, const char* key, std::uint64_t most) {
  const auto found = message.find(key);
  if (found == message.end() || !found->is_number_unsigned() || found->get<std::uint64_t>() > most) return std::nullopt;
  return found->get<std::uint64_t>();
}

void take_text(Page& page, const std::string& text) {
  const json message = json::parse(text, nullptr, false);
  if (!message.is_object()) return;
  const std::string kind = message.value("type", json("")).is_string() ? message.value("type", json("")).get<std::string>() : "";
  if (page.watching && kind != "ack") return;
  if (kind == "resize") {
    const auto columns = number_of(message, "columns", kMostColumns), rows = number_of(message, "rows", kMostColumns);
    if (columns && rows && *columns > 0 && *rows > 0) page.process->resize(static_cast<std::uint32_t>(*columns), static_cast<std::uint32_t>(*rows), 0, 0);
  } else if (kind == "ack") {
    const auto at = number_of(message, "at", page.at);
    if (at && *at > page.acknowledged) page.acknowledged = *at;
    page.wake.cancel();
  } else if (kind == "end") {
    page.process->hang_up();
  }
}

// Flat JSON only: a parser's memory grows with depth.
bool is_flat(std::string_view text) { return text.size() <= 4096 && text.find('{', 1) == std::string_view::npos && text.find('[') == std::string_view::npos; }

asio::awaitable<void> read_loop(PagePtr page, std::shared_ptr<auth::LiveSession> live, std::string early) {
  WebSocketReader reader(kMostMessage);
  reader.add(early);
  bool takes_input = true;
  std::array<char, 8192> buffer;
  while (!page->gone) {
    std::optional<WebSocketReader::Message> message = reader.next();
    if (!message && reader.failed() != 0) {
      page->close(reader.failed(), "");
      break;
    }
    if (!message) {
      page->client.stream.read_within(kSilent);
      const auto got = co_await page->client.stream.read_some(buffer.data(), buffer.size());
      if (!got || *got == 0) {
        page->gone = true;
        break;
      }
      live->bytes_in.fetch_add(*got, std::memory_order_relaxed);
      reader.add({buffer.data(), *got});
      continue;
    }
    if (message->opcode == Opcode::binary && takes_input && !page->watching) takes_input = co_await type(page, std::move(message->data));
    if (message->opcode == Opcode::text && is_flat(message->data)) take_text(*page, message->data);
    if (message->opcode == Opcode::ping) page->queue(websocket_frame(Opcode::pong, message->data));
    if (message->opcode == Opcode::close) {
      page->close(kCloseNormal, "");
      break;
    }
  }
  page->wake.cancel();
}

// Ends with the process; holds nothing of the client.
asio::awaitable<void> watch_exit(std::weak_ptr<Page> weak, std::shared_ptr<tunnels::Process> process) {
  const auto exit = co_await process->wait();
  const PagePtr page = weak.lock();
  if (!page) co_return;
  if (exit && exit->signal.empty()) page->exit = json{{"type", "exit"}, {"code", exit->code}};
  else if (exit) page->exit = json{{"type", "exit"}, {"signal", exit->signal}};
  else if (exit.error().kind == ErrorKind::conflict) page->close(kCloseNormal, exit.error().message.substr(0, 100));
  else page->close(kCloseGoingAway, exit.error().message.substr(0, 100));
  page->wake.cancel();
}

asio::awaitable<Result<std::shared_ptr<tunnels::AgentLink>>> running_workspace(LaneServer& lane, workspaces::WorkspaceId id) {
  auto link = co_await workspaces::link_if_running(lane.services().manager, lane.lane, std::move(id));
  if (link && !*link) co_return Error{ErrorKind::not_found, "the workspace does not run"};
  co_return link;
}

asio::awaitable<Result<std::shared_ptr<tunnels::AgentLink>>> start_workspace(LaneServer& lane, Connection& client, workspaces::WorkspaceId id) {
  const auto task = lane.starts.begin(id, false);
  std::size_t told = 0;
  while (!task->outcome()) {
    for (; told < task->lines().size(); ++told) {
      const std::string line = websocket_frame(Opcode::text, dump_json({{"type", "progress"}, {"line", task->lines()[told]}}));
      const auto sent = co_await client.stream.write(line);
      if (!sent) co_return sent.error();
    }
    co_await task->wait(told, std::chrono::seconds(2));
    if (lane.stopping() || client.stream.peer_hung_up()) co_return Error{ErrorKind::closed, "given up"};
  }
  lane.starts.told(id, false);
  if (!*task->outcome()) co_return task->outcome()->error();
  co_return (*task->outcome())->link;
}

asio::awaitable<Result<std::unique_ptr<tunnels::Process>>> open_terminal(LaneServer& lane, tunnels::AgentLink& link, TerminalWish wish) {
  if (!wish.id.empty()) {
    tunnels::AttachOptions options;
    options.id = wish.id;
    if (!wish.watch) options.size = wish.size;
    options.watch_only = wish.watch;
    options.from = wish.from;
    auto attached = co_await link.attach(std::move(options));
    co_return attached;
  }
  tunnels::ExecOptions options;
  options.env["COLORTERM"] = "truecolor";
  options.pty.emplace();
  options.pty->columns = wish.size.columns;
  options.pty->rows = wish.size.rows;
  options.pty->keep = lane.shared.options.keep_terminals;
  auto process = co_await link.exec(std::move(options));
  co_return process;
}

asio::awaitable<std::string> fail(Connection& client, Error error) {
  const std::string frames = websocket_frame(Opcode::text, dump_json({{"type", "error"}, {"kind", name_of(error.kind)}, {"message", error.message}})) +
                             websocket_close(kCloseInternal, "");
  (void)co_await client.stream.write(frames);
  co_return error.message;
}

json opened_message(const tunnels::Process& process, const TerminalWish& wish) {
  const auto view = process.view();
  const bool is_new = wish.id.empty();
  return {{"type", "opened"}, {"id", process.terminal()}, {"from", view.from}, {"columns", is_new ? wish.size.columns : view.size.columns},
          {"rows", is_new ? wish.size.rows : view.size.rows}, {"title", view.title}, {"restore", view.restore}, {"new", is_new}};
}

}  // namespace

asio::awaitable<std::string> serve_terminal_page(LaneServer& lane, Connection& client, TerminalWish wish, std::shared_ptr<TerminalEnd> end,
                                                 std::function<bool()> still_valid, std::shared_ptr<auth::LiveSession> live) {
  auto finding = wish.watch ? running_workspace(lane, wish.workspace) : start_workspace(lane, client, wish.workspace);
  auto link = co_await std::move(finding);
  std::string outcome;
  if (!link) {
    outcome = co_await fail(client, link.error());
    co_return outcome;
  }
  auto opened = co_await open_terminal(lane, **link, wish);
  if (!opened) {
    outcome = co_await fail(client, opened.error());
    co_return outcome;
  }
  std::shared_ptr<tunnels::Process> process = std::move(*opened);
  auto page = std::make_shared<Page>(lane, client, process);
  page->watching = wish.watch;
  page->still_valid = still_valid;
  page->tell(opened_message(*process, wish));
  process->on_change([weak = std::weak_ptr<Page>(page)](const tunnels::TerminalChange& change) {
    const PagePtr target = weak.lock();
    if (target && change.title) target->tell({{"type", "title"}, {"title", *change.title}});
    if (target && change.size) target->tell({{"type", "size"}, {"columns", change.size->columns}, {"rows", change.size->rows}});
  });
  end->act = [weak = std::weak_ptr<Page>(page), still_valid] {
    const PagePtr target = weak.lock();
    if (target && still_valid()) target->cut(kCloseNormal, "the terminal was ended");
    else if (target) target->cut(kClosePolicy, "the login has ended");
  };
  if (end->happened) page->cut(kCloseNormal, "");
  asio::co_spawn(lane.executor(), watch_exit(page, process), asio::detached);
  ++lane.counters.websockets;
  auto in = asio::co_spawn(lane.executor(), read_loop(page, live, client.take_buffered()), asio::deferred);
  auto out = asio::co_spawn(lane.executor(), write_loop(page, live), asio::deferred);
  co_await asio::experimental::make_parallel_group(std::move(in), std::move(out)).async_wait(asio::experimental::wait_for_all(), asio::use_awaitable);
  --lane.counters.websockets;
  process->on_change(nullptr);
  end->act = nullptr;
  if (!wish.watch && (end->happened || !still_valid())) process->hang_up();
  boost::system::error_code ignored;
  page->input.close(ignored);
  page->output.close(ignored);
  co_return page->closing == kCloseNormal ? "closed" : "left";
}

}  // namespace berth::web
