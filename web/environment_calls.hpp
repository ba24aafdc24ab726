// What the routes of environments share: which one the path means and whether the caller may, and the work that is done for them.
#pragma once
#include "web/api.hpp"
#include "workspaces/env_builds.hpp"

namespace berth::web {

Error missing_environment(const std::string& name);
auth::EnvironmentCaller environment_caller(const ApiCall& call);

enum class Right { see, change };

// The owner and the environment's name in the path, if the caller may see or change it. What a caller may not see does not exist.
Result<workspaces::EnvBuilds::Request> environment_in_path(const ApiCall& call, workspaces::EnvBuilds::Act act, Right right = Right::change);
// About all environments of one owner; whether the caller may is for the route to say.
Result<workspaces::EnvBuilds::Request> owner_request(const ApiCall& call, workspaces::EnvBuilds::Act act, std::string owner);

nlohmann::json verification_json(const auth::Verification& verification);
nlohmann::json environment_json(const ApiCall& call, const auth::Environment& environment);

// Does what is asked for: as a stream of events for a client that accepts one, else the answer when it is done.
boost::asio::awaitable<ApiReply> do_job(ApiCall& call, Result<workspaces::EnvBuilds::Request> request);

}  // namespace berth::web
