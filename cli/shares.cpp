// berth share …
#include <charconv>
#include <ostream>

#include "base/human.hpp"
#include "base/views.hpp"
#include "cli/interact.hpp"

namespace berth::cli {

using nlohmann::json;

Outcome<> share_create(const Invocation& given, const Context& context) {
  if (given.has("--with") == given.has("--everybody")) return usage_failure("say whom to share with: --with USER, or --everybody who is logged in");
  const std::string text = given["PORT"];
  unsigned port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc{} || end != text.data() + text.size() || port < 1 || port > 65535) return usage_failure("PORT is a number from 1 to 65535");
  json body = {{"port", port}, {"with", given.has("--everybody") ? "*" : given["--with"]}};
  if (given.has("--workspace")) body["workspace"] = given["--workspace"];
  if (const Outcome<> end = take_lifetime(given, context, "--for", body); !end) return end;
  const Outcome<json> made = context.api.post("/shares", body);
  if (!made) return made.error();
  print_answer(context, *made, printable(text_field(*made, "url")) + "\n");
  return {};
}

Outcome<> share_list(const Invocation& given, const Context& context) {
  const Outcome<json> shares = context.api.items("/shares" + whose_query(given, context));
  if (!shares) return shares.error();
  print_answer(context, {{"items", *shares}}, views::shares(*shares, context.clock.now(), context.streams.style), "nothing is shared");
  return {};
}

Outcome<> share_end(const Invocation& given, const Context& context) {
  const Outcome<json> ended = context.api.remove("/shares/" + percent_encode(given["ID"]));
  if (!ended) return ended.error();
  print_answer(context, *ended, "ended " + printable(given["ID"]) + "\n");
  return {};
}

}  // namespace berth::cli
