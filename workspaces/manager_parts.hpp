// make_manager with its edges given: for tests.
#pragma once
#include <memory>

#include "workspaces/keeper_link.hpp"
#include "workspaces/links.hpp"

namespace berth::workspaces {

std::unique_ptr<Manager> make_manager_of(ManagerOptions options, Lanes& lanes, std::unique_ptr<KeeperLink> keeper, MakeLink make_link);

}  // namespace berth::workspaces
