// One message of the agent protocol (docs/agent-protocol.md) on a SOCK_SEQPACKET socket: a JSON object of at most 64 KiB with
// descriptors attached. Plain system calls, no Asio and no waiting: both berthd and the agent are built on it.
#pragma once
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/handles.hpp"

namespace berth::tunnels::wire {

inline constexpr int kProtocol = 2;
inline constexpr std::size_t kMaxMessage = 64 * 1024;
inline constexpr std::size_t kMaxDescriptors = 3;  // stdin, stdout, stderr
inline constexpr int kMaxDepth = 8;                // of nested objects and arrays

enum class Status {
  ok,
  again,      // nothing there (or no room) now; wait for readiness
  closed,     // the other end is gone
  truncated,  // a message over kMaxMessage: the peer breaks the protocol
  failed,     // errno_value says why
};

struct Received {
  Status status = Status::failed;
  int errno_value = 0;
  std::string_view text;                    // in the buffer that was given
  std::vector<FileDescriptor> descriptors;  // close-on-exec; whatever came, up to all that the kernel carries at once
  bool descriptors_lost = false;            // more than kMaxDescriptors came, or this process may open no more
};

// Never blocks. `buffer` should hold kMaxMessage + 1 bytes.
Received receive(int socket, std::span<char> buffer);

struct Sent {
  Status status = Status::failed;
  int errno_value = 0;
};

// Never blocks and never raises SIGPIPE. The descriptors stay the caller's.
Sent send(int socket, std::string_view text, std::span<const int> descriptors = {});

// Whether objects and arrays nest at most kMaxDepth deep. Looked at before parsing, since a parser's memory grows with depth.
bool shallow(std::string_view json);

// Arguments, environment values and paths are bytes, not text, and JSON has only text: each byte travels as the code point
// of its number (U+0000 to U+00FF). decode_bytes answers none for a string that holds any other.
std::string encode_bytes(std::string_view bytes);
std::optional<std::string> decode_bytes(std::string_view text);

}  // namespace berth::tunnels::wire
