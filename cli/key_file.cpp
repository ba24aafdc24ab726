#include "cli/key_file.hpp"

#include <algorithm>
#include <cctype>

#include "cli/interact.hpp"

namespace berth::cli {
namespace {

constexpr std::string_view kBlanks = " \t\r";

bool is_key_type(std::string_view word) {
  return word.starts_with("ssh-") || word.starts_with("ecdsa-sha2-") || word.starts_with("sk-");
}

bool is_base64(std::string_view word) {
  return std::all_of(word.begin(), word.end(), [](unsigned char c) { return std::isalnum(c) != 0 || c == '+' || c == '/' || c == '='; });
}

}  // namespace

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::string fault_of_key_line(std::string_view line) {
  if (line.starts_with("-----BEGIN") || line.starts_with("PuTTY-User-Key-File")) {
    return "this is a private key: never give it away. The public half is in the .pub file, or from: ssh-keygen -y -f FILE";
  }
  if (line.starts_with("---- BEGIN SSH2 PUBLIC KEY")) return "this is RFC 4716 format; convert it with: ssh-keygen -i -f FILE";
  const std::size_t blank = line.find_first_of(" \t");
  const std::string_view type = line.substr(0, blank);
  if (!is_key_type(type)) {
    const bool has_options = line.find(" ssh-") != std::string_view::npos || line.find(" ecdsa-") != std::string_view::npos;
    return has_options ? "options before the key (command=, from=, …) are not taken here: give the key alone, or use berth key import --user USER --authorized-keys FILE"
                       : "not a public key: expected a line such as 'ssh-ed25519 AAAA… comment'";
  }
  const std::string_view rest = blank == std::string_view::npos ? "" : trimmed(line.substr(blank));
  const std::string_view blob = rest.substr(0, rest.find_first_of(" \t"));
  // Every blob begins with the length of its type, below 64 KiB: "AAAA" in base64.
  if (!blob.starts_with("AAAA") || !is_base64(blob)) return "the key after '" + std::string(type) + "' is cut or damaged";
  return {};
}

namespace {

Outcome<std::vector<KeyLine>> parse_key_lines(std::string_view text, const std::string& name) {
  std::vector<KeyLine> keys;
  std::string faults;
  int number = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = trimmed(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    ++number;
    if (line.empty() || line.front() == '#') continue;
    if (const std::string fault = fault_of_key_line(line); !fault.empty()) {
      faults += (faults.empty() ? "" : "\n") + name + ":" + std::to_string(number) + ": " + fault;
      if (line.starts_with("-----BEGIN")) break;  // its other lines would only repeat it
      continue;
    }
    keys.push_back({number, std::string(line)});
  }
  if (!faults.empty()) return failure_of({ErrorKind::invalid, faults + "\nno key was added"});
  if (keys.empty()) return failure_of({ErrorKind::invalid, name + " holds no public key"});
  return keys;
}

}  // namespace

Outcome<std::vector<KeyLine>> read_key_lines(const std::string& file, const Context& context) {
  const Outcome<std::string> text = read_input(file, context);
  if (!text) return text.error();
  return parse_key_lines(*text, file.empty() || file == "-" ? "standard input" : file);
}

}  // namespace berth::cli
