// GET /api/v1/events: who hears of what, and that a stream ends with its login.
#include "tests/unit/web/harness.hpp"

namespace berth::web {
namespace {

class Events : public WebTest {
 protected:
  static WebLimits quick() {
    WebLimits limits = test_limits();
    limits.event_look = limits.event_gather = limits.event_pulse = std::chrono::milliseconds(5);
    limits.event_streams_per_login = 2;
    return limits;
  }
  Events() : WebTest(quick()) {}
  Wire listen(const Login& who, const std::string& query = {}) {
    Wire wire = portal();
    wire.send(request("GET", "/api/v1/events" + query, cookie_line(who)));
    wire.receive_until("event: ready\ndata: {}\n\n");
    return wire;
  }
  std::shared_ptr<auth::LiveSession> open_session(const std::string& user, const std::string& kind = "shell") {
    auth::SessionRecord record;
    record.user = user;
    record.kind = kind;
    return sessions->open(record, lane.io.get_executor(), {});
  }
  static std::string next(Wire& wire) { return wire.receive_until("}\n\n"); }
};

TEST_F(Events, AreServerSentEventsThatNobodyKeeps) {
  const Login ada = login("ada");
  Wire wire = portal();
  wire.send(request("GET", "/api/v1/events", cookie_line(ada)));
  const std::string head = wire.receive_until("\r\n\r\n");
  EXPECT_NE(head.find("200 OK"), std::string::npos) << head;
  EXPECT_NE(head.find("Content-Type: text/event-stream"), std::string::npos);
  EXPECT_NE(head.find("Cache-Control: no-store"), std::string::npos);
  EXPECT_EQ(get("/api/v1/events").status, 401);
}

TEST_F(Events, AUserHearsOfTheirOwn) {
  const Login ada = login("ada");
  login("eve");
  Wire wire = listen(ada);
  const auto hers = open_session("eve");
  add_key("eve", 1007);
  const auto mine = open_session("ada");
  EXPECT_NE(next(wire).find(R"({"topics":["sessions"]})"), std::string::npos);  // eve's key is not hers to know of
  add_key("ada", 1008);
  EXPECT_NE(next(wire).find(R"({"topics":["keys"]})"), std::string::npos);
  ASSERT_EQ(change("POST", "/api/v1/workspaces/ada/main/stop", ada).status, 200);
  EXPECT_NE(next(wire).find(R"({"topics":["workspaces"]})"), std::string::npos);
  sessions->close(mine, "exit 0");
  EXPECT_NE(next(wire).find(R"({"topics":["sessions"]})"), std::string::npos);
  sessions->close(hers, "exit 0");
}

TEST_F(Events, AnAuditorHearsOfEverybodys) {
  const Login otto = login("otto", auth::Role::auditor);
  login("eve");
  Wire wire = listen(otto);
  const auto session = open_session("eve");
  EXPECT_NE(next(wire).find("sessions"), std::string::npos);
  add_key("eve", 1007);
  const std::string heard = wire.receive_until("audit");  // the key and its audit row are one change
  EXPECT_NE(heard.find("keys"), std::string::npos) << heard;
  sessions->close(session, "exit 0");
}

TEST_F(Events, TrafficIsToldToWhoMaySeeIt) {
  const Login ada = login("ada");
  login("eve");
  const auto mine = open_session("ada"), hers = open_session("eve");
  mine->bytes_in = 5;
  hers->bytes_in = 7;
  Wire wire = listen(ada, "?traffic=1");
  const std::string first = wire.receive_until("]}\n\n");
  EXPECT_NE(first.find("event: traffic\ndata: {\"" + mine->record().id + "\":[5,0]}"), std::string::npos) << first;
  mine->bytes_out = 9;
  EXPECT_NE(wire.receive_until("]}\n\n").find("{\"" + mine->record().id + "\":[5,9]}"), std::string::npos);
  sessions->close(mine, "exit 0");
  sessions->close(hers, "exit 0");
}

TEST_F(Events, UseIsToldToWhoMaySeeIt) {
  const Login ada = login("ada"), otto = login("otto", auth::Role::auditor);
  const auto answer = [](std::int64_t second) {
    nlohmann::json workspaces = nlohmann::json::array();
    for (const char* user : {"ada", "eve"}) workspaces.push_back({{"user", user}, {"workspace", "main"}, {"pid", 7}, {"cpu_us", second * 500'000}, {"memory", second}});
    return nlohmann::json{{"at_us", second * 1'000'000}, {"workspaces", workspaces}, {"box", {{"cpus", 4}}}};
  };
  usage.add(answer(5));
  usage.add(answer(10));
  Wire hers = listen(ada, "?usage=1"), all = listen(otto, "?usage=1");
  const std::string own = hers.receive_until("}\n\n");
  EXPECT_NE(own.find("event: usage\n"), std::string::npos) << own;
  EXPECT_NE(own.find(R"("cpu":[0.5])"), std::string::npos) << own;
  EXPECT_EQ(own.find(R"("eve")"), std::string::npos) << own;
  EXPECT_EQ(own.find("box"), std::string::npos) << own;
  const std::string everything = all.receive_until("}\n\n");
  EXPECT_NE(everything.find(R"("eve")"), std::string::npos) << everything;
  EXPECT_NE(everything.find(R"("box")"), std::string::npos) << everything;
  usage.add(answer(15));
  EXPECT_NE(hers.receive_until("}\n\n").find(R"("memory":[15])"), std::string::npos);
}

TEST_F(Events, EndWithTheLogin) {
  const Login ada = login("ada"), eve = login("eve"), bob = login("bob");
  Wire logged_out = listen(ada), revoked = listen(eve), expired = listen(bob);
  ASSERT_EQ(change("POST", "/api/v1/logout", ada).status, 200);
  logged_out.receive_until("event: ended\ndata: {}\n\n");
  EXPECT_NE(logged_out.receive_all().find("0\r\n\r\n"), std::string::npos);
  ASSERT_TRUE(run_coroutine(directory->revoke_key({"admin-socket", auth::Role::admin, "unix", ""}, eve.key)).has_value());
  revoked.receive_until("event: ended\ndata: {}\n\n");
  clock.advance(std::chrono::hours(13));
  expired.receive_until("event: ended\ndata: {}\n\n");
}

TEST_F(Events, AreFewForOneLogin) {
  const Login ada = login("ada");
  Wire first = listen(ada), second = listen(ada);
  EXPECT_EQ(get("/api/v1/events", cookie_line(ada)).status, 503);
  Wire other = listen(login("eve"));
  second = Wire(FileDescriptor());  // its page was closed: there is room again
  for (int tries = 0; tries < 500; ++tries) {
    Wire again = portal();
    again.send(request("GET", "/api/v1/events", cookie_line(ada)));
    if (again.receive_until("\r\n\r\n").find("200 OK") != std::string::npos) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  FAIL() << "the closed stream still counts";
}

TEST_F(Events, EndWhenTheServerStops) {
  const Login ada = login("ada");
  Wire wire = listen(ada);
  stop(std::chrono::seconds(5));
  EXPECT_NE(wire.receive_all().find("0\r\n\r\n"), std::string::npos);
}

TEST_F(Events, AHeadRequestHasNoStream) {
  Wire wire = portal();
  wire.send(request("HEAD", "/api/v1/events", cookie_line(login("ada"))));
  EXPECT_EQ(wire.answer("HEAD").status, 200);
}

}  // namespace
}  // namespace berth::web
