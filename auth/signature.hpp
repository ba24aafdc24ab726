// Signatures in SSH's wire form, verified and made with OpenSSL: ssh-ed25519 (RFC 8709), ecdsa-sha2-nistp256/384/521 (RFC 5656),
// rsa-sha2-256/512 (RFC 8332) and hardware keys of both kinds (OpenSSH's PROTOCOL.u2f). SHA-1 and DSA never.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/handles.hpp"
#include "base/result.hpp"

namespace berth::auth {

struct VerifiedSignature {
  std::string algorithm;                            // "rsa-sha2-512"
  std::optional<std::uint8_t> authenticator_flags;  // hardware keys: bit 0 touched, bit 2 PIN or fingerprint checked
};

// `key` and `signature` as on the wire; nullopt: the signature is not by this key over `data`, or is of a kind that is not accepted (an RSA
// key under 2048 bits too).
std::optional<VerifiedSignature> verify_signature(std::string_view key, std::string_view data, std::string_view signature);

// An ed25519 key pair of our own. The private half as PKCS#8 PEM.
Result<std::string> make_signing_key();
Result<std::string> signing_key_blob(std::string_view private_key_pem);  // the public half on the wire
Result<std::string> sign(std::string_view private_key_pem, std::string_view data);

}  // namespace berth::auth
