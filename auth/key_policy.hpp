// What a key may do now: one pure function over the key, the site's policy and the time (DESIGN 7).
#pragma once
#include <string>
#include <string_view>

#include "auth/model.hpp"
#include "config/settings.hpp"

namespace berth::auth {

using KeyPolicy = Settings::Keys;

enum class KeyRefusal {
  none,
  revoked,
  expired,       // its own expires_at
  too_old,       // the policy's max_age
  grace_over,    // replaced, and the grace has ended
  type,          // not among allowed_types (any more)
  rsa_bits,
  not_hardware,  // require_hardware
  not_touched,   // require_touch: of one login, never of the key as such
};
// What a log, an audit row or the owner of the key reads: "key is revoked". Never sent to somebody who has not logged in.
std::string_view words_of(KeyRefusal refusal);

enum class KeyNotice { none, superseded, expires_soon };
std::string_view name_of(KeyNotice notice);

struct KeyVerdict {
  KeyState state = KeyState::revoked;
  KeyRefusal refusal = KeyRefusal::revoked;
  KeyNotice notice = KeyNotice::none;  // what its user should hear; only for a key that is allowed
  Timestamp ends_at{};                 // when it stops working by the clock alone, or did; zero: never
  bool allowed() const { return refusal == KeyRefusal::none; }
};

// `site` is the policy without exceptions: those of the key's user (key.exceptions) are applied while they hold.
KeyVerdict decide(const Key& key, const KeyPolicy& site, Timestamp now);

// The policy that holds for a user now.
KeyPolicy policy_for(const KeyPolicy& site, const KeyExceptions& exceptions, Timestamp now);

// Of one login: did the token see its user? `flags` are those in the signature of an sk key (PROTOCOL.u2f); other keys have none.
KeyRefusal check_touch(const Key& key, const KeyPolicy& site, Timestamp now, std::uint8_t flags);

bool is_hardware(std::string_view key_type);

// May users do `what` ("list", "add", "rotate", "remove") with their own keys?
bool allows_self_service(const KeyPolicy& policy, std::string_view what);

// Of keys that work, those that are not being replaced: what a user stands on after a removal, and what max_per_user counts.
bool counts_as_lasting(const KeyVerdict& verdict);

}  // namespace berth::auth
