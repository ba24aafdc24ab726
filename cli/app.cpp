#include "cli/app.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <ostream>
#include <vector>

#include "base/human.hpp"
#include "cli/interact.hpp"

#ifndef BERTH_VERSION
#error "BERTH_VERSION is set by cli/CMakeLists.txt"
#endif

namespace berth::cli {
namespace {

// The parser of one row of the table.
struct Parsed {
  const Command* command;
  CLI::App* parser;
  std::vector<std::pair<std::string, CLI::Option*>> options;
};

struct Globals {
  std::string socket_path = "/run/berth/admin.sock";
  std::string timeout = "60s";
  bool json = false;
};

constexpr std::string_view kBesides =
    "ssh -t HOST berth attach shows a terminal again whose connection was lost (berth attach --help).\n"
    "Everything else that you run goes to your workspace; NAME+other@HOST is your workspace 'other'.\n";

std::string exit_code_help() {
  std::string text = "Exit codes:\n";
  for (const ExitCodeRow& row : kExitCodes) {
    text += "  " + std::to_string(static_cast<int>(row.code)) + "  " + std::string(row.meaning) + "\n";
  }
  text.pop_back();
  return text;
}

Parsed add_parser(CLI::App& parent, const Command& command, const Self* self) {
  const std::string name(command.verb.empty() ? command.noun : command.verb);
  Parsed parsed{&command, parent.add_subcommand(name, std::string(command.summary)), {}};
  parsed.parser->fallthrough();
  // Not in the help: what only scripts call, and what the API would refuse this caller.
  if (command.summary.empty() || (self != nullptr && self->role < command.who)) parsed.parser->group("");
  for (const Parameter& parameter : command.parameters) {
    if (parameter.name.empty()) continue;
    const bool may_be_left_out = self != nullptr && !parameter.ssh_help.empty();
    const std::string help(may_be_left_out ? parameter.ssh_help : parameter.help);
    CLI::Option* option = parsed.parser->add_option(std::string(parameter.name), help);
    option->type_name("")->required(parameter.required && !may_be_left_out);
    parsed.options.emplace_back(parameter.name, option);
  }
  for (const Option& row : command.options) {
    if (row.name.empty()) continue;
    const std::string option_name = row.letter.empty() ? std::string(row.name) : std::string(row.letter) + "," + std::string(row.name);
    const std::string help(row.help);
    CLI::Option* option = row.value.empty() ? parsed.parser->add_flag(option_name, help) : parsed.parser->add_option(option_name, help);
    if (!row.value.empty()) option->type_name(std::string(row.value));
    parsed.options.emplace_back(row.name, option);
  }
  return parsed;
}

// Whether the noun's group has anything to show to this caller.
bool shows_any(const CLI::App& group) {
  const auto shown = group.get_subcommands([](const CLI::App* each) { return !each->get_group().empty(); });
  return !shown.empty();
}

std::vector<Parsed> add_commands(CLI::App& app, const Self* self) {
  std::vector<Parsed> all;
  const Faces face = self != nullptr ? kSsh : kAdminSocket;
  for (const Noun& noun : all_nouns()) {
    CLI::App* group = nullptr;
    for (const Command& command : all_commands()) {
      if (command.noun != noun.name || (command.faces & face) == 0) continue;
      if (command.verb.empty()) {
        all.push_back(add_parser(app, command, self));
        continue;
      }
      if (group == nullptr) {
        group = app.add_subcommand(std::string(noun.name), std::string(noun.summary));
        group->require_subcommand(1)->fallthrough();
      }
      all.push_back(add_parser(*group, command, self));
    }
    if (group != nullptr && !shows_any(*group)) group->group("");
  }
  return all;
}

std::map<std::string, std::string, std::less<>> words_given(const Parsed& parsed, bool over_ssh) {
  std::map<std::string, std::string, std::less<>> given;
  for (const auto& [name, option] : parsed.options) {
    if (option->count() > 0) given[name] = option->results().back();
  }
  // `key add - < new.pub` over SSH: the dash is the FILE, not the USER that was left out.
  if (over_ssh && !given.contains("FILE") && given.contains("USER") && given["USER"] == "-") given.extract("USER");
  return given;
}

int report(const Failure& failure, const Streams& streams, bool as_json) {
  if (as_json) {
    const nlohmann::json document = {{"error", {{"kind", name_of(failure.error.kind)}, {"message", failure.error.message}}}};
    streams.err << document.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace) << '\n';
  } else {
    streams.err << "berth: " << printable_lines(failure.error.message) << '\n';
  }
  return static_cast<int>(failure.code);
}

// What is wrong with the words after `chosen`, when a command is missing there.
std::string missing_command(const CLI::App& app, const CLI::App& chosen, const std::string& words) {
  std::string names;
  for (const CLI::App* command : chosen.get_subcommands([](const CLI::App* each) { return !each->get_group().empty(); })) {
    names += (names.empty() ? "" : ", ") + command->get_name();
  }
  const std::vector<std::string> rest = app.remaining(true);
  if (rest.empty()) return "say what to do: '" + words + "' takes " + names;
  return "'" + rest.front() + "' is no command of '" + words + "': " + names;
}

int report_parse_error(const CLI::App& app, const CLI::ParseError& error, const Streams& streams) {
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) return app.exit(error, streams.out, streams.err);  // --help, --version
  std::string words = "berth";
  const CLI::App* deepest = &app;
  for (auto chosen = deepest->get_subcommands(); !chosen.empty(); chosen = deepest->get_subcommands()) {
    deepest = chosen.front();
    words += " " + deepest->get_name();
  }
  const bool takes_commands = !deepest->get_subcommands([](const CLI::App*) { return true; }).empty();
  const std::string message = takes_commands && error.get_exit_code() == static_cast<int>(CLI::ExitCodes::RequiredError)
                                  ? missing_command(app, *deepest, words)
                                  : error.what();
  streams.err << "berth: " << printable(message) << "\nSee: " << words << " --help\n";
  return static_cast<int>(ExitCode::usage);
}

int run_command(const Parsed& parsed, const Globals& globals, const Place& place) {
  Streams& streams = place.streams;
  const Result<std::chrono::seconds> limit = parse_duration(globals.timeout);
  if (!limit || limit->count() == 0 || *limit > std::chrono::hours(24)) {
    return report(usage_failure("--timeout takes a span from 1s to 24h; not '" + globals.timeout + "'"), streams, globals.json);
  }
  const Api api = place.connect ? Api(place.connect, *limit) : Api(globals.socket_path, *limit);
  const Context context{api, streams, place.clock, globals.json, place.self, place.files};
  const Outcome<> outcome = parsed.command->run(Invocation(words_given(parsed, place.self != nullptr)), context);
  streams.out.flush();
  if (!outcome) return report(outcome.error(), streams, globals.json);
  if (!streams.out) return report({ExitCode::failed, {ErrorKind::internal, "cannot write the answer to standard output"}}, streams, globals.json);
  return static_cast<int>(ExitCode::done);
}

}  // namespace

int run(std::vector<std::string> arguments, const Place& place) {
  Streams& streams = place.streams;
  const bool over_ssh = place.self != nullptr;
  CLI::App app(over_ssh ? "Berth's own commands: ssh HOST berth …" : "Administer Berth on this machine, over berthd's admin socket.", "berth");
  Globals globals;
  if (over_ssh && arguments.empty()) arguments = {"help"};
  if (!over_ssh) {
    app.add_option("--admin-socket", globals.socket_path, "berthd's admin socket (/run/berth/admin.sock)")->type_name("PATH")->envname("BERTH_ADMIN_SOCKET");
  }
  app.add_option("--timeout", globals.timeout, "give up when berthd is silent for so long (60s)")->type_name("SPAN");
  app.add_flag("--json", globals.json, "print the API's JSON (docs/api.md)");
  app.set_version_flag("--version", "berth " BERTH_VERSION);
  app.require_subcommand(1);
  const std::vector<Parsed> parsers = add_commands(app, place.self);
  const CLI::App* help = app.add_subcommand("help", "this list");
  app.footer((over_ssh ? std::string(kBesides) : std::string()) + exit_code_help());  // after the commands, which would take it over
  const std::string overview = app.help();
  try {
    std::reverse(arguments.begin(), arguments.end());  // as CLI11 takes them
    app.parse(std::move(arguments));
  } catch (const CLI::ParseError& error) {
    return report_parse_error(app, error, streams);
  }
  if (help->parsed()) {
    streams.out << overview;
    return static_cast<int>(ExitCode::done);
  }
  try {
    for (const Parsed& parsed : parsers) {
      if (parsed.parser->parsed()) return run_command(parsed, globals, place);
    }
  } catch (const std::exception& error) {
    return report({ExitCode::failed, {ErrorKind::internal, error.what()}}, streams, globals.json);
  }
  return static_cast<int>(ExitCode::usage);
}

std::string command_named(const std::vector<std::string>& arguments) {
  for (const Command& command : all_commands()) {
    const std::size_t words = command.verb.empty() ? 1 : 2;
    if (arguments.size() < words || arguments[0] != command.noun || (words == 2 && arguments[1] != command.verb)) continue;
    return std::string(command.noun) + (words == 2 ? " " + std::string(command.verb) : "");
  }
  return {};
}

}  // namespace berth::cli
