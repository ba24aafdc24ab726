// What a key goes through: given, replaced, ended by the clock; and what was written about it.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "auth/campaigns.hpp"
#include "auth/key_clock.hpp"
#include "auth_fixture.hpp"

namespace berth::auth {

class KeyLifeTest : public AuthTest {
 protected:
  Campaigns campaigns{*store, clock, directory};
  KeyClock key_clock{*store, clock, directory};

  Actor actor(const std::string& user, const Key& key) { return {user, Role::user, "198.51.100.7:5000", key.fingerprint}; }
  Result<Rotated> rotate(const Actor& by, const std::string& user, int seed, Rotation rotation = {}) {
    rotation.user = user;
    rotation.line = key_line(seed);
    return run_coroutine(directory.rotate_key(by, std::move(rotation)));
  }
  LoginRefusal login(const Key& key) { return directory.decide_login(*reader, key.user, key.blob).refusal; }
  Key now_of(const Key& key) { return *directory.find_key(*reader, key.fingerprint); }
  std::vector<std::string> due() {
    std::vector<std::string> prints;
    for (const Key& key : run_coroutine(key_clock.run_due()).value()) prints.push_back(key.fingerprint);
    return prints;
  }
  std::string last_audit() {
    settle();
    const AuditRow row = audit.tail(*reader, 1).at(0);
    return row.actor + " " + row.action + " " + row.object + " " + row.outcome;
  }
};

}  // namespace berth::auth
