// libFuzzer on an SSH connection after its login, with an application that does what the input says: tests/fuzz/run ssh_channels [SECONDS].
#include "tests/fuzz/ssh_session.hpp"

#include <utility>

using namespace berth::ssh;
using berth::WireWriter;
using namespace berth::ssh::fuzz;

namespace {

constexpr std::string_view kOpens[] = {"session", "session", "direct-tcpip", "direct-streamlocal@openssh.com", "x11", "forwarded-tcpip", ""};
constexpr std::string_view kRequests[] = {"pty-req", "env", "shell", "exec", "subsystem", "window-change", "signal", "break", "auth-agent-req@openssh.com",
                                          "x11-req", "eow@openssh.com", "exit-status", "simple@putty.projects.tartarus.org"};
constexpr std::string_view kGlobals[] = {"tcpip-forward", "cancel-tcpip-forward", "streamlocal-forward@openssh.com", "cancel-streamlocal-forward@openssh.com",
                                         "keepalive@openssh.com", "hostkeys-prove-00@openssh.com", "no-more-sessions@openssh.com"};
constexpr std::string_view kWords[] = {"localhost", "", "HUP", "/tmp/a", "xterm", std::string_view("a\0b", 3)};
constexpr std::size_t kMostAtOnce = 4 << 20;  // bytes of one request many times over: making hundreds of MB takes the client longer than the server
constexpr std::string_view kTypes[] = {"forwarded-tcpip", "x11", "auth-agent@openssh.com"};

void put_fields(Input& in, WireWriter& packet) {
  for (std::size_t fields = in.below(8); fields > 0; --fields) {
    switch (in.below(3)) {
      case 0:
        packet.u32(in.size());
        break;
      case 1:
        packet.string(in.text(kWords));
        break;
      default:
        packet.u8(in.u8());
    }
  }
}

// The layout that goes with the name, or any.
std::string body_of(Input& in, std::string_view name) {
  WireWriter body;
  const auto word = [&] { body.string(in.text(kWords)); };
  const auto number = [&] { body.u32(in.size()); };
  if (in.below(8) == 0) {
    put_fields(in, body);
  } else if (name == "pty-req") {
    word(), number(), number(), number(), number(), word();
  } else if (name == "env") {
    word(), word();
  } else if (name == "window-change") {
    number(), number(), number(), number();
  } else if (name == "break") {
    number();
  } else if (name == "x11-req") {
    body.boolean(in.flag()), word(), word(), number();
  } else if (name == "direct-tcpip") {
    word(), number(), word(), number();
  } else if (name.find("tcpip-forward") != std::string_view::npos) {
    word(), number();
  } else if (name != "shell" && name != "session") {
    word();
  }
  return body.bytes();
}

class Steps {
 public:
  Steps(Input& in, World& world) : in_(in), world_(world), client_(world.client()) {}
  void step();

 private:
  Client::Channel* chosen() {
    const std::uint8_t pick = in_.u8();
    return client_.channels.empty() ? nullptr : &client_.channels[pick % client_.channels.size()];
  }
  // A channel that is open as far as the client knows.
  Client::Channel* open() {
    Client::Channel* const channel = chosen();
    if (!channel || !channel->server_id || channel->over) return nullptr;
    if (channel->close_sent) world_.settle();
    return number_may_be_anothers(*channel) ? nullptr : channel;
  }
  // The server's CLOSE has come, or may have been sent unseen: what it sends in a key exchange comes after that, and the client may not have read on.
  bool number_may_be_anothers(const Client::Channel& channel) const {
    return channel.close_sent && (channel.close_received || wire().rekeying || client_.crowded || !client_.reads);
  }
  void send_open();
  void send_data();
  void send_adjust();
  void send_end(std::uint8_t type);
  void send_request();
  void send_global();
  void answer_open();
  void send_raw();
  void key_exchange();
  void application();

  Input& in_;
  World& world_;
  Client& client_;
};

void Steps::send_open() {
  const std::string type = in_.text(kOpens);
  Client::Channel channel;
  const std::uint32_t window = in_.size(), most = in_.size();
  channel.may_receive = window;
  channel.max_packet = most;
  const auto id = static_cast<std::uint32_t>(client_.channels.size());
  client_.channels.push_back(channel);
  world_.send(WireWriter(kMsgChannelOpen).string(type).u32(id).u32(window).u32(most).raw(body_of(in_, type)).bytes());
}

void Steps::send_data() {
  Client::Channel* const channel = open();
  const bool extended = in_.below(8) == 0;
  std::size_t size = in_.size(), times = in_.below(64) + 1;
  if (!channel) return;
  size = std::min<std::size_t>(size, 40'000);
  world_.settle();  // the model knows every window that the server has given
  bool waited = false;
  for (; times > 0 && !client_.over; --times) {
    if (size > channel->may_send) world_.settle();  // the server may have given more for the packets before
    if (size > channel->may_send && client_.crowded && client_.exact && client_.reads && !std::exchange(waited, true)) world_.settle_slowly();
    if (!channel->server_id || number_may_be_anothers(*channel)) return;
    const bool too_much = size > channel->may_send && !wire().rekeying;  // windows that are given while keys are exchanged come after that
    if (size > 32'768 || too_much || channel->eof_sent) client_.must_end = client_.exact && client_.reads;
    channel->may_send -= std::min<std::uint64_t>(size, channel->may_send);
    client_.data_sent += size;
    WireWriter packet(extended ? kMsgChannelExtendedData : kMsgChannelData);
    packet.u32(*channel->server_id);
    if (extended) packet.u32(1);
    world_.send(packet.string(std::string(size, 'd')).bytes());
    if (client_.must_end) return;
  }
}

void Steps::send_adjust() {
  Client::Channel* const channel = open();
  const std::uint32_t bytes = in_.size();
  if (!channel) return;
  channel->may_receive += bytes;
  world_.send(WireWriter(kMsgChannelWindowAdjust).u32(*channel->server_id).u32(bytes).bytes());
}

void Steps::send_end(std::uint8_t type) {
  Client::Channel* const channel = open();
  if (!channel) return;
  (type == kMsgChannelEof ? channel->eof_sent : channel->close_sent) = true;
  world_.send(WireWriter(type).u32(*channel->server_id).bytes());
}

void Steps::send_request() {
  Client::Channel* const channel = open();
  const std::string type = in_.text(kRequests);
  const bool wants = in_.flag();
  std::size_t times = in_.u8() == 255 ? 300 : 1;
  const std::string body = body_of(in_, type);
  if (!channel) return;
  const std::string packet = WireWriter(kMsgChannelRequest).u32(*channel->server_id).string(type).boolean(wants).raw(body).bytes();
  times = std::min(times, std::max<std::size_t>(1, kMostAtOnce / packet.size()));
  for (; times > 0 && !client_.over; --times) {
    if (wants) ++channel->replies_owed;
    world_.send(packet);
  }
}

void Steps::send_global() {
  const std::string type = in_.text(kGlobals);
  const bool wants = in_.flag();
  std::size_t times = in_.u8() >= 250 ? 2'000 : 1;
  const std::string packet = WireWriter(kMsgGlobalRequest).string(type).boolean(wants).raw(body_of(in_, type)).bytes();
  times = std::min(times, std::max<std::size_t>(1, kMostAtOnce / packet.size()));
  for (; times > 0 && !client_.over; --times) {
    if (wants) ++client_.global_owed;
    world_.send(packet);
  }
}

void Steps::answer_open() {
  const bool yes = in_.below(4) != 0;
  const std::uint32_t window = in_.size(), most = in_.size();
  if (client_.opened.empty()) return;
  const Client::Opened opened = client_.opened.back();
  client_.opened.pop_back();
  if (!yes) {
    world_.send(WireWriter(kMsgChannelOpenFailure).u32(opened.server_id).u32(1).string("no").string("").bytes());
    return;
  }
  Client::Channel channel;
  channel.server_id = opened.server_id;
  channel.may_send = opened.may_send;
  channel.may_receive = window;
  channel.max_packet = most;
  const auto id = static_cast<std::uint32_t>(client_.channels.size());
  client_.channels.push_back(channel);
  world_.send(WireWriter(kMsgChannelOpenConfirmation).u32(opened.server_id).u32(id).u32(window).u32(most).bytes());
}

// Any type, with numbers of channels that exist: the model does not follow.
void Steps::send_raw() {
  WireWriter packet(in_.flag() ? static_cast<std::uint8_t>(kMsgChannelOpenConfirmation + in_.below(10)) : in_.u8());
  if (in_.flag()) packet.u32(static_cast<std::uint32_t>(in_.below(4)));
  put_fields(in_, packet);
  client_.exact = client_.must_end = false;
  if (packet.bytes()[0] == static_cast<char>(kMsgChannelOpenConfirmation)) client_.misnumbered = true;
  client_.data_sent += packet.bytes().size();
  world_.send(packet.bytes());
}

void Steps::key_exchange() {
  switch (in_.below(3)) {
    case 0:
      world_.send(WireWriter(kMsgKexInit).raw("sixteen bytes...").string("curve25519-sha256").string("ssh-ed25519").bytes());
      break;
    case 1:
      wire().rekeying = true;  // the server's own wish; the client has yet to answer
      break;
    default:
      world_.send(WireWriter(kMsgKexDhInit).string("x").bytes());
  }
}

void Steps::application() {
  const std::size_t index = in_.below(std::max<std::size_t>(world_.channels(), 1));
  const std::shared_ptr<Channel> channel = world_.channel(index);
  const std::uint8_t what = in_.u8() % 16;
  const std::size_t size = std::min<std::uint32_t>(in_.size(), 300'000);
  if (what == 0) world_.open_channel(in_.text(kTypes), in_.text(kWords));
  if (what == 1) world_.answer_global(in_.flag(), static_cast<std::uint32_t>(size));
  if (what == 2 && channel) channel->refuse(OpenFailure::prohibited, "no");
  if (what == 3) world_.drop(index);
  if (what == 4 && channel) size % 3 == 1 ? channel->cut_off() : channel->close();
  if (what == 5 && channel) channel->send_eof();
  if (what == 6 && channel) channel->send_eow();
  if (what == 7 && channel) channel->send_exit_status(3);
  if (what == 8 && channel) channel->send_exit_signal("HUP", false, "");
  if (what == 9 || what == 10) world_.write(index, size, what == 10);
  if (what == 11) world_.take_request(index, in_.flag());
  if (what == 12) world_.read(index, size);
  if (what == 13 && channel) world_.take_at_once(*channel, size);
  if (what >= 14 && channel) channel->confirm();
}

void Steps::step() {
  switch (in_.below(20)) {
    case 0:
    case 1:
      return send_open();
    case 2:
    case 3:
      return send_data();
    case 4:
      return send_adjust();
    case 5:
      return send_end(kMsgChannelEof);
    case 6:
      return send_end(kMsgChannelClose);
    case 7:
    case 8:
      return send_request();
    case 9:
      return send_global();
    case 10:
      return answer_open();
    case 11:
      return send_raw();
    case 12:
      return key_exchange();
    case 13:
      client_.reads = in_.flag();
      return;
    case 14:
      return world_.pass(std::chrono::milliseconds(1 << in_.below(20)));
    default:
      application();
  }
}

void log_in(World& world) {
  world.send(WireWriter(kMsgServiceRequest).string("ssh-userauth").bytes());
  world.client().auth_owed = 1;
  world.answer_auth(true);
  world.send(auth_request("ada", "publickey", WireWriter().string("ssh-ed25519").string("key").bytes(), Signature::right));
  world.settle();
  MUST(world.client().logged_in);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  World world(fuzz_options());
  log_in(world);
  Input in(data, size);
  Steps steps(in, world);
  while (!in.empty() && !world.client().over) {
    steps.step();
    if (in.u8() != 255) world.settle();  // 255: the next packet comes with this one
  }
  return 0;
}
