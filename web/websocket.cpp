#include "web/websocket.hpp"

#include <openssl/evp.h>

#include "base/encoding.hpp"

namespace berth::web {

namespace {

constexpr std::size_t kMostControl = 125;  // payload of a control frame

std::uint64_t big_endian(std::string_view bytes) {
  std::uint64_t value = 0;
  for (const char c : bytes) value = value << 8 | static_cast<unsigned char>(c);
  return value;
}

void append_big_endian(std::string& out, std::uint64_t value, int bytes) {
  for (int shift = (bytes - 1) * 8; shift >= 0; shift -= 8) out += static_cast<char>(value >> shift & 0xff);
}

bool is_control(Opcode opcode) { return static_cast<unsigned>(opcode) >= 8; }

bool is_known(unsigned opcode) { return opcode <= 2 || (opcode >= 8 && opcode <= 10); }

}  // namespace

std::optional<std::string> websocket_accept(std::string_view key) {
  const auto nonce = base64_decode(key);
  if (!nonce || nonce->size() != 16) return std::nullopt;
  const std::string text = std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (EVP_Digest(text.data(), text.size(), digest, &size, EVP_sha1(), nullptr) != 1) return std::nullopt;
  return base64_encode({reinterpret_cast<const char*>(digest), size});
}

std::string websocket_frame(Opcode opcode, std::string_view payload) {
  std::string out;
  out.reserve(payload.size() + 10);
  out += static_cast<char>(0x80 | static_cast<unsigned>(opcode));
  if (payload.size() < 126) {
    out += static_cast<char>(payload.size());
  } else if (payload.size() <= 0xffff) {
    out += static_cast<char>(126);
    append_big_endian(out, payload.size(), 2);
  } else {
    out += static_cast<char>(127);
    append_big_endian(out, payload.size(), 8);
  }
  out += payload;
  return out;
}

std::string websocket_close(std::uint16_t code, std::string_view reason) {
  std::string payload;
  append_big_endian(payload, code, 2);
  payload += reason.substr(0, kMostControl - 2);
  return websocket_frame(Opcode::close, payload);
}

std::optional<WebSocketReader::Message> WebSocketReader::fail(std::uint16_t code) {
  failed_ = code;
  in_.clear();
  message_.clear();
  return std::nullopt;
}

std::optional<WebSocketReader::Message> WebSocketReader::next() {
  while (failed_ == 0 && in_.size() >= 2) {
    const auto first = static_cast<unsigned char>(in_[0]), second = static_cast<unsigned char>(in_[1]);
    const bool last = first & 0x80;
    // No extension was agreed on, so the reserved bits mean nothing; what a client sends is masked (5.1, 5.2).
    if ((first & 0x70) != 0 || !is_known(first & 0x0f) || (second & 0x80) == 0) return fail(kCloseProtocol);
    const auto opcode = static_cast<Opcode>(first & 0x0f);
    std::uint64_t size = second & 0x7f;
    if (is_control(opcode) && (!last || size > kMostControl)) return fail(kCloseProtocol);
    const std::size_t extra = size == 126 ? 2 : size == 127 ? 8 : 0;
    if (in_.size() < 2 + extra) return std::nullopt;
    if (extra != 0) size = big_endian(std::string_view(in_).substr(2, extra));
    if (size > most_ || message_.size() + size > most_) return fail(kCloseTooBig);
    const std::size_t head = 2 + extra + 4;
    if (in_.size() < head + size) return std::nullopt;
    std::string payload = in_.substr(head, static_cast<std::size_t>(size));
    for (std::size_t i = 0; i < payload.size(); ++i) payload[i] = static_cast<char>(payload[i] ^ in_[head - 4 + i % 4]);
    in_.erase(0, head + payload.size());
    if (auto message = take(opcode, last, std::move(payload))) return message;
  }
  return std::nullopt;
}

// nullopt: a part of a message, or a failure.
std::optional<WebSocketReader::Message> WebSocketReader::take(Opcode opcode, bool last, std::string payload) {
  if (is_control(opcode)) return Message{opcode, std::move(payload)};
  if ((opcode == Opcode::more) != open_.has_value()) return fail(kCloseProtocol);
  if (!open_) open_ = opcode;
  message_ += payload;
  if (!last) return std::nullopt;
  Message message{*open_, std::move(message_)};
  open_.reset();
  message_.clear();
  return message;
}

}  // namespace berth::web
