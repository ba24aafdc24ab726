// berth env …: what there is, and what changes without a build.
#include <ostream>

#include "base/human.hpp"
#include "cli/env_common.hpp"

namespace berth::cli {
namespace {

using nlohmann::json;

// POST with `body`, and the environment afterwards.
Outcome<> change(const Invocation& given, const Context& context, const char* action, const json& body) {
  const Outcome<std::string> path = environment_path(given["ENV"], context);
  if (!path) return path.error();
  const Outcome<json> environment = context.api.post(*path + action, body);
  if (!environment) return environment.error();
  return print_environment(context, *environment);
}

Outcome<std::int64_t> revision_number(const std::string& text) {
  if (text.empty() || text.size() > 6 || text.find_first_not_of("0123456789") != std::string::npos) return usage_failure("'" + text + "' is not the number of a revision");
  return std::stoll(text);
}

}  // namespace

Outcome<> env_list(const Invocation& given, const Context& context) {
  const Outcome<json> environments = context.api.items("/environments" + whose_query(given, context));
  if (!environments) return environments.error();
  json answer = {{"items", *environments}};
  std::string text = environments->empty() ? "" : environments_table(*environments, context);
  // What a build made, and what has changed since, is told where it is looked for.
  for (const json& environment : *environments) {
    const json verification = environment.value("verification", json());
    const std::string result = text_field(verification, "result");
    if (!flag_field(environment, "may_change") || result.empty() || result == "ok") continue;
    text += printable(text_field(environment, "user") + "/" + text_field(environment, "name")) + (result == "changed" ? " has changed: " : " cannot be built again: ") +
            printable(text_field(verification, "detail").substr(0, 300)) + "\n";
  }
  const std::string user = given.has("--everybody") ? std::string() : user_of(given, context);
  if (!user.empty()) {
    const Outcome<json> used = context.api.get("/environments-used?user=" + percent_encode(user));
    // Without a keeper the list is good all the same.
    if (used) answer["used"] = *used;
    if (used && (!environments->empty() || number_field(*used, "quota_bytes") > 0)) {
      text += "disk: " + bytes_field(*used, "used_bytes") + (number_field(*used, "quota_bytes") > 0 ? " of " + bytes_field(*used, "quota_bytes") : "") + "\n";
    }
  }
  print_answer(context, answer, text, "no environments");
  return {};
}

Outcome<> env_show(const Invocation& given, const Context& context) {
  const Outcome<std::string> path = environment_path(given["ENV"], context);
  if (!path) return path.error();
  const Outcome<json> environment = context.api.get(*path);
  if (!environment) return environment.error();
  const Outcome<json> revision = context.api.get(*path + "/revisions/" + std::to_string(number_field(*environment, "revision")));
  if (!revision) return revision.error();
  Table table({{"PACKAGE"}, {"VERSION"}, {"BUILD"}, {"KIND"}, {"SIZE", Align::right}, {"CHANNEL", Align::left, 16}});
  for (const json& package : list_field(*revision, "package_list")) {
    table.add({text_field(package, "name"), text_field(package, "version"), text_field(package, "build"), text_field(package, "kind"),
               bytes_field(package, "size_bytes"), text_field(package, "channel")});
  }
  std::string text = environments_table(json::array({*environment}), context);
  std::string maintainers;
  for (const json& name : list_field(*environment, "maintainers")) maintainers += (maintainers.empty() ? "" : ", ") + printable(name.is_string() ? name.get<std::string>() : "");
  if (text_field(*environment, "scope") == "team") text += "for everybody; maintained by " + (maintainers.empty() ? "nobody" : maintainers) + "\n";
  json answer = *revision;
  for (const char* key : {"scope", "maintainers", "may_change", "default"}) answer[key] = environment->value(key, json());
  print_answer(context, answer, text + "\n" + table.render(context.streams.style));
  return {};
}

Outcome<> env_history(const Invocation& given, const Context& context) {
  const Outcome<std::string> path = environment_path(given["ENV"], context);
  if (!path) return path.error();
  const Outcome<json> environment = context.api.get(*path);
  if (!environment) return environment.error();
  Table table({{"REVISION", Align::right}, {"MADE"}, {"BY"}, {"PACKAGES", Align::right}, {"SIZE", Align::right}, {"LOCK"}, {""}});
  for (const json& revision : list_field(*environment, "revision_list")) {
    const Result<Timestamp> made = parse_timestamp(text_field(revision, "created_at"));
    table.add({std::to_string(number_field(revision, "number")), made ? human_time(*made) : "", text_field(revision, "created_by"),
               std::to_string(number_field(revision, "packages")), bytes_field(revision, "size_bytes"), text_field(revision, "lock_hash").substr(0, 12),
               flag_field(revision, "current") ? "current" : ""});
  }
  print_answer(context, *environment, table.render(context.streams.style));
  return {};
}

Outcome<> env_diff(const Invocation& given, const Context& context) {
  const Outcome<std::string> path = environment_path(given["ENV"], context);
  if (!path) return path.error();
  std::string query;
  for (const auto& [parameter, name] : {std::pair("FROM", "from"), std::pair("TO", "to")}) {
    if (!given.has(parameter)) continue;
    const Outcome<std::int64_t> number = revision_number(given[parameter]);
    if (!number) return number.error();
    query += (query.empty() ? "?" : "&") + std::string(name) + "=" + std::to_string(*number);
  }
  const Outcome<json> diff = context.api.get(*path + "/diff" + query);
  if (!diff) return diff.error();
  print_answer(context, *diff, diff_text(*diff), "no difference");
  return {};
}

Outcome<> env_rollback(const Invocation& given, const Context& context) {
  json body = json::object();
  if (given.has("REVISION")) {
    const Outcome<std::int64_t> number = revision_number(given["REVISION"]);
    if (!number) return number.error();
    body["revision"] = *number;
  }
  return change(given, context, "/rollback", body);
}

Outcome<> env_default(const Invocation& given, const Context& context) {
  json body = {{"default", !given.has("--off")}};
  if (given.has("--user")) body["user"] = given["--user"];
  return change(given, context, "/default", body);
}

Outcome<> env_maintainer(const Invocation& given, const Context& context) {
  const Outcome<std::string> path = environment_path(given["ENV"], context);
  if (!path) return path.error();
  const std::string maintainer = *path + "/maintainers/" + percent_encode(given["USER"]);
  const Outcome<json> environment = given.has("--remove") ? context.api.remove(maintainer) : context.api.post(maintainer, json::object());
  if (!environment) return environment.error();
  return print_environment(context, *environment);
}

Outcome<> env_export(const Invocation& given, const Context& context) {
  const Outcome<std::string> path = environment_path(given["ENV"], context);
  if (!path) return path.error();
  std::string query = "?format=" + (given.has("--format") ? percent_encode(given["--format"]) : "lock");
  if (given.has("--revision")) {
    const Outcome<std::int64_t> number = revision_number(given["--revision"]);
    if (!number) return number.error();
    query += "&revision=" + std::to_string(*number);
  }
  const Outcome<json> exported = context.api.get(*path + "/export" + query);
  if (!exported) return exported.error();
  print_answer(context, *exported, printable_lines(text_field(*exported, "text")));
  return {};
}

Outcome<> env_remove(const Invocation& given, const Context& context) {
  const Outcome<std::string> path = environment_path(given["ENV"], context);
  if (!path) return path.error();
  if (const Outcome<> confirmed = confirm(given, context, {}, "Remove " + printable(given["ENV"]) + " with all its revisions?"); !confirmed) return confirmed;
  const Outcome<json> removed = context.api.remove(*path);
  if (!removed) return removed.error();
  print_answer(context, *removed, "removed " + printable(given["ENV"]) + "\n");
  return {};
}

Outcome<> env_gc(const Invocation& given, const Context& context) {
  json body = json::object();
  if (const std::string user = user_of(given, context); !user.empty()) body["user"] = user;
  const Outcome<json> result = context.api.post("/environments-gc", body);
  if (!result) return result.error();
  const std::int64_t waiting = number_field(*result, "waiting");
  print_answer(context, *result, "removed the files of " + std::to_string(number_field(*result, "removed")) + " revisions" +
                                     (waiting > 0 ? "; others wait until their user's workspaces are stopped\n" : "\n"));
  return {};
}

}  // namespace berth::cli
