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

// What ends with a key, for the question before it is revoked.
Outcome<std::string> impact_of(const std::string& fingerprint, const Context& context) {
  const bool own_only = context.self != nullptr && context.self->role == Who::user;
  const Outcome<json> keys = context.api.items(own_only ? "/keys" : "/keys?all=1");
  if (!keys) return keys.error();
  json shown = json::array(), ending = json::array();
  std::copy_if(keys->begin(), keys->end(), std::back_inserter(shown), [&](const json& key) { return text_field(key, "fingerprint") == fingerprint; });
  if (shown.empty()) return failure_of({ErrorKind::not_found, "no key has the fingerprint '" + fingerprint + "'; see: berth key list"});
  const Outcome<json> sessions = context.api.items("/sessions");
  if (!sessions) return sessions.error();
  std::copy_if(sessions->begin(), sessions->end(), std::back_inserter(ending),
               [&](const json& session) { return text_field(session, "key_fingerprint") == fingerprint; });
  const Timestamp now = context.clock.now();
  const TextStyle& style = context.streams.style;
  std::string preview = views::keys(shown, now, style) + "\n";
  preview += ending.empty() ? "Nothing is open with this key now.\n" : "These end with it:\n" + views::sessions(ending, now, style, false);
  return preview;
}

}  // namespace

Outcome<> key_add(const Invocation& given, const Context& context) {
  json body;
  if (given.has("--expires")) {
    const Outcome<Timestamp> expires = parse_expiry(given["--expires"], context.clock.now());
    if (!expires) return expires.error();
    body["expires_at"] = format_timestamp(*expires);
  }
  const Outcome<std::string> text = read_input(given["FILE"], context);
  if (!text) return text.error();
  const bool by_name = given.has("FILE") && given["FILE"] != "-";
  const Outcome<std::vector<KeyLine>> lines = parse_key_lines(*text, by_name ? given["FILE"] : "standard input");
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

Outcome<> key_revoke(const Invocation& given, const Context& context) {
  const std::string fingerprint = given["FINGERPRINT"];
  std::string preview;
  if (!given.has("--yes") && context.streams.in_is_terminal) {
    Outcome<std::string> impact = impact_of(fingerprint, context);
    if (!impact) return impact.error();
    preview = std::move(*impact);
  }
  if (const Outcome<> confirmed = confirm(given, context, preview, "Revoke this key?"); !confirmed) return confirmed;
  const Outcome<json> revoked = context.api.remove("/keys/" + percent_encode(fingerprint));
  if (!revoked) return revoked.error();
  const json ended = revoked->is_object() ? revoked->value("ended_sessions", json(0)) : json(0);
  print_answer(context, *revoked, "revoked " + printable(fingerprint) + "; sessions ended: " + ended.dump() + "\n");
  return {};
}

}  // namespace berth::cli
