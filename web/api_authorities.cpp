// Certificate authorities, their revocations, and certificates of our own.
#include <charconv>

#include "auth/authorities.hpp"
#include "auth/sessions.hpp"
#include "base/encoding.hpp"
#include "web/api.hpp"
#include "web/lane_server.hpp"
#include "web/records.hpp"

namespace berth::web {
namespace asio = boost::asio;
namespace {

constexpr std::size_t kMostListed = 100'000;

Error no_authorities() { return Error{ErrorKind::unavailable, "this server has no SSH door"}; }

nlohmann::json to_json(const auth::Authority& authority) {
  return {{"name", authority.name},
          {"type", authority.type},
          {"fingerprint", authority.fingerprint},
          {"public_key", authority.type + " " + base64_encode(authority.blob) + " " + authority.name},
          {"principals", authority.principals},
          {"issues", authority.issues},
          {"added_at", time_json(authority.added_at)},
          {"revoked", authority.revoked}};
}

// A hash of a key as ssh-keygen -lf prints it.
std::string fingerprint_text(std::string_view name, std::string_view hash) {
  std::string text = base64_encode(hash);
  text.erase(text.find_last_not_of('=') + 1);
  return std::string(name) + ":" + text;
}

nlohmann::json to_json(const auth::StoredRevocation& stored) {
  using Kind = auth::Revocation::Kind;
  const auth::Revocation& each = stored.revocation;
  nlohmann::json item = {{"added_at", time_json(stored.added_at)}};
  switch (each.kind) {
    case Kind::serials:
      item["kind"] = "serial";
      item["value"] = std::to_string(each.first);
      if (each.last != each.first) item["last"] = std::to_string(each.last);
      break;
    case Kind::key_id:
      item["kind"] = "key_id";
      item["value"] = each.value;
      break;
    case Kind::key_sha256:
    case Kind::key_sha1:
      item["kind"] = "key";
      item["value"] = fingerprint_text(each.kind == Kind::key_sha1 ? "SHA1" : "SHA256", each.value);
      break;
  }
  return item;
}

Result<std::vector<std::string>> texts_in(const ApiCall& call, std::string_view name) {
  std::vector<std::string> texts;
  const auto found = call.body.find(name);
  if (found == call.body.end() || found->is_null()) return texts;
  const Error wrong{ErrorKind::invalid, "'" + std::string(name) + "' is not a list of strings"};
  if (!found->is_array()) return wrong;
  for (const nlohmann::json& each : *found) {
    if (!each.is_string()) return wrong;
    texts.push_back(each.get<std::string>());
  }
  return texts;
}

// "17" or "17-40".
Result<auth::Revocation> parse_serials(std::string_view text) {
  auth::Revocation range;
  const auto number = [](std::string_view digits, std::uint64_t& into) {
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), into);
    return error == std::errc{} && end == digits.data() + digits.size();
  };
  const std::size_t dash = text.find('-');
  bool good = number(text.substr(0, dash), range.first);
  range.last = range.first;
  if (dash != std::string_view::npos) good = good && number(text.substr(dash + 1), range.last);
  if (!good || range.first > range.last) return Error{ErrorKind::invalid, "'" + std::string(text.substr(0, 64)) + "' is not a serial or a range of them (17 or 17-40)"};
  return range;
}

Result<std::vector<auth::Revocation>> revocations_in(const ApiCall& call, const auth::Authorities& authorities) {
  std::vector<auth::Revocation> entries;
  const auto serials = texts_in(call, "serials"), key_ids = texts_in(call, "key_ids");
  if (!serials) return serials.error();
  if (!key_ids) return key_ids.error();
  for (const std::string& text : *serials) {
    const auto range = parse_serials(text);
    if (!range) return range.error();
    entries.push_back(*range);
  }
  for (const std::string& id : *key_ids) entries.push_back({auth::Revocation::Kind::key_id, {}, 0, 0, id});
  const auto public_key = call.text("public_key", ""), krl = call.text("krl", "");
  if (!public_key) return public_key.error();
  if (!krl) return krl.error();
  if (!public_key->empty()) {
    const auto key = authorities.revocation_of_key(*public_key);
    if (!key) return key.error();
    entries.push_back(*key);
  }
  if (!krl->empty()) {
    const auto bytes = base64_decode(*krl);
    if (!bytes) return Error{ErrorKind::invalid, "'krl' is not base64"};
    const auto listed = auth::parse_krl(*bytes);
    if (!listed) return listed.error();
    entries.insert(entries.end(), listed->begin(), listed->end());
  }
  if (entries.empty()) return Error{ErrorKind::invalid, "say what is revoked: serials, key_ids, public_key or krl"};
  return entries;
}

}  // namespace

std::size_t end_broken_certificates(const ApiCall& call) {
  const auth::Authorities* authorities = call.lane.services().authorities;
  if (!authorities) return 0;
  std::size_t ended = 0;
  for (const std::string& id : authorities->broken_uses(*call.lane.reader))
    ended += call.lane.services().sessions.kill(id, "the certificate is not accepted any more");
  return ended;
}

asio::awaitable<ApiReply> get_authorities(ApiCall& call) {
  const auth::Authorities* authorities = call.lane.services().authorities;
  if (!authorities) co_return no_authorities();
  nlohmann::json items = nlohmann::json::array();
  for (const auth::Authority& authority : authorities->list(*call.lane.reader)) items.push_back(to_json(authority));
  co_return list_response(std::move(items));
}

asio::awaitable<ApiReply> post_authority(ApiCall& call) {
  auth::Authorities* authorities = call.lane.services().authorities;
  if (!authorities) co_return no_authorities();
  const auto name = call.text("name"), public_key = call.text("public_key");
  const auto principals = texts_in(call, "principals");
  if (!name) co_return name.error();
  if (!public_key) co_return public_key.error();
  if (!principals) co_return principals.error();
  auto added = co_await authorities->add(call.caller.actor, *name, *public_key, *principals);
  if (!added) co_return added.error();
  co_return json_response(to_json(*added), 201);
}

asio::awaitable<ApiReply> delete_authority(ApiCall& call) {
  auth::Authorities* authorities = call.lane.services().authorities;
  if (!authorities) co_return no_authorities();
  auto removed = co_await authorities->remove(call.caller.actor, call.params[0]);
  if (!removed) co_return removed.error();
  co_return json_response({{"ended_sessions", end_broken_certificates(call)}});
}

asio::awaitable<ApiReply> get_revocations(ApiCall& call) {
  const auth::Authorities* authorities = call.lane.services().authorities;
  if (!authorities) co_return no_authorities();
  if (!authorities->find(*call.lane.reader, call.params[0])) co_return Error{ErrorKind::not_found, "there is no authority '" + call.params[0] + "'"};
  nlohmann::json items = nlohmann::json::array();
  for (const auth::StoredRevocation& each : authorities->revocations(*call.lane.reader, call.params[0])) {
    items.push_back(to_json(each));
    if (items.size() == kMostListed) break;
  }
  co_return list_response(std::move(items));
}

asio::awaitable<ApiReply> post_revocations(ApiCall& call) {
  auth::Authorities* authorities = call.lane.services().authorities;
  if (!authorities) co_return no_authorities();
  auto entries = revocations_in(call, *authorities);
  if (!entries) co_return entries.error();
  auto added = co_await authorities->revoke(call.caller.actor, call.params[0], std::move(*entries));
  if (!added) co_return added.error();
  co_return json_response({{"added", *added}, {"ended_sessions", end_broken_certificates(call)}});
}

asio::awaitable<ApiReply> post_certificate(ApiCall& call) {
  auth::Authorities* authorities = call.lane.services().authorities;
  if (!authorities) co_return no_authorities();
  const auto public_key = call.text("public_key"), user = call.text("user", call.caller.actor.name);
  if (!public_key) co_return public_key.error();
  if (!user) co_return user.error();
  const auto lifetime = call.number("lifetime_s");
  if (!lifetime) co_return lifetime.error();
  auto issued = co_await authorities->issue(call.caller.actor, *user, *public_key, std::chrono::seconds(lifetime->value_or(0)));
  if (!issued) co_return issued.error();
  co_return json_response({{"certificate", issued->line},
                           {"user", issued->user},
                           {"serial", std::to_string(issued->serial)},
                           {"key_id", issued->key_id},
                           {"fingerprint", issued->fingerprint},
                           {"valid_after", time_json(issued->valid_after)},
                           {"valid_before", time_json(issued->valid_before)}},
                          201);
}

}  // namespace berth::web
