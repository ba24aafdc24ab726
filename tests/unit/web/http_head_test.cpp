#include "web/http_head.hpp"

#include <gtest/gtest.h>

namespace berth::web {
namespace {

int status_of_request(std::string_view head) {
  HeadScanner scanner;
  if (scanner.scan(head) != HeadScanner::State::complete) return -1;
  RequestHead parsed;
  const auto error = parse_request(head.substr(0, scanner.size()), parsed);
  return error ? error->status : 200;
}

TEST(HttpHead, ReadsARequest) {
  const std::string_view text = "POST /a/b?c=d HTTP/1.1\r\nHost: box:8443\r\nContent-Length: 12\r\nX-Thing:  two words \r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\nBODY";
  HeadScanner scanner;
  ASSERT_EQ(scanner.scan(text), HeadScanner::State::complete);
  EXPECT_EQ(text.substr(scanner.size()), "BODY");
  RequestHead head;
  ASSERT_FALSE(parse_request(text.substr(0, scanner.size()), head));
  EXPECT_EQ(head.method, "POST");
  EXPECT_EQ(head.path(), "/a/b");
  EXPECT_EQ(head.query(), "c=d");
  EXPECT_EQ(head.host, "box:8443");
  EXPECT_EQ(head.framing, Framing::length);
  EXPECT_EQ(head.content_length, 12u);
  EXPECT_EQ(head.fields[2].value, "two words");
  EXPECT_TRUE(head.keep_alive);
  EXPECT_TRUE(head.upgrade);
}

TEST(HttpHead, FindsTheEndHoweverItArrives) {
  const std::string text = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  HeadScanner scanner;
  for (std::size_t size = 0; size < text.size(); ++size) ASSERT_EQ(scanner.scan(std::string_view(text).substr(0, size)), HeadScanner::State::more) << size;
  EXPECT_EQ(scanner.scan(text), HeadScanner::State::complete);
  EXPECT_EQ(scanner.size(), text.size());
}

TEST(HttpHead, RefusesLinesThatEndInALoneLineFeed) {
  for (const std::string_view text : {"GET / HTTP/1.1\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\n\r\n", "\n", "\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\n"}) {
    HeadScanner scanner;
    EXPECT_EQ(scanner.scan(text), HeadScanner::State::bad) << text;
  }
}

struct Case { std::string_view head; int status; };
constexpr Case kCases[] = {
    {"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 200},
    {"GET / HTTP/1.0\r\n\r\n", 200},
    {"GET / HTTP/1.1\r\n\r\n", 400},                                                         // no Host
    {"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400},
    {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
    {"GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505},
    {"GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET /\r\nHost: a\r\n\r\n", 400},
    {"G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400},                                  // obs-fold
    {"GET / HTTP/1.1\r\nHost: a\r\n X: a\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nX : a\r\n\r\n", 400},                                       // space before the colon
    {"GET / HTTP/1.1\r\nHost: a\r\n: a\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nnocolon\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400},                                     // bare CR
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x10\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999999999999\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 501},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n", 501},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\x0b" "chunked\r\n\r\n", 400},
    {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n", 200},
    {"GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-maybe\r\n\r\n", 417},
};

TEST(HttpHead, RefusesWhatTwoParsersCouldReadInTwoWays) {
  for (const Case& c : kCases) EXPECT_EQ(status_of_request(c.head), c.status) << c.head;
}

TEST(HttpHead, CapsTheNumberOfFields) {
  std::string text = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < 127; ++i) text += "X-" + std::to_string(i) + ": y\r\n";
  EXPECT_EQ(status_of_request(text + "\r\n"), 200);
  EXPECT_EQ(status_of_request(text + "X-More: y\r\n\r\n"), 431);
}

TEST(HttpHead, KnowsWhenAConnectionStays) {
  RequestHead head;
  ASSERT_FALSE(parse_request("GET / HTTP/1.0\r\n\r\n", head));
  EXPECT_FALSE(head.keep_alive);
  ASSERT_FALSE(parse_request("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", head));
  EXPECT_TRUE(head.keep_alive);
  ASSERT_FALSE(parse_request("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, close\r\n\r\n", head));
  EXPECT_FALSE(head.keep_alive);
  EXPECT_TRUE(head.connection_names("X"));
}

struct ResponseCase { std::string_view method, head; Framing framing; };
constexpr ResponseCase kResponses[] = {
    {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Framing::length},
    {"GET", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", Framing::none},
    {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", Framing::none},
    {"HEAD", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Framing::none},
    {"GET", "HTTP/1.1 204 No Content\r\n\r\n", Framing::none},
    {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", Framing::none},
    {"GET", "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", Framing::none},
    {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Framing::chunked},
    {"GET", "HTTP/1.0 200 OK\r\n\r\n", Framing::until_close},
};

TEST(HttpHead, KnowsHowAnAnswerEnds) {
  for (const ResponseCase& c : kResponses) {
    ResponseHead head;
    ASSERT_FALSE(parse_response(c.head, c.method, head)) << c.head;
    EXPECT_EQ(head.framing, c.framing) << c.method << " " << c.head;
  }
  ResponseHead head;
  for (const std::string_view bad : {"HTTP/1.1 2000 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 abc OK\r\n\r\n", "HTP/1.1 200 OK\r\n\r\n",
                                     "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 099 No\r\n\r\n"})
    EXPECT_TRUE(parse_response(bad, "GET", head)) << bad;
}

ChunkScanner::State scan_chunks(std::string_view data, std::string* decoded = nullptr) {
  ChunkScanner whole, bytewise;
  std::size_t used = 0;
  const auto state = whole.scan(data, used, decoded);
  // The same byte by byte.
  auto slow = ChunkScanner::State::more;
  std::string again;
  for (std::size_t i = 0; i < data.size() && slow == ChunkScanner::State::more; ++i) slow = bytewise.scan(data.substr(i, 1), used, &again);
  EXPECT_EQ(state, slow) << data;
  if (decoded && state == ChunkScanner::State::complete) {
    EXPECT_EQ(*decoded, again);
  }
  return state;
}

TEST(Chunks, AreDecoded) {
  std::string decoded;
  EXPECT_EQ(scan_chunks("5\r\nhello\r\nA;ext=1\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n", &decoded), ChunkScanner::State::complete);
  EXPECT_EQ(decoded, "hello0123456789");
  EXPECT_EQ(scan_chunks("5\r\nhel"), ChunkScanner::State::more);
}

TEST(Chunks, StopAtTheirEnd) {
  ChunkScanner scanner;
  std::size_t used = 0;
  EXPECT_EQ(scanner.scan("0\r\n\r\nGET /", used, nullptr), ChunkScanner::State::complete);
  EXPECT_EQ(used, 5u);
}

TEST(Chunks, WithAmbiguousFramingAreRefused) {
  for (const std::string_view bad : {"5\nhello\r\n0\r\n\r\n", "\r\nhello", "+5\r\nhello\r\n", "-1\r\n", "0x5\r\nhello\r\n", " 5\r\nhello\r\n", "5 \r\nhello\r\n",
                                     "5\r\nhelloX\r\n", "5\r\nhello\r0", "5\r\nhello\n0\r\n\r\n", "5;a\nb\r\nhello", "0\r\n\n", "0\r\nX: y\n\r\n",
                                     "1000000000000000\r\n", "0\r\n bad: fold\r\n\r\n", ";ext\r\n"})
    EXPECT_EQ(scan_chunks(bad), ChunkScanner::State::bad) << bad;
}

}  // namespace
}  // namespace berth::web
