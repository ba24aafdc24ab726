// What passes between browser and workspace: one request and its answer.
#include <sys/socket.h>

#include <atomic>

#include "tests/unit/web/proxy_fixture.hpp"

namespace berth::web {
namespace {

TEST_F(Proxy, PassesRequestAndAnswer) {
  Wire browser = workspaces();
  send(browser, "POST", "/sub/x?y=1", "X-Custom: kept\r\nCookie: app=1\r\n", "payload");
  Wire inside = app.accept();
  const std::string head = inside.receive_until("\r\n\r\n");
  EXPECT_EQ(head.find("POST /sub/x?y=1 HTTP/1.1\r\nHost: localhost:" + std::to_string(app.port()) + "\r\n"), 0u) << head;
  EXPECT_NE(head.find("X-Custom: kept\r\n"), std::string::npos);
  EXPECT_NE(head.find("X-Forwarded-Prefix: " + path("") + "\r\n"), std::string::npos);
  EXPECT_NE(head.find("Cookie: app=1\r\n"), std::string::npos);
  EXPECT_EQ(head.find("__Host"), std::string::npos);
  EXPECT_EQ(inside.receive_exactly(7), "payload");
  inside.send("HTTP/1.1 201 Made\r\nContent-Length: 2\r\nX-App: 1\r\nSet-Cookie: __Host-berth=evil\r\n\r\nok");
  const Answer answer = browser.answer();
  EXPECT_EQ(answer.status, 201);
  EXPECT_EQ(answer.body, "ok");
  EXPECT_EQ(answer.field("X-App"), "1");
  EXPECT_TRUE(answer.fields("Set-Cookie").empty());
}

TEST_F(Proxy, KeepsConnectionsIntoTheWorkspace) {
  Wire browser = workspaces();
  send(browser, "GET", "/1");
  Wire inside = app.accept();
  for (int i = 0; i < 3; ++i) {
    inside.receive_until("\r\n\r\n");
    inside.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
    EXPECT_EQ(browser.answer().body, "x");
    send(browser, "GET", "/more");
  }
  EXPECT_FALSE(app.somebody_waits());
}

TEST_F(Proxy, AStaleKeptConnectionIsReplacedUnseen) {
  Wire browser = workspaces();
  send(browser, "GET", "/1");
  {
    Wire inside = app.accept();
    inside.receive_until("\r\n\r\n");
    inside.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
    EXPECT_EQ(browser.answer().body, "x");
    send(browser, "GET", "/2");
    inside.receive_until("\r\n\r\n");  // and closes without an answer
  }
  Wire inside = app.accept();
  EXPECT_EQ(inside.receive_until("\r\n").find("GET /2 "), 0u);
  inside.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\ny");
  EXPECT_EQ(browser.answer().body, "y");
}

TEST_F(Proxy, AnUnsafeRequestIsNeverRepeated) {
  Wire browser = workspaces();
  send(browser, "POST", "/pay");
  {
    Wire inside = app.accept();
    inside.receive_until("\r\n\r\n");
  }
  EXPECT_EQ(browser.answer().status, 502);
  EXPECT_FALSE(app.somebody_waits());
}

TEST_F(Proxy, StreamsChunksBothWays) {
  Wire browser = workspaces();
  browser.send(request("POST", path("/up"), headers("Transfer-Encoding: chunked\r\n")));
  browser.send("3\r\nabc\r\n");
  Wire inside = app.accept();
  inside.receive_until("\r\n\r\n");
  EXPECT_EQ(inside.receive_exactly(8), "3\r\nabc\r\n");  // before the body's end
  inside.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n");
  EXPECT_NE(browser.receive_until("\r\n\r\n").find("Transfer-Encoding: chunked"), std::string::npos);
  EXPECT_EQ(browser.receive_exactly(7), "2\r\nhi\r\n");  // both at once
  browser.send("0\r\n\r\n");
  EXPECT_EQ(inside.receive_exactly(5), "0\r\n\r\n");
  inside.send("0\r\n\r\n");
  EXPECT_EQ(browser.receive_exactly(5), "0\r\n\r\n");
  browser.send(request("GET", "/w/ada/main/", headers()));
  EXPECT_EQ(browser.answer().status, 302);  // the connection is in order
}

TEST_F(Proxy, EventsPassAtOnce) {
  Wire browser = workspaces();
  send(browser, "GET", "/events", "Accept: text/event-stream\r\n");
  Wire inside = app.accept();
  inside.receive_until("\r\n\r\n");
  inside.send("HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
  EXPECT_NE(browser.receive_until("\r\n\r\n").find("Connection: close"), std::string::npos);
  for (int i = 0; i < 3; ++i) {
    inside.send("data: 1\n\n");
    EXPECT_EQ(browser.receive_exactly(9), "data: 1\n\n");
  }
}

TEST_F(Proxy, MegabytesPassUnharmedBothWays) {
  std::string big(8 * 1024 * 1024 + 13, '\0');
  for (std::size_t i = 0; i < big.size(); ++i) big[i] = static_cast<char>(i * 31 + i / 251);
  Wire browser = workspaces();
  std::thread sender([&] { send(browser, "PUT", "/file", "", big); });
  Wire inside = app.accept();
  inside.receive_until("\r\n\r\n");
  EXPECT_TRUE(inside.receive_exactly(big.size()) == big);
  sender.join();
  std::thread answerer([&] {
    inside.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(big.size()) + "\r\n\r\n");
    inside.send(big);
  });
  EXPECT_TRUE(browser.answer().body == big);
  answerer.join();
}

TEST_F(Proxy, ASlowReaderHoldsTheWorkspaceBack) {
  Wire browser = workspaces();
  send(browser, "GET", "/flood");
  Wire inside = app.accept();
  inside.receive_until("\r\n\r\n");
  inside.send("HTTP/1.1 200 OK\r\n\r\n");
  const std::string block(64 * 1024, 'x');
  std::size_t taken = 0;
  for (int pause = 0; pause < 20;) {  // until nothing is taken for 200 ms
    const ssize_t sent = ::send(inside.fd(), block.data(), block.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) taken += static_cast<std::size_t>(sent), pause = 0;
    else std::this_thread::sleep_for(std::chrono::milliseconds(10)), ++pause;
    ASSERT_LT(taken, 64u * 1024 * 1024);
  }
  EXPECT_GT(taken, 0u);
}

TEST_F(Proxy, AnswersWithoutBodies) {
  Wire browser = workspaces();
  send(browser, "HEAD", "/");
  Wire inside = app.accept();
  inside.receive_until("\r\n\r\n");
  inside.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
  EXPECT_EQ(browser.answer("HEAD").field("Content-Length"), "1000");
  send(browser, "GET", "/204");
  inside.receive_until("\r\n\r\n");
  inside.send("HTTP/1.1 204 No Content\r\n\r\n");
  EXPECT_EQ(browser.answer().status, 204);
  send(browser, "GET", "/304");
  inside.receive_until("\r\n\r\n");
  inside.send("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n");
  EXPECT_EQ(browser.answer().status, 304);
  send(browser, "GET", "/early");
  inside.receive_until("\r\n\r\n");
  inside.send("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nz");
  EXPECT_EQ(browser.answer().body, "z");
}

TEST_F(Proxy, AnEarlyAnswerEndsTheUpload) {
  Wire browser = workspaces();
  browser.send(request("POST", path("/"), headers("Content-Length: 100000000\r\n")) + "start");
  Wire inside = app.accept();
  inside.receive_until("start");
  inside.send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig");
  const Answer answer = browser.answer();
  EXPECT_EQ(answer.status, 413);
  EXPECT_EQ(answer.body, "big");
  EXPECT_TRUE(browser.ended());
}

// A server that answers and then reads no more holds neither the browser nor an upgrade up.
TEST_F(Proxy, AnEarlyAnswerToAFullPipeEndsTheUpload) {
  Wire browser = workspaces();
  std::atomic<int> sent{0};
  std::thread sending([&] {
    browser.send(request("POST", path("/"), headers("Content-Length: 100000000\r\n")));
    for (const std::string part(64 * 1024, 'x'); sent < 1024; ++sent) browser.send(part);
  });
  Wire inside = app.accept();
  const int little = 64 * 1024;
  ::setsockopt(inside.fd(), SOL_SOCKET, SO_RCVBUF, &little, sizeof little);
  inside.receive_until("\r\n\r\n");
  for (int still = 0, before = -1; still < 50; std::this_thread::sleep_for(std::chrono::milliseconds(10))) {  // nothing moves any more
    still = sent == before ? still + 1 : 0;
    before = sent;
  }
  EXPECT_LT(sent, 1024);
  inside.send("HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig");
  for (int i = 0; i < 4000 && server->connections() > 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_EQ(server->connections(), 0);
  sending.join();
}

TEST_F(Proxy, ContinuesAnUploadItself) {
  Wire browser = workspaces();
  send(browser, "POST", "/", "Expect: 100-continue\r\nContent-Length: 2\r\n");
  EXPECT_EQ(browser.receive_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  browser.send("ab");
  Wire inside = app.accept();
  EXPECT_EQ(inside.receive_until("\r\n\r\n").find("Expect"), std::string::npos);
  EXPECT_EQ(inside.receive_exactly(2), "ab");
  inside.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(browser.answer().status, 200);
}

TEST_F(Proxy, BadAnswersBecome502AndCutOnesAreCut) {
  for (const std::string bad : {"nonsense\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", "HTTP/1.1 101 Switching Protocols\r\n\r\n", ""}) {
    Wire browser = workspaces();
    send(browser, "POST", "/");
    Wire inside = app.accept();
    inside.receive_until("\r\n\r\n");
    inside.send(bad);
    inside.finish_sending();
    EXPECT_EQ(browser.answer().status, 502) << bad;
  }
  Wire huge = workspaces();
  send(huge, "POST", "/");
  Wire inside = app.accept();
  inside.receive_until("\r\n\r\n");
  inside.send("HTTP/1.1 200 OK\r\nX: " + std::string(200'000, 'x') + "\r\n\r\n");
  EXPECT_EQ(huge.answer().status, 502);
  Wire browser = workspaces();
  send(browser, "GET", "/cut");
  {
    Wire cut = app.accept();
    cut.receive_until("\r\n\r\n");
    cut.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
  }
  EXPECT_EQ(browser.answer().body, "abc");
  EXPECT_TRUE(browser.ended());
}

TEST_F(Proxy, MalformedChunksOfTheBrowserEndTheRequest) {
  Wire browser = workspaces();
  browser.send(request("POST", path("/"), headers("Transfer-Encoding: chunked\r\n")) + "3\r\nabc\r\nZ\r\n");
  Wire inside = app.accept();
  EXPECT_EQ(inside.receive_all().find("0\r\n\r\n"), std::string::npos);  // no regular end
  EXPECT_EQ(browser.answer().status, 400);
  EXPECT_TRUE(browser.ended());
}

TEST_F(Proxy, NothingOnThePortIsExplained) {
  const Answer answer = get_workspace("/w/ada/main/port/1/", headers("Accept: text/html\r\n"));
  EXPECT_EQ(answer.status, 502);
  EXPECT_NE(answer.body.find("Connection refused"), std::string::npos) << answer.body;
  EXPECT_EQ(answer.field("Refresh"), "2");  // it may be starting
  EXPECT_TRUE(get_workspace("/w/ada/main/port/1/", headers()).field("Refresh").empty());
  for (const std::string bad : {"/w/ada/main/port/0/", "/w/ada/main/port/70000/", "/w/ada/main/port/x/", "/w/ada/main/port/80x/", "/w/ada/main/else"})
    EXPECT_EQ(get_workspace(bad, headers()).status, 404) << bad;
  EXPECT_EQ(get_workspace("/w/ada/main/port/80?a=b", headers()).field("Location"), "/w/ada/main/port/80/?a=b");
}

TEST_F(Proxy, JupyterGetsItsTokenAndTheWholePath) {
  Wire browser = workspaces();
  browser.send(request("GET", "/w/ada/main/jupyter/api?x=1", headers("Authorization: token forged\r\nAccept: text/html\r\n")));
  Wire inside = jupyter.accept();
  const std::string head = inside.receive_until("\r\n\r\n");
  EXPECT_EQ(head.find("GET /w/ada/main/jupyter/api?x=1 HTTP/1.1\r\nHost: 127.0.0.1\r\n"), 0u) << head;
  EXPECT_NE(head.find("\r\nAuthorization: token s3cret-token\r\n"), std::string::npos);
  EXPECT_EQ(head.find("forged"), std::string::npos);
  inside.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  const Answer answer = browser.answer();
  EXPECT_EQ(answer.body, "ok");
  EXPECT_EQ(answer.head.find("s3cret"), std::string::npos);
  EXPECT_EQ(get_workspace("/w/ada/main/", headers()).field("Location"), "/w/ada/main/jupyter/lab");
}

TEST_F(ImpatientProxy, ASilentServerIs504) {
  Wire browser = workspaces();
  send(browser, "GET", "/slow");
  Wire inside = app.accept();
  EXPECT_EQ(browser.answer().status, 504);
}

}  // namespace
}  // namespace berth::web
