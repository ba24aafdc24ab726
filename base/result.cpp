#include "base/result.hpp"

#include <cerrno>
#include <system_error>

namespace berth {

std::string_view name_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::invalid: return "invalid";
    case ErrorKind::denied: return "denied";
    case ErrorKind::not_found: return "not_found";
    case ErrorKind::conflict: return "conflict";
    case ErrorKind::too_large: return "too_large";
    case ErrorKind::timeout: return "timeout";
    case ErrorKind::unavailable: return "unavailable";
    case ErrorKind::closed: return "closed";
    case ErrorKind::protocol: return "protocol";
    case ErrorKind::internal: return "internal";
  }
  return "internal";
}

Error errno_error(std::string_view message, int errno_value) {
  ErrorKind kind = ErrorKind::internal;
  switch (errno_value) {
    case ENOENT: kind = ErrorKind::not_found; break;
    case EACCES:
    case EPERM: kind = ErrorKind::denied; break;
    case EEXIST:
    case EADDRINUSE: kind = ErrorKind::conflict; break;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH: kind = ErrorKind::unavailable; break;
    case ETIMEDOUT: kind = ErrorKind::timeout; break;
    case EPIPE:
    case ECONNRESET: kind = ErrorKind::closed; break;
    default: break;
  }
  return {kind, std::string(message) + ": " + std::generic_category().message(errno_value)};
}

}  // namespace berth
