// Workspaces as containers of rootful Podman, through its REST API. Keeps no state: containers are found by label.
#pragma once
#include <map>
#include <optional>

#include "keeper/engine.hpp"
#include "keeper/podman_api.hpp"
#include "keeper/settings.hpp"

namespace berth::keeper {

class PodmanEngine final : public Engine {
 public:
  explicit PodmanEngine(const Settings& settings) : settings_(settings), api_(settings.podman.socket) {}

  boost::asio::awaitable<Result<KeeperRecord>> ensure(Plan plan, Progress progress) override;
  boost::asio::awaitable<Result<void>> stop(WorkspaceId id) override;
  boost::asio::awaitable<Result<void>> remove(WorkspaceId id) override;
  boost::asio::awaitable<Result<std::vector<KeeperRecord>>> list() override;
  boost::asio::awaitable<Result<KeeperRecord>> how_it_ended(WorkspaceId id) override;
  boost::asio::awaitable<std::string> image_glibc(std::string image) override;

  // Removes every container and network of this instance, and its firewall rules. Homes stay.
  boost::asio::awaitable<Result<void>> purge();

  // For builds (keeper/build_container.hpp). The image's id; Error{unavailable} when it is not here and may not be fetched.
  boost::asio::awaitable<Result<std::string>> find_image(std::string image, Progress progress);
  Result<void> apply_firewall();

 private:
  struct Container {
    KeeperRecord record;
    std::string spec_hash;
  };
  boost::asio::awaitable<Result<std::optional<Container>>> inspect(WorkspaceId id);
  boost::asio::awaitable<Result<void>> pull(std::string image, Progress progress);
  boost::asio::awaitable<Result<void>> create(WorkspaceId id, nlohmann::json spec);
  boost::asio::awaitable<Result<void>> start(WorkspaceId id);
  boost::asio::awaitable<Result<void>> make_and_start(Plan plan, std::optional<Container> found, Progress progress);
  // The running container, once its user ids have been checked; ended when they are wrong.
  boost::asio::awaitable<Result<KeeperRecord>> checked(Plan plan);
  KeeperRecord describe(const WorkspaceId& id) const;

  const Settings& settings_;
  PodmanApi api_;
  std::map<std::string, std::string> glibc_;  // by image id
};

}  // namespace berth::keeper
