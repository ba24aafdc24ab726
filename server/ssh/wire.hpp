// What server/ssh names on the wire: message numbers, and text of the peer made fit for logs. The data types are in base/ssh_wire.hpp.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/ssh_wire.hpp"

namespace berth::ssh {

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
