// berth token …
#include <ostream>

#include "base/human.hpp"
#include "base/views.hpp"
#include "cli/interact.hpp"

namespace berth::cli {

using nlohmann::json;

Outcome<> token_create(const Invocation& given, const Context& context) {
  json body = {{"name", given["NAME"]}};
  if (given.has("--scope")) body["scopes"] = comma_list(given["--scope"]);
  if (const Outcome<> end = take_lifetime(given, context, "--expires", body); !end) return end;
  const Outcome<json> made = context.api.post("/tokens", body);
  if (!made) return made.error();
  const json token = made->is_object() ? made->value("token", json()) : json();
  // The secret alone on standard output, so that it can be piped to where it is kept.
  if (!context.json) {
    context.streams.err << "This is the only time that the token is shown. It works until " << printable(text_field(token, "expires_at"))
                        << "; to end it before: berth token revoke " << printable(text_field(token, "id")) << "\n";
  }
  print_answer(context, *made, printable(text_field(*made, "secret")) + "\n");
  return {};
}

Outcome<> token_list(const Invocation& given, const Context& context) {
  const Outcome<json> tokens = context.api.items("/tokens" + whose_query(given, context));
  if (!tokens) return tokens.error();
  print_answer(context, {{"items", *tokens}}, views::tokens(*tokens, context.clock.now(), context.streams.style), "no tokens");
  return {};
}

Outcome<> token_revoke(const Invocation& given, const Context& context) {
  const Outcome<json> revoked = context.api.remove("/tokens/" + percent_encode(given["ID"]));
  if (!revoked) return revoked.error();
  print_answer(context, *revoked, "revoked " + printable(given["ID"]) + "\n");
  return {};
}

}  // namespace berth::cli
