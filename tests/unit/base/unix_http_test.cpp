#include "base/unix_http.hpp"

#include <gtest/gtest.h>

#include "tests/support/unix_http_server.hpp"

namespace berth {
namespace {

using namespace std::chrono_literals;
using testing_support::json_answer;
using testing_support::SeenRequest;
using testing_support::UnixHttpServer;

TEST(UnixHttp, AsksAndAnswers) {
  const UnixHttpServer server([](const SeenRequest&) { return json_answer(201, "{\"a\":1}"); });
  const auto answer = UnixHttp(server.path(), 5s).request({.method = "POST", .target = "/api/v1/users", .body = "{\"name\":\"ada\"}"});
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->status, 201U);
  EXPECT_EQ(answer->content_type, "application/json");
  EXPECT_EQ(answer->body, "{\"a\":1}");
  EXPECT_TRUE(answer->end_marked);
  const auto seen = server.seen();
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0].method, "POST");
  EXPECT_EQ(seen[0].target, "/api/v1/users");
  EXPECT_EQ(seen[0].body, "{\"name\":\"ada\"}");
  EXPECT_NE(seen[0].headers.find("Content-Type: application/json"), std::string::npos);
}

TEST(UnixHttp, StatesTheLengthOfAnEmptyPost) {
  const UnixHttpServer server([](const SeenRequest&) { return json_answer(200, "{}"); });
  ASSERT_TRUE(UnixHttp(server.path(), 5s).request({.method = "POST", .target = "/x"}));
  EXPECT_NE(server.seen().at(0).headers.find("Content-Length: 0"), std::string::npos);
}

TEST(UnixHttp, StreamsABody) {
  const std::string large(300'000, 'x');
  const UnixHttpServer server([&](const SeenRequest&) { return json_answer(200, large, "application/vnd.sqlite3"); });
  std::string got;
  int pieces = 0;
  const auto answer = UnixHttp(server.path(), 5s).stream({.target = "/backup"}, [&](std::string_view piece) -> Result<void> {
    got += piece;
    ++pieces;
    return {};
  });
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(got, large);
  EXPECT_GT(pieces, 3);
  EXPECT_TRUE(answer->body.empty());
}

TEST(UnixHttp, AnErrorIsNotStreamed) {
  const UnixHttpServer server([](const SeenRequest&) { return json_answer(403, "{\"error\":1}"); });
  const auto answer = UnixHttp(server.path(), 5s).stream({.target = "/backup"}, [](std::string_view) -> Result<void> {
    ADD_FAILURE();
    return {};
  });
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 403U);
  EXPECT_EQ(answer->body, "{\"error\":1}");
}

TEST(UnixHttp, TheSinkMayEndIt) {
  const UnixHttpServer server([](const SeenRequest&) { return json_answer(200, std::string(1'000'000, 'x')); });
  const auto answer = UnixHttp(server.path(), 5s).stream({}, [](std::string_view) -> Result<void> {
    return Error{ErrorKind::internal, "disk full"};
  });
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().message, "disk full");
}

TEST(UnixHttp, UnderstandsChunks) {
  const UnixHttpServer server([](const SeenRequest&) {
    return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
  });
  const auto answer = UnixHttp(server.path(), 5s).request({});
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->body, "abcde");
  EXPECT_TRUE(answer->end_marked);
}

TEST(UnixHttp, ABodyCutShortIsAnError) {
  const UnixHttpServer server([](const SeenRequest&) { return "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"; });
  const auto answer = UnixHttp(server.path(), 5s).request({});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::closed);
}

TEST(UnixHttp, ABodyWithoutAMarkedEndSaysSo) {
  const UnixHttpServer server([](const SeenRequest&) { return "HTTP/1.1 200 OK\r\n\r\nabc"; });
  const auto answer = UnixHttp(server.path(), 5s).request({});
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->body, "abc");
  EXPECT_FALSE(answer->end_marked);
}

TEST(UnixHttp, GarbageIsAProtocolError) {
  const UnixHttpServer server([](const SeenRequest&) { return "SSH-2.0-OpenSSH_9.2\r\n\r\n"; });
  const auto answer = UnixHttp(server.path(), 5s).request({});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::protocol);
}

TEST(UnixHttp, SilenceIsATimeout) {
  const UnixHttpServer server([](const SeenRequest&) { return ""; });
  const auto answer = UnixHttp(server.path(), 50ms).request({});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().kind, ErrorKind::timeout);
}

TEST(UnixHttp, NobodyThere) {
  EXPECT_EQ(UnixHttp("/nonexistent/admin.sock", 1s).request({}).error().kind, ErrorKind::not_found);
  EXPECT_EQ(UnixHttp("", 1s).request({}).error().kind, ErrorKind::invalid);
  EXPECT_EQ(UnixHttp(std::string(200, 'x'), 1s).request({}).error().kind, ErrorKind::invalid);
}

}  // namespace
}  // namespace berth
