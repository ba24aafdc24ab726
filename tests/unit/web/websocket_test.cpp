#include "web/websocket.hpp"

#include <gtest/gtest.h>

#include <random>

namespace berth::web {
namespace {

// A client's frame: masked.
std::string client_frame(unsigned first, std::string_view payload, bool masked = true) {
  std::string out(1, static_cast<char>(first));
  const char mask = masked ? '\x80' : '\0';
  if (payload.size() < 126) {
    out += static_cast<char>(mask | static_cast<char>(payload.size()));
  } else {
    out += static_cast<char>(mask | 126);
    out += static_cast<char>(payload.size() >> 8);
    out += static_cast<char>(payload.size());
  }
  if (!masked) return out + std::string(payload);
  const char key[4] = {1, 2, 3, 4};
  out.append(key, 4);
  for (std::size_t i = 0; i < payload.size(); ++i) out += static_cast<char>(payload[i] ^ key[i % 4]);
  return out;
}

TEST(WebSocket, AcceptIsThatOfTheRfc) {
  EXPECT_EQ(websocket_accept("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");  // RFC 6455 1.3
  for (const char* bad : {"", "x", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25j"}) EXPECT_FALSE(websocket_accept(bad)) << bad;
}

TEST(WebSocket, MessagesComeWholeHoweverTheyAreCut) {
  const std::string large(70 * 256, 'x');
  const std::string bytes = client_frame(0x81, "hi") + client_frame(0x02, "a") + client_frame(0x89, "ping") + client_frame(0x80, "b") +
                            client_frame(0x82, large) + client_frame(0x88, "\x03\xe8");
  for (std::size_t step : {std::size_t{1}, std::size_t{3}, bytes.size()}) {
    WebSocketReader reader(64 * 1024);
    std::vector<std::pair<Opcode, std::string>> got;
    for (std::size_t at = 0; at < bytes.size(); at += step) {
      reader.add(std::string_view(bytes).substr(at, step));
      while (auto message = reader.next()) got.emplace_back(message->opcode, message->data);
    }
    const std::vector<std::pair<Opcode, std::string>> expected = {
        {Opcode::text, "hi"}, {Opcode::ping, "ping"}, {Opcode::binary, "ab"}, {Opcode::binary, large}, {Opcode::close, "\x03\xe8"}};
    EXPECT_EQ(got, expected);
    EXPECT_EQ(reader.failed(), 0);
  }
}

TEST(WebSocket, BreachesHaveTheirCloseCode) {
  const struct { std::string bytes; std::uint16_t code; } cases[] = {
      {client_frame(0x81, "x", false), kCloseProtocol},                        // not masked
      {client_frame(0xc1, "x"), kCloseProtocol},                               // a reserved bit
      {client_frame(0x83, "x"), kCloseProtocol},                               // an unknown opcode
      {client_frame(0x09, "x"), kCloseProtocol},                               // a control frame in parts
      {client_frame(0x89, std::string(126, 'x')), kCloseProtocol},             // a long control frame
      {client_frame(0x80, "x"), kCloseProtocol},                               // goes on with nothing
      {client_frame(0x01, "x") + client_frame(0x81, "y"), kCloseProtocol},     // begins within another
      {client_frame(0x82, std::string(1001, 'x')), kCloseTooBig},
      {client_frame(0x02, std::string(900, 'x')) + client_frame(0x80, std::string(900, 'x')), kCloseTooBig},
      {std::string("\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff", 10), kCloseTooBig}};
  for (const auto& breach : cases) {
    WebSocketReader reader(1000);
    reader.add(breach.bytes);
    while (reader.next()) {
    }
    EXPECT_EQ(reader.failed(), breach.code);
    reader.add(client_frame(0x81, "more"));
    EXPECT_FALSE(reader.next()) << "nothing counts after a breach";
  }
}

TEST(WebSocket, FramesOfEachLength) {
  EXPECT_EQ(websocket_frame(Opcode::text, "hi"), "\x81\x02hi");
  EXPECT_EQ(websocket_frame(Opcode::binary, std::string(200, 'x')).substr(0, 4), std::string("\x82\x7e\x00\xc8", 4));
  EXPECT_EQ(websocket_frame(Opcode::binary, std::string(70'000, 'x')).substr(0, 10), std::string("\x82\x7f\0\0\0\0\0\x01\x11\x70", 10));
  EXPECT_EQ(websocket_close(kCloseNormal, "bye"), "\x88\x05\x03\xe8" "bye");
}

TEST(WebSocket, GarbageNeverCrashes) {
  std::mt19937 random(6455);
  for (int round = 0; round < 20'000; ++round) {
    WebSocketReader reader(500);
    std::string bytes = client_frame(0x80 | (random() % 16), std::string(random() % 300, 'x'));
    for (unsigned edits = random() % 4; edits > 0; --edits) bytes[random() % bytes.size()] = static_cast<char>(random());
    reader.add(bytes);
    while (reader.next()) {
    }
  }
}

}  // namespace
}  // namespace berth::web
