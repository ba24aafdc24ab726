#include "auth/audit_copy.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

namespace berth::auth {
namespace {

constexpr char kSyslogPriority[] = "<86>";  // facility authpriv, severity info

// The columns have one line each: what strangers sent was escaped when the row was made.
std::string sentence(const AuditRow& row) {
  std::string text = "audit " + std::to_string(row.number) + " " + format_timestamp(row.at) + " " + row.actor + " from " + row.source;
  if (!row.key_fingerprint.empty()) text += " key " + row.key_fingerprint;
  return text + ": " + row.action + " " + row.object + ": " + row.outcome + " [" + row.hash + "]";
}

}  // namespace

std::filesystem::path AuditCopy::usual_socket(To to) { return to == To::journald ? "/run/systemd/journal/socket" : "/dev/log"; }

std::string AuditCopy::datagram(To to, const AuditRow& row) {
  if (to == To::syslog) return kSyslogPriority + std::string("berthd[") + std::to_string(::getpid()) + "]: " + sentence(row);
  const std::pair<const char*, std::string> fields[] = {
      {"MESSAGE", sentence(row)},          {"PRIORITY", "6"},
      {"SYSLOG_FACILITY", "10"},           {"SYSLOG_IDENTIFIER", "berthd"},
      {"BERTH_AUDIT_NUMBER", std::to_string(row.number)}, {"BERTH_AUDIT_AT", format_timestamp(row.at)},
      {"BERTH_AUDIT_ACTOR", row.actor},    {"BERTH_AUDIT_SOURCE", row.source},
      {"BERTH_AUDIT_KEY", row.key_fingerprint}, {"BERTH_AUDIT_ACTION", row.action},
      {"BERTH_AUDIT_OBJECT", row.object},  {"BERTH_AUDIT_OUTCOME", row.outcome},
      {"BERTH_AUDIT_HASH", row.hash},
  };
  std::string text;
  for (const auto& [name, value] : fields) text += std::string(name) + "=" + value + "\n";
  return text;
}

bool AuditCopy::send(const AuditRow& row) {
  sockaddr_un address{};
  const std::string path = path_.string();
  if (path.size() >= sizeof address.sun_path) return false;
  if (!socket_) socket_.reset(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  const std::string bytes = datagram(to_, row);
  return ::sendto(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
         static_cast<ssize_t>(bytes.size());
}

}  // namespace berth::auth
