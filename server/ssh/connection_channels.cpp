// RFC 4254: channels and global requests. Every number and length here comes from the peer; the parsers check the layout,
// and the channel its own state and window.
#include <unistd.h>

#include <algorithm>

#include "server/ssh/connection.hpp"
#include "server/ssh/wire.hpp"

namespace berth::ssh {
namespace asio = boost::asio;

namespace {

constexpr std::size_t kMaxQueuedGlobals = 64;
// All windows of one connection together: what a client can make the server buffer. New channels get smaller windows as it fills.
constexpr std::uint64_t kWindowBudget = 64 * 1024 * 1024;
constexpr std::uint32_t kSmallestWindow = 64 * 1024;
// Below this a peer makes the server encrypt absurdly many packets.
constexpr std::uint32_t kSmallestMaxPacket = 256;

// The channel closes when the last handle outside goes.
std::shared_ptr<Channel> handle_of(const std::shared_ptr<ChannelImpl>& channel) {
  return {channel.get(), [channel](Channel*) { channel->abandon(); }};
}

}  // namespace

std::shared_ptr<WindowPool> WindowPool::of_process() {
  static const auto pool = std::make_shared<WindowPool>(static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) / 4);
  return pool;
}

std::shared_ptr<ChannelImpl> Connection::make_channel(ChannelOpen opening, std::optional<ChannelImpl::Remote> remote) {
  const auto place = std::find(channels_.begin(), channels_.end(), nullptr);
  const auto id = static_cast<std::uint32_t>(place - channels_.begin());
  const std::uint32_t window = std::max(window_grant(options_->initial_window), kSmallestWindow);
  auto channel = std::make_shared<ChannelImpl>(*this, id, std::move(opening), remote, window);
  if (place == channels_.end()) {
    channels_.push_back(channel);
  } else {
    *place = channel;
  }
  return channel;
}

std::uint32_t Connection::window_grant(std::uint64_t wanted) const {
  const std::uint64_t left = kWindowBudget - std::min(budget_->windows, kWindowBudget);
  const WindowPool& all = *budget_->pool;
  const std::uint64_t left_of_all = all.most - std::min(all.granted.load(std::memory_order_relaxed), all.most);
  return static_cast<std::uint32_t>(std::min({wanted, left / 2, left_of_all / 2}));
}

void Connection::forget_channel(std::uint32_t id) {
  if (id < channels_.size()) channels_[id].reset();
  while (!channels_.empty() && !channels_.back()) channels_.pop_back();
}

std::shared_ptr<ChannelImpl> Connection::channel_of(std::uint32_t id) {
  if (id < channels_.size() && channels_[id]) return channels_[id];
  violation("a packet for channel " + std::to_string(id) + ", which does not exist");
  return nullptr;
}

void Connection::apply(ChannelImpl::Violation reason) {
  if (reason) violation(*reason);
}

void Connection::refuse_channel(const ParsedChannelOpen& open, OpenFailure reason, std::string_view text) {
  send(WireWriter(kMsgChannelOpenFailure)
           .u32(open.sender)
           .u32(static_cast<std::uint32_t>(reason))
           .string(text)
           .string("")
           .bytes());
}

void Connection::on_channel_open(std::string_view payload) {
  Result<ParsedChannelOpen> open = parse_channel_open(payload);
  if (!open) return violation(open.error().message);
  if (!open->open) return refuse_channel(*open, OpenFailure::unknown_type, "This server does not know this kind of channel.");
  if (no_more_sessions_ && std::holds_alternative<SessionOpen>(*open->open))
    return violation("a session after the client said that there would be no more");
  if (open->max_packet < kSmallestMaxPacket)
    return refuse_channel(*open, OpenFailure::resource_shortage, "The maximum packet size is too small.");
  if (channels_exhausted())
    return refuse_channel(*open, OpenFailure::resource_shortage, "There are too many channels on this connection.");
  const auto channel =
      make_channel(std::move(*open->open), ChannelImpl::Remote{open->sender, open->window, open->max_packet});
  new_channels_.push_back({handle_of(channel), globals_came_});
  channel_opened_.notify();
}

// Global requests that came before a channel are answered before it is served, as sshd does it, one after the other: a client that gives up when it is
// refused a forward must hear of that before its command is over.
asio::awaitable<Result<std::shared_ptr<Channel>>> Connection::next_channel() {
  while (new_channels_.empty() || new_channels_.front().after > globals_answered_) {
    if (end_) co_return *end_;
    co_await channel_opened_.wait();
  }
  if (end_) co_return *end_;
  std::shared_ptr<Channel> channel = std::move(new_channels_.front().channel);
  new_channels_.erase(new_channels_.begin());
  co_return channel;
}

asio::awaitable<Result<std::shared_ptr<Channel>>> Connection::open_channel(std::string_view type,
                                                                           std::string_view type_specific_data) {
  if (end_) co_return *end_;
  if (!authenticated_) co_return Error{ErrorKind::invalid, "The client has not logged in yet."};
  if (channels_exhausted()) co_return Error{ErrorKind::unavailable, "There are too many channels on this connection."};
  const auto channel = make_channel(ServerOpened{std::string(type)}, std::nullopt);
  const std::shared_ptr<Channel> handle = handle_of(channel);
  send(WireWriter(kMsgChannelOpen)
           .string(type)
           .u32(channel->id())
           .u32(channel->window())
           .u32(kMaxPacket)
           .raw(type_specific_data)
           .bytes());
  const Result<void> confirmed = co_await channel->wait_confirmed();
  if (!confirmed) co_return confirmed.error();
  co_return handle;
}

void Connection::on_channel_confirmation(std::string_view payload) {
  WireReader in(payload);
  const std::uint32_t id = in.u32();
  ChannelImpl::Remote remote;
  remote.id = in.u32();
  remote.window = in.u32();
  remote.max_packet = in.u32();
  if (!in.ok()) return violation("a malformed channel confirmation");
  if (const auto channel = channel_of(id)) apply(channel->on_confirmation(remote));
}

void Connection::on_channel_failure_to_open(std::string_view payload) {
  WireReader in(payload);
  const std::uint32_t id = in.u32();
  in.u32();
  const std::string text = printable(in.string());
  if (!in.ok()) return violation("a malformed channel refusal");
  const auto channel = channel_of(id);
  if (!channel) return;
  if (channel->state() != ChannelImpl::State::asked_by_us) return violation("a refusal of a channel that was not being opened");
  channel->on_refusal(Error{ErrorKind::denied, "The client refused the channel: " + text});
}

void Connection::on_window_adjust(std::string_view payload) {
  WireReader in(payload);
  const std::uint32_t id = in.u32();
  const std::uint32_t bytes = in.u32();
  if (!in.ok()) return violation("a malformed window adjustment");
  if (const auto channel = channel_of(id)) apply(channel->on_window_adjust(bytes));
}

void Connection::on_channel_data(std::string_view payload) {
  WireReader in(payload);
  const std::uint32_t id = in.u32();
  const std::string_view data = in.string();
  if (!in.complete()) return violation("malformed channel data");
  if (const auto channel = channel_of(id)) apply(channel->on_data(data, false));
}

void Connection::on_channel_extended_data(std::string_view payload) {
  WireReader in(payload);
  const std::uint32_t id = in.u32();
  in.u32();
  const std::string_view data = in.string();
  if (!in.complete()) return violation("malformed channel data");
  if (const auto channel = channel_of(id)) apply(channel->on_data(data, true));
}

void Connection::on_channel_eof(std::string_view payload) {
  WireReader in(payload);
  const std::uint32_t id = in.u32();
  if (!in.complete()) return violation("a malformed end of channel data");
  if (const auto channel = channel_of(id)) channel->on_eof();
}

void Connection::on_channel_close(std::string_view payload) {
  WireReader in(payload);
  const std::uint32_t id = in.u32();
  if (!in.complete()) return violation("a malformed channel close");
  if (const auto channel = channel_of(id)) channel->on_close();
}

void Connection::on_channel_request(std::string_view payload) {
  Result<ParsedChannelRequest> parsed = parse_channel_request(payload);
  if (!parsed) return violation(parsed.error().message);
  if (const auto channel = channel_of(parsed->channel)) apply(channel->on_request(std::move(parsed->request), parsed->want_reply, payload.size()));
}

void Connection::on_channel_reply(std::string_view) {
  violation("an answer to a channel request that was not made");
}

void Connection::on_global_request(std::string_view payload) {
  Result<ParsedGlobalRequest> parsed = parse_global_request(payload);
  if (!parsed) return violation(parsed.error().message);
  if (globals_.size() == kMaxQueuedGlobals) return violation("too many global requests at once");
  ++globals_came_;
  PendingGlobal entry;
  entry.want_reply = parsed->want_reply;
  entry.request = std::move(parsed->request);
  if (entry.request) {
    globals_.push_back(std::move(entry));
    global_requested_.notify();
    return;
  }
  if (parsed->type == "no-more-sessions@openssh.com") no_more_sessions_ = true;
  // Refusing is also how OpenSSH's sshd answers a keepalive: any answer will do.
  entry.answered = true;
  entry.answer = WireWriter(kMsgRequestFailure).bytes();
  if (parsed->type == "hostkeys-prove-00@openssh.com") {
    if (auto proofs = prove_host_keys(payload)) entry.answer = std::move(*proofs);
  }
  globals_.push_back(std::move(entry));
  flush_global_answers();
}

// Answers carry no number, so they go out in the order of the requests, whoever gives them.
void Connection::flush_global_answers() {
  while (!globals_.empty() && globals_.front().answered) {
    if (globals_.front().want_reply) send(globals_.front().answer);
    globals_.erase(globals_.begin());
    if (globals_taken_ > 0) --globals_taken_;
    ++globals_answered_;
  }
  if (!new_channels_.empty()) channel_opened_.notify();
}

asio::awaitable<Result<GlobalRequest>> Connection::next_global_request() {
  for (;;) {
    if (end_) co_return *end_;
    while (globals_taken_ < globals_.size()) {
      const PendingGlobal& entry = globals_[globals_taken_++];
      if (entry.request) co_return *entry.request;
    }
    co_await global_requested_.wait();
  }
}

void Connection::reply_global(bool success, std::optional<std::uint32_t> port) {
  const auto entry = std::find_if(globals_.begin(), globals_.end(), [](const PendingGlobal& each) { return !each.answered; });
  if (entry == globals_.end() || static_cast<std::size_t>(entry - globals_.begin()) >= globals_taken_) return;
  WireWriter answer(success ? kMsgRequestSuccess : kMsgRequestFailure);
  const auto* forward = std::get_if<TcpipForward>(&*entry->request);
  if (success && forward && forward->port == 0 && port) answer.u32(*port);
  entry->answered = true;
  entry->answer = answer.bytes();
  flush_global_answers();
}

void Connection::on_global_reply(std::string_view) {
  // To our keepalives, the only global requests that the server makes; hearing it is all that counts.
}

}  // namespace berth::ssh
