// Who has logged in by SSH and gives a command of Berth itself (`ssh HOST berth …`): the gateway vouches for it.
#pragma once
#include <string>

#include "auth/directory.hpp"

namespace berth::web {

struct SshLogin {
  auth::Actor actor;      // its role is looked up anew with each request: a connection may be older than a change
  std::string workspace;  // the one that the login names
};

}  // namespace berth::web
