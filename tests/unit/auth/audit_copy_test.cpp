#include "auth/audit_copy.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>

#include "tests/support/temp_dir.hpp"

namespace berth::auth {
namespace {

AuditRow row() {
  AuditRow made;
  made.number = 7;
  made.actor = "ada";
  made.source = "192.0.2.1";
  made.key_fingerprint = "SHA256:x";
  made.action = "key.add";
  made.object = "ada SHA256:y";
  made.outcome = "ok";
  made.hash = "abcd";
  return made;
}

TEST(AuditCopy, HasAFieldForEachColumn) {
  const std::string journal = AuditCopy::datagram(AuditCopy::To::journald, row());
  for (const char* field : {"BERTH_AUDIT_NUMBER=7\n", "BERTH_AUDIT_ACTOR=ada\n", "BERTH_AUDIT_ACTION=key.add\n", "BERTH_AUDIT_OBJECT=ada SHA256:y\n",
                            "BERTH_AUDIT_HASH=abcd\n", "SYSLOG_IDENTIFIER=berthd\n", "PRIORITY=6\n"}) {
    EXPECT_NE(journal.find(field), std::string::npos) << field;
  }
  const std::string syslog = AuditCopy::datagram(AuditCopy::To::syslog, row());
  EXPECT_EQ(syslog.find("<86>berthd["), 0U);
  EXPECT_NE(syslog.find("key.add ada SHA256:y: ok [abcd]"), std::string::npos);
}

TEST(AuditCopy, IsSentAndNeverWaits) {
  const TempDir dir;
  const std::string path = (dir.path() / "log").string();
  AuditCopy copy(AuditCopy::To::syslog, path);
  EXPECT_FALSE(copy.send(row()));  // nobody listens
  const FileDescriptor log(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.data(), path.size());
  ASSERT_EQ(::bind(log.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  EXPECT_TRUE(copy.send(row()));
  char bytes[4096];
  const ssize_t got = ::recv(log.get(), bytes, sizeof bytes, 0);
  EXPECT_EQ(std::string(bytes, static_cast<std::size_t>(std::max<ssize_t>(got, 0))), AuditCopy::datagram(AuditCopy::To::syslog, row()));
  bool full = false;
  for (int i = 0; i < 100'000 && !full; ++i) full = !copy.send(row());
  EXPECT_TRUE(full);  // a log that reads nothing is not waited for
}

}  // namespace
}  // namespace berth::auth
