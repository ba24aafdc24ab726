// berth user …
#include "base/human.hpp"
#include "base/views.hpp"
#include "cli/interact.hpp"

namespace berth::cli {
namespace {

using nlohmann::json;

std::string path_of(const Invocation& given) { return "/users/" + percent_encode(given["USER"]); }

Outcome<> set_disabled(const Invocation& given, const Context& context, bool disabled) {
  const Outcome<json> user = context.api.patch(path_of(given), {{"disabled", disabled}});
  if (!user) return user.error();
  print_answer(context, *user, given["USER"] + (disabled ? " is locked out\n" : " may log in\n"));
  return {};
}

}  // namespace

Outcome<> user_add(const Invocation& given, const Context& context) {
  json body = {{"name", given["USER"]}};
  if (given.has("--role")) body["role"] = given["--role"];
  const Outcome<json> user = context.api.post("/users", body);
  if (!user) return user.error();
  print_answer(context, *user, "added " + given["USER"] + "; give them a key with: berth key add " + given["USER"] + " FILE.pub\n");
  return {};
}

Outcome<> user_list(const Invocation&, const Context& context) {
  const Outcome<json> users = context.api.items("/users");
  if (!users) return users.error();
  print_answer(context, {{"items", *users}}, views::users(*users, context.clock.now(), context.streams.style),
               "no users yet; add one with: berth user add NAME");
  return {};
}

Outcome<> user_show(const Invocation& given, const Context& context) {
  const Outcome<json> user = context.api.get(path_of(given));
  if (!user) return user.error();
  print_answer(context, *user, views::user(*user, context.clock.now(), context.streams.style));
  return {};
}

Outcome<> user_disable(const Invocation& given, const Context& context) { return set_disabled(given, context, true); }
Outcome<> user_enable(const Invocation& given, const Context& context) { return set_disabled(given, context, false); }

Outcome<> user_role(const Invocation& given, const Context& context) {
  const Outcome<json> user = context.api.patch(path_of(given), {{"role", given["ROLE"]}});
  if (!user) return user.error();
  print_answer(context, *user, printable(given["USER"]) + " is now " + printable(text_field(*user, "role")) + "\n");
  return {};
}

Outcome<> user_remove(const Invocation& given, const Context& context) {
  std::string preview;
  if (!given.has("--yes") && context.streams.in_is_terminal) {
    const Outcome<json> user = context.api.get(path_of(given));
    if (!user) return user.error();
    const Outcome<json> workspaces = context.api.items("/workspaces?user=" + percent_encode(given["USER"]));
    if (!workspaces) return workspaces.error();
    const Timestamp now = context.clock.now();
    preview = views::user(*user, now, context.streams.style) + "\n" + views::workspaces(*workspaces, now, context.streams.style) + "\n";
  }
  const std::string question = "Remove " + given["USER"] + ", these keys and these workspaces (the home directory stays)?";
  if (const Outcome<> confirmed = confirm(given, context, preview, question); !confirmed) return confirmed;
  const Outcome<json> removed = context.api.remove(path_of(given));
  if (!removed) return removed.error();
  print_answer(context, *removed, "removed " + given["USER"] + "\n");
  return {};
}

// What is not named is as the site's settings say: the rules are replaced as a whole.
Outcome<> user_forwards(const Invocation& given, const Context& context) {
  json rules = json::object();
  if (given.has("--kinds")) rules["kinds"] = given["--kinds"] == "none" ? json::array() : comma_list(given["--kinds"]);
  if (given.has("--permit-open")) rules["permit_open"] = comma_list(given["--permit-open"]);
  if (given.has("--permit-listen")) rules["permit_listen"] = comma_list(given["--permit-listen"]);
  if (given.has("--default") != rules.empty()) return usage_failure("say --kinds, --permit-open or --permit-listen, or else --default alone");
  if (given.has("--default")) rules = nullptr;
  const Outcome<json> user = context.api.patch("/users/" + percent_encode(given["USER"]), {{"forwards", std::move(rules)}});
  if (!user) return user.error();
  print_answer(context, *user, views::user(*user, context.clock.now(), context.streams.style));
  return {};
}

}  // namespace berth::cli
