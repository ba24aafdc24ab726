// What the fuzzers of server/ssh share: a connection whose client is the fuzzer's input and whose application does what the input says too, and a
// model of RFC 4254 that every packet from the server must agree with. Time is the input's as well.
#pragma once
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "server/ssh/session.hpp"
#include "server/ssh/wire.hpp"
#include "tests/fuzz/ssh_wire.hpp"

namespace berth::ssh::fuzz {

#define MUST(condition)                                                                              \
  do {                                                                                               \
    if (!(condition)) {                                                                              \
      std::fprintf(stderr, "does not hold: %s (%s:%d)\n", #condition, __FILE__, __LINE__);           \
      std::abort();                                                                                  \
    }                                                                                                \
  } while (false)

void advance_time(std::chrono::milliseconds by);

// Reads values from the fuzzer's bytes; zero when they have run out.
class Input {
 public:
  Input(const unsigned char* data, std::size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}
  bool empty() const { return rest_.empty(); }
  std::uint8_t u8();
  std::uint32_t u32();
  bool flag() { return (u8() & 1) != 0; }
  std::size_t below(std::size_t limit) { return limit == 0 ? 0 : u8() % limit; }
  // Small, around a limit of the protocol, or anything.
  std::uint32_t size();
  // One of `known`, raw bytes, or something very long.
  template <std::size_t N>
  std::string text(const std::string_view (&known)[N]) {
    const std::size_t pick = u8();
    return pick < 224 ? std::string(known[pick % N]) : text();
  }
  std::string text();

 private:
  std::string_view rest_;
};

// The client's side, and what it knows.
class Client {
 public:
  explicit Client(int descriptor) : descriptor_(descriptor) {}
  ~Client() { hang_up(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  struct Channel {
    std::optional<std::uint32_t> server_id;  // once it is open
    bool over = false;                       // refused, or closed by both
    std::uint64_t may_send = 0;              // what the server's window allows
    std::uint64_t may_receive = 0;
    std::uint32_t max_packet = 0;
    std::uint32_t replies_owed = 0;
    bool eof_sent = false, close_sent = false, eof_received = false, close_received = false;
  };
  struct Opened {  // by the server, not yet answered
    std::uint32_t server_id;
    std::uint64_t may_send;
  };

  // One packet; false: the server takes nothing now.
  bool send(std::string_view packet);
  // Takes what has come and checks it. Nothing while the client has stopped reading.
  void receive();
  void hang_up();
  // Is something that was sent still on its way to the server's socket?
  bool has_unsent() const;

  bool reads = true;
  bool crowded = false;      // its socket may have been full
  bool over = false;         // the server has disconnected, or closed the connection
  bool must_end = false;     // the client broke a rule that the server must not overlook
  bool exact = true;         // false: raw packets were sent that the model does not follow
  bool misnumbered = false;  // one of them may have confirmed a channel by any number, that of another channel too
  bool logged_in = false;
  bool accepted_signed = false;  // the application has said yes to a signed request
  std::uint32_t auth_owed = 0;   // USERAUTH_REQUESTs without an answer
  std::uint32_t global_owed = 0;
  int refusals = 0;
  std::vector<Channel> channels;  // by the client's number
  std::vector<Opened> opened;
  std::uint64_t data_sent = 0;

 private:
  void take(std::uint8_t type, std::string_view payload);
  Channel& known(std::uint32_t id);
  void take_open(WireReader& in);
  void take_data(Channel& channel, std::string_view data);
  void take_request(WireReader& in);
  bool take_of_channel(std::uint8_t type, WireReader& in);

  int descriptor_;
  std::string received_;
  bool disconnected_ = false;
};

// Both sides of one connection.
class World {
 public:
  explicit World(std::shared_ptr<const ServerOptions> options);
  ~World() { finish(); }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // Lets both sides do all that they can, and checks the memory.
  void settle();
  // As long as the system takes to send on to a socket that was full, in real time.
  void settle_slowly();
  void send(std::string_view packet);
  // After time has passed: what was waiting for it.
  void pass(std::chrono::milliseconds time);

  // The application. A task is dropped when one of its kind is waiting already.
  void answer_auth(bool accept);
  void answer_global(bool success, std::uint32_t port);
  void open_channel(std::string type, std::string data);
  void read(std::size_t index, std::size_t size);
  void write(std::size_t index, std::size_t size, bool as_stderr);
  void take_request(std::size_t index, bool success);
  std::shared_ptr<ssh::Channel> channel(std::size_t index) { return index < held_.size() ? held_[index]->channel : nullptr; }
  std::size_t channels() const { return held_.size(); }
  // Up to `most` bytes of each packet that nothing waits for; 0: none any more.
  void take_at_once(Channel& channel, std::size_t most);
  void drop(std::size_t index);

  Session* session() { return session_.get(); }
  Client& client() { return *client_; }

 private:
  struct Held {
    std::shared_ptr<ssh::Channel> channel;
    bool reading = false, taking = false;
    int writing = 0;
  };
  struct Work;
  void finish();
  void check_memory();

  boost::asio::io_context io_{1};
  std::unique_ptr<Client> client_;
  std::shared_ptr<Session> session_;
  std::vector<std::shared_ptr<Held>> held_;
  bool answering_auth_ = false, answering_global_ = false;
  std::size_t memory_before_ = 0;
  std::uint64_t read_ = 0;
  std::size_t writing_ = 0;  // bytes that tasks of the application hold
};

// Options for all of them; the host key is made once.
std::shared_ptr<const ServerOptions> fuzz_options();
// A USERAUTH_REQUEST of user "ada"; signed unless `signature` is empty.
std::string auth_request(std::string_view user, std::string_view method, std::string_view blob, std::optional<Signature> signature);

}  // namespace berth::ssh::fuzz
