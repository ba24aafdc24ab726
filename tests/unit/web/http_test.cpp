// HTTP/1.1 as a client meets it, on loopback.
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include "tests/unit/web/harness.hpp"

namespace berth::web {
namespace {

class Http : public WebTest {
 protected:
  Answer once(std::string_view text) {
    Wire wire = portal();
    wire.send(text);
    return wire.answer();
  }
};

TEST_F(Http, AnswersSeveralRequestsOnOneConnection) {
  Wire wire = portal();
  wire.send(request("GET", "/healthz"));
  EXPECT_EQ(wire.answer().status, 200);
  wire.send(request("GET", "/healthz") + request("HEAD", "/healthz") + request("GET", "/nothing.txt", "Connection: close\r\n"));  // pipelined
  EXPECT_EQ(wire.answer().json()["alive"], true);
  const Answer head = wire.answer("HEAD");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.field("Content-Length"), "14");
  const Answer last = wire.answer();
  EXPECT_EQ(last.status, 404);
  EXPECT_EQ(last.field("Connection"), "close");
  EXPECT_TRUE(wire.ended());
}

TEST_F(Http, RefusesMalformedHeadsAndCloses) {
  for (const auto& [text, status] : std::vector<std::pair<std::string, int>>{
           {"GET / HTTP/1.1\r\n\r\n", 400},
           {"GET / HTTP/1.1\nHost: a\n\n", 400},
           {"\x16\x03\x01 garbage\n", 400},
           {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
           {"GET /" + std::string(9000, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n", 414},
           {"GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(70'000, 'x') + "\r\n\r\n", 431}}) {
    Wire wire = portal();
    wire.send(text);
    const Answer answer = wire.answer();
    EXPECT_EQ(answer.status, status) << text.substr(0, 60);
    EXPECT_TRUE(wire.ended());
  }
}

TEST_F(Http, ANeverEndingHeadIsCutAtItsLimit) {
  Wire wire = portal();
  wire.send("GET / HTTP/1.1\r\nHost: a\r\n");
  const std::string line = "X-Filler: " + std::string(1000, 'x') + "\r\n";
  for (int i = 0; i < 80; ++i) wire.send(line);
  EXPECT_EQ(wire.answer().status, 431);
}

TEST_F(Http, SmuggledRequestsAreNotServed) {
  Wire wire = portal();
  wire.send("POST /api/v1/login/link HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: a\r\n\r\n");
  const std::string all = wire.receive_all();
  EXPECT_EQ(all.find("HTTP/1.1 400"), 0u);
  EXPECT_EQ(all.find("HTTP/1.1", 1), std::string::npos) << all;
}

TEST_F(Http, LimitsTheBodyOfTheApi) {
  const std::string origin = "Origin: http://127.0.0.1\r\n";
  EXPECT_EQ(once(request("POST", "/api/v1/login/link", origin, std::string(70'000, ' '))).status, 413);
  std::string chunks;
  for (int i = 0; i < 70; ++i) chunks += "400\r\n" + std::string(1024, ' ') + "\r\n";
  EXPECT_EQ(once(request("POST", "/api/v1/login/link", origin + "Transfer-Encoding: chunked\r\n") + chunks + "0\r\n\r\n").status, 413);
}

TEST_F(Http, TakesChunkedBodiesAndRefusesBadChunks) {
  const std::string head = request("POST", "/api/v1/login/link", "Origin: http://127.0.0.1\r\nTransfer-Encoding: chunked\r\n");
  const Answer unknown = once(head + "f\r\n{\"token\": \"no\"}\r\n0\r\n\r\n");
  EXPECT_EQ(unknown.status, 404) << unknown.body;  // understood, but there is no such link
  EXPECT_EQ(once(head + "f\n{\"token\": \"no\"}\r\n0\r\n\r\n").status, 400);
  EXPECT_EQ(once(head + "f\r\n{\"token\": \"no\"}\r\n0\r\nX-Trailer: y\r\n\r\n").status, 404);  // left out
}

TEST_F(Http, ContinuesWhenAsked) {
  Wire wire = portal();
  wire.send(request("POST", "/api/v1/login/link", "Origin: http://127.0.0.1\r\nExpect: 100-continue\r\nContent-Length: 15\r\n"));
  EXPECT_EQ(wire.receive_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  wire.send("{\"token\": \"no\"}");
  EXPECT_EQ(wire.answer().status, 404);
}

TEST_F(Http, RefusesABodyItWillNotReadWithoutWaitingForIt) {
  Wire wire = portal();
  wire.send(request("POST", "/api/v1/users", "Expect: 100-continue\r\nContent-Length: 1000000\r\n"));
  EXPECT_EQ(wire.answer().status, 401);
  EXPECT_TRUE(wire.ended());
}

TEST_F(Http, SpeaksHttp10) {
  Wire wire = portal();
  wire.send("GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_EQ(wire.answer().field("Connection"), "keep-alive");
  wire.send("GET /healthz HTTP/1.0\r\n\r\n");
  EXPECT_EQ(wire.answer().status, 200);
  EXPECT_TRUE(wire.ended());
}

TEST_F(Http, ServesPagesWithSecurityHeaders) {
  const Answer page = get("/login");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.body, "<title>Berth</title>");
  EXPECT_EQ(page.field("Cache-Control"), "no-cache");
  EXPECT_NE(page.field("Content-Security-Policy").find("default-src 'self'"), std::string::npos);
  EXPECT_EQ(page.field("Content-Security-Policy").find("unsafe"), std::string::npos);
  EXPECT_NE(page.field("Content-Security-Policy").find("frame-ancestors 'none'"), std::string::npos);
  EXPECT_EQ(page.field("X-Content-Type-Options"), "nosniff");
  EXPECT_EQ(page.field("Referrer-Policy"), "no-referrer");
  EXPECT_TRUE(page.field("Strict-Transport-Security").empty());
}

TEST_F(Http, ServesAssetsCompressedAndForEver) {
  const Answer plain = get("/assets/app-1a2b.js");
  EXPECT_EQ(plain.body, "let berth = 1;");
  EXPECT_NE(plain.field("Cache-Control").find("immutable"), std::string::npos);
  EXPECT_EQ(plain.field("Content-Type"), "text/javascript; charset=utf-8");
  const Answer gzip = get("/assets/app-1a2b.js", "Accept-Encoding: gzip, deflate\r\n");
  EXPECT_EQ(gzip.field("Content-Encoding"), "gzip");
  EXPECT_EQ(gzip.body, "gzipped");
  Wire wire = portal();
  wire.send(request("GET", "/assets/app-1a2b.js", "If-None-Match: " + plain.field("ETag") + "\r\n"));
  EXPECT_EQ(wire.answer().status, 304);
}

TEST_F(Http, NoPathLeavesThePagesFolder) {
  for (const std::string path : {"/../secret.txt", "/%2e%2e/secret.txt", "/assets/../../secret.txt", "/assets/..%2f..%2fsecret.txt", "//secret.txt", "/./../secret.txt"}) {
    const Answer answer = get(path);
    EXPECT_EQ(answer.body.find("secret"), std::string::npos) << path;
    EXPECT_EQ(answer.status, 404) << path;
  }
  EXPECT_EQ(once(request("POST", "/login")).status, 405);
}

TEST_F(Http, APartOfATlsRecordHoldsNobodyUp) {
  Wire wire = portal_tls();
  wire.send(request("GET", "/healthz"));
  EXPECT_EQ(wire.answer().status, 200);
  constexpr unsigned char kPart[] = {0x17, 3, 3, 0, 64, 1, 2, 3};  // 64 bytes are announced, three come
  ASSERT_EQ(::write(wire.fd(), kPart, sizeof kPart), static_cast<ssize_t>(sizeof kPart));
  for (int i = 0; i < 5; ++i) {
    Wire other = portal_tls();
    other.send(request("GET", "/healthz"));
    EXPECT_EQ(other.answer().status, 200);
  }
}

TEST_F(Http, ServesTls) {
  Wire wire = portal_tls();
  ASSERT_TRUE(SSL_is_init_finished(wire.ssl()));
  EXPECT_STREQ(SSL_get_version(wire.ssl()), "TLSv1.3");
  wire.send(request("GET", "/healthz"));
  EXPECT_EQ(wire.answer().status, 200);
  wire.send(request("GET", "/healthz", "Connection: close\r\n"));
  EXPECT_EQ(wire.answer().status, 200);
  EXPECT_TRUE(wire.ended());
  EXPECT_EQ(SSL_get_shutdown(wire.ssl()) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);  // an orderly end
}

TEST_F(Http, RefusesOldTls) {
  SSL_CTX_set_min_proto_version(client_tls.get(), TLS1_VERSION);
  SSL_CTX_set_max_proto_version(client_tls.get(), TLS1_1_VERSION);
  SSL_CTX_set_security_level(client_tls.get(), 0);
  Wire wire = portal_tls();
  EXPECT_FALSE(SSL_is_init_finished(wire.ssl()));
}

TEST_F(Http, NegotiatesOnlyAeadInTls12) {
  SSL_CTX_set_max_proto_version(client_tls.get(), TLS1_2_VERSION);
  SSL_CTX_set_cipher_list(client_tls.get(), "AES128-SHA:ECDHE-ECDSA-AES128-SHA256:AES128-GCM-SHA256");
  EXPECT_FALSE(SSL_is_init_finished(portal_tls().ssl()));
  SSL_CTX_set_cipher_list(client_tls.get(), "DEFAULT");
  Wire wire = portal_tls();
  ASSERT_TRUE(SSL_is_init_finished(wire.ssl()));
  EXPECT_NE(SSL_CIPHER_is_aead(SSL_get_current_cipher(wire.ssl())), 0);
}

TEST_F(Http, MakesTheCertificateOnceWithItsNames) {
  Wire wire = portal_tls();
  X509Handle certificate(SSL_get1_peer_certificate(wire.ssl()));
  ASSERT_TRUE(certificate);
  for (const char* name : {"box.example", "localhost"}) EXPECT_EQ(X509_check_host(certificate.get(), name, 0, 0, nullptr), 1) << name;
  for (const char* address : {"127.0.0.1", "::1"}) EXPECT_EQ(X509_check_ip_asc(certificate.get(), address, 0), 1) << address;
  struct stat status {};
  ASSERT_EQ(::stat((dir.path() / "tls/key.pem").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(Http, CountsWhatItDoes) {
  get("/healthz");
  Wire bad = portal();
  bad.send("nonsense\n");
  bad.receive_all();
  const std::string metrics = get("/metrics").body;
  EXPECT_NE(metrics.find("berth_web_refused_total{lane=\"0\"} 1\n"), std::string::npos) << metrics;
  EXPECT_NE(metrics.find("berth_web_responses_total{lane=\"0\",class=\"4xx\"} 1\n"), std::string::npos);
  EXPECT_NE(metrics.find("berth_workspaces{state=\"running\"} 1\n"), std::string::npos);
  EXPECT_NE(metrics.find("berth_store_write_seconds_count "), std::string::npos);
  EXPECT_NE(metrics.find("berth_lane_lag_seconds_bucket{lane=\"0\",le=\"+Inf\"} "), std::string::npos);
}

TEST_F(Http, CountsSessionsAndTheirBytes) {
  auth::SessionRecord record;
  record.user = "ada";
  record.kind = "shell";
  const auto open = sessions->open(record, lane.io.get_executor(), {});
  open->bytes_in = 3;
  open->bytes_out = 5;
  const auto closed = sessions->open(record, lane.io.get_executor(), {});
  closed->bytes_in = 10;
  sessions->close(closed, "exit 0");
  const std::string metrics = get("/metrics").body;
  EXPECT_NE(metrics.find("berth_sessions_live{kind=\"shell\"} 1\n"), std::string::npos) << metrics;
  EXPECT_NE(metrics.find("berth_sessions_opened_total{kind=\"shell\"} 2\n"), std::string::npos);
  EXPECT_NE(metrics.find("berth_sessions_bytes_total{kind=\"shell\",direction=\"in\"} 13\n"), std::string::npos);
  EXPECT_NE(metrics.find("berth_sessions_bytes_total{kind=\"shell\",direction=\"out\"} 5\n"), std::string::npos);
  sessions->close(open, "exit 0");
}

TEST_F(Http, TellsWhetherItIsReady) { EXPECT_EQ(get("/readyz").json()["ready"], true); }

TEST_F(Http, StopsInOrder) {
  Wire idle = portal();
  idle.send(request("GET", "/healthz"));
  idle.answer();
  stop();
  EXPECT_TRUE(idle.ended());
  EXPECT_LT(portal().fd(), 0);  // nobody listens any more
}

// Another berthd has taken over: nothing new comes in, and what is there ends as soon as it is served.
TEST_F(Http, RetiresWithoutTurningAnybodyAway) {
  const Login ada = login("ada");
  Wire idle = portal(), events = portal(), fresh = portal(), unfinished = portal(), silent = portal();
  idle.send(request("GET", "/healthz"));
  EXPECT_EQ(idle.answer().status, 200);
  events.send(request("GET", "/api/v1/events", cookie_line(ada)));
  events.receive_until("event: ready\ndata: {}\n\n");
  unfinished.send("GET /healthz HTTP/1.1\r\n");
  for (int i = 0; i < 1000 && server->connections() < 5; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  ASSERT_EQ(server->connections(), 5);
  server->retire();
  EXPECT_TRUE(idle.ended());
  EXPECT_NE(events.receive_all().find("0\r\n\r\n"), std::string::npos);
  for (Wire* wire : {&fresh, &unfinished}) {
    wire->send(wire == &fresh ? request("GET", "/healthz") : "Host: x\r\n\r\n");
    const Answer answer = wire->answer();
    EXPECT_EQ(answer.status, 200);
    EXPECT_EQ(answer.field("Connection"), "close");
    EXPECT_TRUE(wire->ended());
  }
  EXPECT_TRUE(silent.ended());  // who asks for nothing is not waited for
}

class ImpatientHttp : public WebTest {
 protected:
  static WebLimits limits() {
    WebLimits limits = test_limits();
    limits.head = limits.body = limits.handshake = std::chrono::milliseconds(150);
    limits.idle = std::chrono::milliseconds(300);
    return limits;
  }
  ImpatientHttp() : WebTest(limits()) {}
};

TEST_F(ImpatientHttp, ASlowHeadIsTimedOut) {
  Wire wire = portal();
  wire.send("GET / HTTP/1.1\r\nHos");
  EXPECT_EQ(wire.answer().status, 408);
  EXPECT_TRUE(wire.ended());
}

TEST_F(ImpatientHttp, AnIdleConnectionIsClosedWithoutAWord) {
  Wire wire = portal();
  EXPECT_EQ(wire.receive_all(), "");
}

TEST_F(ImpatientHttp, ASilentTlsClientIsClosed) {
  Wire wire = connect_to(tls_port);
  EXPECT_EQ(wire.receive_all(), "");
}

TEST_F(ImpatientHttp, ASlowBodyIsTimedOut) {
  Wire wire = portal();
  wire.send(request("POST", "/api/v1/login/link", "Origin: http://127.0.0.1\r\nContent-Length: 100\r\n") + "{\"tok");
  const Answer answer = wire.answer();
  EXPECT_EQ(answer.status, 408) << answer.body;
  EXPECT_TRUE(wire.ended());
}

TEST_F(ImpatientHttp, ABodyThatDripsIsTimedOut) {
  Wire wire = portal();
  wire.send(request("POST", "/api/v1/login/link", "Origin: http://127.0.0.1\r\nContent-Length: 1000\r\n"));
  for (int i = 0; i < 20; ++i) {
    wire.send(" ");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  EXPECT_EQ(wire.answer().status, 408);
}

}  // namespace
}  // namespace berth::web
