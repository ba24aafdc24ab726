#include "keeper/env_documents.hpp"

namespace berth::keeper {
namespace {

std::string quoted(const std::string& text) {  // for a POSIX shell
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

std::map<std::string, std::string> variables_of(const EnvironmentState::Item& item) {
  std::map<std::string, std::string> all = item.variables;
  all["CONDA_PREFIX"] = prefix_inside(item.id);
  all["CONDA_DEFAULT_ENV"] = item.name;
  all["BERTH_ENV"] = item.name + "@" + std::to_string(item.revision);
  return all;
}

}  // namespace

std::string prefix_inside(const std::string& id) { return std::string(kEnvironmentsInside) + "/" + id; }

std::string activation_script(const EnvironmentState::Item& item) {
  const std::string bin = prefix_inside(item.id) + "/bin";
  std::string text = "# " + item.name + ", revision " + std::to_string(item.revision) + "\n";
  // Another environment's folder leaves the PATH.
  text += "if [ -n \"$CONDA_PREFIX\" ]; then case \"$PATH\" in \"$CONDA_PREFIX/bin:\"*) PATH=${PATH#\"$CONDA_PREFIX/bin:\"} ;; esac; fi\n";
  text += "case \":$PATH:\" in *:" + bin + ":*) ;; *) PATH=" + bin + ":$PATH ;; esac\nexport PATH\n";
  for (const auto& [name, value] : variables_of(item)) text += "export " + name + "=" + quoted(value) + "\n";
  return text;
}

nlohmann::json activation_document(const EnvironmentState::Item& item) {
  return {{"path", {prefix_inside(item.id) + "/bin"}}, {"env", variables_of(item)}};
}

std::optional<nlohmann::json> kernel_document(const EnvironmentState::Item& item, const nlohmann::json& own) {
  const auto argv = own.is_object() ? own.find("argv") : own.end();
  if (!own.is_object() || argv == own.end() || !argv->is_array() || argv->empty() || !argv->front().is_string()) return std::nullopt;
  const std::string bin = prefix_inside(item.id) + "/bin";
  nlohmann::json kernel = own;
  const std::string program = argv->front().get<std::string>();
  if (program.find('/') == std::string::npos) kernel["argv"][0] = bin + "/" + program;
  const auto language = own.find("language");
  kernel["display_name"] = item.name + " (" + (language != own.end() && language->is_string() ? language->get<std::string>() : "kernel") + ", revision " +
                           std::to_string(item.revision) + ")";
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
  return kernel;
}

std::string kernel_name(const EnvironmentState::Item& item, const std::string& own_name) {
  return own_name == "python3" ? "berth-" + item.name : "berth-" + item.name + "-" + own_name;
}

}  // namespace berth::keeper
