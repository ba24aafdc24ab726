// berth env create, update, clone, share, verify, check: what builds.
#include <ostream>

#include "base/human.hpp"
#include "cli/env_common.hpp"

namespace berth::cli {

using nlohmann::json;

namespace {

std::string plan_text(const json& plan) {
  std::string text = diff_text(plan.contains("diff") ? plan["diff"] : json());
  for (const json& warning : list_field(plan, "warnings")) {
    if (warning.is_string()) text += "  note: " + printable(warning.get<std::string>()) + "\n";
  }
  return text + std::to_string(number_field(plan, "packages")) + " packages, " + bytes_field(plan, "download_bytes") + " to fetch\n";
}

// What is to be built: an environment.yml, or a lock that `berth env export` has printed.
json spec_of(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string::npos || text[begin] != '{') return {{"yaml", text}};
  const json document = json::parse(text, nullptr, /*allow_exceptions=*/false);
  const bool is_lock = document.is_object() && document.contains("packages") && document.contains("version");
  return {{is_lock ? "lock" : "yaml", text}};
}

Outcome<> build(const Invocation& given, const Context& context, bool is_new) {
  const Outcome<std::string> path = environment_path(given["ENV"], context);
  if (!path) return path.error();
  const Outcome<std::string> file = read_input(given["FILE"], context);
  if (!file) return file.error();
  const Outcome<json> known = context.api.get(*path);
  if (!known && known.error().code != ExitCode::not_found) return known.error();
  if (is_new && known) return failure_of({ErrorKind::conflict, "there is an environment of this name already; see: berth env update"});
  if (!is_new && !known) return known.error();
  const Outcome<json> plan = follow(context, *path + "/plan", spec_of(*file));
  if (!plan) return plan.error();
  if (flag_field(*plan, "unchanged")) {
    say(context, "Nothing changes.");
    if (context.json) print_json(context, *plan);
    return {};
  }
  if (!context.json) context.streams.err << plan_text(*plan);
  if (const Outcome<> confirmed = confirm(given, context, {}, "Install this?"); !confirmed) return confirmed;
  const Outcome<json> installed = follow(context, *path + "/install", {{"plan", text_field(*plan, "plan")}});
  if (!installed) return installed.error();
  return print_environment(context, *installed);
}

}  // namespace

Outcome<> env_create(const Invocation& given, const Context& context) { return build(given, context, true); }
Outcome<> env_update(const Invocation& given, const Context& context) { return build(given, context, false); }

Outcome<> env_clone(const Invocation& given, const Context& context) {
  const Outcome<std::string> from = environment_path(given["ENV"], context);
  if (!from) return from.error();
  const Outcome<std::string> to = environment_path(given["NEW"], context);
  if (!to) return to.error();
  const Outcome<json> known = context.api.get(*to);
  if (known) return failure_of({ErrorKind::conflict, "there is an environment " + printable(given["NEW"]) + " already"});
  if (known.error().code != ExitCode::not_found) return known.error();
  const Outcome<json> source = context.api.get(*from);
  if (!source) return source.error();
  const Outcome<json> lock = context.api.get(*from + "/export?format=lock");
  if (!lock) return lock.error();
  const Outcome<json> plan = follow(context, *to + "/plan", {{"lock", text_field(*lock, "text")}, {"yaml", text_field(*source, "yaml")}});
  if (!plan) return plan.error();
  const Outcome<json> installed = follow(context, *to + "/install", {{"plan", text_field(*plan, "plan")}});
  if (!installed) return installed.error();
  return print_environment(context, *installed);
}

Outcome<> env_share(const Invocation& given, const Context& context) {
  const Outcome<std::string> path = environment_path(given["ENV"], context);
  if (!path) return path.error();
  if (const Outcome<> confirmed = confirm(given, context, {}, "Let everybody use " + printable(given["ENV"]) + ", with you as its maintainer?"); !confirmed) return confirmed;
  const Outcome<json> shared = follow(context, *path + "/share", json::object());
  if (!shared) return shared.error();
  return print_environment(context, *shared);
}

namespace {
// What its file gives today.
std::string solved_text(const json& result) {
  const auto solved = result.is_object() ? result.find("solved") : result.end();
  if (solved == result.end() || !solved->is_object()) return "";
  if (const std::string error = text_field(*solved, "error"); !error.empty()) return "its file cannot be solved any more:\n" + printable_lines(error) + "\n";
  if (flag_field(*solved, "unchanged")) return "its file gives the same packages today\n";
  return "its file gives others today (berth env update would install them):\n" + diff_text(solved->value("diff", json()));
}
}  // namespace

Outcome<> env_verify(const Invocation& given, const Context& context) {
  const Outcome<std::string> path = environment_path(given["ENV"], context);
  if (!path) return path.error();
  const Outcome<json> result = follow(context, *path + "/verify", json::object());
  if (!result) return result.error();
  std::string text;
  for (const auto& [name, sign] : {std::pair("changed", "~ "), std::pair("missing", "- "), std::pair("added", "+ ")}) {
    for (const json& file : list_field(*result, name)) {
      if (file.is_string()) text += sign + printable(file.get<std::string>()) + "\n";
    }
  }
  text = flag_field(*result, "ok") ? "unchanged: built again, it is the same to the byte\n" : text + "it has changed\n";
  print_answer(context, *result, text + solved_text(*result));
  if (flag_field(*result, "ok")) return {};
  return Failure{ExitCode::failed, {ErrorKind::conflict, "building it again gives something else"}};
}

Outcome<> env_check(const Invocation& given, const Context& context) {
  const Outcome<std::string> file = read_input(given["FILE"], context);
  if (!file) return file.error();
  json body = spec_of(*file);
  if (given.has("--user")) body["user"] = given["--user"];
  const Outcome<json> plan = follow(context, "/environments-check", body);
  if (!plan) return plan.error();
  print_answer(context, *plan, plan_text(*plan));
  return {};
}

}  // namespace berth::cli
