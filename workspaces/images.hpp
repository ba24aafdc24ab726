// The images that workspaces can be made of, and which one is chosen for each. What there is comes from the keeper; any thread may ask.
#pragma once
#include <boost/asio/awaitable.hpp>
#include <map>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "auth/environments.hpp"
#include "workspaces/manager.hpp"

namespace berth::workspaces {

struct OfferedImage {
  std::string name, description, image;  // image: its reference
  std::string glibc;                     // "2.36"; empty: not known
};

class Images {
 public:
  Images(Store& store, const Clock& clock) : store_(store), clock_(clock), environments_(store, clock) {}

  // The keeper's answer to "images".
  void learn(const nlohmann::json& answer);
  std::vector<OfferedImage> offered() const;  // the first one is the default; empty before the keeper was reached

  // The name of the one that is chosen; empty: the default.
  std::string chosen(SQLite::Database& reader, const WorkspaceId& id) const;
  // Error{not_found} for a name that is not offered.
  boost::asio::awaitable<Result<void>> choose(auth::Actor actor, WorkspaceId id, std::string name);
  // A sentence for each environment that the user can use, and whose programs an image with this glibc cannot run: only their own, and
  // what they begin in.
  std::vector<std::string> warnings(SQLite::Database& reader, const std::string& user, const OfferedImage& image) const;
  // Those of the image that is chosen.
  std::vector<std::string> warnings_of(SQLite::Database& reader, const WorkspaceId& id) const;

 private:
  std::string glibc_needed_by(SQLite::Database& reader, const auth::Environment& environment) const;

  Store& store_;
  const Clock& clock_;
  auth::Environments environments_;
  mutable std::mutex mutex_;  // of the next two
  std::vector<OfferedImage> offered_;
  mutable std::map<std::string, std::string> needs_;  // by lock hash
};

}  // namespace berth::workspaces
