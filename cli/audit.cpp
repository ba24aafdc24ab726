// berth audit …
#include <algorithm>
#include <ostream>

#include "base/human.hpp"
#include "base/views.hpp"
#include "cli/interact.hpp"

namespace berth::cli {
namespace {

using nlohmann::json;

// "24h" before now, "2026-11-01" or a full time.
Outcome<Timestamp> parse_moment(std::string_view option, const std::string& text, Timestamp now) {
  if (const Result<std::chrono::seconds> span = parse_duration(text)) {
    if (*span > std::chrono::years(200)) return usage_failure(std::string(option) + ": at most 200 years");
    return now - *span;
  }
  const Result<Timestamp> time = parse_timestamp(text);
  if (!time) return usage_failure(std::string(option) + " takes a span such as 24h, or a time such as 2026-11-22; not '" + text + "'");
  return *time;
}

// "&user=…&since=…"
Outcome<std::string> filters_in(const Invocation& given, const Context& context) {
  std::string query;
  for (const auto& [option, name] : {std::pair("--user", "user"), std::pair("--action", "action")}) {
    if (given.has(option)) query += std::string("&") + name + "=" + percent_encode(given[option]);
  }
  for (const auto& [option, name] : {std::pair("--since", "since"), std::pair("--until", "until")}) {
    if (!given.has(option)) continue;
    const Outcome<Timestamp> time = parse_moment(option, given[option], context.clock.now());
    if (!time) return time.error();
    query += std::string("&") + name + "=" + percent_encode(format_timestamp(*time));
  }
  return query;
}

std::string next_of(const json& page) { return page.is_object() && page.contains("next") && page["next"].is_number_integer() ? page["next"].dump() : "0"; }

// A line each, at once: somebody may be reading along.
void print_rows(const Context& context, const json& rows) {
  for (const json& row : rows) {
    if (context.json) context.streams.out << row.dump(-1, ' ', true, json::error_handler_t::replace) << '\n';
    else context.streams.out << views::audit_line(row, context.streams.style);
  }
  context.streams.out.flush();
}

// New rows as they come, until berthd or the reader goes away.
Outcome<> follow(const Context& context, const std::string& filters, std::string next) {
  const auto wait = std::clamp<std::int64_t>(std::chrono::duration_cast<std::chrono::seconds>(context.api.limit()).count() / 2, 1, 20);
  for (;;) {
    const Outcome<json> page = context.api.get("/audit?limit=1000&after=" + next + "&wait_s=" + std::to_string(wait) + filters);
    if (!page) return page.error();
    print_rows(context, page->value("items", json::array()));
    if (!context.streams.out) return Failure{ExitCode::failed, {ErrorKind::closed, "nobody reads the answer any more"}};
    next = next_of(*page);
  }
}

}  // namespace

Outcome<> audit_tail(const Invocation& given, const Context& context) {
  const Outcome<std::string> limit = limit_query(given.has("--limit") ? given["--limit"] : "20");
  if (!limit) return limit.error();
  const Outcome<std::string> filters = filters_in(given, context);
  if (!filters) return filters.error();
  const Outcome<json> page = context.api.get("/audit?" + *limit + *filters);
  if (!page) return page.error();
  const json rows = page->is_object() ? page->value("items", json::array()) : json::array();
  if (!given.has("--follow")) {
    print_answer(context, {{"items", rows}}, views::audit(rows, context.streams.style), "no audit rows");
    return {};
  }
  print_rows(context, rows);
  return follow(context, *filters, next_of(*page));
}

Outcome<> audit_show(const Invocation& given, const Context& context) {
  const Outcome<json> row = context.api.get("/audit/" + percent_encode(given["N"]));
  if (!row) return row.error();
  print_answer(context, *row, views::audit_row(*row, context.streams.style));
  return {};
}

Outcome<> audit_export(const Invocation& given, const Context& context) {
  const Outcome<std::string> filters = filters_in(given, context);
  if (!filters) return filters.error();
  const auto print = [&](std::string_view piece) -> Result<void> {
    context.streams.out << piece;
    if (!context.streams.out) return Error{ErrorKind::closed, "cannot write the rows"};
    return {};
  };
  return context.api.download("/audit/export?" + *filters, print);
}

Outcome<> audit_verify(const Invocation& given, const Context& context) {
  std::string query;
  if (given.has("--anchor")) {
    const std::string anchor = given["--anchor"];
    const std::size_t colon = anchor.find(':');
    if (colon == std::string::npos) return usage_failure("--anchor takes a row and its hash, NUMBER:HASH, as an earlier `berth audit verify` printed them");
    query = "?number=" + percent_encode(anchor.substr(0, colon)) + "&hash=" + percent_encode(anchor.substr(colon + 1));
  }
  const Outcome<json> verdict = context.api.get("/audit/verify" + query);
  if (!verdict) return verdict.error();
  const bool whole = verdict->is_object() && verdict->value("ok", json(false)) == json(true);
  if (context.json) print_json(context, *verdict);
  if (whole) {
    const json head = verdict->value("head", json());
    say(context, "the audit trail is whole: " + verdict->value("rows", json(0)).dump() + " rows from number " + verdict->value("first", json(1)).dump());
    if (head.is_object()) say(context, "to compare later, keep: --anchor " + head.value("number", json(0)).dump() + ":" + text_field(head, "hash"));
    return {};
  }
  if (verdict->is_object() && verdict->contains("anchor") && !verdict->contains("first_broken")) {
    return Failure{ExitCode::failed, {ErrorKind::conflict, "the audit trail is not the one of the anchor: it has been rewritten or cut off since"}};
  }
  const std::string row = verdict->is_object() ? verdict->value("first_broken", json()).dump() : "null";
  return Failure{ExitCode::failed, {ErrorKind::conflict, "the audit trail is broken: row " + row + " does not follow from the one before it"}};
}

}  // namespace berth::cli
