// What a client asks, parsed from packets (without their type byte) into the types of session.hpp. Pure functions: the
// only place that knows the layout of requests. A malformed packet is an Error of kind protocol.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "server/ssh/session.hpp"

namespace berth::ssh {

struct ParsedAuthRequest {  // RFC 4252 5 and 7
  AuthRequest request;
  std::string service;
  std::string algorithm;  // publickey: the signature algorithm that the client names
};
Result<ParsedAuthRequest> parse_userauth_request(std::string_view packet);

struct ParsedChannelOpen {  // RFC 4254 5.1
  std::string type;
  std::uint32_t sender = 0;
  std::uint32_t window = 0;
  std::uint32_t max_packet = 0;
  std::optional<ChannelOpen> open;  // none: a type that Berth does not know
};
Result<ParsedChannelOpen> parse_channel_open(std::string_view packet);

struct ParsedChannelRequest {  // RFC 4254 5.4
  std::uint32_t channel = 0;
  bool want_reply = false;
  ChannelRequest request;
};
Result<ParsedChannelRequest> parse_channel_request(std::string_view packet);

struct ParsedGlobalRequest {  // RFC 4254 4
  std::string type;
  bool want_reply = false;
  std::optional<GlobalRequest> request;  // none: one that the library answers
};
Result<ParsedGlobalRequest> parse_global_request(std::string_view packet);

}  // namespace berth::ssh
