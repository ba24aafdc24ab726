// berth ca …, berth cert
#include <ostream>

#include "base/encoding.hpp"
#include "base/human.hpp"
#include "cli/interact.hpp"

namespace berth::cli {
namespace {

using nlohmann::json;

std::vector<std::string> split_at_commas(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    if (comma > 0) parts.emplace_back(text.substr(0, comma));
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return parts;
}

std::string path_of(const std::string& name) { return "/authorities/" + percent_encode(name); }

// NAME, or the only authority when it was left out.
Outcome<std::string> name_of(const Invocation& given, const Context& context) {
  if (given.has("NAME")) return given["NAME"];
  const Outcome<json> all = context.api.items("/authorities");
  if (!all) return all.error();
  if (all->size() == 1) return text_field(all->front(), "name");
  return usage_failure(all->empty() ? "there is no authority yet; see: berth ca add" : "say which authority: berth ca list");
}

Outcome<std::string> one_line(const std::string& file, const Context& context) {
  Outcome<std::string> text = read_input(file, context);
  if (!text) return text;
  text->erase(text->find_last_not_of(" \t\r\n") + 1);
  return text;
}

Outcome<json> revocations_given(const Invocation& given, const Context& context) {
  json body = json::object();
  if (given.has("--serial")) body["serials"] = split_at_commas(given["--serial"]);
  if (given.has("--key-id")) body["key_ids"] = json::array({given["--key-id"]});
  if (given.has("--key")) {
    const Outcome<std::string> key = one_line(given["--key"], context);
    if (!key) return key.error();
    body["public_key"] = *key;
  }
  if (given.has("--krl")) {
    const Outcome<std::string> list = read_input(given["--krl"], context);
    if (!list) return list.error();
    body["krl"] = base64_encode(*list);
  }
  if (body.empty()) return usage_failure("say what is revoked: --serial, --key-id, --key or --krl");
  return Outcome<json>(boost::system::in_place_value, std::move(body));
}

Outcome<> issue(const Invocation& given, const Context& context, json body) {
  if (given.has("--lifetime")) {
    const Result<std::chrono::seconds> lifetime = parse_duration(given["--lifetime"]);
    if (!lifetime || lifetime->count() == 0) return usage_failure("--lifetime takes a span such as 8h; not '" + given["--lifetime"] + "'");
    body["lifetime_s"] = lifetime->count();
  }
  const Outcome<json> issued = context.api.post("/certificates", body);
  if (!issued) return issued.error();
  print_answer(context, *issued, text_field(*issued, "certificate") + "\n");
  if (!context.json) {
    context.streams.err << "serial " << text_field(*issued, "serial") << ", until " << text_field(*issued, "valid_before").substr(0, 19)
                        << "Z; put it beside the key, as KEY-cert.pub\n";
  }
  return {};
}

}  // namespace

Outcome<> ca_add(const Invocation& given, const Context& context) {
  const Outcome<std::string> key = one_line(given["FILE"], context);
  if (!key) return key.error();
  json body = {{"name", given["NAME"]}, {"public_key", *key}};
  if (given.has("--principals")) body["principals"] = split_at_commas(given["--principals"]);
  const Outcome<json> added = context.api.post("/authorities", body);
  if (!added) return added.error();
  print_answer(context, *added, "certificates signed by " + text_field(*added, "fingerprint") + " are accepted from now on\n");
  return {};
}

Outcome<> ca_list(const Invocation&, const Context& context) {
  const Outcome<json> all = context.api.items("/authorities");
  if (!all) return all.error();
  Table table({{"NAME"}, {"TYPE"}, {"FINGERPRINT"}, {"PRINCIPALS"}, {"REVOKED", Align::right}, {"HOLDER"}});
  for (const json& each : *all) {
    std::string rules;
    for (const json& rule : each.value("principals", json::array()))
      if (rule.is_string()) rules += (rules.empty() ? "" : ",") + rule.get<std::string>();
    table.add({text_field(each, "name"), text_field(each, "type"), text_field(each, "fingerprint"), rules, each.value("revoked", json(0)).dump(),
               each.value("issues", false) ? "berthd" : "-"});
  }
  print_answer(context, {{"items", *all}}, all->empty() ? "" : table.render(context.streams.style), "no authorities");
  return {};
}

Outcome<> ca_remove(const Invocation& given, const Context& context) {
  const std::string question = "Accept no certificate of " + given["NAME"] + " any more, and end what rests on them?";
  if (const Outcome<> confirmed = confirm(given, context, {}, question); !confirmed) return confirmed;
  const Outcome<json> removed = context.api.remove(path_of(given["NAME"]));
  if (!removed) return removed.error();
  print_answer(context, *removed, "removed " + printable(given["NAME"]) + "; sessions ended: " + removed->value("ended_sessions", json(0)).dump() + "\n");
  return {};
}

Outcome<> ca_revoke(const Invocation& given, const Context& context) {
  const Outcome<std::string> name = name_of(given, context);
  if (!name) return name.error();
  const Outcome<json> body = revocations_given(given, context);
  if (!body) return body.error();
  const Outcome<json> done = context.api.post(path_of(*name) + "/revocations", *body);
  if (!done) return done.error();
  print_answer(context, *done, "revoked: " + done->value("added", json(0)).dump() + "; sessions ended: " + done->value("ended_sessions", json(0)).dump() + "\n");
  return {};
}

Outcome<> ca_revoked(const Invocation& given, const Context& context) {
  const Outcome<std::string> name = name_of(given, context);
  if (!name) return name.error();
  const Outcome<json> all = context.api.items(path_of(*name) + "/revocations");
  if (!all) return all.error();
  Table table({{"WHAT"}, {"VALUE"}, {"SINCE"}});
  for (const json& each : *all) {
    const std::string last = text_field(each, "last");
    table.add({text_field(each, "kind"), text_field(each, "value") + (last.empty() ? "" : "-" + last), text_field(each, "added_at").substr(0, 10)});
  }
  print_answer(context, {{"items", *all}}, all->empty() ? "" : table.render(context.streams.style), "nothing is revoked");
  return {};
}

Outcome<> ca_issue(const Invocation& given, const Context& context) {
  const Outcome<std::string> key = one_line(given["FILE"], context);
  if (!key) return key.error();
  return issue(given, context, {{"user", given["USER"]}, {"public_key", *key}});
}

Outcome<> certify(const Invocation& given, const Context& context) {
  const Outcome<std::string> key = one_line("-", context);
  if (!key) return key.error();
  return issue(given, context, {{"public_key", *key}});
}

}  // namespace berth::cli
