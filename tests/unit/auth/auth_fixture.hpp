// A store with the real schema in a directory of its own, a fake clock, and a few keys.
#pragma once
#include <gtest/gtest.h>

#include "auth/audit.hpp"
#include "auth/directory.hpp"
#include "auth/migrations.hpp"
#include "tests/support/fake_clock.hpp"
#include "tests/support/key_line.hpp"
#include "tests/support/run.hpp"
#include "tests/support/temp_dir.hpp"

namespace berth::auth {

class AuthTest : public testing::Test {
 protected:
  TempDir dir;
  FakeClock clock;
  std::unique_ptr<Store> store = Store::open(dir.path() / "berth.db", migrations()).value();
  std::unique_ptr<SQLite::Database> reader = store->open_reader();
  Settings::Keys policy = default_settings().keys;
  Directory directory{*store, clock, policy};
  Audit audit{*store, clock};
  Actor admin{"admin-socket", Role::admin, "unix", ""};

  User add_user(const std::string& name, Role role = Role::user) { return run_coroutine(directory.add_user(admin, name, role)).value(); }
  Key add_key(const std::string& user, int seed, Timestamp expires_at = {}) {
    return run_coroutine(directory.add_key(admin, user, key_line(seed), expires_at)).value();
  }
  // Until everything that was posted is in the store.
  void settle() {
    ASSERT_TRUE(store->write_now([](SQLite::Database&) -> Result<void> { return {}; }).has_value());
  }
};

}  // namespace berth::auth
