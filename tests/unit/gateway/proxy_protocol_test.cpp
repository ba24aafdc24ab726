#include "server/gateway/proxy_protocol.hpp"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/write.hpp>
#include <random>

namespace berth::server {
namespace {
namespace asio = boost::asio;

const std::string kSignature("\r\n\r\n\0\r\nQUIT\n", 12);

std::string header(unsigned char command, unsigned char family, const std::string& rest) {
  std::string bytes = kSignature;
  bytes += static_cast<char>(command);
  bytes += static_cast<char>(family);
  bytes += static_cast<char>(rest.size() >> 8);
  bytes += static_cast<char>(rest.size() & 0xff);
  return bytes + rest;
}
const std::string kTcp4Ends("\xcb\0\x71\x07\xc6\x33\x64\x01\xc8\x0a\x08\xae", 12);

std::string ends(const Result<ProxyHeader>& header) {
  if (!header) return header.error().message;
  if (!header->ends) return "none";
  const auto& [client, server] = *header->ends;
  return client.address().to_string() + " " + std::to_string(client.port()) + " > " + server.address().to_string() + " " + std::to_string(server.port());
}

TEST(ProxyProtocol, TellsTheEndsOfTcp) {
  EXPECT_EQ(ends(parse_proxy_header(header(0x21, 0x11, kTcp4Ends))), "203.0.113.7 51210 > 198.51.100.1 2222");
  std::string v6;
  for (int i = 0; i < 36; ++i) v6 += static_cast<char>(i);
  EXPECT_EQ(ends(parse_proxy_header(header(0x21, 0x21, v6))), "1:203:405:607:809:a0b:c0d:e0f 8225 > 1011:1213:1415:1617:1819:1a1b:1c1d:1e1f 8739");
  // With additions.
  EXPECT_EQ(ends(parse_proxy_header(header(0x21, 0x11, kTcp4Ends + std::string("\x04\0\x02xx\x03\0\0", 8)))), "203.0.113.7 51210 > 198.51.100.1 2222");
}

TEST(ProxyProtocol, LocalAndUnspecifiedKeepTheRealEnds) {
  EXPECT_EQ(ends(parse_proxy_header(header(0x20, 0x00, ""))), "none");
  EXPECT_EQ(ends(parse_proxy_header(header(0x20, 0x11, "anything"))), "none");
  EXPECT_EQ(ends(parse_proxy_header(header(0x21, 0x00, "anything"))), "none");
}

TEST(ProxyProtocol, RefusesWhatIsNotAsItMustBe) {
  const std::string cases[] = {
      "", "SSH-2.0-OpenSSH_9.2p1\r\n", "PROXY TCP4 1.2.3.4 1.2.3.4 1 1\r\n",
      header(0x11, 0x11, kTcp4Ends),                          // version 1
      header(0x31, 0x11, kTcp4Ends),                          // version 3
      header(0x22, 0x11, kTcp4Ends),                          // an unknown command
      header(0x21, 0x12, kTcp4Ends),                          // UDP
      header(0x21, 0x31, std::string(216, 'x')),              // a Unix socket
      header(0x21, 0x41, kTcp4Ends),                          // no family
      header(0x21, 0x11, kTcp4Ends.substr(0, 11)),            // cut off
      header(0x21, 0x21, kTcp4Ends),                          // too short for IPv6
      header(0x21, 0x11, kTcp4Ends + "x"),                    // an addition that does not add up
      header(0x21, 0x11, kTcp4Ends + std::string("\x04\xff\xff", 3)),
      header(0x21, 0x11, kTcp4Ends) + "x",                    // more than it says
      header(0x21, 0x11, std::string(kProxyHeaderMost + 1, 'x')),
  };
  for (const std::string& bytes : cases) EXPECT_FALSE(parse_proxy_header(bytes)) << bytes;
}

// Every byte changed to every value, and a lot of random ones: an answer or an error, never more (run under the sanitizers too).
TEST(ProxyProtocol, SurvivesMutation) {
  const std::string good = header(0x21, 0x11, kTcp4Ends + std::string("\x04\0\x02xx\x03\0\0", 8));
  std::size_t taken = 0;
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (int value = 0; value < 256; ++value) {
      std::string bytes = good;
      bytes[at] = static_cast<char>(value);
      taken += parse_proxy_header(bytes) ? 1u : 0u;
    }
  }
  EXPECT_GT(taken, 256u * 12);  // addresses may be anything
  std::mt19937 random(7);
  for (int i = 0; i < 100'000; ++i) {
    std::string bytes = good.substr(0, 12 + random() % 8);
    while (bytes.size() < 16 + random() % 64) bytes += static_cast<char>(random());
    (void)parse_proxy_header(bytes);
  }
}

TEST(ProxyProtocol, ReadsExactlyTheHeader) {
  asio::io_context io;
  asio::ip::tcp::acceptor acceptor(io, {asio::ip::address_v4::loopback(), 0});
  asio::ip::tcp::socket client(io);
  client.connect(acceptor.local_endpoint());
  asio::ip::tcp::socket socket = acceptor.accept();
  asio::write(client, asio::buffer(header(0x21, 0x11, kTcp4Ends) + "SSH-2.0-x"));
  std::string said;
  asio::co_spawn(io, read_proxy_header(socket), [&said](std::exception_ptr, Result<ProxyHeader> read) { said = ends(read); });
  io.run();
  EXPECT_EQ(said, "203.0.113.7 51210 > 198.51.100.1 2222");
  char rest[16];
  EXPECT_EQ(std::string(rest, socket.read_some(asio::buffer(rest))), "SSH-2.0-x");
}

}  // namespace
}  // namespace berth::server
