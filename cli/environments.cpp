// berth env …
#include <optional>
#include <ostream>

#include "base/human.hpp"
#include "cli/interact.hpp"

namespace berth::cli {
namespace {

using nlohmann::json;

// berthd says something every 15 s while a build goes on.
constexpr std::chrono::minutes kBuildSilence{2};
constexpr std::size_t kBarWidth = 24, kShownChanges = 40;

Outcome<json> success(json document) { return Outcome<json>(boost::system::in_place_value, std::move(document)); }

std::int64_t number_field(const json& record, const char* name) {
  const auto field = record.is_object() ? record.find(name) : record.end();
  return field != record.end() && field->is_number() ? field->get<std::int64_t>() : 0;
}

bool flag_field(const json& record, const char* name) {
  const auto field = record.is_object() ? record.find(name) : record.end();
  return field != record.end() && *field == true;
}

std::string bytes_field(const json& record, const char* name) { return human_bytes(static_cast<std::uint64_t>(std::max<std::int64_t>(0, number_field(record, name)))); }

json list_field(const json& record, const char* name) {
  const auto field = record.is_object() ? record.find(name) : record.end();
  return field != record.end() && field->is_array() ? *field : json::array();
}

// "ml" is the caller's over SSH; "ada/ml" or "ada+ml" says whose.
Outcome<std::string> environment_path(const std::string& name, const Context& context) {
  const std::size_t sign = name.find_first_of("+/");
  if (sign != std::string::npos) return "/environments/" + percent_encode(name.substr(0, sign)) + "/" + percent_encode(name.substr(sign + 1));
  if (context.self == nullptr) return usage_failure("say whose environment it is: USER/" + name);
  return "/environments/" + percent_encode(context.self->user) + "/" + percent_encode(name);
}

// Progress as it comes: one line that is drawn again on a terminal, else a line for each phase.
class ProgressLine {
 public:
  explicit ProgressLine(const Context& context) : streams_(context.streams), quiet_(context.json) {}
  void show(const json& progress) {
    const std::string phase = text_field(progress, "phase"), line = printable(text_field(progress, "line"));
    if (quiet_) return;
    if (phase.empty()) return log(line);
    if (!streams_.out_is_terminal) {
      if (phase != phase_) streams_.err << line << '\n' << std::flush;
      phase_ = phase;
      return;
    }
    std::string text = bar(number_field(progress, "done"), number_field(progress, "total"));
    if (number_field(progress, "bytes_total") > 0) text += " " + bytes_field(progress, "bytes") + " of " + bytes_field(progress, "bytes_total");
    if (number_field(progress, "bytes_per_s") > 0) text += ", " + bytes_field(progress, "bytes_per_s") + "/s";
    if (number_field(progress, "left_s") > 0) text += ", " + std::to_string(number_field(progress, "left_s")) + " s left";
    draw(text.empty() ? line : text + "  " + line);
  }
  void end() {
    if (drawn_) streams_.err << "\r\033[K" << std::flush;
    drawn_ = false;
  }

 private:
  static std::string bar(std::int64_t done, std::int64_t total) {
    if (total <= 0) return "";
    const auto full = static_cast<std::size_t>(std::clamp<std::int64_t>(done, 0, total)) * kBarWidth / static_cast<std::size_t>(total);
    return "[" + std::string(full, '#') + std::string(kBarWidth - full, ' ') + "] " + std::to_string(done) + "/" + std::to_string(total);
  }
  void draw(const std::string& text) {
    const std::size_t width = streams_.style.width > 1 ? streams_.style.width - 1 : 79;
    streams_.err << "\r\033[K" << cut_to_width(text, width) << std::flush;
    drawn_ = true;
  }
  void log(const std::string& line) {
    end();
    streams_.err << "  " << line << '\n' << std::flush;
  }
  Streams& streams_;
  bool quiet_, drawn_ = false;
  std::string phase_;
};

// A build to its end; its answer.
Outcome<json> follow(const Context& context, const std::string& path, const json& body) {
  std::optional<json> done;
  std::optional<Failure> failure;
  ProgressLine line(context);
  const auto on_event = [&](std::string_view name, const std::string& data) {
    json document = json::parse(data, nullptr, /*allow_exceptions=*/false);
    if (name == "progress") {
      line.show(document);
    } else if (name == "done") {
      done = std::move(document);
    } else if (name == "failed") {
      failure = failure_in(document);
    }
    return !done && !failure;
  };
  const Outcome<> followed = context.api.follow(path, kBuildSilence, on_event, body);
  line.end();
  if (!followed) return followed.error();
  if (failure) return *failure;
  if (!done) return Failure{ExitCode::unreachable, {ErrorKind::closed, "berthd went away before the build had ended; it may go on: see berth env show"}};
  return success(std::move(*done));
}

std::string package_text(const json& package) {
  const std::string kind = text_field(package, "kind") == "pip" ? " (pip)" : "";
  return printable(text_field(package, "name")) + " " + printable(text_field(package, "version")) + kind;
}

// The difference, sign first: + added, - removed, ^ up, v down, = rebuilt.
std::string diff_text(const json& diff) {
  std::string text;
  std::size_t shown = 0, left_out = 0;
  const auto add = [&](const std::string& line) {
    if (++shown <= kShownChanges) {
      text += "  " + line + "\n";
    } else {
      ++left_out;
    }
  };
  for (const json& change : list_field(diff, "changed")) {
    const std::string direction = text_field(change, "direction");
    const char* sign = direction == "up" ? "^ " : direction == "down" ? "v " : "= ";
    const json& to = change.contains("to") ? change["to"] : json();
    const json& from = change.contains("from") ? change["from"] : json();
    add(sign + package_text(from) + (direction == "rebuilt" ? " rebuilt as " + printable(text_field(to, "build")) : " -> " + printable(text_field(to, "version"))));
  }
  for (const json& package : list_field(diff, "removed")) add("- " + package_text(package));
  for (const json& package : list_field(diff, "added")) add("+ " + package_text(package));
  if (left_out > 0) text += "  and " + std::to_string(left_out) + " more\n";
  return text;
}

std::string plan_text(const json& plan) {
  std::string text = diff_text(plan.contains("diff") ? plan["diff"] : json());
  for (const json& warning : list_field(plan, "warnings")) {
    if (warning.is_string()) text += "  note: " + printable(warning.get<std::string>()) + "\n";
  }
  return text + std::to_string(number_field(plan, "packages")) + " packages, " + bytes_field(plan, "download_bytes") + " to fetch\n";
}

std::string environments_table(const json& environments, const Context& context) {
  Table table({{"NAME"}, {"USER"}, {"REVISION", Align::right}, {"PACKAGES", Align::right}, {"SIZE", Align::right}, {"CHANGED"}, {"DEFAULT"}, {"PATH", Align::left, 20}});
  for (const json& environment : environments) {
    const Result<Timestamp> changed = parse_timestamp(text_field(environment, "updated_at"));
    table.add({text_field(environment, "name"), text_field(environment, "user"), std::to_string(number_field(environment, "revision")),
               std::to_string(number_field(environment, "packages")), bytes_field(environment, "size_bytes"),
               changed ? human_age(*changed, context.clock.now()) : "", flag_field(environment, "default") ? "yes" : "", text_field(environment, "path")});
  }
  return table.render(context.streams.style);
}

Outcome<> print_environment(const Context& context, const json& environment) {
  print_answer(context, environment, environments_table(json::array({environment}), context));
  return {};
}

Outcome<> build(const Invocation& given, const Context& context, bool is_new) {
  const Outcome<std::string> path = environment_path(given["ENV"], context);
  if (!path) return path.error();
  const Outcome<std::string> yaml = read_input(given["FILE"], context);
  if (!yaml) return yaml.error();
  const Outcome<json> known = context.api.get(*path);
  if (!known && known.error().code != ExitCode::not_found) return known.error();
  if (is_new && known) return failure_of({ErrorKind::conflict, "there is an environment of this name already; see: berth env update"});
  if (!is_new && !known) return known.error();
  const Outcome<json> plan = follow(context, *path + "/plan", {{"yaml", *yaml}});
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
  print_answer(context, {{"items", *environments}}, environments_table(*environments, context), "no environments");
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
  print_answer(context, *revision, environments_table(json::array({*environment}), context) + "\n" + table.render(context.streams.style));
  return {};
}

Outcome<> env_create(const Invocation& given, const Context& context) { return build(given, context, true); }
Outcome<> env_update(const Invocation& given, const Context& context) { return build(given, context, false); }

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

Outcome<> env_default(const Invocation& given, const Context& context) { return change(given, context, "/default", {{"default", !given.has("--off")}}); }

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
  print_answer(context, *result, flag_field(*result, "ok") ? "unchanged: built again, it is the same to the byte\n" : text + "it has changed\n");
  if (flag_field(*result, "ok")) return {};
  return Failure{ExitCode::failed, {ErrorKind::conflict, "building it again gives something else"}};
}

Outcome<> env_check(const Invocation& given, const Context& context) {
  const Outcome<std::string> yaml = read_input(given["FILE"], context);
  if (!yaml) return yaml.error();
  json body = {{"yaml", *yaml}};
  if (given.has("--user")) body["user"] = given["--user"];
  const Outcome<json> plan = follow(context, "/environments-check", body);
  if (!plan) return plan.error();
  print_answer(context, *plan, plan_text(*plan));
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
