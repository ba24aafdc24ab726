#include "auth/authorities.hpp"

#include <gtest/gtest.h>

#include "auth/signature.hpp"
#include "auth_fixture.hpp"
#include "base/ssh_wire.hpp"

namespace berth::auth {
namespace {

class AuthoritiesTest : public AuthTest {
 protected:
  Authorities authorities{*store, clock, [this](std::string_view line) { return parse_public_key(line, policy); }, std::chrono::hours(8)};
  const std::string signer = make_signing_key().value();
  Key own;  // of ada

  void SetUp() override {
    add_user("ada");
    own = add_key("ada", 1);
    ASSERT_TRUE(run_coroutine(authorities.add(admin, "corp", line_of(signing_key_blob(signer).value()), {})).has_value());
  }
  static std::string line_of(const std::string& blob) { return "ssh-ed25519 " + base64_encode(blob); }
  static std::string blob_of_line(const std::string& line) {
    const std::size_t begin = line.find(' ') + 1;
    return base64_decode(line.substr(begin, line.find(' ', begin) - begin)).value();
  }
  std::uint64_t seconds() const { return static_cast<std::uint64_t>(clock.now().time_since_epoch() / std::chrono::seconds(1)); }
  Certificate good(std::uint64_t serial = 17) const {
    Certificate certificate;
    certificate.key_type = "ssh-ed25519";
    certificate.key_blob = WireWriter().string("ssh-ed25519").string(sha256("certified")).bytes();
    certificate.serial = serial;
    certificate.kind = kUserCertificate;
    certificate.key_id = "ada@laptop";
    certificate.principals = {"ada"};
    certificate.valid_after = seconds() - 60;
    certificate.valid_before = seconds() + 3600;
    certificate.extensions = {{"permit-pty", ""}};
    return certificate;
  }
  std::string signed_by(const std::string& key, const Certificate& certificate) const { return issue_certificate(certificate, key).value(); }
  CertificateDecision decide(const std::string& blob, std::string_view user = "ada", std::string_view address = "203.0.113.7") {
    return authorities.decide(*reader, user, blob, address);
  }
  Result<std::size_t> revoke(std::vector<Revocation> entries) { return run_coroutine(authorities.revoke(admin, "corp", std::move(entries))); }
};

TEST_F(AuthoritiesTest, AGoodCertificateLetsItsUserIn) {
  const CertificateDecision decision = decide(signed_by(signer, good()));
  ASSERT_TRUE(decision.allowed) << decision.why;
  EXPECT_EQ(decision.user.name, "ada");
  EXPECT_EQ(decision.certificate, "corp serial 17 id ada@laptop");
  EXPECT_EQ(decision.key.fingerprint, fingerprint_of(good().key_blob));
  EXPECT_TRUE(decision.permissions.pty);
  EXPECT_FALSE(decision.permissions.port_forwarding);
}

TEST_F(AuthoritiesTest, StrangersAndStrangeUsersAreRefused) {
  const CertificateDecision stranger = decide(signed_by(make_signing_key().value(), good()));
  EXPECT_FALSE(stranger.allowed || stranger.by_authority);
  Certificate nobody = good();
  nobody.principals = {"nobody-here"};
  EXPECT_EQ(decide(signed_by(signer, nobody), "nobody-here").why, "unknown user");
  run_coroutine(directory.set_disabled(admin, "ada", true)).value();
  EXPECT_EQ(decide(signed_by(signer, good())).why, "user is disabled");
}

TEST_F(AuthoritiesTest, SourceAddressIsAsked) {
  Certificate bound = good();
  bound.critical_options = {{"source-address", WireWriter().string("10.0.0.0/8").bytes()}};
  EXPECT_TRUE(decide(signed_by(signer, bound), "ada", "10.2.3.4").allowed);
  EXPECT_FALSE(decide(signed_by(signer, bound), "ada", "203.0.113.7").allowed);
}

TEST_F(AuthoritiesTest, RevocationsOfEveryKind) {
  using Kind = Revocation::Kind;
  const auto refused = [&](const Certificate& certificate) { return !decide(signed_by(signer, certificate)).allowed; };
  EXPECT_EQ(revoke({{Kind::serials, {}, 40, 50, {}}, {Kind::serials, {}, UINT64_MAX - 1, UINT64_MAX, {}}}).value(), 2u);
  EXPECT_EQ(revoke({{Kind::serials, {}, 40, 50, {}}}).value(), 0u);  // there already
  for (const std::uint64_t serial : {std::uint64_t{40}, std::uint64_t{45}, std::uint64_t{50}, UINT64_MAX}) EXPECT_TRUE(refused(good(serial))) << serial;
  for (const std::uint64_t serial : {std::uint64_t{0}, std::uint64_t{39}, std::uint64_t{51}, std::uint64_t{1} << 63, UINT64_MAX - 2})
    EXPECT_FALSE(refused(good(serial))) << serial;
  revoke({{Kind::serials, "another authority", 17, 17, {}}}).value();
  EXPECT_FALSE(refused(good()));
  revoke({{Kind::key_id, {}, 0, 0, "eve"}}).value();
  EXPECT_FALSE(refused(good()));
  revoke({{Kind::key_id, {}, 0, 0, "ada@laptop"}}).value();
  EXPECT_TRUE(refused(good()));
  Certificate other = good();
  other.key_id = "other";
  EXPECT_FALSE(refused(other));
  revoke({{Kind::key_sha256, {}, 0, 0, sha256(good().key_blob)}}).value();
  EXPECT_TRUE(refused(other));
}

TEST_F(AuthoritiesTest, LiveUsesAreBrokenByARevocationButNotByExpiry) {
  authorities.note_use("s1", "ada", signed_by(signer, good(1)), "203.0.113.7");
  authorities.note_use("s2", "ada", signed_by(signer, good(2)), "203.0.113.7");
  EXPECT_TRUE(authorities.broken_uses(*reader).empty());
  clock.advance(std::chrono::hours(24));
  EXPECT_TRUE(authorities.broken_uses(*reader).empty());
  revoke({{Revocation::Kind::serials, {}, 2, 2, {}}}).value();
  EXPECT_EQ(authorities.broken_uses(*reader), std::vector<std::string>{"s2"});
  authorities.forget_use("s2");
  ASSERT_TRUE(run_coroutine(authorities.remove(admin, "corp")).has_value());
  EXPECT_EQ(authorities.broken_uses(*reader), std::vector<std::string>{"s1"});
}

TEST_F(AuthoritiesTest, IssuesForTheOwnerOfAKeyInForce) {
  const Actor ada{"ada", Role::user, "203.0.113.7:1", own.fingerprint, ""};
  const auto issued = run_coroutine(authorities.issue(ada, "ada", key_line(9), std::chrono::seconds(0)));
  ASSERT_TRUE(issued.has_value()) << issued.error().message;
  EXPECT_EQ(issued->valid_before - clock.now(), std::chrono::hours(8));
  EXPECT_TRUE(decide(blob_of_line(issued->line)).allowed) << decide(blob_of_line(issued->line)).why;
  const std::string shown = decide(blob_of_line(issued->line)).certificate;
  EXPECT_TRUE(authorities.asked_for_with(*reader, shown, own.fingerprint)) << shown;
  EXPECT_FALSE(authorities.asked_for_with(*reader, shown, "SHA256:other"));
  EXPECT_FALSE(authorities.asked_for_with(*reader, "corp serial 1 id x", own.fingerprint));
  // The key that asked for it, revoked, takes it along; also when somebody else has that key later.
  ASSERT_TRUE(run_coroutine(directory.revoke_key(admin, own.fingerprint)).has_value());
  EXPECT_EQ(decide(blob_of_line(issued->line)).why, "the key that asked for it is not good any more");
  add_user("eve");
  ASSERT_TRUE(run_coroutine(directory.add_key(admin, "eve", key_line(1), {})).has_value());
  EXPECT_EQ(decide(blob_of_line(issued->line)).why, "the key that asked for it is not good any more");
}

TEST_F(AuthoritiesTest, AnIssuedOneEndsWithTheGraceOfItsKey) {
  const Actor ada{"ada", Role::user, "203.0.113.7:1", own.fingerprint, ""};
  const auto issued = run_coroutine(authorities.issue(ada, "ada", key_line(9), std::chrono::seconds(0)));
  Rotation rotation;
  rotation.user = "ada";
  rotation.line = key_line(2);
  rotation.grace = std::chrono::hours(1);
  ASSERT_TRUE(run_coroutine(directory.rotate_key(admin, rotation)).has_value());
  EXPECT_TRUE(decide(blob_of_line(issued->line)).allowed);
  clock.advance(std::chrono::hours(1));
  EXPECT_EQ(decide(blob_of_line(issued->line)).why, "the key that asked for it is not good any more");
}

TEST_F(AuthoritiesTest, IssuesToNobodyElse) {
  const auto why = [&](const Actor& actor, const std::string& user, std::chrono::seconds lifetime) {
    const auto issued = run_coroutine(authorities.issue(actor, user, key_line(9), lifetime));
    return issued ? std::string() : issued.error().message;
  };
  const Actor ada{"ada", Role::user, "203.0.113.7:1", own.fingerprint, ""};
  Actor by_certificate = ada, by_nothing = ada;
  by_certificate.certificate = "corp serial 1 id x";
  by_nothing.key_fingerprint.clear();
  EXPECT_NE(why(by_certificate, "ada", {}), "");
  EXPECT_NE(why(by_nothing, "ada", {}), "");
  EXPECT_NE(why(ada, "eve", {}), "");
  EXPECT_NE(why(ada, "ada", std::chrono::hours(9)), "");
  EXPECT_NE(why(admin, "nobody", std::chrono::hours(1)), "");
  EXPECT_EQ(why(admin, "ada", std::chrono::hours(24)), "");
  const Key restricted = run_coroutine(directory.add_key(admin, "ada", "no-pty " + key_line(3), {})).value();
  EXPECT_EQ(restricted.options, "no-pty");
  EXPECT_NE(why({"ada", Role::user, "203.0.113.7:1", restricted.fingerprint, ""}, "ada", {}).find("restricted (no-pty)"), std::string::npos);
  Authorities off{*store, clock, [this](std::string_view line) { return parse_public_key(line, policy); }, std::chrono::seconds(0)};
  EXPECT_NE(run_coroutine(off.issue(ada, "ada", key_line(9), {})).error().message.find("issues no certificates"), std::string::npos);
}

TEST_F(AuthoritiesTest, ATrialAddsNothing) {
  const auto tried = run_coroutine(directory.add_key(admin, "ada", key_line(5), {}, true));
  ASSERT_TRUE(tried.has_value()) << tried.error().message;
  EXPECT_FALSE(directory.find_key(*reader, tried->fingerprint).has_value());
  EXPECT_TRUE(run_coroutine(directory.add_key(admin, "ada", key_line(1), {}, true)).has_error());
}

}  // namespace
}  // namespace berth::auth
