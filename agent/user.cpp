#include "agent/user.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <nlohmann/json.hpp>

#include "base/handles.hpp"

namespace berth::agent {

namespace {

constexpr const char* kShells[] = {"/bin/zsh", "/usr/bin/zsh", "/bin/bash", "/usr/bin/bash", "/bin/sh"};
constexpr const char* kDefaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
// Of the agent's own start, meaningless in a session.
constexpr std::string_view kNotInherited[] = {"PWD", "OLDPWD", "SHLVL", "_", "NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "INVOCATION_ID", "JOURNAL_STREAM"};

// name:password:uid:gid:comment:home:shell
std::vector<std::string_view> passwd_entry(std::string_view passwd, uid_t uid) {
  const std::string wanted = std::to_string(uid);
  while (!passwd.empty()) {
    auto line = passwd.substr(0, passwd.find('\n'));
    passwd.remove_prefix(std::min(passwd.size(), line.size() + 1));
    std::vector<std::string_view> parts;
    for (std::size_t start = 0; start <= line.size();) {
      auto end = std::min(line.find(':', start), line.size());
      parts.push_back(line.substr(start, end - start));
      start = end + 1;
    }
    if (parts.size() == 7 && parts[2] == wanted) return parts;
  }
  return {};
}

bool refuses_logins(std::string_view shell) { return shell.ends_with("/nologin") || shell.ends_with("/false"); }

std::string read_file(const char* path) {
  FileDescriptor file(::open(path, O_RDONLY | O_CLOEXEC));
  std::string text;
  char part[4096];
  ssize_t count;
  while (file && text.size() < 1024 * 1024 && (count = ::read(file.get(), part, sizeof part)) > 0)
    text.append(part, static_cast<std::size_t>(count));
  return text;
}

}  // namespace

User describe_user(uid_t uid, const UserSources& sources) {
  auto entry = passwd_entry(sources.passwd, uid);
  auto first_of = [&](const char* variable, std::size_t column, std::string otherwise) {
    std::string value = sources.environment(variable);
    if (value.empty() && !entry.empty()) value = entry[column];
    return value.empty() ? otherwise : value;
  };
  User user{first_of("USER", 0, std::to_string(uid)), first_of("HOME", 5, "/"), ""};
  for (const std::string& shell : {sources.environment("SHELL"), entry.empty() ? std::string() : std::string(entry[6])})
    if (user.shell.empty() && !shell.empty() && !refuses_logins(shell) && sources.is_program(shell)) user.shell = shell;
  for (const char* shell : kShells)
    if (user.shell.empty() && sources.is_program(shell)) user.shell = shell;
  if (user.shell.empty()) user.shell = "/bin/sh";
  return user;
}

User describe_own_user() {
  UserSources sources{read_file("/etc/passwd"),
                      [](const char* name) {
                        const char* value = std::getenv(name);
                        return std::string(value ? value : "");
                      },
                      [](const std::string& path) { return ::access(path.c_str(), X_OK) == 0; }};
  return describe_user(::getuid(), sources);
}

Environment activation_of(std::string_view document, char** own) {
  const auto json = nlohmann::json::parse(document, nullptr, false);
  const auto path = json.is_object() ? json.find("path") : json.end();
  const auto variables = json.is_object() ? json.find("env") : json.end();
  Environment added;
  if (!json.is_object() || path == json.end() || variables == json.end() || !path->is_array() || !variables->is_object()) return added;
  std::string folders;
  for (const auto& folder : *path)
    if (folder.is_string()) folders += folder.get<std::string>() + ":";
  std::string rest = kDefaultPath;
  for (; own && *own; ++own)
    if (std::string_view(*own).starts_with("PATH=")) rest = std::string_view(*own).substr(5);
  added.emplace_back("PATH", folders + rest);
  for (const auto& [name, value] : variables->items())
    if (value.is_string() && !name.empty() && name.find('=') == name.npos) added.emplace_back(name, value.get<std::string>());
  return added;
}

// Read at each start of a program: another revision is current from one moment to the next.
Environment own_activation() {
  const std::string text = read_file(kActivationFile);
  return text.empty() ? Environment{} : activation_of(text, ::environ);
}

std::vector<std::string> make_environment(const User& user, char** own, const Environment& added) {
  std::map<std::string, std::string, std::less<>> variables{{"PATH", kDefaultPath}};
  for (; own && *own; ++own) {
    std::string_view pair = *own;
    auto equals = pair.find('=');
    if (equals != pair.npos) variables[std::string(pair.substr(0, equals))] = pair.substr(equals + 1);
  }
  for (auto name : kNotInherited)
    if (auto found = variables.find(name); found != variables.end()) variables.erase(found);
  variables["HOME"] = user.home;
  variables["USER"] = variables["LOGNAME"] = user.name;
  variables["SHELL"] = user.shell;
  for (const auto& [name, value] : added) variables[name] = value;
  std::vector<std::string> environment;
  environment.reserve(variables.size());
  for (const auto& [name, value] : variables) environment.push_back(name + "=" + value);
  return environment;
}

}  // namespace berth::agent
