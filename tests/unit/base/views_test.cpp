#include "base/views.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace berth {
namespace {

using nlohmann::json;

const Timestamp kNow = parse_timestamp("2026-11-22T18:00:00Z").value();

TEST(Views, Keys) {
  const json items = json::parse(R"([{"fingerprint":"SHA256:abc","user":"ada","type":"ssh-ed25519","comment":"laptop","state":"active",
      "added_at":"2026-11-01T00:00:00Z","expires_at":"2026-12-22T18:00:00.000000Z","revoked_at":null,"last_used_at":null,"last_used_from":""}])");
  EXPECT_EQ(views::keys(items, kNow, {}),
            "FINGERPRINT  USER  STATE   TYPE         COMMENT  EXPIRES  LAST USED  FROM\n"
            "SHA256:abc   ada   active  ssh-ed25519  laptop   in 30d   never\n");
}

TEST(Views, SessionsLiveAndHistory) {
  const json items = json::parse(R"([{"id":"s1","user":"ada","workspace":"nlp","kind":"exec","detail":"make -j8","key_fingerprint":"SHA256:abc",
      "client_address":"203.0.113.7:51514","opened_at":"2026-11-22T17:59:00Z","closed_at":"2026-11-22T17:59:50Z","bytes_in":12,
      "bytes_out":4096,"outcome":"exit 0"}])");
  EXPECT_EQ(views::sessions(items, kNow, {}, false),
            "ID  WORKSPACE  KIND  FROM               OPENED     IN      OUT  DETAIL\n"
            "s1  ada+nlp    exec  203.0.113.7:51514  60s ago  12 B  4.0 KiB  make -j8\n");
  EXPECT_NE(views::sessions(items, kNow, {}, true).find("10s ago  exit 0"), std::string::npos);
}

TEST(Views, ASessionSaysWhichCertificateItRestsOn) {
  const json items = json::parse(R"([{"id":"s1","detail":"","certificate":"lab serial 7 id ada"},{"id":"s2","detail":"cat","certificate":"lab serial 8 id ci"}])");
  const std::string table = views::sessions(items, kNow, {}, false);
  EXPECT_NE(table.find(" certificate lab serial 7 id ada\n"), std::string::npos);
  EXPECT_NE(table.find(" cat, certificate lab serial 8 id ci\n"), std::string::npos);
}

TEST(Views, WorkspacesAndUsers) {
  EXPECT_EQ(views::workspaces(json::parse(R"([{"user":"ada","name":"main","state":"running","image":"img","detail":"",
                "started_at":"2026-11-22T17:00:00Z"},{"user":"ada","name":"nlp","state":"stopped","image":"img","started_at":null}])"),
                              kNow, {}),
            "WORKSPACE  STATE    STARTED  IMAGE  DETAIL\n"
            "ada        running  60m ago  img\n"
            "ada+nlp    stopped  -        img\n");
  EXPECT_EQ(views::users(json::parse(R"([{"name":"ada","role":"admin","disabled":true,"keys":2,"created_at":"2026-11-20T18:00:00Z"}])"), kNow, {}),
            "NAME  ROLE   STATE     KEYS  CREATED\n"
            "ada   admin  disabled     2  2d ago\n");
}

TEST(Views, OneUser) {
  const json record = json::parse(R"({"name":"ada","role":"user","disabled":false,"created_at":"2026-11-20T18:00:00Z","keys":0,"key_list":[]})");
  EXPECT_EQ(views::user(record, kNow, {}),
            "name     ada\nrole     user\nstate    enabled\ncreated  2026-11-20 18:00:00 UTC\nkeys     0\n");
}

TEST(Views, NothingIsNothing) {
  EXPECT_EQ(views::keys(json::array(), kNow, {}), "");
  EXPECT_EQ(views::audit(json::array(), {}), "");
}

TEST(Views, RecordsOfAnotherShapeDoNotThrow) {
  const json items = json::parse(R"([null, 7, "x", [], {"state":{"a":1},"bytes_in":-1,"expires_at":"soon","disabled":"yes"}])");
  EXPECT_NO_THROW({
    views::users(items, kNow, {});
    views::keys(items, kNow, {});
    views::sessions(items, kNow, {}, true);
    views::workspaces(items, kNow, {});
    views::web_sessions(items, kNow, {});
    views::audit(items, {});
    for (const json& item : items) {
      views::user(item, kNow, {});
      views::status(item, {});
    }
  });
}

}  // namespace
}  // namespace berth
