// Runs `berth` in this process against a stand-in for berthd.
#pragma once
#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "cli/app.hpp"
#include "cli/program/local_files.hpp"
#include "tests/support/unix_http_server.hpp"

namespace berth::cli {

class FixedClock final : public Clock {
 public:
  Timestamp now() const override { return parse_timestamp("2026-11-22T18:00:00Z").value(); }
};

struct Ran {
  int code = 0;
  std::string out, err;
  nlohmann::json json() const { return nlohmann::json::parse(out, nullptr, false); }
};

class CliTest : public testing::Test {
 protected:
  // What berthd answers to "GET /users" and the like; anything else is a 404 of its own.
  std::map<std::string, std::string> answers;
  bool terminal = false;
  std::string input;

  Ran berth(std::vector<std::string> words) const {
    words.insert(words.begin(), {"--admin-socket", server.path(), "--timeout", "5s"});
    return berth_alone(std::move(words));
  }
  Ran berth_alone(std::vector<std::string> words) const {
    std::istringstream in(input);
    std::ostringstream out, err;
    Streams streams{in, out, err, terminal, terminal, {}};
    const int code = run(std::move(words), {streams, FixedClock(), &local_files()});
    return {code, out.str(), err.str()};
  }
  // As the gateway runs it for `self`.
  Ran over_ssh(const Self& self, std::vector<std::string> words) const {
    std::istringstream in(input);
    std::ostringstream out, err;
    Streams streams{in, out, err, terminal, terminal, {}};
    const auto connect = [this]() -> Result<FileDescriptor> { return server.connect(); };
    const int code = run(std::move(words), {streams, FixedClock(), nullptr, &self, connect});
    return {code, out.str(), err.str()};
  }
  std::string answer(const testing_support::SeenRequest& request) const {
    const std::string prefix = "/api/v1";
    const auto found = request.target.starts_with(prefix) ? answers.find(request.method + " " + request.target.substr(prefix.size())) : answers.end();
    if (found != answers.end()) return found->second;
    return testing_support::json_answer(404, R"({"error":{"kind":"not_found","message":"nothing at )" + request.target + "\"}}");
  }

  testing_support::UnixHttpServer server{[this](const testing_support::SeenRequest& request) { return answer(request); }};
};

inline std::string answered(int status, const std::string& body) { return testing_support::json_answer(status, body); }
inline std::string refused(int status, const std::string& kind, const std::string& message) {
  return testing_support::json_answer(status, R"({"error":{"kind":")" + kind + R"(","message":")" + message + "\"}}");
}

constexpr const char* kKeyLine = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGm1d2Pz0Qz7Zb1yMCPbFvqvm0rQqk3yJcQ2yqfUZ9rN ada@laptop";

}  // namespace berth::cli
