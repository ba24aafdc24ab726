// berth web, approve, whoami, and berth web-session …
#include <ostream>

#include "base/human.hpp"
#include "base/views.hpp"
#include "cli/interact.hpp"

namespace berth::cli {

using nlohmann::json;

Outcome<> login_link(const Invocation&, const Context& context) {
  const Outcome<json> link = context.api.post("/ssh/link", json::object());
  if (!link) return link.error();
  print_answer(context, *link, "Open this link within a minute (it works once):\n" + printable(text_field(*link, "url")) + "\n");
  return {};
}

namespace {

std::string browser_of(const json& pending) {
  return "the browser at " + printable(text_field(pending, "address")) + " (" + printable(text_field(pending, "user_agent")) + ")";
}

}  // namespace

// Where the request comes from is shown before anything is approved: somebody may have been talked into typing another's code.
Outcome<> login_approve(const Invocation& given, const Context& context) {
  if (!given.has("--yes")) {
    const Outcome<json> pending = context.api.post("/ssh/approve", {{"code", given["CODE"]}, {"dry_run", true}});
    if (!pending) return pending.error();
    const std::string asks = browser_of(*pending) + " asks to be logged in as " + printable(text_field(*pending, "user"));
    if (!context.streams.in_is_terminal) return usage_failure(asks + ". If it is yours, say so: with --yes, or on a terminal (ssh -t)");
    const Outcome<> sure = confirm(given, context, asks + ".\n", "Is that your browser?");
    if (!sure) return sure.error();
  }
  const Outcome<json> approved = context.api.post("/ssh/approve", {{"code", given["CODE"]}});
  if (!approved) return approved.error();
  print_answer(context, *approved,
               "Approved: " + browser_of(*approved) + " is now logged in as " + printable(text_field(*approved, "user")) +
                   ".\nIf that was not you: berth web-session list, then berth web-session end ID\n");
  return {};
}

Outcome<> whoami(const Invocation&, const Context& context) {
  const Outcome<json> me = context.api.get("/ssh/whoami");
  if (!me) return me.error();
  print_answer(context, *me, views::whoami(*me, context.clock.now(), context.streams.style));
  return {};
}

Outcome<> web_session_list(const Invocation& given, const Context& context) {
  const Outcome<json> sessions = context.api.items("/web-sessions?user=" + percent_encode(user_of(given, context)));
  if (!sessions) return sessions.error();
  print_answer(context, {{"items", *sessions}}, views::web_sessions(*sessions, context.clock.now(), context.streams.style), "no browser is logged in");
  return {};
}

Outcome<> web_session_end(const Invocation& given, const Context& context) {
  const Outcome<json> ended = context.api.remove("/web-sessions/" + percent_encode(given["ID"]));
  if (!ended) return ended.error();
  print_answer(context, *ended, "ended " + printable(given["ID"]) + "\n");
  return {};
}

}  // namespace berth::cli
