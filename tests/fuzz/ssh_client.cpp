// The client's side of tests/fuzz/ssh_session.hpp: what a server may say, and when (RFC 4252 5 to 7, RFC 4254).
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "tests/fuzz/ssh_session.hpp"

namespace berth::ssh::fuzz {

namespace {
constexpr std::uint64_t kLargestWindow = 16 * 1024 * 1024;
constexpr std::uint32_t kMaxPacket = 32 * 1024;
}  // namespace

std::uint8_t Input::u8() {
  if (rest_.empty()) return 0;
  const auto value = static_cast<std::uint8_t>(rest_.front());
  rest_.remove_prefix(1);
  return value;
}

std::uint32_t Input::u32() {
  std::uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | u8();
  return value;
}

std::uint32_t Input::size() {
  static constexpr std::uint32_t kEdges[] = {0, 1, 255, 256, 4096, 32767, 32768, 32769, 65536, 262144, 2097152, 16777216, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff};
  const std::uint8_t pick = u8();
  if (pick < 16) return kEdges[pick];
  return pick == 255 ? u32() : std::uint32_t(pick) * 128 + u8();
}

std::string Input::text() {
  const std::uint8_t length = u8();
  if (length >= 240) return std::string((length - 239U) * 12'000U, 'x');
  const std::string_view taken = rest_.substr(0, length);
  rest_.remove_prefix(taken.size());
  return std::string(taken);
}

bool Client::send(std::string_view packet) {
  const std::string bytes = frame(packet);
  std::string_view rest(bytes);
  while (!rest.empty()) {
    const ssize_t sent = descriptor_ < 0 ? -1 : ::send(descriptor_, rest.data(), rest.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0) {
      if (rest.size() != bytes.size() && errno == EAGAIN) {  // half a packet: the rest would be taken for another
        over = true;
        hang_up();
      }
      return false;
    }
    rest.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

void Client::hang_up() {
  if (descriptor_ < 0) return;
  const linger at_once{1, 0};  // thousands of connections a second must not leave ports behind
  ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  ::close(std::exchange(descriptor_, -1));
}

bool Client::has_unsent() const {
  int bytes = 0;
  return descriptor_ >= 0 && ::ioctl(descriptor_, SIOCOUTQ, &bytes) == 0 && bytes > 0;
}

void Client::receive() {
  if (!reads || descriptor_ < 0) return;
  char buffer[64 * 1024];
  for (;;) {
    const ssize_t got = ::recv(descriptor_, buffer, sizeof buffer, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) break;
    if (got <= 0) {
      over = true;
      hang_up();
      break;
    }
    received_.append(buffer, static_cast<std::size_t>(got));
    crowded |= got > 1024;  // may have filled a small socket; the system then takes a while, in real time, to send on
  }
  std::size_t at = 0;
  while (received_.size() - at >= 4) {
    const std::string_view rest = std::string_view(received_).substr(at);
    const std::uint32_t length = WireReader(rest).u32();
    MUST(length >= 1);
    if (rest.size() - 4 < length) break;
    MUST(!disconnected_);  // nothing after SSH_MSG_DISCONNECT
    take(static_cast<std::uint8_t>(rest[4]), rest.substr(5, length - 1));
    at += 4 + length;
  }
  received_.erase(0, at);
}

Client::Channel& Client::known(std::uint32_t id) {
  MUST(id < channels.size());
  return channels[id];
}

void Client::take_open(WireReader& in) {
  in.string();
  Opened open;
  open.server_id = in.u32();
  open.may_send = in.u32();
  MUST(in.u32() == kMaxPacket);
  MUST(open.may_send <= kLargestWindow && logged_in);
  opened.push_back(open);
}

void Client::take_data(Channel& channel, std::string_view data) {
  MUST(!data.empty() && data.size() <= std::min<std::uint64_t>(channel.max_packet, kMaxPacket));
  MUST(!channel.eof_received);
  if (exact) MUST(data.size() <= channel.may_receive);
  channel.may_receive -= std::min<std::uint64_t>(data.size(), channel.may_receive);
}

void Client::take_request(WireReader& in) {
  const std::string_view type = in.string();
  MUST(!in.boolean());
  if (type == "exit-status") {
    in.u32();
  } else if (type == "exit-signal") {
    in.string();
    in.boolean();
    in.string();
    in.string();
  } else {
    MUST(type == "eow@openssh.com");  // may have been on its way when the client sent EOF
  }
}

// False: no packet of a channel.
bool Client::take_of_channel(std::uint8_t type, WireReader& in) {
  if (type < kMsgChannelOpenConfirmation || type > kMsgChannelFailure) return false;
  MUST(logged_in);
  const std::uint32_t id = in.u32();
  if (misnumbered) {
    in = WireReader({});
    return true;
  }
  Channel& channel = known(id);
  MUST(!channel.close_received);
  const bool answers = type == kMsgChannelOpenConfirmation || type == kMsgChannelOpenFailure;
  MUST(answers != channel.server_id.has_value() && !channel.over);
  switch (type) {
    case kMsgChannelOpenConfirmation:
      channel.server_id = in.u32();
      channel.may_send = in.u32();
      MUST(channel.may_send <= kLargestWindow && in.u32() == kMaxPacket);
      break;
    case kMsgChannelOpenFailure:
      channel.over = true;
      MUST(in.u32() >= 1);
      in.string();
      in.string();
      break;
    case kMsgChannelWindowAdjust:
      channel.may_send += in.u32();
      MUST(channel.may_send <= kLargestWindow);
      break;
    case kMsgChannelData:
      take_data(channel, in.string());
      break;
    case kMsgChannelExtendedData:
      MUST(in.u32() == 1);
      take_data(channel, in.string());
      break;
    case kMsgChannelEof:
      MUST(!channel.eof_received);
      channel.eof_received = true;
      break;
    case kMsgChannelClose:
      channel.close_received = true;
      break;
    case kMsgChannelRequest:
      take_request(in);
      break;
    default:  // SUCCESS and FAILURE
      if (exact) MUST(channel.replies_owed > 0);
      if (channel.replies_owed > 0) --channel.replies_owed;
  }
  return true;
}

void Client::take(std::uint8_t type, std::string_view payload) {
  WireReader in(payload);
  if (take_of_channel(type, in)) {
    MUST(in.complete());
    return;
  }
  switch (type) {
    case kMsgDisconnect:
      disconnected_ = over = true;
      in.u32();
      MUST(!in.string().empty());
      in.string();
      break;
    case kMsgServiceAccept:
      MUST(in.string() == "ssh-userauth");
      break;
    case kMsgUserauthFailure:
      MUST(auth_owed > 0 && in.string() == "publickey" && !in.boolean());
      --auth_owed;
      ++refusals;
      break;
    case 52:  // USERAUTH_SUCCESS
      MUST(auth_owed > 0 && accepted_signed && !logged_in);
      --auth_owed;
      logged_in = true;
      break;
    case kMsgUserauthBanner:
      MUST(!logged_in);
      in.string();
      in.string();
      break;
    case kMsgUserauthPkOk:
      MUST(auth_owed > 0 && !logged_in);
      --auth_owed;
      in.string();
      MUST(!in.string().empty());
      break;
    case kMsgGlobalRequest:  // host keys, keepalives
      MUST(logged_in && !in.string().empty());
      in.rest();
      break;
    case kMsgRequestSuccess:
    case kMsgRequestFailure:
      if (exact) MUST(global_owed > 0);
      if (global_owed > 0) --global_owed;
      in.rest();
      break;
    case kMsgChannelOpen:
      take_open(in);
      in.rest();
      break;
    default:
      MUST(!"a packet that a server does not send");
  }
  MUST(in.complete());
}

}  // namespace berth::ssh::fuzz
