#include "web/proxy_head.hpp"

#include <gtest/gtest.h>

#include "web/workspace_origin.hpp"

namespace berth::web {
namespace {

std::string rewritten(const std::string& text, const ProxyRequest& proxy) {
  RequestHead head;
  EXPECT_FALSE(parse_request(text, head)) << text;
  return rewrite_request(head, proxy);
}

ProxyRequest to_port() {
  ProxyRequest proxy;
  proxy.target = "/x?y=1";
  proxy.host = "localhost:8000";
  proxy.public_host = "box:8444";
  proxy.public_origin = "https://box:8444";
  proxy.prefix = "/w/ada/main/port/8000";
  proxy.client_address = "203.0.113.7";
  return proxy;
}

TEST(ProxyRequest, IsRewrittenForTheNextHop) {
  EXPECT_EQ(rewritten("POST /w/ada/main/port/8000/x?y=1 HTTP/1.1\r\nHost: box:8444\r\nConnection: keep-alive, X-Secret\r\nX-Secret: 1\r\nKeep-Alive: 5\r\nTE: trailers\r\n"
                      "Upgrade: h2c\r\nExpect: 100-continue\r\nX-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nAccept: */*\r\n"
                      "Content-Length: 3\r\nAuthorization: Basic eDp5\r\nOrigin: https://box:8444\r\n\r\n",
                      to_port()),
            "POST /x?y=1 HTTP/1.1\r\nHost: localhost:8000\r\nAccept: */*\r\nContent-Length: 3\r\nAuthorization: Basic eDp5\r\nOrigin: http://localhost:8000\r\n"
            "Forwarded: for=203.0.113.7;host=\"box:8444\";proto=https\r\nX-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Host: box:8444\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Prefix: /w/ada/main/port/8000\r\n\r\n");
}

TEST(ProxyRequest, OnItsOwnOriginTheOriginIsLeftOut) {
  ProxyRequest proxy = to_port();
  proxy.own_origin = true;
  proxy.client_address = "2001:db8::7";
  EXPECT_EQ(rewritten("POST / HTTP/1.1\r\nHost: box:8444\r\nOrigin: https://box:8444\r\n\r\n", proxy).find("Origin"), std::string::npos);
  EXPECT_NE(rewritten("GET / HTTP/1.1\r\nHost: box:8444\r\nOrigin: https://other\r\n\r\n", proxy).find("Origin: https://other\r\n"), std::string::npos);
  EXPECT_NE(rewritten("GET / HTTP/1.1\r\nHost: box:8444\r\n\r\n", proxy).find("Forwarded: for=\"[2001:db8::7]\";host"), std::string::npos);
}

TEST(ProxyRequest, KeepsFramingWhateverConnectionNames) {
  const std::string out = rewritten("POST / HTTP/1.1\r\nHost: a\r\nConnection: content-length\r\nContent-Length: 3\r\n\r\n", to_port());
  EXPECT_NE(out.find("Content-Length: 3\r\n"), std::string::npos);
}

TEST(ProxyRequest, CarriesJupytersTokenInPlaceOfAuthorization) {
  ProxyRequest proxy = to_port();
  proxy.token = "s3cret";
  const std::string out = rewritten("GET / HTTP/1.1\r\nHost: a\r\nAuthorization: token forged\r\nauthorization: token again\r\n\r\n", proxy);
  EXPECT_EQ(out.find("forged"), std::string::npos);
  EXPECT_EQ(out.find("again"), std::string::npos);
  EXPECT_NE(out.find("\r\nAuthorization: token s3cret\r\n"), std::string::npos);
}

TEST(ProxyRequest, KeepsBerthsCookiesToItself) {
  const std::string out = rewritten("GET / HTTP/1.1\r\nHost: a\r\nCookie: a=1; __Host-berth=secret; b=2\r\nCookie: __host-BERTH-w-ada.main=secret;berth=x;  c=3; =__Host-berth=secret\r\n\r\n", to_port());
  EXPECT_NE(out.find("\r\nCookie: a=1; b=2; c=3\r\n"), std::string::npos) << out;
  EXPECT_EQ(out.find("secret"), std::string::npos);
  EXPECT_EQ(strip_berth_cookies("__Host-berth=1"), "");
}

std::string answered(const std::string& text, const ProxyResponse& proxy) {
  ResponseHead head;
  EXPECT_FALSE(parse_response(text, "GET", head)) << text;
  return rewrite_response(head, proxy);
}

TEST(ProxyResponse, MayNotSpeakForTheWholeHost) {
  ProxyResponse proxy;
  proxy.workspace_path = "/w/ada/main/";
  EXPECT_EQ(answered("HTTP/1.1 200 OK\r\nSet-Cookie: __Host-berth=fixed; Path=/\r\nset-cookie: =__Host-berth-w-ada.main=fixed\r\nSet-Cookie: berth-x=1\r\nSet-Cookie: app=1\r\n"
                     "Strict-Transport-Security: max-age=1\r\nClear-Site-Data: \"*\"\r\nAlt-Svc: h3=\":1\"\r\nService-Worker-Allowed: /\r\nService-Worker-Allowed: /w/ada/main/x\r\n"
                     "Connection: close, X-Hop\r\nX-Hop: 1\r\nContent-Length: 2\r\n\r\n",
                     proxy),
            "HTTP/1.1 200 OK\r\nSet-Cookie: app=1\r\nService-Worker-Allowed: /w/ada/main/x\r\nContent-Length: 2\r\n\r\n");
}

TEST(ProxyResponse, LeadsRedirectsBackThroughTheProxy) {
  ProxyResponse proxy;
  proxy.prefix = "/w/ada/main/port/8000";
  proxy.host = "localhost:8000";
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"/login", "/w/ada/main/port/8000/login"}, {"http://localhost:8000/a?b", "/w/ada/main/port/8000/a?b"}, {"http://localhost:8000", "/w/ada/main/port/8000/"},
           {"/w/ada/main/port/8000/x", "/w/ada/main/port/8000/x"}, {"/w/ada/main/port/80000", "/w/ada/main/port/8000/w/ada/main/port/80000"}, {"relative", "relative"},
           {"//elsewhere/x", "//elsewhere/x"}, {"https://elsewhere/", "https://elsewhere/"}, {"http://localhost:80001/", "http://localhost:80001/"}}) {
    EXPECT_EQ(answered("HTTP/1.1 302 Found\r\nLocation: " + from + "\r\n\r\n", proxy), "HTTP/1.1 302 Found\r\nLocation: " + to + "\r\n\r\n");
  }
}

TEST(ProxyResponse, OnItsOwnOriginPathsStay) {
  ProxyResponse proxy;
  proxy.host = "localhost:8000";
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"/login", "/login"}, {"http://localhost:8000/a?b", "/a?b"}, {"http://localhost:8000", "/"}, {"http://localhost:8000?x", "/?x"},
           {"http://localhost:8000//x/", "/.//x/"}, {"//elsewhere/x", "//elsewhere/x"}, {"https://elsewhere/", "https://elsewhere/"}}) {
    EXPECT_EQ(answered("HTTP/1.1 302 Found\r\nLocation: " + from + "\r\n\r\n", proxy), "HTTP/1.1 302 Found\r\nLocation: " + to + "\r\n\r\n");
  }
}

TEST(ProxyResponse, CookiesAreForOneHost) {
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"a=1; Path=/; Domain=example; HttpOnly", "a=1; Path=/; HttpOnly"}, {"a=1;DOMAIN = .example", "a=1"}, {"a=1; domain", "a=1"}, {"domain=1; Path=/", "domain=1; Path=/"},
           {"a=1;\tDomain=x; domain=y; Secure", "a=1; Secure"}, {"a=1; Domains=x", "a=1; Domains=x"}, {"a=\"; Domain=x\"", "a=\""}}) {
    EXPECT_EQ(answered("HTTP/1.1 200 OK\r\nSet-Cookie: " + from + "\r\n\r\n", {}), "HTTP/1.1 200 OK\r\nSet-Cookie: " + to + "\r\n\r\n");
  }
}

TEST(WorkspacePaths, AreReadStrictly) {
  const auto path = parse_workspace_path("/w/ada/nlp-2/jupyter/lab?x=/w/bob");
  ASSERT_TRUE(path);
  EXPECT_EQ(path->id.user, "ada");
  EXPECT_EQ(path->id.name, "nlp-2");
  EXPECT_EQ(path->rest, "/jupyter/lab");
  EXPECT_TRUE(parse_workspace_path("/w/ada/main"));
  for (const std::string_view bad : {"/w/", "/w/ada", "/w/ada/", "/w//main/", "/w/Ada/main/", "/w/../main/", "/w/ada/%6dain/", "/x/ada/main/", "//w/ada/main/", "/w/ada/main;x/"})
    EXPECT_FALSE(parse_workspace_path(bad)) << bad;
}

}  // namespace
}  // namespace berth::web
