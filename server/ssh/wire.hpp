// RFC 4251 section 5: the data types of SSH packets. Reading never goes past the end: the first field that does not fit
// makes the reader fail for good, and every later field is empty, so a parser checks once, at its end.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace berth::ssh {

class PacketReader {
 public:
  explicit PacketReader(std::string_view bytes) : rest_(bytes) {}

  std::uint8_t u8() {
    const std::string_view field = take(1);
    return field.empty() ? 0 : static_cast<std::uint8_t>(field[0]);
  }
  bool boolean() { return u8() != 0; }
  std::uint32_t u32();
  std::string_view string() { return take(u32()); }
  // A string that must hold no NUL: everything that becomes a name, path, host or command.
  std::string_view text();
  std::string_view rest() { return take(rest_.size()); }

  bool ok() const { return ok_; }
  // Everything was there and nothing is left over.
  bool complete() const { return ok_ && rest_.empty(); }

 private:
  std::string_view take(std::size_t length);

  std::string_view rest_;
  bool ok_ = true;
};

class PacketWriter {
 public:
  PacketWriter() = default;
  explicit PacketWriter(std::uint8_t message_type) { u8(message_type); }

  PacketWriter& u8(std::uint8_t value) {
    bytes_.push_back(static_cast<char>(value));
    return *this;
  }
  PacketWriter& boolean(bool value) { return u8(value ? 1 : 0); }
  PacketWriter& u32(std::uint32_t value);
  PacketWriter& string(std::string_view value) {
    u32(static_cast<std::uint32_t>(value.size()));
    return raw(value);
  }
  PacketWriter& raw(std::string_view value) {
    bytes_.append(value);
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

// Message numbers (RFC 4250 4.1.2) that Berth itself reads or writes.
enum MessageType : std::uint8_t {
  kMsgDisconnect = 1,
  kMsgServiceRequest = 5,
  kMsgServiceAccept = 6,
  kMsgKexInit = 20,
  kMsgKexDhInit = 30,
  kMsgUserauthRequest = 50,
  kMsgUserauthFailure = 51,
  kMsgUserauthBanner = 53,
  kMsgUserauthPkOk = 60,
  kMsgGlobalRequest = 80,
  kMsgRequestSuccess = 81,
  kMsgRequestFailure = 82,
  kMsgChannelOpen = 90,
  kMsgChannelOpenConfirmation = 91,
  kMsgChannelOpenFailure = 92,
  kMsgChannelWindowAdjust = 93,
  kMsgChannelData = 94,
  kMsgChannelExtendedData = 95,
  kMsgChannelEof = 96,
  kMsgChannelClose = 97,
  kMsgChannelRequest = 98,
  kMsgChannelSuccess = 99,
  kMsgChannelFailure = 100,
};

// `text` without control characters and at most `limit` bytes long: for logs and for error messages.
std::string printable(std::string_view text, std::size_t limit = 200);

}  // namespace berth::ssh
