#include "auth/certificate.hpp"

#include <gtest/gtest.h>

#include <random>

#include "auth/krl.hpp"
#include "auth/signature.hpp"
#include "auth_fixture.hpp"
#include "base/ssh_wire.hpp"

namespace berth::auth {
namespace {

constexpr std::uint64_t kNow = 1'800'000'000;
const Timestamp kNowTime{std::chrono::seconds(kNow)};
const std::vector<std::string> kOwnName{"%u"};

class CertificateTest : public testing::Test {
 protected:
  const std::string authority = make_signing_key().value();
  Certificate wanted = [] {
    Certificate good;
    good.key_type = "ssh-ed25519";
    good.key_blob = WireWriter().string("ssh-ed25519").string(sha256("somebody")).bytes();
    good.serial = 17;
    good.kind = kUserCertificate;
    good.key_id = "ada@laptop";
    good.principals = {"ada", "ops"};
    good.valid_after = kNow - 60;
    good.valid_before = kNow + 3600;
    good.extensions = {{"permit-X11-forwarding", ""}, {"permit-agent-forwarding", ""}, {"permit-port-forwarding", ""}, {"permit-pty", ""}};
    return good;
  }();
  std::string issue() const { return issue_certificate(wanted, authority).value(); }
  // What becomes of it for `ada`: "" when it is good.
  std::string verdict(const std::string& blob, const std::vector<std::string>& rules = kOwnName) const {
    const auto parsed = parse_certificate(blob);
    if (!parsed) return parsed.error().message;
    if (!signature_holds(*parsed)) return "wrong signature";
    return refusal_of(*parsed, rules, "ada", kNowTime);
  }
};

TEST_F(CertificateTest, AGoodOneIsReadBackAsItWasMade) {
  const std::string blob = issue();
  EXPECT_EQ(verdict(blob), "");
  const Certificate read = parse_certificate(blob).value();
  EXPECT_EQ(read.type, "ssh-ed25519-cert-v01@openssh.com");
  EXPECT_EQ(read.key_blob, wanted.key_blob);
  EXPECT_EQ(read.serial, 17u);
  EXPECT_EQ(read.key_id, "ada@laptop");
  EXPECT_EQ(read.principals, wanted.principals);
  EXPECT_EQ(read.authority_blob, signing_key_blob(authority).value());
  const Permissions may = permissions_of(read).value();
  EXPECT_EQ(may.restriction(), "");
}

TEST_F(CertificateTest, EachFieldCounts) {
  struct Case {
    const char* why;
    void (*spoil)(Certificate&);
  };
  const Case cases[] = {
      {"not a user certificate", [](Certificate& c) { c.kind = 2; }},
      {"not a user certificate", [](Certificate& c) { c.kind = 0; }},
      {"names no principal", [](Certificate& c) { c.principals.clear(); }},
      {"no principal fits", [](Certificate& c) { c.principals = {"eve"}; }},
      {"no principal fits", [](Certificate& c) { c.principals = {"Ada"}; }},
      {"no principal fits", [](Certificate& c) { c.principals = {"ada "}; }},
      {"no principal fits", [](Certificate& c) { c.principals = {""}; }},
      {"no principal fits", [](Certificate& c) { c.principals = {"*"}; }},
      {"not valid yet", [](Certificate& c) { c.valid_after = kNow + 1; }},
      {"not valid yet", [](Certificate& c) { c.valid_after = kForever; }},
      {"has expired", [](Certificate& c) { c.valid_before = kNow; }},
      {"has expired", [](Certificate& c) { c.valid_before = 0; }},
      {"not understood", [](Certificate& c) { c.critical_options = {{"no-such-option", ""}}; }},
      {"not understood", [](Certificate& c) { c.critical_options = {{"force-command", ""}}; }},
      {"not understood", [](Certificate& c) { c.critical_options = {{"force-command", "raw"}}; }},
      {"not understood", [](Certificate& c) { c.critical_options = {{"source-address", WireWriter().string("10.*").bytes()}}; }},
      {"not understood", [](Certificate& c) { c.critical_options = {{"source-address", WireWriter().string("").bytes()}}; }},
      {"not understood", [](Certificate& c) { c.critical_options = {{"verify-required", "x"}}; }},
      {"not in order", [](Certificate& c) { c.critical_options = {{"verify-required", ""}, {"force-command", WireWriter().string("x").bytes()}}; }},
      {"not in order", [](Certificate& c) { c.critical_options = {{"verify-required", ""}, {"verify-required", ""}}; }},
      {"not in order", [](Certificate& c) { c.extensions = {{"permit-pty", ""}, {"permit-pty", ""}}; }},
      {"malformed: key id", [](Certificate& c) { c.key_id = std::string(2000, 'x'); }},
      {"malformed: key id", [](Certificate& c) { c.key_id = std::string("a\0b", 3); }},
      {"malformed: principals", [](Certificate& c) { c.principals = {std::string("ada\0x", 5)}; }},
      {"malformed: principals", [](Certificate& c) { c.principals.assign(300, "ada"); }},
  };
  for (const Case& c : cases) {
    const Certificate good = wanted;
    c.spoil(wanted);
    EXPECT_NE(verdict(issue()).find(c.why), std::string::npos) << c.why << ": " << verdict(issue());
    wanted = good;
  }
}

TEST_F(CertificateTest, OptionsAndExtensionsBecomePermissions) {
  wanted.extensions = {{"permit-pty", ""}, {"something-new@example.com", "ignored"}};
  wanted.critical_options = {{"force-command", WireWriter().string("uptime").bytes()},
                             {"source-address", WireWriter().string("10.0.0.0/8,2001:db8::/32").bytes()},
                             {"verify-required", ""}};
  const Permissions may = permissions_of(parse_certificate(issue()).value()).value();
  EXPECT_TRUE(may.pty && may.verify_required);
  EXPECT_FALSE(may.port_forwarding || may.agent_forwarding || may.x11_forwarding);
  EXPECT_EQ(may.forced_command, "uptime");
  EXPECT_TRUE(source_allowed(*may.from, "10.9.9.9"));
  EXPECT_FALSE(source_allowed(*may.from, "192.0.2.1"));
}

TEST_F(CertificateTest, PrincipalsByRule) {
  const std::string blob = issue();
  EXPECT_EQ(verdict(blob, {"ops=ada"}), "");
  EXPECT_NE(verdict(blob, {"ops=eve"}), "");
  EXPECT_NE(verdict(blob, {"%u@corp.example"}), "");
  wanted.principals = {"ada@corp.example"};
  EXPECT_EQ(verdict(issue(), {"%u@corp.example"}), "");
  EXPECT_NE(verdict(issue(), {}), "");
  for (const char* rule : {"%u", "%u@corp", "a=b", "a=b=c", "ops@x=ada"}) EXPECT_EQ(check_principal_rule(rule), "") << rule;
  for (const char* rule : {"", "ada", "=ada", "ada=", "%u=ada", "a b=c", "a,b=c"}) EXPECT_NE(check_principal_rule(rule), "") << rule;
}

// One flipped bit anywhere, or a cut anywhere: never accepted.
TEST_F(CertificateTest, NoByteCanBeChanged) {
  const std::string good = issue();
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ (1 << i % 8));
    EXPECT_NE(verdict(bad), "") << "byte " << i;
    EXPECT_NE(verdict(good.substr(0, i)), "") << "cut at " << i;
  }
  EXPECT_NE(verdict(good + "x"), "");
}

TEST_F(CertificateTest, AnotherAuthoritysSignatureIsWrong) {
  Certificate parsed = parse_certificate(issue()).value();
  parsed.signature = sign(make_signing_key().value(), parsed.signed_part).value();
  EXPECT_FALSE(signature_holds(parsed));
}

std::string krl(std::string_view sections) {
  return WireWriter().raw({"SSHKRL\n\0", 8}).number(1, 4).number(1, 8).number(0, 8).number(0, 8).string("").string("comment").raw(sections).bytes();
}
std::string section(std::uint8_t type, std::string_view data) { return WireWriter().number(type, 1).string(data).bytes(); }
std::string serials_section(std::uint8_t type, std::string_view data) {
  return section(1, WireWriter().string("CA").string("").raw(section(type, data)).bytes());
}

TEST(Krl, EveryKindOfSection) {
  using Kind = Revocation::Kind;
  const auto list = parse_krl(krl(serials_section(0x20, WireWriter().number(5, 8).number(9, 8).bytes()) + serials_section(0x21, WireWriter().number(20, 8).number(30, 8).bytes()) +
                                  serials_section(0x22, WireWriter().number(100, 8).string({"\0\x8d", 2}).bytes()) + serials_section(0x23, WireWriter().string("ada").bytes()) +
                                  section(2, WireWriter().string("KEY").bytes()) + section(3, WireWriter().string(std::string(20, 's')).bytes()) +
                                  section(5, WireWriter().string(std::string(32, 'S')).bytes())));
  ASSERT_TRUE(list.has_value()) << list.error().message;
  const std::vector<Revocation> expected = {
      {Kind::serials, "CA", 5, 5, {}},     {Kind::serials, "CA", 9, 9, {}},     {Kind::serials, "CA", 20, 30, {}},        {Kind::serials, "CA", 100, 100, {}},
      {Kind::serials, "CA", 102, 103, {}}, {Kind::serials, "CA", 107, 107, {}}, {Kind::key_id, "CA", 0, 0, "ada"},        {Kind::key_sha256, "", 0, 0, sha256("KEY")},
      {Kind::key_sha1, "", 0, 0, std::string(20, 's')}, {Kind::key_sha256, "", 0, 0, std::string(32, 'S')}};
  EXPECT_EQ(*list, expected);
  EXPECT_TRUE(parse_krl(krl("")).value().empty());
}

TEST(Krl, WhatIsNotUnderstoodIsRefused) {
  const std::string bad[] = {"",
                             "SSHKRL",
                             krl("") + "x",
                             krl(section(4, "signature")),
                             krl(section(9, "")),
                             krl(serials_section(0x39, "")),
                             krl(serials_section(0x20, "1234567")),
                             krl(serials_section(0x21, WireWriter().number(30, 8).number(20, 8).bytes())),
                             krl(serials_section(0x21, WireWriter().number(30, 8).bytes())),
                             krl(serials_section(0x22, WireWriter().number(UINT64_MAX - 3, 8).string({"\x01", 1}).bytes())),
                             krl(serials_section(0x22, WireWriter().number(1, 8).string({"\x80", 1}).bytes())),
                             krl(section(3, WireWriter().string("short").bytes())),
                             krl(section(5, WireWriter().string("short").bytes())),
                             krl(section(2, WireWriter().string("").bytes())),
                             WireWriter().raw({"SSHKRL\n\0", 8}).number(2, 4).bytes()};
  for (const std::string& each : bad) EXPECT_TRUE(parse_krl(each).has_error());
  const std::string good = krl(serials_section(0x21, WireWriter().number(20, 8).number(30, 8).bytes()));
  for (std::size_t i = 0; i < good.size(); ++i) {
    const auto cut = parse_krl(good.substr(0, i));
    EXPECT_TRUE(cut.has_error() || cut->empty()) << i;
  }
}

}  // namespace
}  // namespace berth::auth
