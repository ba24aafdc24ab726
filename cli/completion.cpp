// berth completion …
#include "cli/completion.hpp"

#include <algorithm>
#include <array>
#include <ostream>

#include "cli/interact.hpp"

namespace berth::cli {
namespace {

using nlohmann::json;

// Bash that leaves words in COMPREPLY, for each kind of word.
struct CompleterRow {
  Completes what;
  std::string_view bash;
};
constexpr CompleterRow kCompleters[] = {
    {Completes::files, "COMPREPLY=($(compgen -f -- \"$cur\"))"},
    {Completes::users, "_berth_words users"},
    {Completes::workspaces, "_berth_words workspaces"},
    {Completes::fingerprints, "_berth_words fingerprints"},
    {Completes::sessions, "_berth_words sessions"},
    {Completes::roles, "COMPREPLY=($(compgen -W 'user auditor admin' -- \"$cur\"))"},
    {Completes::shells, "COMPREPLY=($(compgen -W 'bash' -- \"$cur\"))"},
};

std::string_view completer_of(Completes what) {
  for (const CompleterRow& row : kCompleters) {
    if (row.what == what) return row.bash;
  }
  return ":";
}

constexpr std::string_view kHead = R"(# Completion of berth for bash: made by `berth completion bash`.
# Words that only berthd knows (users, keys, …) are asked of it; where it cannot be reached there are none.
_berth_words() {
  local socket=()
  [ -n "$berth_socket" ] && socket=(--admin-socket "$berth_socket")
  local words
  words=$(berth "${socket[@]}" --timeout 2s completion words "$1" 2>/dev/null) || return 0
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
_berth() {
  local cur prev words=() cword berth_socket= command= i position=0 word
  # Bash splits words at ':' too; a fingerprint is one word.
  if declare -F _get_comp_words_by_ref >/dev/null; then
    _get_comp_words_by_ref -n : cur prev words cword
  else
    cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=("${COMP_WORDS[@]}") cword=$COMP_CWORD
  fi
  COMPREPLY=()
  for ((i = 1; i < cword; i++)); do
    word=${words[i]}
    case $word in
      --admin-socket) berth_socket=${words[++i]} ;;
      --timeout) ((i++)) ;;
)";

constexpr std::string_view kMiddle = R"(      -*) ;;
      *)
        if [ -z "$command" ]; then command=$word
        elif [[ " $nouns_with_verbs " == *" $command "* ]]; then command="$command $word"
        else ((position++)); fi ;;
    esac
  done
  case $prev in
    --admin-socket) COMPREPLY=($(compgen -f -- "$cur")); return ;;
    --timeout) return ;;
)";

constexpr std::string_view kTail = R"(  declare -F __ltrim_colon_completions >/dev/null && __ltrim_colon_completions "$cur"
  return 0
}
complete -F _berth berth
)";

constexpr std::string_view kGlobalOptions = "--admin-socket --json --timeout --help";

// What the program `berth` shows in its help.
bool is_offered(const Command& command) { return !command.summary.empty() && (command.faces & kAdminSocket) != 0; }

bool is_offered(const Noun& noun) {
  const auto commands = all_commands();
  return std::any_of(commands.begin(), commands.end(), [&](const Command& command) { return command.noun == noun.name && is_offered(command); });
}

std::string verbs_of(std::string_view noun) {
  std::string verbs;
  for (const Command& command : all_commands()) {
    if (command.noun == noun && !command.verb.empty() && is_offered(command)) verbs += (verbs.empty() ? "" : " ") + std::string(command.verb);
  }
  return verbs;
}

std::string full_name(const Command& command) {
  return std::string(command.noun) + (command.verb.empty() ? "" : " " + std::string(command.verb));
}

std::string words_line(const std::string& words) { return "COMPREPLY=($(compgen -W '" + words + "' -- \"$cur\"))"; }

// The branch of one command: its options after a dash, else what stands at the position.
std::string branch_of(const Command& command) {
  std::string options(kGlobalOptions);
  for (const Option& option : command.options) {
    if (!option.name.empty()) options += " " + std::string(option.name);
  }
  std::string out = "    '" + full_name(command) + "')\n      if [[ $cur == -* ]]; then " + words_line(options) + "; else case $position in\n";
  for (std::size_t i = 0; i < command.parameters.size(); ++i) {
    if (command.parameters[i].name.empty()) continue;
    out += "        " + std::to_string(i) + ") " + std::string(completer_of(command.parameters[i].completes)) + " ;;\n";
  }
  return out + "      esac; fi ;;\n";
}

}  // namespace

std::string bash_completion() {
  std::string nouns, nouns_with_verbs, noun_branches, option_values, value_completers, branches;
  for (const Noun& noun : all_nouns()) {
    if (!is_offered(noun)) continue;
    nouns += (nouns.empty() ? "" : " ") + std::string(noun.name);
    const std::string verbs = verbs_of(noun.name);
    if (verbs.empty()) continue;
    nouns_with_verbs += (nouns_with_verbs.empty() ? "" : " ") + std::string(noun.name);
    noun_branches += "    " + std::string(noun.name) + ") " + words_line(verbs) + " ;;\n";
  }
  for (const Command& command : all_commands()) {
    for (const Option& option : command.options) {
      const std::string name(option.name);
      if (option.value.empty() || option_values.find(name + "|") != std::string::npos) continue;
      option_values += name + "|";
      value_completers += "    " + name + ") " + std::string(completer_of(option.completes)) + "; return ;;\n";
    }
    if (is_offered(command)) branches += branch_of(command);
  }
  if (!option_values.empty()) option_values.pop_back();
  std::string out(kHead);
  out += "      " + option_values + ") ((i++)) ;;\n";
  const std::string middle(kMiddle);
  out += middle;
  out += value_completers + "  esac\n  case $command in\n";
  out += "    '') if [[ $cur == -* ]]; then " + words_line(std::string(kGlobalOptions) + " --version") + "; else " + words_line(nouns) + "; fi ;;\n";
  out += noun_branches + branches + "  esac\n";
  out += kTail;
  const std::string declared = "  local nouns_with_verbs='" + nouns_with_verbs + "'\n";
  const std::size_t at = out.find("  COMPREPLY=()\n");
  return out.insert(at, declared);
}

Outcome<> completion_script(const Invocation&, const Context& context) {
  context.streams.out << bash_completion();
  return {};
}

Outcome<> completion_words(const Invocation& given, const Context& context) {
  struct Source {
    std::string_view kind, path, field;
  };
  constexpr std::array<Source, 4> kSources{{{"users", "/users", "name"},
                                            {"workspaces", "/workspaces?all=1", ""},
                                            {"fingerprints", "/keys?all=1", "fingerprint"},
                                            {"sessions", "/sessions", "id"}}};
  const auto source = std::find_if(kSources.begin(), kSources.end(), [&](const Source& row) { return row.kind == given["KIND"]; });
  if (source == kSources.end()) return usage_failure("no such kind of word: '" + given["KIND"] + "'");
  const Outcome<json> items = context.api.items(std::string(source->path));
  if (!items) return items.error();
  for (const json& item : *items) {
    std::string word = text_field(item, source->field.empty() ? "name" : source->field.data());
    if (source->field.empty()) word = text_field(item, "user") + (word == "main" ? "" : "+" + word);
    // Only plain words: bash expands what it is given.
    const bool plain = !word.empty() && word.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._:+/@=") == std::string::npos;
    if (plain) context.streams.out << word << '\n';
  }
  return {};
}

}  // namespace berth::cli
