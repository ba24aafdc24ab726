#include "cli/env_common.hpp"

#include <optional>
#include <ostream>

#include "base/human.hpp"

namespace berth::cli {

using nlohmann::json;

namespace {

// berthd says something every 15 s while a build goes on.
constexpr std::chrono::minutes kBuildSilence{2};
constexpr std::size_t kBarWidth = 24, kShownChanges = 40;

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

std::string package_text(const json& package) {
  const std::string kind = text_field(package, "kind") == "pip" ? " (pip)" : "";
  return printable(text_field(package, "name")) + " " + printable(text_field(package, "version")) + kind;
}

}  // namespace

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

Outcome<std::string> environment_path(const std::string& name, const Context& context) {
  const std::size_t sign = name.find_first_of("+/");
  if (sign != std::string::npos) return "/environments/" + percent_encode(name.substr(0, sign)) + "/" + percent_encode(name.substr(sign + 1));
  if (context.self == nullptr) return usage_failure("say whose environment it is: USER/" + name);
  return "/environments/" + percent_encode(context.self->user) + "/" + percent_encode(name);
}

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

namespace {
// "ok, 2 d ago"; empty: never.
std::string verified_text(const json& environment, const Context& context) {
  const auto found = environment.find("verification");
  if (found == environment.end() || !found->is_object()) return "";
  const Result<Timestamp> at = parse_timestamp(text_field(*found, "at"));
  return text_field(*found, "result") + (at ? ", " + human_age(*at, context.clock.now()) : "");
}
}  // namespace

std::string environments_table(const json& environments, const Context& context) {
  Table table({{"NAME"}, {"USER"}, {"REVISION", Align::right}, {"PACKAGES", Align::right}, {"SIZE", Align::right}, {"CHANGED"}, {"VERIFIED"}, {"DEFAULT"}, {"PATH", Align::left, 20}});
  for (const json& environment : environments) {
    const Result<Timestamp> changed = parse_timestamp(text_field(environment, "updated_at"));
    table.add({text_field(environment, "name"), text_field(environment, "user"), std::to_string(number_field(environment, "revision")),
               std::to_string(number_field(environment, "packages")), bytes_field(environment, "size_bytes"),
               changed ? human_age(*changed, context.clock.now()) : "", verified_text(environment, context), flag_field(environment, "default") ? "yes" : "", text_field(environment, "path")});
  }
  return table.render(context.streams.style);
}

Outcome<> print_environment(const Context& context, const json& environment) {
  print_answer(context, environment, environments_table(json::array({environment}), context));
  return {};
}

}  // namespace berth::cli
