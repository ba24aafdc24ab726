#include "server/gateway/proxy_protocol.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <string>

#include "base/deadline.hpp"

namespace berth::server {
namespace asio = boost::asio;
namespace {

constexpr std::string_view kSignature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::chrono::milliseconds kLimit{5000};
constexpr std::uint8_t kLocal = 0x20, kProxy = 0x21;          // version 2, command
constexpr std::uint8_t kUnspecified = 0x00, kTcp4 = 0x11, kTcp6 = 0x21;

Error broken(std::string_view what) { return {ErrorKind::protocol, "PROXY protocol: " + std::string(what)}; }

std::uint8_t byte_at(std::string_view bytes, std::size_t at) { return static_cast<std::uint8_t>(bytes[at]); }
std::size_t number_at(std::string_view bytes, std::size_t at) { return static_cast<std::size_t>(byte_at(bytes, at)) << 8 | byte_at(bytes, at + 1); }

// Two addresses, then two ports.
template <class Address>
ProxyHeader::Ends read_ends(std::string_view rest) {
  typename Address::bytes_type client, server;
  const std::size_t size = client.size();
  std::copy_n(rest.begin(), size, client.begin());
  std::copy_n(rest.begin() + static_cast<std::ptrdiff_t>(size), size, server.begin());
  return {{Address(client), static_cast<std::uint16_t>(number_at(rest, 2 * size))}, {Address(server), static_cast<std::uint16_t>(number_at(rest, 2 * size + 2))}};
}

// Type, length, value, each time; nothing in them is needed here, but a header that does not add up is not believed.
bool additions_add_up(std::string_view rest) {
  while (!rest.empty()) {
    if (rest.size() < 3) return false;
    const std::size_t size = 3 + number_at(rest, 1);
    if (rest.size() < size) return false;
    rest.remove_prefix(size);
  }
  return true;
}

asio::awaitable<Result<std::string>> read_bytes(asio::ip::tcp::socket& socket, std::size_t size) {
  std::string bytes(size, '\0');
  const auto [error, count] = co_await asio::async_read(socket, asio::buffer(bytes), asio::as_tuple(asio::use_awaitable));
  if (error) co_return Error{ErrorKind::closed, "the connection ended within the PROXY protocol's header: " + error.message()};
  co_return Result<std::string>(std::move(bytes));
}

asio::awaitable<Result<std::string>> read_whole(asio::ip::tcp::socket& socket) {
  Result<std::string> start = co_await read_bytes(socket, kProxyHeaderStart);
  if (!start) co_return start.error();
  const Result<std::size_t> length = proxy_header_length(*start);
  if (!length) co_return length.error();
  if (*length == 0) co_return std::move(*start);
  const Result<std::string> rest = co_await read_bytes(socket, *length);
  if (!rest) co_return rest.error();
  co_return *start + *rest;
}

}  // namespace

Result<std::size_t> proxy_header_length(std::string_view start) {
  if (start.size() < kProxyHeaderStart || !start.starts_with(kSignature)) return broken("a balancer of proxy_protocol_from did not begin with a header of version 2");
  const std::size_t length = number_at(start, 14);
  if (length > kProxyHeaderMost) return broken("a header of " + std::to_string(length) + " bytes");
  return length;
}

Result<ProxyHeader> parse_proxy_header(std::string_view whole) {
  const Result<std::size_t> length = proxy_header_length(whole);
  if (!length) return length.error();
  if (whole.size() != kProxyHeaderStart + *length) return broken("a header of the wrong length");
  const std::uint8_t command = byte_at(whole, 12), family = byte_at(whole, 13);
  std::string_view rest = whole.substr(kProxyHeaderStart);
  if (command == kLocal) return ProxyHeader{};  // the rest is to be passed over, whatever it is
  if (command != kProxy) return broken("an unknown version or command");
  if (family == kUnspecified) return ProxyHeader{};
  if (family != kTcp4 && family != kTcp6) return Error{ErrorKind::invalid, "PROXY protocol: not a TCP connection"};
  const std::size_t addresses = family == kTcp4 ? 12 : 36;
  if (rest.size() < addresses) return broken("addresses that are cut off");
  if (!additions_add_up(rest.substr(addresses))) return broken("additions that do not add up");
  return ProxyHeader{family == kTcp4 ? read_ends<asio::ip::address_v4>(rest) : read_ends<asio::ip::address_v6>(rest)};
}

asio::awaitable<Result<ProxyHeader>> read_proxy_header(asio::ip::tcp::socket& socket) {
  const Result<std::string> whole = co_await with_deadline(read_whole(socket), kLimit, "the balancer");
  if (!whole) co_return whole.error();
  co_return parse_proxy_header(*whole);
}

asio::awaitable<Result<ProxyHeader::Ends>> connection_ends(asio::ip::tcp::socket& socket, const std::vector<IpNetwork>& balancers) {
  boost::system::error_code error;
  ProxyHeader::Ends ends{socket.remote_endpoint(error), {}};
  if (!error) ends.server = socket.local_endpoint(error);
  if (error) co_return Error{ErrorKind::closed, "The connection is gone: " + error.message()};
  if (!contains(balancers, ends.client.address())) co_return ends;
  const Result<ProxyHeader> header = co_await read_proxy_header(socket);
  if (!header) co_return header.error();
  co_return header->ends.value_or(ends);
}

}  // namespace berth::server
