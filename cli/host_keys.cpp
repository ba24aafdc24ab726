// berth hostkey …
#include <ostream>

#include "base/human.hpp"
#include "cli/interact.hpp"

namespace berth::cli {
namespace {

using nlohmann::json;

std::string when(const json& record, const char* name) {
  const std::string text = text_field(record, name);
  return text.empty() ? "-" : text.substr(0, 19) + "Z";
}

std::string table_of(const json& keys, const TextStyle& style) {
  Table table({{"TYPE"}, {"FINGERPRINT"}, {"STATE"}, {"MADE"}, {"RETIRES"}});
  for (const json& key : keys)
    table.add({text_field(key, "type"), text_field(key, "fingerprint"), text_field(key, "state"), when(key, "created_at"), when(key, "retires_at")});
  return table.render(style);
}

}  // namespace

Outcome<> hostkey_list(const Invocation&, const Context& context) {
  const Outcome<json> keys = context.api.items("/host-keys");
  if (!keys) return keys.error();
  print_answer(context, {{"items", *keys}}, table_of(*keys, context.streams.style), "no host keys");
  return {};
}

Outcome<> hostkey_rotate(const Invocation& given, const Context& context) {
  json body = {{"type", given["TYPE"]}};
  if (given.has("--overlap")) {
    const Result<std::chrono::seconds> overlap = parse_duration(given["--overlap"]);
    if (!overlap) return usage_failure("--overlap takes a span such as 30d; not '" + given["--overlap"] + "'");
    body["overlap_s"] = overlap->count();
  }
  const Outcome<json> made = context.api.post("/host-keys", body);
  if (!made) return made.error();
  const bool next = text_field(*made, "state") == "next";
  print_answer(context, *made,
               "made " + text_field(*made, "type") + " " + text_field(*made, "fingerprint") +
                   (next ? "; clients learn it from now on, and it takes over when the old one retires (berth hostkey list)\n" : "; it is in use\n"));
  return {};
}

Outcome<> hostkey_retire(const Invocation& given, const Context& context) {
  const std::string question = "Forget this host key now? Clients that have not learned its successor will warn.";
  if (const Outcome<> confirmed = confirm(given, context, {}, question); !confirmed) return confirmed;
  const Outcome<json> retired = context.api.remove("/host-keys/" + percent_encode(given["FINGERPRINT"]));
  if (!retired) return retired.error();
  print_answer(context, *retired, "retired " + printable(given["FINGERPRINT"]) + "\n");
  return {};
}

Outcome<> hostkey_export(const Invocation& given, const Context& context) {
  if (given.has("--sshfp") && given.has("--known-hosts")) return usage_failure("give --known-hosts or --sshfp, not both");
  const Outcome<json> keys = context.api.get("/host-keys");
  if (!keys) return keys.error();
  print_answer(context, *keys, printable_lines(text_field(*keys, given.has("--sshfp") ? "sshfp" : "known_hosts")));
  return {};
}

}  // namespace berth::cli
