#include "keeper/env_documents.hpp"

namespace berth::keeper {
namespace {

std::string shell_word(const std::string& text) {  // for a POSIX shell
  std::string out = "'";
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
    } else {
      out += c;
    }
  }
  return out + "'";
}

// One of the team's, by where it lies.
bool is_team(const EnvironmentState::Item& item) { return item.prefix.starts_with(prefix_inside(kTeam, "")); }

std::map<std::string, std::string> variables_of(const EnvironmentState::Item& item) {
  std::map<std::string, std::string> all = item.variables;
  all["CONDA_PREFIX"] = item.prefix;
  all["CONDA_DEFAULT_ENV"] = item.name;
  all["BERTH_ENV"] = (is_team(item) ? std::string(kTeam) + "/" : std::string()) + item.name + "@" + std::to_string(item.revision);
  return all;
}

}  // namespace

std::string activation_script(const EnvironmentState::Item& item) {
  const std::string bin = item.prefix + "/bin";
  std::string text = "# " + item.name + ", revision " + std::to_string(item.revision) + "\n";
  // Another environment's folder leaves the PATH.
  text += "if [ -n \"$CONDA_PREFIX\" ]; then case \"$PATH\" in \"$CONDA_PREFIX/bin:\"*) PATH=${PATH#\"$CONDA_PREFIX/bin:\"} ;; esac; fi\n";
  text += "case \":$PATH:\" in *:" + bin + ":*) ;; *) PATH=" + bin + ":$PATH ;; esac\nexport PATH\n";
  for (const auto& [name, value] : variables_of(item)) text += "export " + name + "=" + shell_word(value) + "\n";
  return text;
}

nlohmann::json activation_document(const EnvironmentState::Item& item) {
  return {{"path", {item.prefix + "/bin"}}, {"env", variables_of(item)}};
}

namespace {

constexpr std::string_view kConnectionFile = "{connection_file}";

// The command as shell words, "$1" for the connection file; empty when it has other blanks to fill in, or none.
std::string shell_words(const nlohmann::json& argv) {
  std::string words;
  bool connected = false;
  for (const auto& entry : argv) {
    if (!entry.is_string()) return "";
    std::string word = entry.get<std::string>();
    const std::size_t blank = word.find(kConnectionFile);
    connected = connected || blank != std::string::npos;
    const std::string rest = blank == std::string::npos ? "" : word.substr(blank + kConnectionFile.size());
    if (blank != std::string::npos) word.resize(blank);
    if (word.find('{') != std::string::npos || rest.find('{') != std::string::npos) return "";
    words += (words.empty() ? "" : " ") + shell_word(word) + (blank == std::string::npos ? "" : "\"$1\"" + shell_word(rest));
  }
  return connected ? words : "";
}

}  // namespace

std::optional<JupyterKernel> kernel_files(const EnvironmentState::Item& item, const std::string& own_name, const nlohmann::json& own) {
  const auto argv = own.is_object() ? own.find("argv") : own.end();
  if (!own.is_object() || argv == own.end() || !argv->is_array() || argv->empty() || !argv->front().is_string()) return std::nullopt;
  const std::string bin = item.prefix + "/bin";
  JupyterKernel files{own, ""};
  nlohmann::json& kernel = files.document;
  const std::string program = argv->front().get<std::string>();
  if (program.find('/') == std::string::npos) kernel["argv"][0] = bin + "/" + program;
  if (const std::string words = shell_words(kernel["argv"]); !words.empty()) {
    files.script = activation_script(item) + "exec " + words + "\n";
    kernel["argv"] = {"/bin/sh", prefix_inside(is_team(item) ? kTeam : "", "now") + "/start/" + kernel_name(item, own_name), kConnectionFile};
  }
  const auto language = own.find("language");
  kernel["display_name"] = item.name + (is_team(item) ? " of the team (" : " (") +
                           (language != own.end() && language->is_string() ? language->get<std::string>() : "kernel") + ", revision " + std::to_string(item.revision) + ")";
  if (!kernel["env"].is_object()) kernel["env"] = nlohmann::json::object();
  for (const auto& [name, value] : variables_of(item)) {
    // Jupyter replaces $NAME in these; ours are meant as they are.
    std::string literal;
    for (const char c : value) literal += c == '$' ? std::string("$$") : std::string(1, c);
    kernel["env"][name] = literal;
  }
  kernel["env"]["PATH"] = bin + ":${PATH}";
  if (!kernel["metadata"].is_object()) kernel["metadata"] = nlohmann::json::object();
  kernel["metadata"]["berth"] = {{"environment", item.name}, {"revision", item.revision}};
  return files;
}

std::string kernel_name(const EnvironmentState::Item& item, const std::string& own_name) {
  // No user's environment has a dot in its name.
  const std::string name = (is_team(item) ? "berth-team." : "berth-") + item.name;
  return own_name == "python3" ? name : name + "-" + own_name;
}

}  // namespace berth::keeper
