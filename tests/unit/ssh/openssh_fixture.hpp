// The real OpenSSH client against a server that lets its key in.
#pragma once
#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/ssh/test_server.hpp"

namespace berth::ssh::test {

// Pseudo-random, so that a lost or doubled block cannot go unseen.
inline std::string some_bytes(std::size_t count) {
  std::string bytes(count, '\0');
  std::mt19937_64 random(7);
  for (std::size_t i = 0; i + 8 <= count; i += 8) {
    const std::uint64_t word = random();
    std::memcpy(bytes.data() + i, &word, 8);
  }
  return bytes;
}

class OpenSsh : public testing::Test {
 protected:
  Finished ssh(std::vector<std::string> rest, std::string_view input = {}) { return run(server.ssh(key, std::move(rest)), input); }

  TempDir directory;
  std::string key = directory / "key";
  std::string blob = make_key(key);
  TestServer server{{blob}};
};

}  // namespace berth::ssh::test
