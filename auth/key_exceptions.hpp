// A user's exceptions from the policy of keys as JSON: in the store and in the HTTP API (docs/api.md, "Exceptions").
#pragma once
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "auth/model.hpp"
#include "base/result.hpp"

namespace berth::auth {

nlohmann::json to_json(const KeyExceptions& exceptions);
// Error{invalid} names a field that is unknown, of another type or out of range, or says that nothing is excepted.
Result<KeyExceptions> exceptions_in(const nlohmann::json& document);

// The column users.key_exceptions; empty when there are none. A text that cannot be read counts as none: the site's policy holds.
std::string stored_form(const KeyExceptions& exceptions);
KeyExceptions stored_exceptions(std::string_view text);

}  // namespace berth::auth
