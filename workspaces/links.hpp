// One lane's links to running workspaces. Touched on that lane only.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/handles.hpp"
#include "base/lane.hpp"
#include "tunnels/agent_link.hpp"
#include "workspaces/manager.hpp"

namespace berth::workspaces {

struct LaneLinks {
  struct Entry {
    std::shared_ptr<tunnels::AgentLink> link;
    std::string home;  // inside
    std::uint64_t serial = 0;
  };
  std::map<WorkspaceId, Entry> links;

  const Entry* find(const WorkspaceId& id) const {
    const auto found = links.find(id);
    return found != links.end() && found->second.link->alive() ? &found->second : nullptr;
  }
};

// tunnels::make_agent_link, or a fake's.
using MakeLink = std::function<std::shared_ptr<tunnels::AgentLink>(boost::asio::any_io_executor executor, FileDescriptor socket,
                                                                   std::function<void()> on_closed)>;

}  // namespace berth::workspaces
