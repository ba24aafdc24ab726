#include "server/gateway/command_rights.hpp"

#include <algorithm>

#include "server/gateway/commands.hpp"

namespace berth::server {
namespace {

// For logins that may not run everything.
constexpr std::string_view kHarmless[] = {"help", "whoami", "attach", "--help", "-h"};
// What a certificate would outlive itself by.
struct Lasting {
  std::string_view noun;
  std::string_view but;  // a verb that only reads
};
constexpr Lasting kLasting[] = {{"key", "list"}, {"cert", ""}, {"ca", "list"}, {"token", "list"}};

}  // namespace

std::string refusal_of_command(const auth::Permissions& may, bool by_certificate, std::string_view command_line) {
  const auto words = split_words(command_line);
  if (!words || words->size() < 2) return {};  // not a command: whoever runs it says so
  const std::string& noun = (*words)[1];
  const std::string_view verb = words->size() > 2 ? std::string_view((*words)[2]) : std::string_view();
  const std::string_view restriction = may.restriction();
  const bool harmless = std::find(std::begin(kHarmless), std::end(kHarmless), noun) != std::end(kHarmless);
  if (may.forced_command) return "this login is restricted to one command (command=): Berth's own commands cannot be that one";
  if (!restriction.empty() && !harmless)
    return "this login is restricted (" + std::string(restriction) + "): Berth's own commands need a key without restrictions";
  if (!by_certificate) return {};
  // Options may stand before the noun and the verb: what is not plainly harmless is refused.
  if (noun.starts_with('-') && !harmless) return "a login by certificate cannot use options before the command";
  for (const Lasting& row : kLasting) {
    if (row.noun == noun && (row.but.empty() || row.but != verb)) return "a login by certificate cannot do this, since it would outlive the certificate: log in with a key";
  }
  return {};
}

}  // namespace berth::server
