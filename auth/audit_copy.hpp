// Copies of audit rows for the machine's log: journald (its native protocol, a field for each column) or syslog (RFC 3164). A copy is sent
// and forgotten: a log that does not take it must never hold up a login.
#pragma once
#include <filesystem>
#include <string>

#include "auth/model.hpp"
#include "base/handles.hpp"

namespace berth::auth {

class AuditCopy {
 public:
  enum class To { journald, syslog };
  static std::filesystem::path usual_socket(To to);

  AuditCopy(To to, std::filesystem::path socket) : to_(to), path_(std::move(socket)) {}
  // False: nobody took it.
  bool send(const AuditRow& row);

  // The datagram, for tests.
  static std::string datagram(To to, const AuditRow& row);

 private:
  To to_;
  std::filesystem::path path_;
  FileDescriptor socket_;
};

}  // namespace berth::auth
