// Runs one step of a build in its container, and hands on what it says.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <nlohmann/json.hpp>

#include "keeper/container_spec.hpp"
#include "keeper/podman_engine.hpp"

namespace berth::keeper {

// One line of the builder (environments/berth_env/report.py); it comes from the user's side of the wall.
using OnBuildEvent = std::function<void(nlohmann::json event)>;

class BuildContainers {
 public:
  BuildContainers(const Settings& settings, PodmanEngine& engine) : settings_(settings), engine_(engine), api_(settings.podman.socket) {}

  // Until the builder has ended; its "result" is the answer, its "error" the Error. The container is gone afterwards, whatever happened.
  // `too_large` is asked every few seconds: a build for which it answers true is ended.
  boost::asio::awaitable<Result<nlohmann::json>> run(BuildPlan plan, OnBuildEvent on_event, std::function<boost::asio::awaitable<bool>()> too_large);
  // Ends what an earlier keeper left running.
  boost::asio::awaitable<void> remove_all();
  // Whether it is gone for certain.
  boost::asio::awaitable<bool> remove(std::string user);

 private:
  boost::asio::awaitable<Result<void>> make(const BuildPlan& plan);
  boost::asio::awaitable<Result<nlohmann::json>> follow(boost::asio::local::stream_protocol::socket output, OnBuildEvent on_event);
  boost::asio::awaitable<Result<nlohmann::json>> run_made(BuildPlan plan, OnBuildEvent on_event);

  const Settings& settings_;
  PodmanEngine& engine_;
  PodmanApi api_;
};

}  // namespace berth::keeper
