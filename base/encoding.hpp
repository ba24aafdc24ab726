// Bytes as text and back, hashes, and randomness.
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace berth {

// RFC 4648 section 4, with padding.
std::string base64_encode(std::string_view bytes);
// Strict: padded, no white space, no stray bits. nullopt when it is anything else.
std::optional<std::string> base64_decode(std::string_view text);
// RFC 4648 section 5 ("-_"), without padding: for URLs and cookies.
std::string base64url_encode(std::string_view bytes);
std::string hex_encode(std::string_view bytes);
// For URLs: everything but unreserved characters (RFC 3986 section 2.3) and those of `kept` as %XX.
std::string percent_encode(std::string_view text, std::string_view kept = {});

// 32 bytes, binary.
std::string sha256(std::string_view bytes);

// From OpenSSL's generator, fit for secrets.
std::string random_bytes(std::size_t count);
// `count` characters, each drawn from `alphabet` (at most 256) with equal chance.
std::string random_text(std::size_t count, std::string_view alphabet);

// Whether two strings are equal, in a time that depends on their lengths only.
bool equal_in_constant_time(std::string_view a, std::string_view b);

}  // namespace berth
