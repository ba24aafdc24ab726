// berth key import: the keys of a team at once, with an answer for each line.
#include <algorithm>
#include <ostream>

#include "base/human.hpp"
#include "cli/interact.hpp"
#include "cli/key_file.hpp"

namespace berth::cli {
namespace {

using nlohmann::json;

struct Entry {
  std::size_t line = 0;  // of the file; 0: it has none (JSON)
  std::string user, key;
};

// Lines of authorized_keys for `user`; without one, each begins with the user's name.
std::vector<Entry> entries_in_lines(std::string_view text, const std::string& user) {
  std::vector<Entry> entries;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    Entry entry{number, user, {}};
    if (user.empty()) {
      const std::size_t blank = std::min(line.find_first_of(" \t"), line.size());
      entry.user = line.substr(0, blank);
      line = trimmed(line.substr(blank));
    }
    entry.key = line;
    entries.push_back(std::move(entry));
  }
  return entries;
}

// A key of GitHub's API: a text, or an object with "key".
std::string key_text(const json& key) { return key.is_string() ? key.get<std::string>() : text_field(key, "key"); }

void add_keys(std::vector<Entry>& entries, const std::string& user, const json& keys) {
  if (!keys.is_array()) return;
  for (const json& key : keys) entries.push_back({0, user, key_text(key)});
}

// [{"login":NAME,"keys":[…]}], {NAME:[…]}, or with a user the array of GET /users/NAME/keys.
std::vector<Entry> entries_in_json(const json& document, const std::string& user) {
  std::vector<Entry> entries;
  if (document.is_object()) {
    for (const auto& [name, keys] : document.items()) add_keys(entries, name, keys);
  } else if (!user.empty()) {
    add_keys(entries, user, document);
  } else {
    for (const json& each : document) {
      if (each.is_object()) add_keys(entries, text_field(each, "login"), each.value("keys", json::array()));
    }
  }
  return entries;
}

Outcome<std::vector<Entry>> read_entries(const Invocation& given, const Context& context) {
  const bool github = given.has("--github-format");
  if (github == given.has("--authorized-keys")) return usage_failure("give --authorized-keys FILE or --github-format FILE");
  if (!github && !given.has("--user")) return usage_failure("--authorized-keys takes the keys of one user: --user NAME");
  const Outcome<std::string> text = read_input(given[github ? "--github-format" : "--authorized-keys"], context);
  if (!text) return text.error();
  const std::string_view start = trimmed(std::string_view(*text).substr(0, 64));
  std::vector<Entry> entries;
  if (github && (start.starts_with('[') || start.starts_with('{'))) {
    const json document = json::parse(*text, nullptr, false);
    if (document.is_discarded()) return failure_of({ErrorKind::invalid, "the file begins like JSON, but is none"});
    entries = entries_in_json(document, given["--user"]);
  } else {
    entries = entries_in_lines(*text, given["--user"]);
  }
  if (entries.empty()) return failure_of({ErrorKind::invalid, "there is no key in the file"});
  return entries;
}

struct Importer {
  const Context& context;
  const bool dry_run, add_users;

  // What became of one entry; only a berthd that cannot be reached is a Failure.
  Outcome<json> take(const Entry& entry) const {
    json row = {{"line", entry.line == 0 ? json(nullptr) : json(entry.line)}, {"user", entry.user}, {"result", "added"}, {"fingerprint", nullptr}, {"message", ""}};
    const std::string path = "/users/" + percent_encode(entry.user) + "/keys";
    const json body = {{"public_key", entry.key}, {"dry_run", dry_run}};
    Outcome<json> key = context.api.post(path, body);
    if (!key && key.error().code == ExitCode::not_found && add_users) {
      if (dry_run) {
        row["message"] = "with the user";
        return Outcome<json>(boost::system::in_place_value, std::move(row));
      }
      const Outcome<json> user = context.api.post("/users", {{"name", entry.user}});
      if (user) key = context.api.post(path, body);
      if (!user) key = user.error();
    }
    if (key) {
      row["fingerprint"] = text_field(*key, "fingerprint");
      return Outcome<json>(boost::system::in_place_value, std::move(row));
    }
    if (key.error().code == ExitCode::unreachable || key.error().code == ExitCode::denied) return key.error();
    const std::string& why = key.error().error.message;
    row["result"] = why.starts_with("this key is already there") ? "present" : "refused";
    row["message"] = why;
    return Outcome<json>(boost::system::in_place_value, std::move(row));
  }
};

}  // namespace

Outcome<> key_import(const Invocation& given, const Context& context) {
  const Outcome<std::vector<Entry>> entries = read_entries(given, context);
  if (!entries) return entries.error();
  const Importer importer{context, given.has("--dry-run"), given.has("--add-users")};
  const std::string file = given[given.has("--github-format") ? "--github-format" : "--authorized-keys"];
  json items = json::array();
  Table table({{"WHERE"}, {"USER"}, {"RESULT"}, {"KEY, OR WHY NOT"}});
  std::size_t refused = 0;
  for (const Entry& entry : *entries) {
    Outcome<json> row = importer.take(entry);
    if (!row) return row.error();
    const std::string fingerprint = text_field(*row, "fingerprint"), message = text_field(*row, "message");
    table.add({entry.line == 0 ? file : file + ":" + std::to_string(entry.line), entry.user, text_field(*row, "result"), fingerprint.empty() ? message : fingerprint});
    refused += text_field(*row, "result") == "refused" ? 1 : 0;
    items.push_back(std::move(*row));
  }
  print_answer(context, {{"items", items}, {"dry_run", importer.dry_run}}, table.render(context.streams.style));
  if (importer.dry_run) say(context, "Nothing was changed (--dry-run).");
  if (refused == 0) return {};
  return Failure{ExitCode::failed, {ErrorKind::invalid, std::to_string(refused) + " of " + std::to_string(entries->size()) + " keys were refused"}};
}

}  // namespace berth::cli
