// The audit trail: rows, one row, what is new, export, and whether the chain is whole.
#include <charconv>

#include "auth/audit.hpp"
#include "web/api.hpp"
#include "web/lane_server.hpp"
#include "web/pages.hpp"
#include "web/records.hpp"

namespace berth::web {
namespace asio = boost::asio;
namespace {

constexpr std::size_t kDefaultRows = 200, kMaxRows = 10'000, kExportRows = 1000;
constexpr std::size_t kMostWait_s = 30;
constexpr std::chrono::milliseconds kLook{500};  // how often a wait for new rows looks for them

Result<Timestamp> time_in(const ApiCall& call, std::string_view name) {
  const auto text = call.query(name);
  if (!text || text->empty()) return Timestamp{};
  const auto time = parse_timestamp(*text);
  if (!time) return Error{ErrorKind::invalid, "'" + std::string(name) + "' is not a time such as 2026-11-22T17:54:51Z"};
  return *time;
}

Result<auth::AuditFilter> filter_in(const ApiCall& call) {
  auth::AuditFilter filter;
  filter.user = call.query("user").value_or("");
  filter.action = call.query("action").value_or("");
  const auto since = time_in(call, "since"), until = time_in(call, "until");
  if (!since) return since.error();
  if (!until) return until.error();
  filter.since = *since;
  filter.until = *until;
  return filter;
}

std::optional<std::int64_t> number_in(std::string_view text) {
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number < 0) return std::nullopt;
  return number;
}

// Rows after `after`, or the newest when it is not given. On the background thread: a filter may have to look at every row.
struct Page {
  std::vector<auth::AuditRow> rows;
  std::int64_t next = 0;
};
asio::awaitable<Page> read_page(const WebServices& services, auth::AuditFilter filter, std::optional<std::int64_t> after, std::size_t limit) {
  const auto reader = services.store.open_reader();
  Page page;
  if (after) {
    page.rows = services.audit.after(*reader, *after, limit, filter, page.next);
  } else {
    page.next = services.audit.head(*reader);  // before: what is written meanwhile comes twice rather than never
    page.rows = services.audit.tail(*reader, limit, filter);
    if (!page.rows.empty()) page.next = std::max(page.next, page.rows.back().number);
  }
  co_return page;
}

asio::awaitable<Page> page_of(LaneServer& lane, auth::AuditFilter filter, std::optional<std::int64_t> after, std::size_t limit) {
  auto work = read_page(lane.services(), std::move(filter), after, limit);
  Page page = co_await asio::co_spawn(lane.shared.background, std::move(work), asio::use_awaitable);
  co_return page;
}

asio::awaitable<auth::AuditVerdict> verify_audit(const WebServices& services) {
  const auto reader = services.store.open_reader();
  co_return services.audit.verify(*reader);
}

// Until there is a row after `number`, the client leaves, or the time is over.
asio::awaitable<void> wait_for_row(ApiCall& call, std::int64_t number, std::chrono::seconds limit) {
  asio::steady_timer timer(call.lane.lane.io);
  const auto end = std::chrono::steady_clock::now() + limit;
  while (call.lane.services().audit.head(*call.lane.reader) <= number && std::chrono::steady_clock::now() < end) {
    if (call.lane.stopping() || call.client.stream.peer_hung_up()) co_return;
    timer.expires_after(kLook);
    co_await timer.async_wait(asio::use_awaitable);
  }
}

// An anchor is a row's hash that somebody noted elsewhere.
std::string anchor_verdict(const ApiCall& call, std::int64_t number, std::string_view hash, const auth::AuditVerdict& verdict) {
  if (number < verdict.first) return "cut";
  const auto row = call.lane.services().audit.find(*call.lane.reader, number);
  if (!row) return "missing";
  return row->hash == hash ? "matches" : "differs";
}

}  // namespace

asio::awaitable<ApiReply> get_audit(ApiCall& call) {
  const auto filter = filter_in(call);
  if (!filter) co_return filter.error();
  const std::size_t limit = call.query_number("limit", kDefaultRows, kMaxRows);
  std::optional<std::int64_t> after;
  if (const auto text = call.query("after")) {
    after = number_in(*text);
    if (!after) co_return Error{ErrorKind::invalid, "'after' is not the number of a row"};
    const std::chrono::seconds wait(call.query_number("wait_s", 0, kMostWait_s));
    if (wait.count() > 0) co_await wait_for_row(call, *after, wait);
  }
  const Page page = co_await page_of(call.lane, *filter, after, limit);
  nlohmann::json items = nlohmann::json::array();
  for (const auth::AuditRow& row : page.rows) items.push_back(to_json(row));
  co_return json_response({{"items", std::move(items)}, {"next", page.next}});
}

asio::awaitable<ApiReply> get_audit_row(ApiCall& call) {
  const auto number = number_in(call.params[0]);
  const auto row = number ? call.lane.services().audit.find(*call.lane.reader, *number) : std::nullopt;
  if (!row) co_return Error{ErrorKind::not_found, "there is no such audit row"};
  co_return json_response(to_json(*row));
}

asio::awaitable<ApiReply> get_audit_verify(ApiCall& call) {
  const auto anchor_hash = call.query("hash");
  const auto anchor = anchor_hash ? number_in(call.query("number").value_or("")) : std::nullopt;
  if (anchor_hash && !anchor) co_return Error{ErrorKind::invalid, "'hash' needs the 'number' of its row"};
  auto work = verify_audit(call.lane.services());
  const auth::AuditVerdict verdict = co_await asio::co_spawn(call.lane.shared.background, std::move(work), asio::use_awaitable);
  nlohmann::json answer = {{"ok", !verdict.first_broken}, {"first", verdict.first}, {"rows", verdict.rows}, {"head", nullptr}};
  if (verdict.first_broken) answer["first_broken"] = *verdict.first_broken;
  else answer["head"] = {{"number", verdict.head}, {"hash", verdict.head_hash}};
  if (anchor) {
    const std::string found = anchor_verdict(call, *anchor, *anchor_hash, verdict);
    answer["anchor"] = found;
    if (found == "differs" || found == "missing") answer["ok"] = false;
  }
  co_return json_response(answer);
}

asio::awaitable<ApiReply> get_audit_export(ApiCall& call) {
  const auto filter = filter_in(call);
  if (!filter) co_return filter.error();
  call.lane.services().audit.note(call.caller.actor, "audit.export", "audit", "ok");
  Response head;
  head.content_type = "application/x-ndjson";
  add_security_headers(head, false);
  auto sent = co_await call.client.start_parts(std::move(head));
  std::int64_t after = 0;
  while (sent) {
    const Page page = co_await page_of(call.lane, *filter, after, kExportRows);
    std::string part;
    for (const auth::AuditRow& row : page.rows) part += dump_json(to_json(row)) + "\n";
    if (!part.empty()) sent = co_await call.client.send_part(part);
    if (page.rows.size() < kExportRows) break;
    after = page.next;
  }
  if (sent) sent = co_await call.client.finish_parts();
  if (!sent) call.client.stream.close();  // no last chunk: the client sees that it was cut
  co_return std::nullopt;
}

}  // namespace berth::web
