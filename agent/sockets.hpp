// connect and listen: sockets of the workspace's own network and file system, given away to berthd.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "agent/loop.hpp"
#include "agent/request.hpp"
#include "agent/resolver.hpp"

namespace berth::agent {

class Listening;
class PrivateDirectory;

class Sockets {
 public:
  explicit Sockets(Loop& loop);
  ~Sockets();
  void connect(const Request& request);
  void listen(const Request& request);
  void credit(const Request& request);  // berthd takes more connections of a listener
  void close(const Request& request);
  void connection_lost(std::uint64_t connection_id);  // its listeners end with it

 private:
  static constexpr std::size_t kMaxListeners = 512;
  using Key = std::pair<std::uint64_t, std::uint64_t>;  // connection, operation
  using Private = std::shared_ptr<PrivateDirectory>;
  void listen_unix(Key key, const Request& request, const std::string& path, Private with);
  void start_listening(Key key, const Reply& reply, const std::vector<Address>& addresses, const std::string& what, Private with);

  Loop& loop_;
  std::map<Key, std::unique_ptr<Listening>> listeners_;
  std::set<Key> resolving_;  // listeners whose host is being looked up
};

}  // namespace berth::agent
