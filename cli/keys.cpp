// berth key …
#include <algorithm>
#include <iterator>
#include <optional>
#include <ostream>

#include "base/human.hpp"
#include "base/views.hpp"
#include "cli/interact.hpp"
#include "cli/key_file.hpp"

namespace berth::cli {
namespace {

using nlohmann::json;

}  // namespace

Outcome<> key_add(const Invocation& given, const Context& context) {
  json body;
  if (const Outcome<> end = take_end(given, context, "--expires", "expires_at", body); !end) return end;
  const Outcome<std::vector<KeyLine>> lines = read_key_lines(given["FILE"], context);
  if (!lines) return lines.error();
  json added = json::array();
  std::optional<Failure> failure;
  for (const KeyLine& line : *lines) {
    body["public_key"] = line.text;
    const Outcome<json> key = context.api.post("/users/" + percent_encode(user_of(given, context)) + "/keys", body);
    if (key) {
      added.push_back(*key);
      continue;
    }
    const bool hopeless = key.error().code == ExitCode::unreachable || key.error().code == ExitCode::not_found;
    if (lines->size() == 1 || (hopeless && added.empty() && !failure)) return key.error();
    context.streams.err << "berth: line " << line.number << ": " << printable(key.error().error.message) << '\n';
    if (!failure) failure = key.error();
    if (hopeless) break;
  }
  print_answer(context, {{"items", added}}, views::keys(added, context.clock.now(), context.streams.style), "no key was added");
  if (!failure) return {};
  failure->error.message = std::to_string(added.size()) + " of " + std::to_string(lines->size()) + " keys added";
  return *failure;
}

Outcome<> key_list(const Invocation& given, const Context& context) {
  const Outcome<json> keys = context.api.items("/keys" + whose_query(given, context));
  if (!keys) return keys.error();
  print_answer(context, {{"items", *keys}}, views::keys(*keys, context.clock.now(), context.streams.style), "no keys");
  return {};
}

}  // namespace berth::cli
