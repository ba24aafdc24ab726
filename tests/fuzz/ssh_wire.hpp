// In place of server/ssh/transport.cpp under the fuzzers of server/ssh: a Transport without cryptography. Packets go both ways as u32 length, type,
// payload; which ones pass in which state is libssh's rule. Keeps back what is sent during a key exchange, as libssh does.
#pragma once
#include <cstdint>
#include <set>
#include <string>

namespace berth::ssh::fuzz {

// What libssh makes of the signature of a USERAUTH_REQUEST: its last byte says so.
enum class Signature : std::uint8_t { wrong = 0, right = 1, of_another_key = 2 };

// The state of the one connection that runs.
struct Wire {
  std::string partial;   // of a packet from the client
  std::string held;      // sent during a key exchange
  std::string left_request;  // a signed USERAUTH_REQUEST that Berth left to libssh
  std::set<std::string> verified;  // the keys of which libssh has seen a right signature
  bool authenticated = false;
  bool rekeying = false;
  int transports = 0;  // alive
};
Wire& wire();

std::string frame(std::string_view packet);

}  // namespace berth::ssh::fuzz
