// OpenSSH user certificates (PROTOCOL.certkeys): parsing, what they allow, and whether one is good for a user now. Pure functions; the trusted
// authorities and revocations are in authorities.hpp. Everything in a certificate is hostile until its signature is verified.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "auth/permissions.hpp"
#include "base/clock.hpp"
#include "base/result.hpp"

namespace berth::auth {

struct Certificate {
  std::string type;        // "ssh-ed25519-cert-v01@openssh.com"
  std::string key_type;    // "ssh-ed25519"
  std::string key_blob;    // the certified key as a plain one, on the wire
  std::uint64_t serial = 0;
  std::uint32_t kind = 0;  // 1 user, 2 host
  std::string key_id;
  std::vector<std::string> principals;
  std::uint64_t valid_after = 0, valid_before = 0;  // seconds since 1970; all ones: for ever
  std::vector<std::pair<std::string, std::string>> critical_options, extensions;
  std::string authority_blob;  // the key that signed it
  std::string signed_part, signature;
};

inline constexpr std::uint32_t kUserCertificate = 1;
inline constexpr std::uint64_t kForever = UINT64_MAX;

bool is_certificate_type(std::string_view type);
// Its form only. At most 64 KiB.
Result<Certificate> parse_certificate(std::string_view blob);
// Is the signature by the authority that it names?
bool signature_holds(const Certificate& certificate);

// What its critical options and extensions allow; Error{denied} for a critical option that is not understood. Extensions that are not
// understood are ignored, as the protocol says; what no extension permits is forbidden.
Result<Permissions> permissions_of(const Certificate& certificate);

// Rules of an authority: "%u" (the principal is the user's name; so with text around it: "%u@corp.example"), or "PRINCIPAL=USER".
std::string check_principal_rule(std::string_view rule);  // what is wrong with it, or ""
bool principal_fits(const std::vector<std::string>& principals, const std::vector<std::string>& rules, std::string_view user);

// Why a certificate (whose signature holds) does not let `user` in at `now`, for the log; empty: it does, as far as it goes by itself.
std::string refusal_of(const Certificate& certificate, const std::vector<std::string>& rules, std::string_view user, Timestamp now);

// The certificate for a key, signed with signing_key_blob()'s private half: fields as in `wanted`, whose authority_blob, signed_part
// and signature are ignored. Answers its wire form.
Result<std::string> issue_certificate(const Certificate& wanted, std::string_view private_key_pem);

}  // namespace berth::auth
