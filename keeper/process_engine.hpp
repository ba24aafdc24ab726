// Workspaces as plain processes of this machine, for development: no isolation at all. Each agent has a file with its pid
// and start time, by which a later keeper finds it again.
#pragma once
#include <sys/types.h>

#include <optional>

#include "keeper/engine.hpp"
#include "keeper/settings.hpp"

namespace berth::keeper {

class ProcessEngine final : public Engine {
 public:
  // `account`: whom agents run as.
  ProcessEngine(const Settings& settings, Account account) : settings_(settings), account_(account) {}

  boost::asio::awaitable<Result<KeeperRecord>> ensure(Plan plan, Progress progress) override;
  boost::asio::awaitable<Result<void>> stop(WorkspaceId id) override;
  boost::asio::awaitable<Result<void>> remove(WorkspaceId id) override;
  boost::asio::awaitable<Result<std::vector<KeeperRecord>>> list() override;
  boost::asio::awaitable<Result<KeeperRecord>> how_it_ended(WorkspaceId id) override;
  boost::asio::awaitable<Result<void>> purge();

 private:
  std::filesystem::path folder() const { return settings_.homes / ".processes"; }
  std::filesystem::path file_of(const WorkspaceId& id) const { return folder() / (id.user + "." + id.name); }
  // The record in the file; pid 0 when that process is gone. None when there is no file.
  std::optional<KeeperRecord> read(const WorkspaceId& id) const;
  Result<void> launch(const Plan& plan);
  Result<void> write(const Plan& plan, pid_t pid);

  const Settings& settings_;
  const Account account_;
};

}  // namespace berth::keeper
