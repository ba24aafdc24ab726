// berth user except, exceptions.
#include <charconv>

#include "base/views.hpp"
#include "cli/interact.hpp"

namespace berth::cli {
namespace {

using nlohmann::json;

Outcome<> take_number(const Invocation& given, std::string_view option, const char* field, json& into) {
  if (!given.has(option)) return {};
  const std::string text = given[option];
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return usage_failure(std::string(option) + " takes a whole number; not '" + text + "'");
  into[field] = number;
  return {};
}

Outcome<json> exceptions_given(const Invocation& given, const Context& context) {
  json exceptions = json::object();
  if (given.has("--max-age")) {
    const Result<std::chrono::seconds> age = parse_duration(given["--max-age"]);
    if (!age) return usage_failure("--max-age: " + age.error().message);
    exceptions["max_age_s"] = age->count();
  }
  if (const Outcome<> number = take_number(given, "--max-keys", "max_per_user", exceptions); !number) return number.error();
  if (const Outcome<> number = take_number(given, "--rsa-bits", "min_rsa_bits", exceptions); !number) return number.error();
  if (given.has("--types")) exceptions["allowed_types"] = comma_list(given["--types"]);
  if (given.has("--no-hardware")) exceptions["allow_software"] = true;
  if (given.has("--no-touch")) exceptions["allow_untouched"] = true;
  if (const Outcome<> until = take_end(given, context, "--until", "until", exceptions); !until) return until.error();
  if (given.has("--reason")) exceptions["reason"] = given["--reason"];
  return boost::system::result<json, Failure>(boost::system::in_place_value, std::move(exceptions));
}

}  // namespace

Outcome<> user_except(const Invocation& given, const Context& context) {
  Outcome<json> exceptions = exceptions_given(given, context);
  if (!exceptions) return exceptions.error();
  json body = json::object();
  if (given.has("--clear")) {
    if (!exceptions->empty()) return usage_failure("--clear takes all exceptions away: it goes with no other option");
    body["key_exceptions"] = nullptr;
  } else {
    body["key_exceptions"] = std::move(*exceptions);
  }
  const Outcome<json> user = context.api.patch("/users/" + percent_encode(given["USER"]), body);
  if (!user) return user.error();
  print_answer(context, *user, views::user(*user, context.clock.now(), context.streams.style));
  return {};
}

Outcome<> user_exceptions(const Invocation&, const Context& context) {
  const Outcome<json> users = context.api.items("/users?exceptions=1");
  if (!users) return users.error();
  print_answer(context, {{"items", *users}}, views::key_exceptions(*users, context.clock.now(), context.streams.style), "nobody has exceptions");
  return {};
}

}  // namespace berth::cli
