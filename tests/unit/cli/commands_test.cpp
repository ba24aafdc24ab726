#include <SQLiteCpp/SQLiteCpp.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/unit/cli/fixture.hpp"

namespace berth::cli {
namespace {

using nlohmann::json;

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

class Commands : public CliTest {
 protected:
  Commands() : folder_(std::filesystem::path(testing::TempDir()) / ("berth-cli-" + std::to_string(::getpid()))) {
    std::filesystem::create_directory(folder_);
  }
  ~Commands() override { std::filesystem::remove_all(folder_); }
  std::string file(const std::string& name, const std::string& content) const {
    std::ofstream(folder_ / name, std::ios::binary) << content;
    return folder_ / name;
  }
  std::filesystem::path folder_;
};

TEST_F(Commands, UserAddListShow) {
  answers["POST /users"] = answered(201, R"({"name":"ada","role":"admin","disabled":false,"keys":0})");
  EXPECT_EQ(berth({"user", "add", "ada", "--role", "admin"}).code, 0);
  EXPECT_EQ(json::parse(server.seen().at(0).body), json::parse(R"({"name":"ada","role":"admin"})"));
  answers["GET /users"] = answered(200, R"({"items":[{"name":"ada","role":"admin","disabled":false,"keys":2,"created_at":"2026-11-22T17:00:00Z"}]})");
  EXPECT_EQ(berth({"user", "list"}).out, "NAME  ROLE   STATE    KEYS  CREATED\nada   admin  enabled     2  60m ago\n");
  EXPECT_EQ(berth({"--json", "user", "list"}).json()["items"][0]["name"], "ada");
  answers["GET /users"] = answered(200, R"({"items":[]})");
  const Ran none = berth({"user", "list"});
  EXPECT_EQ(none.out, "");
  EXPECT_NE(none.err.find("no users yet"), std::string::npos);
}

TEST_F(Commands, UserDisableIsAPatch) {
  answers["PATCH /users/ada"] = answered(200, R"({"name":"ada","disabled":true})");
  EXPECT_EQ(berth({"user", "disable", "ada"}).out, "ada is locked out\n");
  EXPECT_EQ(server.seen().at(0).body, R"({"disabled":true})");
}

TEST_F(Commands, NamesArePercentEncoded) {
  EXPECT_EQ(berth({"user", "show", "../x?y"}).code, 4);
  EXPECT_EQ(server.seen().at(0).target, "/api/v1/users/..%2Fx%3Fy");
}

TEST_F(Commands, UserRemoveAsks) {
  answers["GET /users/ada"] = answered(200, R"({"name":"ada","role":"user","disabled":false,"keys":0,"key_list":[]})");
  answers["GET /workspaces?user=ada"] = answered(200, R"({"items":[{"user":"ada","name":"main","state":"running"}]})");
  answers["DELETE /users/ada"] = answered(200, "{}");
  EXPECT_EQ(berth({"user", "remove", "ada"}).code, 2);  // nobody to ask
  terminal = true;
  input = "n\n";
  const Ran no = berth({"user", "remove", "ada"});
  EXPECT_EQ(no.code, 1);
  EXPECT_NE(no.err.find("running"), std::string::npos);
  for (const auto& request : server.seen()) EXPECT_EQ(request.method, "GET");
  input = "y\n";
  EXPECT_EQ(berth({"user", "remove", "ada"}).code, 0);
  terminal = false;
  EXPECT_EQ(berth({"user", "remove", "ada", "--yes"}).out, "removed ada\n");
}

TEST_F(Commands, KeyAddSendsEachLine) {
  answers["POST /users/ada/keys"] = answered(201, R"({"fingerprint":"SHA256:x","user":"ada","type":"ssh-ed25519","state":"active"})");
  const std::string two = file("two.pub", std::string("# mine\n\n") + kKeyLine + "\r\n  " + kKeyLine + "\n");
  const Ran ran = berth({"--json", "key", "add", "ada", two, "--expires", "90d"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.json()["items"].size(), 2U);
  ASSERT_EQ(server.seen().size(), 2U);
  EXPECT_EQ(json::parse(server.seen()[1].body), (json{{"public_key", kKeyLine}, {"expires_at", "2027-02-20T18:00:00.000000Z"}}));
  input = kKeyLine;
  EXPECT_EQ(berth({"key", "add", "ada", "-"}).code, 0);
}

TEST_F(Commands, ABadLineIsNamedAndNothingIsSent) {
  const std::string bad = file("bad.pub", std::string(kKeyLine) + "\ncommand=\"x\" " + kKeyLine + "\nssh-ed25519 AA!!\nhello\n");
  const Ran ran = berth({"key", "add", "ada", bad});
  EXPECT_EQ(ran.code, 7);
  for (const char* place : {"bad.pub:2: options", "bad.pub:3: the key", "bad.pub:4: not a public key", "no key was added"}) {
    EXPECT_NE(ran.err.find(place), std::string::npos) << ran.err;
  }
  EXPECT_NE(berth({"key", "add", "ada", file("id", "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n")}).err.find("private key"), std::string::npos);
  EXPECT_EQ(berth({"key", "add", "ada", file("none", "\n")}).code, 7);
  EXPECT_EQ(berth({"key", "add", "ada", (folder_ / "absent").string()}).code, 7);
  EXPECT_EQ(berth({"key", "add", "ada", file("large", std::string(2'000'000, 'x'))}).code, 7);
  EXPECT_TRUE(server.seen().empty());
}

TEST_F(Commands, KeyAddReportsWhatBerthdRefused) {
  answers["POST /users/ada/keys"] = refused(409, "conflict", "this key belongs to bob");
  const Ran ran = berth({"key", "add", "ada", file("two.pub", std::string(kKeyLine) + "\n" + kKeyLine + "\n")});
  EXPECT_EQ(ran.code, 5);
  EXPECT_NE(ran.err.find("line 1: this key belongs to bob"), std::string::npos);
  EXPECT_NE(ran.err.find("0 of 2 keys added"), std::string::npos);
}

TEST_F(Commands, ExpiryIsChecked) {
  const std::string key = file("k.pub", kKeyLine);
  for (const char* when : {"2020-01-01", "0d", "soon", "2027-02-31", "999999999999d"}) {
    EXPECT_EQ(berth({"key", "add", "ada", key, "--expires", when}).code, 2) << when;
  }
  answers["POST /users/ada/keys"] = answered(201, R"({"fingerprint":"SHA256:x"})");
  EXPECT_EQ(berth({"key", "add", "ada", key, "--expires", "2027-01-31"}).code, 0);
  EXPECT_EQ(json::parse(server.seen().at(0).body)["expires_at"], "2027-02-01T00:00:00.000000Z");  // all of that day
}

TEST_F(Commands, KeyRevokeShowsWhatEnds) {
  answers["GET /keys/SHA256%3Aa%2Fb%2Bc/impact"] =
      answered(200, R"({"key":{"fingerprint":"SHA256:a/b+c","user":"ada","state":"active","comment":"laptop"},"sessions":[{"id":"s1","user":"ada","kind":"shell"}],
                        "web_sessions":[],"uses_30d":3,"addresses":[{"address":"192.0.2.1","uses":3}],"other_keys":[],"keeps_access":false})");
  answers["DELETE /keys/SHA256%3Aa%2Fb%2Bc"] = answered(200, R"({"ended_sessions":1})");
  EXPECT_EQ(berth({"key", "revoke", "SHA256:a/b+c"}).code, 2);
  terminal = true;
  EXPECT_EQ(berth({"key", "revoke", "SHA256:none"}).code, 4);
  input = "yes\n";
  const Ran ran = berth({"key", "revoke", "SHA256:a/b+c"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_NE(ran.err.find("s1"), std::string::npos);
  EXPECT_NE(ran.err.find("192.0.2.1"), std::string::npos);
  EXPECT_NE(ran.err.find("no other key that works"), std::string::npos);
  EXPECT_EQ(ran.out, "revoked SHA256:a/b+c; sessions ended: 1\n");
  terminal = false;
  EXPECT_EQ(berth({"--json", "key", "revoke", "SHA256:a/b+c", "--yes"}).json(), json::parse(R"({"ended_sessions":1})"));
}

TEST_F(Commands, KeyCampaign) {
  answers["GET /campaign"] = answered(200, R"({"campaign":{"id":1,"state":"running","total":4,"done":1,"older_than_s":7776000,"deadline_at":"2027-01-31T00:00:00Z","action":"expire",
    "message":"new keys","items":[{"user":"bob","done":false,"keys":[{"fingerprint":"SHA256:b","state":"active","done":false}]}]}})");
  const Ran ran = berth({"key", "campaign", "status"});
  EXPECT_NE(ran.out.find("██████████░"), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("1 of 4 users"), std::string::npos) << ran.out;
  EXPECT_NE(ran.out.find("bob"), std::string::npos) << ran.out;
  EXPECT_EQ(berth({"key", "campaign", "start", "--older-than", "90d"}).code, 2);
  EXPECT_EQ(berth({"key", "campaign", "pause"}).code, 2);
}

TEST_F(Commands, UserExceptions) {
  answers["GET /users?exceptions=1"] = answered(200, R"({"items":[{"name":"ada","key_exceptions":{"max_age_s":31536000,"allow_software":true,"reason":"a robot","set_by":"alice"}}],"next":"ada"})");
  answers["GET /users?exceptions=1&after=ada"] = answered(200, R"({"items":[{"name":"bob","key_exceptions":{"max_per_user":0}}],"next":null})");
  const Ran ran = berth({"user", "exceptions"});
  for (const char* word : {"ada", "365d", "software keys", "a robot", "alice", "bob", "keys without limit"}) EXPECT_NE(ran.out.find(word), std::string::npos) << word << ran.out;
  EXPECT_EQ(berth({"user", "except", "ada", "--clear", "--max-age", "1y"}).code, 2);
  EXPECT_EQ(berth({"user", "forwards", "ada"}).code, 2);
  EXPECT_EQ(berth({"user", "forwards", "ada", "--default", "--kinds", "local"}).code, 2);
  EXPECT_EQ(berth({"user", "except", "ada", "--max-keys", "many"}).code, 2);
}

TEST_F(Commands, Sessions) {
  answers["GET /sessions?all=1&limit=5&user=ada"] = answered(200, R"({"items":[{"id":"s1","user":"ada","kind":"exec","outcome":"exit 0"}]})");
  const Ran ran = berth({"session", "list", "--all", "--limit", "5", "--user", "ada"});
  EXPECT_NE(ran.out.find("exit 0"), std::string::npos);
  answers["DELETE /sessions/s1"] = answered(200, R"({"ended":1})");
  EXPECT_EQ(berth({"session", "kill", "s1"}).out, "ended s1\n");
  EXPECT_EQ(berth({"session", "kill", "s9"}).code, 4);
}

std::string events(const std::string& text) {
  return "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n" + text;
}

TEST_F(Commands, WorkspaceStartShowsProgress) {
  answers["POST /workspaces/ada/nlp/start"] =
      events("event: progress\ndata: {\"line\":\"Starting your workspace\"}\n\nevent: done\ndata: {\"user\":\"ada\",\"name\":\"nlp\",\"state\":\"running\"}\n\n");
  const Ran ran = berth({"workspace", "start", "ada+nlp"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.err, "Starting your workspace\n");
  EXPECT_NE(ran.out.find("ada+nlp    running"), std::string::npos) << ran.out;
  EXPECT_NE(server.seen().at(0).headers.find("text/event-stream"), std::string::npos);

  answers["POST /workspaces/ada/main/start"] = events("event: failed\ndata: {\"error\":{\"kind\":\"unavailable\",\"message\":\"no image\"}}\n\n");
  const Ran failed = berth({"workspace", "start", "ada"});
  EXPECT_EQ(failed.code, 8);
  EXPECT_EQ(failed.err, "berth: no image\n");
  answers["POST /workspaces/ada/main/start"] = events("event: progress\ndata: {\"line\":\"x\"}\n\n");
  EXPECT_EQ(berth({"workspace", "start", "ada"}).code, 3);
  answers["POST /workspaces/ada/main/start"] = refused(403, "denied", "no");
  EXPECT_EQ(berth({"workspace", "start", "ada"}).code, 6);
}

TEST_F(Commands, WorkspaceRemoveAsksBeforeAHomeIsDeleted) {
  answers["DELETE /workspaces/ada/main"] = answered(200, "{}");
  answers["DELETE /workspaces/ada/main?home=1"] = answered(200, "{}");
  EXPECT_EQ(berth({"workspace", "remove", "ada"}).code, 0);
  EXPECT_EQ(berth({"workspace", "remove", "ada", "--with-home"}).code, 2);
  EXPECT_EQ(berth({"workspace", "remove", "ada", "--with-home", "--yes"}).code, 0);
  EXPECT_EQ(server.seen().size(), 2U);
}

TEST_F(Commands, AuditRowsAreFilteredShownAndExported) {
  const std::string row = R"({"number":7,"at":"2026-11-22T17:00:00.000001Z","actor":"ada","source":"x","action":"key.add","object":"a","outcome":"ok","hash":"abc"})";
  answers["GET /audit?limit=5&user=ada&action=key&since=2026-11-21T18%3A00%3A00.000000Z"] = answered(200, R"({"items":[)" + row + R"(],"next":7})");
  const Ran tail = berth({"audit", "tail", "--limit", "5", "--user", "ada", "--action", "key", "--since", "24h"});
  EXPECT_NE(tail.out.find("key.add"), std::string::npos) << tail.err;
  answers["GET /audit/7"] = answered(200, row);
  EXPECT_NE(berth({"audit", "show", "7"}).out.find("2026-11-22T17:00:00.000001Z"), std::string::npos);
  answers["GET /audit/export?"] = testing_support::json_answer(200, row + "\n" + row + "\n", "application/x-ndjson");
  EXPECT_EQ(berth({"audit", "export", "--jsonl"}).out, row + "\n" + row + "\n");
  EXPECT_EQ(berth({"audit", "tail", "--since", "soon"}).code, 2);
  answers["GET /audit/verify?number=7&hash=abc"] = answered(200, R"({"ok":false,"anchor":"differs","first":1,"rows":9,"head":null})");
  const Ran differs = berth({"audit", "verify", "--anchor", "7:abc"});
  EXPECT_EQ(differs.code, 1);
  EXPECT_NE(differs.err.find("anchor"), std::string::npos);
}

TEST_F(Commands, AuditFollowsUntilBerthdGoes) {
  const std::string row = R"({"number":7,"at":"2026-11-22T17:00:00Z","actor":"ada","source":"x","action":"key.add","object":"a","outcome":"ok"})";
  answers["GET /audit?limit=20"] = answered(200, R"({"items":[],"next":6})");
  answers["GET /audit?limit=1000&after=6&wait_s=2"] = answered(200, R"({"items":[)" + row + R"(],"next":7})");
  const Ran ran = berth({"audit", "tail", "-f"});  // then the server has no answer
  EXPECT_EQ(ran.code, 4);
  EXPECT_EQ(ran.out, "7  2026-11-22 17:00:00  ada  x  key.add  a  ok\n");
}

TEST_F(Commands, Shares) {
  answers["POST /shares"] = answered(201, R"({"id":"h1","url":"https://6006--main--ada.apps.example/"})");
  const Self ada{"ada", Who::user, "main"};
  EXPECT_EQ(over_ssh(ada, {"share", "create", "6006", "--with", "bob", "--for", "2h"}).out, "https://6006--main--ada.apps.example/\n");
  EXPECT_EQ(json::parse(server.seen().back().body), json::parse(R"({"port":6006,"with":"bob","lifetime_s":7200})"));
  EXPECT_EQ(over_ssh(ada, {"share", "create", "80", "--everybody", "--workspace", "nlp"}).code, 0);
  EXPECT_EQ(json::parse(server.seen().back().body), json::parse(R"({"port":80,"with":"*","workspace":"nlp"})"));
  const Ran never = over_ssh(ada, {"share", "create", "6006", "--everybody", "--for", "soon"});
  EXPECT_EQ(never.code, 2);
  EXPECT_NE(never.err.find("--for takes a span"), std::string::npos) << never.err;
  for (const std::vector<std::string>& bad : std::vector<std::vector<std::string>>{{"6006"}, {"6006", "--with", "bob", "--everybody"}, {"0", "--everybody"}, {"x", "--everybody"}}) {
    std::vector<std::string> words = {"share", "create"};
    words.insert(words.end(), bad.begin(), bad.end());
    EXPECT_EQ(over_ssh(ada, words).code, 2);
  }
  answers["GET /shares?all=1"] = answered(200, R"({"items":[{"id":"h1","owner":"ada","workspace":"main","port":6006,"with":null,"url":null,"expires_at":"2026-11-22T20:00:00Z"}]})");
  const std::string list = berth({"share", "list"}).out;
  EXPECT_NE(list.find("ada+main   6006  everybody"), std::string::npos) << list;
  answers["DELETE /shares/h1"] = answered(200, "{}");
  EXPECT_EQ(berth({"share", "end", "h1"}).out, "ended h1\n");
}

TEST_F(Commands, Tokens) {
  answers["POST /tokens"] = answered(201, R"({"secret":"berth_abc","token":{"id":"t1","expires_at":"2026-12-22T18:00:00Z"}})");
  const Self ada{"ada", Who::user, "main"};
  const Ran made = over_ssh(ada, {"token", "create", "ci", "--scope", "read,keys", "--expires", "2h"});
  EXPECT_EQ(made.out, "berth_abc\n");
  EXPECT_EQ(json::parse(server.seen().back().body), json::parse(R"({"name":"ci","scopes":["read","keys"],"lifetime_s":7200})"));
  EXPECT_EQ(berth({"token", "create", "ci"}).code, 2);  // nobody to speak for
  answers["GET /tokens?all=1"] = answered(200, R"({"items":[{"id":"t1","user":"ada","name":"ci","scopes":["read"],"state":"active"}]})");
  EXPECT_NE(berth({"token", "list"}).out.find("t1"), std::string::npos);
  answers["DELETE /tokens/t1"] = answered(200, "{}");
  EXPECT_EQ(berth({"token", "revoke", "t1"}).out, "revoked t1\n");
}

TEST_F(Commands, AuditVerifySaysSoByItsExitCode) {
  answers["GET /audit/verify"] = answered(200, R"({"ok":true})");
  EXPECT_EQ(berth({"audit", "verify"}).code, 0);
  answers["GET /audit/verify"] = answered(200, R"({"ok":false,"first_broken":7})");
  const Ran ran = berth({"audit", "verify"});
  EXPECT_EQ(ran.code, 1);
  EXPECT_NE(ran.err.find("row 7"), std::string::npos);
  answers["GET /audit?limit=20"] = answered(
      200, R"({"items":[{"number":1,"at":"2026-11-22T17:54:51Z","actor":"ada","source":"unix","action":"ssh.login","object":"","outcome":"ok"}]})");
  EXPECT_NE(berth({"audit", "tail"}).out.find("ssh.login"), std::string::npos);
}

class Backup : public Commands {
 protected:
  // The bytes of a real SQLite file.
  std::string store() const {
    const std::string path = folder_ / "source.db";
    {
      SQLite::Database database(path, SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE);
      database.exec("CREATE TABLE IF NOT EXISTS users(name TEXT); INSERT INTO users VALUES ('ada')");
    }
    return read_file(path);
  }
};

TEST_F(Backup, WritesASoundPrivateFile) {
  const std::string bytes = store();
  answers["GET /backup"] = testing_support::json_answer(200, bytes, "application/vnd.sqlite3");
  const std::string target = folder_ / "copy ?%.db";
  const Ran ran = berth({"--json", "backup", target});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.json()["bytes"], bytes.size());
  EXPECT_EQ(read_file(target), bytes);
  struct stat seen {};
  ASSERT_EQ(::stat(target.c_str(), &seen), 0);
  EXPECT_EQ(seen.st_mode & 0777, 0600U);
  EXPECT_EQ(berth({"backup", target}).code, 5);
  EXPECT_EQ(berth({"backup", target, "--force"}).code, 0);
}

TEST_F(Backup, LeavesNothingBehindWhenItFails) {
  store();
  const std::string target = folder_ / "copy.db";
  answers["GET /backup"] = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nSQLite format 3";
  EXPECT_EQ(berth({"backup", target}).code, 3);
  answers["GET /backup"] = testing_support::json_answer(200, "this is no database, whatever its length says: " + std::string(2000, 'x'));
  EXPECT_EQ(berth({"backup", target}).code, 1);
  answers["GET /backup"] = refused(403, "denied", "no");
  EXPECT_EQ(berth({"backup", target}).code, 6);
  EXPECT_EQ(berth({"backup", "/nonexistent/copy.db"}).code, 1);
  std::vector<std::string> left;
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) left.push_back(entry.path().filename());
  EXPECT_EQ(left, std::vector<std::string>{"source.db"});
}

TEST_F(Commands, CompletionKnowsEveryCommand) {
  const Ran ran = berth({"completion", "bash"});
  EXPECT_EQ(ran.code, 0);
  for (const Command& command : all_commands()) {
    if (command.summary.empty() || command.verb.empty() || (command.faces & kAdminSocket) == 0) continue;
    EXPECT_NE(ran.out.find("'" + std::string(command.noun) + " " + std::string(command.verb) + "'"), std::string::npos);
  }
  answers["GET /workspaces?all=1"] =
      answered(200, R"({"items":[{"user":"ada","name":"main"},{"user":"ada","name":"nlp"},{"user":"$x","name":"main"}]})");
  EXPECT_EQ(berth({"completion", "words", "workspaces"}).out, "ada\nada+nlp\n");
}

}  // namespace
}  // namespace berth::cli
