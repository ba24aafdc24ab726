#include "tunnels/wire.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

namespace berth::tunnels::wire {

namespace {
constexpr std::size_t kKernelCarries = 253;  // SCM_MAX_FD
}

Received receive(int socket, std::span<char> buffer) {
  Received result;
  iovec part{buffer.data(), buffer.size()};
  // Room for all that one message can carry: what does not fit the kernel would close here and now, and the last close of a
  // socket may wait (SO_LINGER).
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kKernelCarries)];
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  ssize_t count;
  do count = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  while (count < 0 && errno == EINTR);
  if (count < 0) {
    result.errno_value = errno;
    result.status = errno == EAGAIN || errno == EWOULDBLOCK ? Status::again
                    : errno == ECONNRESET                   ? Status::closed
                                                            : Status::failed;
    return result;
  }
  // Take every descriptor before any judgement: what is not taken here would stay open for ever.
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    std::size_t descriptors = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < descriptors; ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
      result.descriptors.emplace_back(fd);
    }
  }
  result.descriptors_lost = (message.msg_flags & MSG_CTRUNC) || result.descriptors.size() > kMaxDescriptors;
  if (count == 0) {  // end of file; an empty message cannot be told from it and is not in the protocol
    result.status = Status::closed;
  } else if ((message.msg_flags & MSG_TRUNC) || static_cast<std::size_t>(count) > kMaxMessage) {
    result.status = Status::truncated;
  } else {
    result.status = Status::ok;
    result.text = {buffer.data(), static_cast<std::size_t>(count)};
  }
  return result;
}

Sent send(int socket, std::string_view text, std::span<const int> descriptors) {
  if (text.empty() || text.size() > kMaxMessage || descriptors.size() > kMaxDescriptors) return {Status::failed, EMSGSIZE};
  iovec part{const_cast<char*>(text.data()), text.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMaxDescriptors)] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (!descriptors.empty()) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(descriptors.size_bytes());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
  }
  ssize_t count;
  do count = ::sendmsg(socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  while (count < 0 && errno == EINTR);
  if (count >= 0) return {Status::ok, 0};
  if (errno == EAGAIN || errno == EWOULDBLOCK) return {Status::again, errno};
  if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN) return {Status::closed, errno};
  return {Status::failed, errno};
}

bool shallow(std::string_view json) {
  int depth = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    char c = json[i];
    if (in_string) {
      if (c == '\\') ++i;
      else if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > kMaxDepth) return false;
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  return true;
}

std::string encode_bytes(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size());
  for (char c : bytes) {
    auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      text += c;
    } else {
      text += static_cast<char>(0xC0 | (byte >> 6));
      text += static_cast<char>(0x80 | (byte & 0x3F));
    }
  }
  return text;
}

std::optional<std::string> decode_bytes(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto lead = static_cast<unsigned char>(text[i]);
    if (lead < 0x80) {
      bytes += text[i];
      continue;
    }
    if ((lead != 0xC2 && lead != 0xC3) || i + 1 == text.size()) return std::nullopt;
    auto next = static_cast<unsigned char>(text[++i]);
    if ((next & 0xC0) != 0x80) return std::nullopt;
    bytes += static_cast<char>(((lead & 0x03) << 6) | (next & 0x3F));
  }
  return bytes;
}

}  // namespace berth::tunnels::wire
