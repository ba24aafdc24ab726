// berth session …
#include "base/human.hpp"
#include "base/views.hpp"
#include "cli/interact.hpp"

namespace berth::cli {

using nlohmann::json;

Outcome<> session_list(const Invocation& given, const Context& context) {
  std::string query;
  const bool history = given.has("--all");
  if (history) query += "all=1";
  if (given.has("--limit")) {
    const Outcome<std::string> limit = limit_query(given["--limit"]);
    if (!limit) return limit.error();
    query += (query.empty() ? "" : "&") + *limit;
  }
  // The API answers for everybody whom the caller may see.
  const std::string user = given.has("--user") ? given["--user"] : context.self != nullptr && !given.has("--everybody") ? context.self->user : "";
  if (!user.empty()) query += (query.empty() ? "user=" : "&user=") + percent_encode(user);
  const Outcome<json> sessions = context.api.items("/sessions" + (query.empty() ? "" : "?" + query));
  if (!sessions) return sessions.error();
  print_answer(context, {{"items", *sessions}}, views::sessions(*sessions, context.clock.now(), context.streams.style, history),
               history ? "no sessions" : "nothing is open");
  return {};
}

Outcome<> session_kill(const Invocation& given, const Context& context) {
  const Outcome<json> killed = context.api.remove("/sessions/" + percent_encode(given["ID"]));
  if (!killed) return killed.error();
  print_answer(context, *killed, "ended " + printable(given["ID"]) + "\n");
  return {};
}

}  // namespace berth::cli
