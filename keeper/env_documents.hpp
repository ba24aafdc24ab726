// The small files by which a state of environments takes effect in a workspace. Pure.
#pragma once
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "keeper/env_store.hpp"

namespace berth::keeper {

// Shell code that activates it; it may be read twice.
std::string activation_script(const EnvironmentState::Item& item);
// The same for the agent, which starts programs without a shell: {"path":[…],"env":{…}}.
nlohmann::json activation_document(const EnvironmentState::Item& item);
// A kernelspec of the environment (its own kernel.json) as one that works from anywhere, and what starts the kernel: Jupyter keeps a kernelspec
// for as long as a notebook's kernel is restarted, so the command in it is a script that is read again at each start. nullopt when it is none;
// an empty script where the command asks Jupyter for more than the connection file: then that stands in the kernelspec itself.
struct JupyterKernel {
  nlohmann::json document;
  std::string script;
};
std::optional<JupyterKernel> kernel_files(const EnvironmentState::Item& item, const std::string& own_name, const nlohmann::json& own);
// How the kernel is called in notebooks: the same for every revision.
std::string kernel_name(const EnvironmentState::Item& item, const std::string& own_name);

}  // namespace berth::keeper
