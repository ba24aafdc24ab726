#include "auth/key_policy.hpp"

#include <algorithm>

#include "auth/directory.hpp"

namespace berth::auth {
namespace {

constexpr std::uint8_t kUserPresent = 0x01;  // PROTOCOL.u2f: SSH_SK_USER_PRESENCE_REQD

struct RefusalWords {
  KeyRefusal refusal;
  std::string_view words;
};
constexpr RefusalWords kWords[] = {
    {KeyRefusal::none, "ok"},
    {KeyRefusal::revoked, "key is revoked"},
    {KeyRefusal::expired, "key is expired"},
    {KeyRefusal::too_old, "key is older than the policy allows"},
    {KeyRefusal::grace_over, "key was replaced and its grace is over"},
    {KeyRefusal::type, "keys of this type are not allowed"},
    {KeyRefusal::rsa_bits, "RSA key has too few bits for the policy"},
    {KeyRefusal::not_hardware, "only keys on security tokens are allowed"},
    {KeyRefusal::not_touched, "security token was not touched"},
};

struct End {
  Timestamp at{};  // zero: never
  KeyRefusal why = KeyRefusal::none;
};

End earlier(End a, End b) {
  if (a.at == Timestamp{}) return b;
  if (b.at == Timestamp{}) return a;
  return b.at < a.at ? b : a;
}

// When the key ends by the clock, under a policy that holds for ever.
End end_under(const Key& key, const KeyPolicy& policy) {
  End end{key.expires_at, KeyRefusal::expired};
  end = earlier(end, {key.grace_ends_at, KeyRefusal::grace_over});
  if (policy.max_age.count() > 0) end = earlier(end, {key.added_at + policy.max_age, KeyRefusal::too_old});
  return end;
}

// What the policy has against the key as such, at any time.
KeyRefusal unfit_under(const Key& key, const KeyPolicy& policy) {
  const auto& types = policy.allowed_types;
  if (std::find(types.begin(), types.end(), key.type) == types.end()) return KeyRefusal::type;
  if (key.type == "ssh-rsa" && rsa_bits_of(key.blob) < policy.min_rsa_bits) return KeyRefusal::rsa_bits;
  if (policy.require_hardware && !is_hardware(key.type)) return KeyRefusal::not_hardware;
  return KeyRefusal::none;
}

// With exceptions that end one day: from then on the site's policy holds.
End end_with_exceptions(const Key& key, const KeyPolicy& own, const KeyPolicy& site) {
  const End end = end_under(key, own);
  const Timestamp until = key.exceptions.until;
  if (until == Timestamp{}) return end;
  if (unfit_under(key, site) != KeyRefusal::none) return earlier(end, {until, unfit_under(key, site)});
  End later = end_under(key, site);
  if (later.at != Timestamp{}) later.at = std::max(later.at, until);
  return earlier(end, later);
}

}  // namespace

std::string_view words_of(KeyRefusal refusal) {
  for (const RefusalWords& row : kWords) {
    if (row.refusal == refusal) return row.words;
  }
  return "refused";
}

std::string_view name_of(KeyNotice notice) {
  switch (notice) {
    case KeyNotice::none: return "";
    case KeyNotice::superseded: return "superseded";
    case KeyNotice::expires_soon: return "expires_soon";
  }
  return "";
}

bool is_hardware(std::string_view key_type) { return key_type.starts_with("sk-"); }

KeyPolicy policy_for(const KeyPolicy& site, const KeyExceptions& exceptions, Timestamp now) {
  KeyPolicy own = site;
  if (!exceptions.hold_at(now)) return own;
  own.max_age = exceptions.max_age.value_or(own.max_age);
  own.max_per_user = exceptions.max_per_user.value_or(own.max_per_user);
  own.min_rsa_bits = exceptions.min_rsa_bits.value_or(own.min_rsa_bits);
  own.allowed_types.insert(own.allowed_types.end(), exceptions.allowed_types.begin(), exceptions.allowed_types.end());
  if (exceptions.allow_software) own.require_hardware = false;
  if (exceptions.allow_untouched) own.require_touch = false;
  return own;
}

KeyVerdict decide(const Key& key, const KeyPolicy& site, Timestamp now) {
  KeyVerdict verdict;
  End end;
  KeyRefusal unfit = KeyRefusal::none;
  if (key.exceptions.hold_at(now)) {
    const KeyPolicy own = policy_for(site, key.exceptions, now);
    end = end_with_exceptions(key, own, site);
    unfit = unfit_under(key, own);
  } else {
    end = end_under(key, site);
    unfit = unfit_under(key, site);
  }
  verdict.ends_at = end.at;
  if (key.revoked_at != Timestamp{}) {
    verdict.state = KeyState::revoked;
    verdict.refusal = KeyRefusal::revoked;
    return verdict;
  }
  if (end.at != Timestamp{} && end.at <= now) {
    verdict.state = KeyState::expired;
    verdict.refusal = end.why;
    return verdict;
  }
  verdict.state = key.superseded_at == Timestamp{} ? KeyState::active : KeyState::superseded;
  verdict.refusal = unfit;
  if (!verdict.allowed()) return verdict;
  if (verdict.state == KeyState::superseded) {
    verdict.notice = KeyNotice::superseded;
  } else if (end.at != Timestamp{} && end.at - now <= site.warn_before) {
    verdict.notice = KeyNotice::expires_soon;
  }
  return verdict;
}

KeyRefusal check_touch(const Key& key, const KeyPolicy& site, Timestamp now, std::uint8_t flags) {
  if (!is_hardware(key.type) || (flags & kUserPresent) != 0) return KeyRefusal::none;
  return policy_for(site, key.exceptions, now).require_touch ? KeyRefusal::not_touched : KeyRefusal::none;
}

bool allows_self_service(const KeyPolicy& policy, std::string_view what) {
  return std::find(policy.self_service.begin(), policy.self_service.end(), what) != policy.self_service.end();
}

bool counts_as_lasting(const KeyVerdict& verdict) { return verdict.allowed() && verdict.state == KeyState::active; }

}  // namespace berth::auth
