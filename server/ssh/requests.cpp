#include "server/ssh/requests.hpp"

#include "server/ssh/wire.hpp"

namespace berth::ssh {
namespace {

Error malformed(std::string_view what) {
  return {ErrorKind::protocol, "The client sent a malformed " + std::string(what) + "."};
}

// What is kept as long as a channel, a forward or a login lasts. Longer than any real one; a packet could hold 256 KiB.
constexpr std::size_t kLongestName = 1024;
constexpr std::size_t kLongestPath = 4096;

std::string_view text(WireReader& in, std::size_t limit) {
  const std::string_view field = in.text();
  if (field.size() > limit) in.take(in.left() + 1);  // fails
  return field;
}

// A row of a table of requests: its name on the wire, and how its fields become a value.
template <class T>
struct Row {
  std::string_view name;
  T (*parse)(WireReader&);
};

template <class T, std::size_t N>
const Row<T>* find(const Row<T> (&rows)[N], std::string_view name) {
  for (const Row<T>& row : rows)
    if (row.name == name) return &row;
  return nullptr;
}

constexpr Row<ChannelOpen> kChannelOpens[] = {
    {"session", [](WireReader&) -> ChannelOpen { return SessionOpen{}; }},
    {"direct-tcpip",
     [](WireReader& in) -> ChannelOpen {
       DirectTcpip open;
       open.host = text(in, kLongestName);
       open.port = in.u32();
       open.origin_host = text(in, kLongestName);
       open.origin_port = in.u32();
       return open;
     }},
    {"direct-streamlocal@openssh.com",
     [](WireReader& in) -> ChannelOpen { return DirectStreamlocal{std::string(text(in, kLongestPath))}; }},
};

constexpr Row<ChannelRequest> kChannelRequests[] = {
    {"pty-req",
     [](WireReader& in) -> ChannelRequest {
       PtyRequest pty;
       pty.term = in.text();
       pty.columns = in.u32();
       pty.rows = in.u32();
       pty.width_pixels = in.u32();
       pty.height_pixels = in.u32();
       pty.modes = in.string();
       return pty;
     }},
    {"env",
     [](WireReader& in) -> ChannelRequest {
       EnvRequest env;
       env.name = in.text();
       env.value = in.text();
       return env;
     }},
    {"shell", [](WireReader&) -> ChannelRequest { return ShellRequest{}; }},
    {"exec", [](WireReader& in) -> ChannelRequest { return ExecRequest{std::string(in.text())}; }},
    {"subsystem", [](WireReader& in) -> ChannelRequest { return SubsystemRequest{std::string(in.text())}; }},
    {"window-change",
     [](WireReader& in) -> ChannelRequest {
       WindowChange size;
       size.columns = in.u32();
       size.rows = in.u32();
       size.width_pixels = in.u32();
       size.height_pixels = in.u32();
       return size;
     }},
    {"signal", [](WireReader& in) -> ChannelRequest { return SignalRequest{std::string(in.text())}; }},
    {"break", [](WireReader& in) -> ChannelRequest { return BreakRequest{in.u32()}; }},
    {"auth-agent-req@openssh.com", [](WireReader&) -> ChannelRequest { return AgentForwardRequest{}; }},
    {"x11-req",
     [](WireReader& in) -> ChannelRequest {
       X11Request x11;
       x11.single_connection = in.boolean();
       x11.protocol = in.text();
       x11.cookie = in.text();
       x11.screen = in.u32();
       return x11;
     }},
    {"eow@openssh.com", [](WireReader&) -> ChannelRequest { return EowRequest{}; }},
};

template <class T>
GlobalRequest tcp_address(WireReader& in) {
  T request;
  request.bind_host = text(in, kLongestName);
  request.port = in.u32();
  return request;
}
template <class T>
GlobalRequest unix_path(WireReader& in) {
  return T{std::string(text(in, kLongestPath))};
}

constexpr Row<GlobalRequest> kGlobalRequests[] = {
    {"tcpip-forward", tcp_address<TcpipForward>},
    {"cancel-tcpip-forward", tcp_address<CancelTcpipForward>},
    {"streamlocal-forward@openssh.com", unix_path<StreamlocalForward>},
    {"cancel-streamlocal-forward@openssh.com", unix_path<CancelStreamlocalForward>},
};

// PROTOCOL.u2f: type, signature, flags, counter.
std::optional<std::uint8_t> flags_of(std::string_view signature) {
  WireReader in(signature);
  const std::string_view type = in.text();
  in.string();
  if (!type.starts_with("sk-")) return std::nullopt;
  const std::uint8_t flags = in.u8();
  in.u32();
  return in.complete() ? std::optional(flags) : std::nullopt;
}

}  // namespace

Result<ParsedAuthRequest> parse_userauth_request(std::string_view packet) {
  WireReader in(packet);
  ParsedAuthRequest parsed;
  parsed.request.user = text(in, kLongestName);
  parsed.service = text(in, kLongestName);
  parsed.request.method = text(in, kLongestName);
  if (in.ok() && parsed.request.method == "publickey") {
    parsed.request.is_signed = in.boolean();
    parsed.algorithm = text(in, kLongestName);
    parsed.request.key.blob = in.string();
    parsed.request.key.type = WireReader(parsed.request.key.blob).text();
    if (parsed.request.key.type.empty()) return malformed("public key");
    if (parsed.request.is_signed) parsed.request.authenticator_flags = flags_of(in.string());
    if (!in.complete()) return malformed("authentication request");
  }
  if (!in.ok()) return malformed("authentication request");
  return parsed;
}

Result<ParsedChannelOpen> parse_channel_open(std::string_view packet) {
  WireReader in(packet);
  ParsedChannelOpen parsed;
  parsed.type = text(in, kLongestName);
  parsed.sender = in.u32();
  parsed.window = in.u32();
  parsed.max_packet = in.u32();
  if (const auto* row = find(kChannelOpens, parsed.type); in.ok() && row) parsed.open = row->parse(in);
  if (!in.ok()) return malformed("channel open");
  return parsed;
}

Result<ParsedChannelRequest> parse_channel_request(std::string_view packet) {
  WireReader in(packet);
  ParsedChannelRequest parsed;
  parsed.channel = in.u32();
  const std::string_view type = text(in, kLongestName);
  parsed.want_reply = in.boolean();
  const auto* row = find(kChannelRequests, type);
  parsed.request = row ? row->parse(in) : ChannelRequest{UnknownRequest{std::string(type)}};
  if (!in.ok()) return malformed("channel request");
  return parsed;
}

Result<ParsedGlobalRequest> parse_global_request(std::string_view packet) {
  WireReader in(packet);
  ParsedGlobalRequest parsed;
  parsed.type = text(in, kLongestName);
  parsed.want_reply = in.boolean();
  if (const auto* row = find(kGlobalRequests, parsed.type); in.ok() && row) parsed.request = row->parse(in);
  if (!in.ok()) return malformed("global request");
  return parsed;
}

}  // namespace berth::ssh
