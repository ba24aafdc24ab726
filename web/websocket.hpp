// WebSocket (RFC 6455), the server's side, as far as Berth itself speaks it: the handshake's answer and frames. No I/O.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace berth::web {

enum class Opcode : std::uint8_t { more = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

// Close codes, RFC 6455 7.4.1.
inline constexpr std::uint16_t kCloseNormal = 1000, kCloseGoingAway = 1001, kCloseProtocol = 1002, kClosePolicy = 1008, kCloseTooBig = 1009,
                               kCloseInternal = 1011;

// Sec-WebSocket-Accept for a client's Sec-WebSocket-Key; nullopt when that is not 16 bytes in base64.
std::optional<std::string> websocket_accept(std::string_view key);

std::string websocket_frame(Opcode opcode, std::string_view payload);
std::string websocket_close(std::uint16_t code, std::string_view reason);

// Takes a client's bytes as they come and gives whole messages: data frames put together, control frames in between.
class WebSocketReader {
 public:
  explicit WebSocketReader(std::size_t most) : most_(most) {}
  struct Message {
    Opcode opcode;  // text, binary, close, ping or pong
    std::string data;
  };
  void add(std::string_view bytes) { in_.append(bytes); }
  // nullopt: more bytes are needed, or the client broke the protocol (failed() is its close code, from then on).
  std::optional<Message> next();
  std::uint16_t failed() const { return failed_; }

 private:
  std::optional<Message> fail(std::uint16_t code);
  std::optional<Message> take(Opcode opcode, bool last, std::string payload);
  const std::size_t most_;  // bytes of a message
  std::string in_, message_;
  std::optional<Opcode> open_;  // of a message whose last frame has not come
  std::uint16_t failed_ = 0;
};

}  // namespace berth::web
