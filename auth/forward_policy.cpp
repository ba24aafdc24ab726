#include "auth/forward_policy.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "auth/rows.hpp"

namespace berth::auth {
namespace {
using nlohmann::json;

constexpr std::string_view kKinds[] = {"local", "remote", "unix", "agent", "x11"};
constexpr std::string_view kAny = "any", kNone = "none";  // as in sshd_config, in place of a list
constexpr std::size_t kMostEntries = 128, kMostText = 280;

using List = std::optional<std::vector<std::string>>;

struct Field {
  std::string_view name;
  List ForwardRules::*list;
};
constexpr Field kFields[] = {{"kinds", &ForwardRules::kinds}, {"permit_open", &ForwardRules::permit_open}, {"permit_listen", &ForwardRules::permit_listen}};

Error bad(std::string_view field, std::string_view what) { return {ErrorKind::invalid, "'" + std::string(field) + "' " + std::string(what)}; }

Result<void> check_permits(std::string_view field, const List& list, bool port_alone) {
  if (!list) return {};
  if (list->empty()) return bad(field, "is empty: say any, none, or what is permitted");
  if (list->size() > kMostEntries) return bad(field, "has over 128 entries");
  for (const std::string& entry : *list) {
    if (entry == kAny || entry == kNone) {
      if (list->size() > 1) return bad(field, "has other entries beside " + entry);
    } else if (const Result<Endpoint> endpoint = parse_endpoint(entry, port_alone); !endpoint) {
      return bad(field, "has '" + stored_text(entry, 64) + "': " + endpoint.error().message);
    }
  }
  return {};
}

bool permits(const std::vector<std::string>& list, std::string_view host, std::uint32_t port, bool to_listen) {
  Permissions may;  // decides by the rules of permitopen= and permitlisten=
  auto& endpoints = (to_listen ? may.listen_on : may.connect_to).emplace();
  for (const std::string& entry : list) {
    if (entry == kAny) return true;
    if (const Result<Endpoint> endpoint = parse_endpoint(entry, to_listen)) endpoints.push_back(*endpoint);
  }
  return to_listen ? may.may_listen(host, port) : may.may_connect(host, port);
}

std::string_view refusal_there(const List& site, const List& user, std::string_view host, std::uint32_t port, bool to_listen) {
  if (user) return permits(*user, host, port, to_listen) ? std::string_view() : kForwardNotByUser;
  return !site || permits(*site, host, port, to_listen) ? std::string_view() : kForwardNotThereBySite;
}

Result<std::vector<std::string>> texts_in(std::string_view field, const json& value) {
  if (!value.is_array() || value.size() > kMostEntries) return bad(field, "is not a list of at most 128 texts");
  std::vector<std::string> texts;
  for (const json& entry : value) {
    if (!entry.is_string() || entry.get_ref<const std::string&>().size() > kMostText) return bad(field, "is not a list of short texts");
    texts.push_back(entry.get<std::string>());
  }
  return texts;
}

}  // namespace

bool is_forward_kind(std::string_view kind) { return std::find(std::begin(kKinds), std::end(kKinds), kind) != std::end(kKinds); }

Result<void> check_forward_rules(const ForwardRules& rules) {
  if (rules.kinds) {
    for (const std::string& kind : *rules.kinds)
      if (!is_forward_kind(kind)) return bad("kinds", "has '" + stored_text(kind, 64) + "': it holds local, remote, unix, agent and x11");
  }
  if (auto fits = check_permits("permit_open", rules.permit_open, false); !fits) return fits;
  return check_permits("permit_listen", rules.permit_listen, true);
}

json to_json(const ForwardRules& rules) {
  json out = json::object();
  for (const Field& field : kFields)
    if (const List& list = rules.*field.list) out[std::string(field.name)] = *list;
  return out;
}

Result<ForwardRules> forward_rules_in(const json& document) {
  if (!document.is_object()) return Error{ErrorKind::invalid, "forwards are an object or null"};
  ForwardRules rules;
  for (const auto& [name, value] : document.items()) {
    const auto field = std::find_if(std::begin(kFields), std::end(kFields), [&name = name](const Field& row) { return row.name == name; });
    if (field == std::end(kFields)) return bad(stored_text(name, 64), "is no rule of forwards");
    if (value.is_null()) continue;
    auto texts = texts_in(name, value);
    if (!texts) return texts.error();
    rules.*field->list = std::move(*texts);
  }
  if (rules.empty()) return Error{ErrorKind::invalid, "say what is set: kinds, permit_open or permit_listen"};
  if (auto fits = check_forward_rules(rules); !fits) return fits.error();
  return rules;
}

std::string stored_form(const ForwardRules& rules) { return rules.empty() ? "" : to_json(rules).dump(); }

ForwardRules stored_forward_rules(std::string_view text) {
  if (text.empty()) return {};
  const json document = json::parse(text, nullptr, false);
  auto rules = forward_rules_in(document);
  if (rules) return std::move(*rules);
  ForwardRules nothing;
  nothing.kinds.emplace();
  return nothing;
}

std::string_view ForwardPolicy::refusal_of(std::string_view kind) const {
  const List& kinds = user_.kinds ? user_.kinds : site_.kinds;
  if (!kinds || std::find(kinds->begin(), kinds->end(), kind) != kinds->end()) return {};
  return user_.kinds ? kForwardNotByUser : kForwardNotBySite;
}

std::string_view ForwardPolicy::refusal_to_connect(std::string_view host, std::uint32_t port) const {
  const std::string_view refused = refusal_of("local");
  return refused.empty() ? refusal_there(site_.permit_open, user_.permit_open, host, port, false) : refused;
}

std::string_view ForwardPolicy::refusal_to_listen(std::string_view host, std::uint32_t port) const {
  const std::string_view refused = refusal_of("remote");
  return refused.empty() ? refusal_there(site_.permit_listen, user_.permit_listen, host, port, true) : refused;
}

}  // namespace berth::auth
