#include "web/terminal_view.hpp"

#include <unistd.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <cerrno>

#include "base/deadline.hpp"

namespace berth::web {
namespace asio = boost::asio;
using asio::posix::stream_descriptor;
using nlohmann::json;

namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);
constexpr std::uint64_t kAhead = 1024 * 1024;           // bytes that the page has not acknowledged
constexpr std::size_t kMostMessage = 64 * 1024;         // from the page
constexpr std::size_t kMostInFrame = 32 * 1024;
constexpr std::chrono::seconds kPing{30}, kSilent{75};
constexpr std::chrono::seconds kTypingLook{5};  // how often typing that the terminal does not take looks whether the page is still there
constexpr std::chrono::seconds kWatchCheck{1};
constexpr std::uint32_t kMostColumns = 1000;

// The next part of the output as a frame; empty: nothing now.
std::string next_output(TerminalView& page) {
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

asio::awaitable<Result<void>> wait_readable(TerminalViewPtr page) {
  const auto [error] = co_await page->output.async_wait(stream_descriptor::wait_read, kTuple);
  if (error) co_return Error{ErrorKind::closed, "closed"};
  co_return Result<void>();
}

// Who looks on by their role does so no longer than they have it.
bool may_still_watch(TerminalView& page) {
  const auto now = std::chrono::steady_clock::now();
  if (!page.watching || now - page.checked < kWatchCheck) return true;
  page.checked = now;
  return page.still_valid();
}

// Until there may be something to write. A ping is queued when there was nothing for long.
asio::awaitable<void> wait_for_more(TerminalViewPtr page) {
  page->wake.expires_after(page->watching ? kWatchCheck : kPing);
  if (page->output.is_open() && page->at - page->acknowledged < kAhead) {
    (void)co_await unless(wait_readable(page), page->wake);
  } else {
    co_await page->wake.async_wait(kTuple);
  }
  if (std::chrono::steady_clock::now() >= page->wake.expiry()) page->queued += websocket_frame(Opcode::ping, "");
}

asio::awaitable<Result<void>> wait_input(TerminalViewPtr page) {
  const auto [error] = co_await page->input.async_wait(stream_descriptor::wait_write, kTuple);
  if (error) co_return Error{ErrorKind::closed, "closed"};
  co_return Result<void>();
}

// Until the terminal takes more. false: it will not, or a program has not read for a while and the page that typed has left.
asio::awaitable<bool> takes_more(TerminalViewPtr page) {
  while (!page->gone) {
    auto waiting = wait_input(page);
    auto ready = co_await with_deadline(std::move(waiting), kTypingLook, "the terminal");
    if (ready) co_return true;
    if (ready.error().kind != ErrorKind::timeout || page->client.stream.peer_hung_up()) break;
  }
  co_return false;
}

asio::awaitable<bool> type(TerminalViewPtr page, std::string data) {
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

void take_text(TerminalView& page, const std::string& text) {
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

}  // namespace

asio::awaitable<void> write_terminal_page(TerminalViewPtr page, std::shared_ptr<auth::LiveSession> live) {
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
  page->client.stream.stop_reading();  // wakes read_terminal_page()
}

asio::awaitable<void> read_terminal_page(TerminalViewPtr page, std::shared_ptr<auth::LiveSession> live, std::string early) {
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

}  // namespace berth::web
