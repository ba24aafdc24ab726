// berth status, berth backup, berth audit …
#include <filesystem>

#include "base/human.hpp"
#include "base/views.hpp"
#include "cli/interact.hpp"

namespace berth::cli {

using nlohmann::json;

Outcome<> show_status(const Invocation&, const Context& context) {
  const Outcome<json> status = context.api.get("/status");
  if (!status) return status.error();
  print_answer(context, *status, views::status(*status, context.streams.style));
  return {};
}

Outcome<> backup(const Invocation& given, const Context& context) {
  if (context.files == nullptr) return usage_failure("a backup is made on the machine itself: sudo berth backup FILE");
  const std::string file = given["FILE"];
  const auto fill = [&](const UnixHttp::Sink& sink) { return context.api.download("/backup", sink); };
  const Outcome<std::uint64_t> size = context.files->write_store(file, given.has("--force"), fill);
  if (!size) return size.error();
  std::error_code ignored;
  print_answer(context, {{"file", std::filesystem::absolute(file, ignored).string()}, {"bytes", *size}},
               "wrote " + printable(file) + ", " + human_bytes(*size) + "\n");
  return {};
}

Outcome<> audit_tail(const Invocation& given, const Context& context) {
  const Outcome<std::string> limit = limit_query(given.has("--limit") ? given["--limit"] : "20");
  if (!limit) return limit.error();
  const Outcome<json> rows = context.api.items("/audit?" + *limit);
  if (!rows) return rows.error();
  print_answer(context, {{"items", *rows}}, views::audit(*rows, context.streams.style), "no audit rows");
  return {};
}

Outcome<> audit_verify(const Invocation&, const Context& context) {
  const Outcome<json> verdict = context.api.get("/audit/verify");
  if (!verdict) return verdict.error();
  const bool whole = verdict->is_object() && verdict->value("ok", json(false)) == json(true);
  if (context.json) print_json(context, *verdict);
  if (whole) {
    say(context, "the audit trail is whole");
    return {};
  }
  const std::string row = verdict->is_object() ? verdict->value("first_broken", json()).dump() : "null";
  return Failure{ExitCode::failed, {ErrorKind::conflict, "the audit trail is broken: row " + row + " does not follow from the one before it"}};
}

}  // namespace berth::cli
