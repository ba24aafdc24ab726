// The options before a key in authorized_keys (sshd(8)): each is honoured or refused by name, none is ignored. Pure functions.
#pragma once
#include <string>
#include <string_view>

#include "auth/permissions.hpp"
#include "base/clock.hpp"
#include "base/result.hpp"

namespace berth::auth {

struct KeyOptions {
  Permissions permissions;
  Timestamp expires_at{};  // of expiry-time=; zero: never
  std::string text;        // the same options in normal form, without expiry-time=; empty: none. Parses to the same permissions.
};
// "no-pty,from=\"10.0.0.0/8\"". Errors name the option. At most 8 KiB.
Result<KeyOptions> parse_key_options(std::string_view text);

// A line of authorized_keys: what stands before the key, and the key itself with its comment.
struct AuthorizedLine {
  std::string_view options;
  std::string_view key;
};
// `is_key_type` tells whether a word is the name of a type of key. Error{invalid} for a quote that is not closed.
Result<AuthorizedLine> split_authorized_line(std::string_view line, bool (*is_key_type)(std::string_view word));

// What a stored key may do (Key::options). Options that cannot be read any more allow nothing: Error.
Result<Permissions> permissions_of(std::string_view stored_options);

}  // namespace berth::auth
