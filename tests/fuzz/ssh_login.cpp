// libFuzzer on an SSH connection before its login, and on how it logs in: tests/fuzz/run ssh_login [SECONDS].
#include "tests/fuzz/ssh_session.hpp"

using namespace berth::ssh;
using berth::WireWriter;
using namespace berth::ssh::fuzz;

namespace {

constexpr std::string_view kUsers[] = {"ada", "ada", "ada", "root", "ada+other", "", std::string_view("a\0b", 3)};
constexpr std::string_view kServices[] = {"ssh-connection", "ssh-connection", "ssh-userauth", ""};
constexpr std::string_view kMethods[] = {"publickey", "publickey", "none", "password", "keyboard-interactive", "hostbased", "gssapi-with-mic"};
constexpr std::string_view kAlgorithms[] = {"ssh-ed25519", "rsa-sha2-256", "sk-ssh-ed25519@openssh.com", "ssh-ed25519-cert-v01@openssh.com", ""};
constexpr std::string_view kBlobs[] = {std::string_view("\0\0\0\x0bssh-ed25519\0\0\0\x03key", 22), std::string_view("\0\0\0\x07ssh-rsa", 11),
                                       std::string_view("\0\0\0\0", 4), std::string_view("\xff\xff\xff\xff", 4)};
constexpr std::string_view kSignatures[] = {"\x01", "\x02", "no", std::string_view("\0\0\0\x1ask-ssh-ed25519@openssh.com\0\0\0\x01s\x05\0\0\0\x01", 40)};
constexpr std::string_view kGlobals[] = {"hostkeys-prove-00@openssh.com", "keepalive@openssh.com", "tcpip-forward"};
constexpr std::string_view kHostKeys[] = {"ssh-ed25519,rsa-sha2-256", "rsa-sha2-256", "rsa-sha2-512,ssh-ed25519", ",,,", "", "ssh-rsa"};

std::string userauth(Input& in, Client& client) {
  WireWriter packet(kMsgUserauthRequest);
  const std::string method = [&] {
    packet.string(in.text(kUsers)).string(in.text(kServices));
    return in.text(kMethods);
  }();
  packet.string(method);
  if (method == "publickey") {
    const bool is_signed = in.flag();
    packet.boolean(is_signed).string(in.text(kAlgorithms)).string(in.text(kBlobs));
    if (is_signed) packet.string(in.text(kSignatures));
  }
  ++client.auth_owed;
  return packet.bytes();
}

std::string kex_init(Input& in) {
  WireWriter packet(kMsgKexInit);
  packet.raw("sixteen bytes...").string("curve25519-sha256").string(in.text(kHostKeys));
  return packet.bytes();
}

std::string global(Input& in, Client& client) {
  WireWriter packet(kMsgGlobalRequest);
  const bool wants = in.flag();
  packet.string(in.text(kGlobals)).boolean(wants);
  const std::string own = WireWriter().string(public_half(fuzz_options()->host_keys[0]).value().blob).bytes();
  for (std::size_t keys = in.below(4); keys > 0; --keys) packet.raw(in.flag() ? own : in.text());
  if (wants) ++client.global_owed;
  return packet.bytes();
}

void step(Input& in, World& world) {
  Client& client = world.client();
  switch (in.below(16)) {
    case 0:
    case 1:
      world.send(WireWriter(kMsgServiceRequest).string(in.flag() ? "ssh-userauth" : in.text(kServices)).bytes());
      break;
    case 2:
    case 3:
    case 4:
    case 5:
      world.send(userauth(in, client));
      break;
    case 6:
      world.send(kex_init(in));
      break;
    case 7:
      world.send(WireWriter(kMsgKexDhInit).string(in.text()).bytes());
      break;
    case 8:
      if (client.logged_in) world.send(global(in, client));
      break;
    case 9:
      world.send(WireWriter(in.u8()).raw(in.text()).bytes());
      client.exact = false;
      client.auth_owed += 1;  // it may have been a request
      break;
    case 10:
      if (world.session() && in.flag()) world.session()->send_banner(in.text(kUsers));
      break;
    case 11:
      client.reads = in.flag();
      break;
    case 12:
      world.pass(std::chrono::seconds(in.u8()));
      break;
    default:
      world.answer_auth(in.below(4) != 0);
  }
  if (in.u8() != 255) world.settle();  // 255: the next packet comes with this one
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  World world(fuzz_options());
  Input in(data, size);
  while (!in.empty() && !world.client().over) step(in, world);
  MUST(world.client().refusals <= fuzz_options()->max_auth_tries * 5 + 1);
  return 0;
}
