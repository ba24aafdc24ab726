// The small files by which a state of environments takes effect in a workspace. Pure.
#pragma once
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "keeper/env_store.hpp"

namespace berth::keeper {

std::string prefix_inside(const std::string& id);
// Shell code that activates it; it may be read twice.
std::string activation_script(const EnvironmentState::Item& item);
// The same for the agent, which starts programs without a shell: {"path":[…],"env":{…}}.
nlohmann::json activation_document(const EnvironmentState::Item& item);
// A kernelspec of the environment (its own kernel.json) as one that works from anywhere; nullopt when it is none.
std::optional<nlohmann::json> kernel_document(const EnvironmentState::Item& item, const nlohmann::json& own);
// How the kernel is called in notebooks: the same for every revision.
std::string kernel_name(const EnvironmentState::Item& item, const std::string& own_name);

}  // namespace berth::keeper
