// Who the workspace belongs to, found without NSS: a static binary in a foreign image cannot load its modules.
#pragma once
#include <sys/types.h>

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace berth::agent {

struct User {
  std::string name, home, shell;
};

struct UserSources {
  std::string passwd;                                        // the text of /etc/passwd
  std::function<std::string(const char*)> environment;       // a variable, or ""
  std::function<bool(const std::string&)> is_program;        // may be executed
};

// Each from the environment that the workspace was made with, else from /etc/passwd, else a default that works
// (zsh, bash, sh, whichever is there first).
User describe_user(uid_t uid, const UserSources& sources);
User describe_own_user();

using Environment = std::vector<std::pair<std::string, std::string>>;
// The agent's own environment (what the image and the workspace set), the user's variables, then `added`: last one wins.
std::vector<std::string> make_environment(const User& user, char** own, const Environment& added);

// The user's default conda environment, as the keeper describes it at kActivationFile: {"path":["/…/bin"],"env":{"NAME":"value"}}. Its folders go
// before the PATH of `own`, its variables are added; empty when the text is none.
inline constexpr const char* kActivationFile = "/opt/berth/envs/now/environment.json";
Environment activation_of(std::string_view document, char** own);
Environment own_activation();

}  // namespace berth::agent
