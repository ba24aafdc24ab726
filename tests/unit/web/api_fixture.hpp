// The HTTP API on its faces.
#pragma once
#include "tests/unit/web/harness.hpp"
#include "web/api.hpp"

namespace berth::web {

class Api : public WebTest {
 protected:
  static constexpr const char* kOrigin = "Origin: http://127.0.0.1\r\n";
  static nlohmann::json item(const Answer& answer, std::size_t index = 0) { return answer.json()["items"][index]; }
};

}  // namespace berth::web
