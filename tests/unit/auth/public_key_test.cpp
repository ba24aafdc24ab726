#include <gtest/gtest.h>

#include <random>

#include "auth_fixture.hpp"

namespace berth::auth {
namespace {

// Made with ssh-keygen (OpenSSH 9.2); the fingerprints are what ssh-keygen -lf prints.
struct Good {
  const char* line;
  const char* fingerprint;
};
#include "public_key_samples.inc"

Settings::Keys policy() { return default_settings().keys; }

TEST(PublicKey, TakesEveryTypeThatOpensshMakes) {
  for (const Good& good : kGood) {
    const auto key = parse_public_key(std::string(good.line) + "\r\n", policy());
    ASSERT_TRUE(key.has_value()) << good.line << ": " << key.error().message;
    EXPECT_EQ(key->fingerprint, good.fingerprint);
    EXPECT_EQ(format_public_key(*key), good.line);
  }
}

std::string complaint(std::string_view line, const Settings::Keys& rules = policy()) {
  const auto key = parse_public_key(line, rules);
  return key.has_error() ? key.error().message : "";
}

TEST(PublicKey, RefusesWithASentenceThatHelps) {
  const std::string good = kGood[0].line;
  struct Case {
    std::string line;
    const char* part;
  };
  const Case cases[] = {
      {"", "not an SSH public key"},
      {"hello world", "not an SSH public key"},
      {"-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl", "PRIVATE key"},
      {"---- BEGIN SSH2 PUBLIC KEY ----\nAAAA", "ssh-keygen -i"},
      {"no-pty,command=\"x\" " + good, "options before the key"},
      {"ssh-dss AAAA", "DSA keys are too weak"},
      {"ssh-ed25519-cert-v01@openssh.com AAAA", "certificate"},
      {good + "\n" + good, "one key at a time"},
      {"ssh-ed25519", "damaged"},
      {"ssh-ed25519 AAAA", "damaged"},
      {"ssh-ed25519 !!!!", "damaged"},
      {"ssh-rsa " + good.substr(12), "damaged"},  // the type inside differs
      {kSmallRsa, "has 1024 bits, at least 2048"},
      {"ssh-ed25519 " + base64_encode(WireWriter().string("ssh-ed25519").string(std::string(31, 'x')).bytes()), "damaged"},
      {"ssh-ed25519 " + base64_encode(WireWriter().string("ssh-ed25519").string(std::string(32, 'x')).bytes() + "y"), "damaged"},
      {"ecdsa-sha2-nistp256 " + base64_encode(WireWriter().string("ecdsa-sha2-nistp256").string("nistp256").string("\4" + std::string(64, 'x')).bytes()),
       "damaged"},  // not on the curve
      {std::string(20000, 'a'), "at most 16 KiB"},
  };
  for (const Case& c : cases) EXPECT_NE(complaint(c.line).find(c.part), std::string::npos) << c.line << ": " << complaint(c.line);
}

TEST(PublicKey, FollowsThePolicy) {
  Settings::Keys strict = policy();
  strict.allowed_types = {"ssh-rsa"};
  strict.min_rsa_bits = 4096;
  EXPECT_NE(complaint(kGood[0].line, strict).find("not allowed here"), std::string::npos);
  for (const Good& good : kGood) {
    if (!std::string_view(good.line).starts_with("ssh-rsa")) continue;
    EXPECT_NE(complaint(good.line, strict).find("at least 4096"), std::string::npos);
  }
}

TEST(PublicKey, CommentsAreMadeHarmless) {
  const auto key = parse_public_key(key_line(1) + "\x1b[2J\xff" + std::string(1000, 'c'), policy());
  ASSERT_TRUE(key.has_value());
  EXPECT_LE(key->comment.size(), 256u);
  EXPECT_EQ(key->comment.find('\x1b'), std::string::npos);
  EXPECT_EQ(key->comment.find('\xff'), std::string::npos);
}

// Whatever is sent: no crash, no over-read (asan), and what is accepted survives a round trip.
TEST(PublicKey, SurvivesMutations) {
  std::mt19937 random(20261122);
  for (int i = 0; i < 3000; ++i) {
    const Good& good = kGood[random() % std::size(kGood)];
    std::string line = good.line;
    std::string blob = base64_decode(line.substr(line.find(' ') + 1, line.rfind(' ') - line.find(' ') - 1)).value();
    for (unsigned n = random() % 3 + 1; n > 0; --n) {
      std::string& target = random() % 2 ? blob : line;
      const std::size_t at = random() % target.size();
      switch (random() % 3) {
        case 0: target[at] = static_cast<char>(random()); break;
        case 1: target.erase(at, random() % 8 + 1); break;
        default: target.insert(at, 1 + random() % 4, static_cast<char>(random())); break;
      }
      if (target.empty()) target = "x";
    }
    const std::string mutated = random() % 2 ? line : line.substr(0, line.find(' ')) + " " + base64_encode(blob) + " c";
    const auto key = parse_public_key(mutated, policy());
    if (key.has_value()) {
      const auto again = parse_public_key(format_public_key(*key), policy());
      ASSERT_TRUE(again.has_value());
      EXPECT_EQ(again->blob, key->blob);
    }
  }
}

}  // namespace
}  // namespace berth::auth
