#include "cli/interact.hpp"

#include <charconv>
#include <istream>
#include <ostream>

#include "base/human.hpp"

namespace berth::cli {

using nlohmann::json;

void print_json(const Context& context, const json& document) {
  context.streams.out << document.dump(2, ' ', /*ensure_ascii=*/true, json::error_handler_t::replace) << '\n';
}

void print_answer(const Context& context, const json& document, std::string_view text, std::string_view nothing) {
  if (context.json) {
    print_json(context, document);
  } else if (text.empty()) {
    context.streams.err << nothing << '\n';
  } else {
    context.streams.out << text;
  }
}

void say(const Context& context, std::string_view sentence) {
  if (!context.json) context.streams.out << printable(sentence) << '\n';
}

Outcome<> confirm(const Invocation& given, const Context& context, std::string_view preview, std::string_view question) {
  if (given.has("--yes")) return {};
  Streams& streams = context.streams;
  if (!streams.in_is_terminal) return usage_failure("this asks before it acts, and nobody can be asked here: give --yes");
  streams.err << preview << question << " [y/N] " << std::flush;
  std::string answer;
  std::getline(streams.in, answer);
  if (answer == "y" || answer == "Y" || answer == "yes") return {};
  return Failure{ExitCode::failed, {ErrorKind::conflict, "nothing was changed"}};
}

namespace {

// Nothing when the option is not given.
Outcome<std::optional<Timestamp>> parse_end(const Invocation& given, std::string_view option, Timestamp now) {
  if (!given.has(option)) return std::optional<Timestamp>();
  const std::string& text = given[option];
  const auto in_future = [&](Timestamp time) -> Outcome<std::optional<Timestamp>> {
    if (time <= now) return usage_failure(std::string(option) + " '" + text + "' has passed already");
    return std::optional(time);
  };
  if (const Result<std::chrono::seconds> span = parse_duration(text)) {
    if (*span > std::chrono::years(200)) return usage_failure(std::string(option) + ": at most 200 years");
    return in_future(now + *span);
  }
  const Result<Timestamp> time = parse_timestamp(text);
  if (!time) return usage_failure(std::string(option) + " takes a span such as 90d, or a time such as 2027-01-31; not '" + text + "'");
  // A day means all of it.
  return in_future(text.size() == 10 ? *time + std::chrono::days(1) : *time);
}

}  // namespace

Outcome<> take_end(const Invocation& given, const Context& context, std::string_view option, const char* field, nlohmann::json& body) {
  const Outcome<std::optional<Timestamp>> end = parse_end(given, option, context.clock.now());
  if (!end) return end.error();
  if (*end) body[field] = format_timestamp(**end);
  return {};
}

Outcome<> take_lifetime(const Invocation& given, const Context& context, std::string_view option, nlohmann::json& body) {
  const Timestamp now = context.clock.now();
  const Outcome<std::optional<Timestamp>> end = parse_end(given, option, now);
  if (!end) return end.error();
  if (*end) body["lifetime_s"] = std::chrono::duration_cast<std::chrono::seconds>(**end - now).count();
  return {};
}

namespace {

constexpr std::size_t kInputCap = 1024 * 1024;

struct WorkspaceWords {
  std::string user, name;
};

WorkspaceWords split_workspace(std::string_view workspace, const Self* self) {
  const std::size_t sign = workspace.find_first_of("+/");
  if (sign != std::string_view::npos) return {std::string(workspace.substr(0, sign)), std::string(workspace.substr(sign + 1))};
  if (self != nullptr) return {self->user, workspace.empty() ? self->workspace : std::string(workspace)};
  return {std::string(workspace), "main"};
}

}  // namespace

std::string workspace_path(std::string_view workspace, const Context& context) {
  const WorkspaceWords words = split_workspace(workspace, context.self);
  return "/workspaces/" + percent_encode(words.user) + "/" + percent_encode(words.name);
}

std::string workspace_label(std::string_view workspace, const Context& context) {
  const WorkspaceWords words = split_workspace(workspace, context.self);
  if (context.self != nullptr && words.user == context.self->user) return printable(words.name);
  return printable(words.name == "main" ? words.user : words.user + "+" + words.name);
}

std::string user_of(const Invocation& given, const Context& context) {
  if (given.has("USER") || context.self == nullptr) return given["USER"];
  return context.self->user;
}

std::string whose_query(const Invocation& given, const Context& context) {
  const std::string user = given.has("--everybody") ? std::string() : user_of(given, context);
  return user.empty() ? "?all=1" : "?user=" + percent_encode(user);
}

Outcome<std::string> read_input(const std::string& file, const Context& context) {
  if (!file.empty() && file != "-") {
    if (context.files == nullptr) return usage_failure("over SSH a file is given on standard input: ssh HOST berth … < FILE");
    return context.files->read(file, kInputCap);
  }
  std::istream& input = context.streams.in;
  std::string text(kInputCap + 1, '\0');
  input.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (input.bad()) return failure_of({ErrorKind::invalid, "cannot read standard input"});
  text.resize(static_cast<std::size_t>(input.gcount()));
  if (text.size() > kInputCap) return failure_of({ErrorKind::invalid, "standard input is larger than 1 MiB"});
  return text;
}

std::string text_field(const json& record, const char* name) {
  const auto field = record.is_object() ? record.find(name) : record.end();
  return field != record.end() && field->is_string() ? field->get<std::string>() : std::string();
}

json comma_list(std::string_view list) {
  json words = json::array();
  for (std::size_t begin = 0; begin <= list.size();) {
    const std::size_t end = std::min(list.find(',', begin), list.size());
    if (end > begin) words.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

Outcome<std::string> limit_query(const std::string& value) {
  unsigned number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size() || number == 0) {
    return usage_failure("--limit takes a whole number from 1 on; not '" + value + "'");
  }
  return "limit=" + std::to_string(number);
}

}  // namespace berth::cli
