#include "server/gateway/command_rights.hpp"

#include <gtest/gtest.h>

#include "server/gateway/credentials.hpp"

namespace berth::server {
namespace {

auth::Permissions without_pty() {
  auth::Permissions may;
  may.pty = false;
  return may;
}

TEST(CommandRights, AnUnrestrictedKeyRunsEverything) {
  for (const char* line : {"berth", "berth web", "berth key add", "berth cert", "berth --json key list"}) EXPECT_EQ(refusal_of_command({}, false, line), "");
}

TEST(CommandRights, ARestrictedOneOnlyWhatIsHarmless) {
  for (const char* line : {"berth web", "berth approve X", "berth key add", "berth key list", "berth cert", "berth --json web", "berth 'web'", "berth -- web"})
    EXPECT_NE(refusal_of_command(without_pty(), false, line).find("restricted (no-pty)"), std::string::npos) << line;
  for (const char* line : {"berth", "berth help", "berth whoami", "berth attach"}) EXPECT_EQ(refusal_of_command(without_pty(), false, line), "") << line;
  auth::Permissions one_command;
  one_command.forced_command = "berth whoami";
  EXPECT_NE(refusal_of_command(one_command, false, "berth whoami"), "");
}

TEST(CommandRights, ACertificateMakesNothingThatOutlivesIt) {
  for (const char* line : {"berth key add", "berth key rotate", "berth cert", "berth token make", "berth ca issue", "berth --json key add", "berth key --json add"})
    EXPECT_NE(refusal_of_command({}, true, line), "") << line;
  for (const char* line : {"berth", "berth whoami", "berth key list", "berth session list", "berth web"}) EXPECT_EQ(refusal_of_command({}, true, line), "") << line;
}

TEST(Credentials, AddressesLoseTheirPort) {
  EXPECT_EQ(address_of("203.0.113.7:51514"), "203.0.113.7");
  EXPECT_EQ(address_of("[2001:db8::7]:51514"), "2001:db8::7");
}

TEST(Credentials, PinOrFingerprintIsAskedOfTheSignatureOnly) {
  auth::Permissions may;
  may.verify_required = true;
  ssh::AuthRequest request;
  EXPECT_EQ(refusal_by(may, request, "203.0.113.7:1"), "");
  request.is_signed = true;
  EXPECT_NE(refusal_by(may, request, "203.0.113.7:1"), "");
  request.authenticator_flags = ssh::kUserPresent;
  EXPECT_NE(refusal_by(may, request, "203.0.113.7:1"), "");
  request.authenticator_flags = ssh::kUserPresent | ssh::kUserVerified;
  EXPECT_EQ(refusal_by(may, request, "203.0.113.7:1"), "");
  may.from = "10.0.0.0/8";
  EXPECT_NE(refusal_by(may, request, "203.0.113.7:1"), "");
}

}  // namespace
}  // namespace berth::server
