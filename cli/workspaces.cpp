// berth workspace …
#include <optional>
#include <ostream>

#include "base/human.hpp"
#include "base/views.hpp"
#include "cli/interact.hpp"

namespace berth::cli {
namespace {

using nlohmann::json;

// An image may have to be unpacked first: berthd reports progress, and only long silence counts.
constexpr std::chrono::minutes kStartSilence{10};

void print_workspace(const Context& context, const json& workspace) {
  print_answer(context, workspace, views::workspaces(json::array({workspace}), context.clock.now(), context.streams.style));
}

Outcome<> act(const Invocation& given, const Context& context, std::string_view action) {
  const Outcome<json> workspace = context.api.post(workspace_path(given["WORKSPACE"], context) + std::string(action), json::object());
  if (!workspace) return workspace.error();
  print_workspace(context, *workspace);
  return {};
}

}  // namespace

Outcome<> workspace_list(const Invocation& given, const Context& context) {
  const Outcome<json> workspaces = context.api.items("/workspaces" + whose_query(given, context));
  if (!workspaces) return workspaces.error();
  print_answer(context, {{"items", *workspaces}}, views::workspaces(*workspaces, context.clock.now(), context.streams.style), "no workspaces");
  return {};
}

Outcome<> workspace_start(const Invocation& given, const Context& context) {
  std::optional<json> done;
  std::optional<Failure> failure;
  const auto on_event = [&](std::string_view name, const std::string& data) {
    json document = json::parse(data, nullptr, /*allow_exceptions=*/false);
    if (name == "progress") {
      context.streams.err << printable(text_field(document, "line")) << '\n' << std::flush;
    } else if (name == "done") {
      done = std::move(document);
    } else if (name == "failed") {
      failure = failure_in(document);
    }
    return !done && !failure;
  };
  const Outcome<> followed = context.api.follow(workspace_path(given["WORKSPACE"], context) + "/start", kStartSilence, on_event);
  if (!followed) return followed;
  if (failure) return *failure;
  if (!done) return Failure{ExitCode::unreachable, {ErrorKind::closed, "berthd went away before the workspace was running"}};
  print_workspace(context, *done);
  return {};
}

Outcome<> workspace_stop(const Invocation& given, const Context& context) { return act(given, context, "/stop"); }
Outcome<> workspace_reset(const Invocation& given, const Context& context) { return act(given, context, "/reset"); }

Outcome<> workspace_image(const Invocation& given, const Context& context) {
  const std::string path = workspace_path(given["WORKSPACE"], context) + "/image";
  const Outcome<json> images = given.has("IMAGE") ? context.api.post(path, {{"image", given["IMAGE"]}}) : context.api.get(path);
  if (!images) return images.error();
  Table table({{""}, {"IMAGE"}, {"GLIBC"}, {"DESCRIPTION"}, {"REFERENCE", Align::left, 20}});
  std::string notes;
  for (const json& image : images->value("items", json::array())) {
    const bool chosen = image.value("chosen", json()) == true;
    table.add({chosen ? "*" : "", text_field(image, "name"), text_field(image, "glibc"), text_field(image, "description"), text_field(image, "image")});
    for (const json& warning : image.value("warnings", json::array())) {
      if (chosen && warning.is_string()) notes += "note: " + printable(warning.get<std::string>()) + "\n";
    }
  }
  if (images->value("restart", json()) == true) notes += "it runs with another image: stop it, and the next start makes it anew; home and environments stay\n";
  print_answer(context, *images, table.render(context.streams.style) + notes);
  return {};
}

Outcome<> workspace_remove(const Invocation& given, const Context& context) {
  const std::string workspace = workspace_label(given["WORKSPACE"], context);
  const bool with_home = given.has("--with-home");
  if (with_home) {
    const std::string question = "Remove " + workspace + " and delete its home directory with all files in it?";
    if (const Outcome<> confirmed = confirm(given, context, {}, question); !confirmed) return confirmed;
  }
  const Outcome<json> removed = context.api.remove(workspace_path(given["WORKSPACE"], context) + (with_home ? "?home=1" : ""));
  if (!removed) return removed.error();
  print_answer(context, *removed, "removed " + workspace + (with_home ? " and its home\n" : "; the home stays\n"));
  return {};
}

}  // namespace berth::cli
