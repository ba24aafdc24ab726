#include "server/ssh/requests.hpp"

#include <gtest/gtest.h>

#include <random>

#include "server/ssh/wire.hpp"

namespace berth::ssh {
namespace {

TEST(Requests, NamesThatAreKeptHaveALimit) {
  const std::string name(1024, 'n'), longer(1025, 'n'), path(4096, 'p'), longer_path(4097, 'p');
  const auto open_of = [](const std::string& host) {
    return parse_channel_open(WireWriter().string("direct-tcpip").u32(0).u32(1).u32(1).string(host).u32(80).string("").u32(0).bytes());
  };
  EXPECT_TRUE(open_of(name));
  EXPECT_FALSE(open_of(longer));
  const auto path_of = [](const std::string& text) {
    return parse_channel_open(WireWriter().string("direct-streamlocal@openssh.com").u32(0).u32(1).u32(1).string(text).bytes());
  };
  EXPECT_TRUE(path_of(path));
  EXPECT_FALSE(path_of(longer_path));
  const auto forward_of = [](const std::string& host) {
    return parse_global_request(WireWriter().string("tcpip-forward").boolean(true).string(host).u32(0).bytes());
  };
  EXPECT_TRUE(forward_of(name));
  EXPECT_FALSE(forward_of(longer));
  const auto login_of = [](const std::string& user) {
    return parse_userauth_request(WireWriter().string(user).string("ssh-connection").string("none").bytes());
  };
  EXPECT_TRUE(login_of(name));
  EXPECT_FALSE(login_of(longer));
}

TEST(Wire, ReadsWhatItWrites) {
  const WireWriter packet = WireWriter(90).u32(0x01020304).boolean(true).string("name").string("").raw("tail");
  WireReader in(packet.bytes());
  EXPECT_EQ(in.u8(), 90);
  EXPECT_EQ(in.u32(), 0x01020304u);
  EXPECT_TRUE(in.boolean());
  EXPECT_EQ(in.string(), "name");
  EXPECT_EQ(in.text(), "");
  EXPECT_FALSE(in.complete());
  EXPECT_EQ(in.rest(), "tail");
  EXPECT_TRUE(in.complete());
}

TEST(Wire, FailsForGoodAtTheFirstFieldThatDoesNotFit) {
  WireReader in(std::string_view("\0\0\0\x0a" "abcd\0\0\0\1x", 13));
  EXPECT_EQ(in.string(), "");
  EXPECT_FALSE(in.ok());
  EXPECT_EQ(in.u8(), 0);
  EXPECT_EQ(in.string(), "");
  EXPECT_FALSE(in.ok());
}

TEST(Wire, LengthsNearTheTopDoNotWrap) {
  WireReader in(std::string_view("\xff\xff\xff\xff" "abc", 7));
  EXPECT_EQ(in.string(), "");
  EXPECT_FALSE(in.ok());
}

TEST(Wire, TextHoldsNoNul) {
  const std::string packet = WireWriter().string(std::string_view("a\0b", 3)).bytes();
  WireReader text(packet), bytes(packet);
  text.text();
  EXPECT_FALSE(text.ok());
  EXPECT_EQ(bytes.string().size(), 3u);
  EXPECT_TRUE(bytes.ok());
}

TEST(Wire, PrintableHidesControlCharacters) {
  EXPECT_EQ(printable("a\x1b[31mb\n\x7f"), "a?[31mb??");
  EXPECT_EQ(printable(std::string(500, 'x')).size(), 200u);
}

struct Request {
  const char* name;
  std::string packet;
};

std::vector<Request> channel_requests() {
  auto head = [](std::string_view type) { return WireWriter().u32(7).string(type).boolean(true); };
  return {
      {"pty-req", head("pty-req").string("xterm").u32(80).u32(24).u32(1).u32(2).string("modes").bytes()},
      {"env", head("env").string("LANG").string("C").bytes()},
      {"exec", head("exec").string("ls -l").bytes()},
      {"subsystem", head("subsystem").string("sftp").bytes()},
      {"window-change", head("window-change").u32(100).u32(50).u32(0).u32(0).bytes()},
      {"signal", head("signal").string("INT").bytes()},
      {"break", head("break").u32(500).bytes()},
      {"x11-req", head("x11-req").boolean(true).string("MIT-MAGIC-COOKIE-1").string("00ff").u32(2).bytes()},
  };
}

TEST(ChannelRequests, HoldTheirFields) {
  const auto requests = channel_requests();
  auto parsed = parse_channel_request(requests[0].packet);
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->channel, 7u);
  EXPECT_TRUE(parsed->want_reply);
  const auto& pty = std::get<PtyRequest>(parsed->request);
  EXPECT_EQ(pty.term, "xterm");
  EXPECT_EQ(pty.columns, 80u);
  EXPECT_EQ(pty.rows, 24u);
  EXPECT_EQ(pty.modes, "modes");
  EXPECT_EQ(std::get<EnvRequest>(parse_channel_request(requests[1].packet)->request).value, "C");
  EXPECT_EQ(std::get<ExecRequest>(parse_channel_request(requests[2].packet)->request).command, "ls -l");
  EXPECT_EQ(std::get<WindowChange>(parse_channel_request(requests[4].packet)->request).rows, 50u);
  EXPECT_EQ(std::get<BreakRequest>(parse_channel_request(requests[6].packet)->request).milliseconds, 500u);
  const auto other = parse_channel_request(WireWriter().u32(1).string("xon-xoff").boolean(false).raw("what ever").bytes());
  EXPECT_EQ(std::get<UnknownRequest>(other->request).type, "xon-xoff");
  const auto x11 = std::get<X11Request>(parse_channel_request(requests[7].packet)->request);
  EXPECT_TRUE(x11.single_connection);
  EXPECT_EQ(x11.protocol + " " + x11.cookie, "MIT-MAGIC-COOKIE-1 00ff");
  EXPECT_EQ(x11.screen, 2u);
}

TEST(ChannelRequests, EveryTruncationIsAnError) {
  for (const Request& request : channel_requests()) {
    ASSERT_TRUE(parse_channel_request(request.packet).has_value()) << request.name;
    for (std::size_t size = 0; size < request.packet.size(); ++size) {
      const auto parsed = parse_channel_request(std::string_view(request.packet).substr(0, size));
      ASSERT_TRUE(parsed.has_error()) << request.name << " cut to " << size;
      EXPECT_EQ(parsed.error().kind, ErrorKind::protocol);
    }
  }
}

TEST(ChannelRequests, NulInACommandOrNameIsAnError) {
  const std::string_view evil("ls\0rm", 5);
  EXPECT_TRUE(parse_channel_request(WireWriter().u32(1).string("exec").boolean(true).string(evil).bytes()).has_error());
  EXPECT_TRUE(parse_channel_request(WireWriter().u32(1).string("env").boolean(true).string("A").string(evil).bytes()).has_error());
  EXPECT_TRUE(parse_channel_open(WireWriter().string("direct-streamlocal@openssh.com").u32(0).u32(1).u32(1).string(evil).bytes()).has_error());
}

TEST(ChannelOpens, AreParsed) {
  const std::string packet = WireWriter().string("direct-tcpip").u32(3).u32(1000).u32(2000).string("h").u32(80).string("o").u32(5).bytes();
  const auto parsed = parse_channel_open(packet);
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->sender, 3u);
  EXPECT_EQ(parsed->window, 1000u);
  EXPECT_EQ(parsed->max_packet, 2000u);
  const auto& open = std::get<DirectTcpip>(*parsed->open);
  EXPECT_EQ(open.host, "h");
  EXPECT_EQ(open.port, 80u);
  EXPECT_EQ(open.origin_port, 5u);
  for (std::size_t size = 0; size < packet.size(); ++size)
    EXPECT_TRUE(parse_channel_open(std::string_view(packet).substr(0, size)).has_error()) << size;
  EXPECT_FALSE(parse_channel_open(WireWriter().string("x11").u32(0).u32(1).u32(1).string("more").bytes())->open);
}

TEST(GlobalRequests, AreParsed) {
  const auto parsed = parse_global_request(WireWriter().string("tcpip-forward").boolean(true).string("localhost").u32(8080).bytes());
  ASSERT_TRUE(parsed.has_value() && parsed->request);
  EXPECT_EQ(std::get<TcpipForward>(*parsed->request).port, 8080u);
  EXPECT_FALSE(parse_global_request(WireWriter().string("keepalive@openssh.com").boolean(true).bytes())->request);
  EXPECT_TRUE(parse_global_request(WireWriter().string("tcpip-forward").boolean(true).string("x").bytes()).has_error());
}

TEST(AuthRequests, AreParsed) {
  const std::string blob = WireWriter().string("ssh-ed25519").string(std::string(32, 'k')).bytes();
  const std::string packet = WireWriter().string("ada").string("ssh-connection").string("publickey").boolean(true)
                                 .string("ssh-ed25519").string(blob).string("signature").bytes();
  const auto parsed = parse_userauth_request(packet);
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->request.user, "ada");
  EXPECT_EQ(parsed->request.key.type, "ssh-ed25519");
  EXPECT_EQ(parsed->request.key.blob, blob);
  EXPECT_TRUE(parsed->request.is_signed);
  for (std::size_t size = 0; size < packet.size(); ++size)
    EXPECT_TRUE(parse_userauth_request(std::string_view(packet).substr(0, size)).has_error()) << size;
  EXPECT_TRUE(parse_userauth_request(packet + "x").has_error());
  EXPECT_EQ(parse_userauth_request(WireWriter().string("ada").string("ssh-connection").string("none").bytes())->request.method, "none");
}

// Whatever comes in, a parser answers a value or an error; the sanitizers watch the rest.
TEST(Parsers, SurviveChangedBytes) {
  std::vector<std::string> packets;
  for (const Request& request : channel_requests()) packets.push_back(request.packet);
  packets.push_back(WireWriter().string("direct-tcpip").u32(3).u32(1000).u32(2000).string("h").u32(80).string("o").u32(5).bytes());
  packets.push_back(WireWriter().string("tcpip-forward").boolean(true).string("localhost").u32(8080).bytes());
  packets.push_back(WireWriter().string("ada").string("ssh-connection").string("publickey").boolean(true).string("ssh-ed25519")
                        .string(WireWriter().string("ssh-ed25519").string("k").bytes()).string("signature").bytes());
  std::mt19937 random(1);
  for (int i = 0; i < 40'000; ++i) {
    std::string packet = packets[random() % packets.size()];
    for (unsigned changes = random() % 4 + 1; changes > 0; --changes) packet[random() % packet.size()] = static_cast<char>(random());
    packet.resize(random() % 8 == 0 ? random() % (packet.size() + 1) : packet.size());
    parse_channel_request(packet);
    parse_channel_open(packet);
    parse_global_request(packet);
    parse_userauth_request(packet);
  }
}

TEST(HostKeys, ArePairsInOpenSshsFormat) {
  for (const char* type : {"ed25519", "ecdsa", "rsa"}) {
    const auto key = generate_host_key(type);
    ASSERT_TRUE(key.has_value()) << type;
    const auto half = public_half(*key);
    ASSERT_TRUE(half.has_value()) << type;
    EXPECT_NE(half->type.find(type), std::string::npos);
  }
  EXPECT_TRUE(generate_host_key("dsa").has_error());
  EXPECT_TRUE(public_half("not a key").has_error());
}

}  // namespace
}  // namespace berth::ssh
