// What becomes of the keeper's answers about use: rates, the last points, and whose they are.
#include "workspaces/usage.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace berth::workspaces {
namespace {
using nlohmann::json;

json workspace(const std::string& user, std::int64_t cpu_us, std::int64_t memory, pid_t pid = 7) {
  return {{"user", user}, {"workspace", "main"}, {"pid", pid}, {"cpu_us", cpu_us}, {"memory", memory}, {"memory_limit", 1000}, {"cpus", 2.0}};
}

class UsageOf : public testing::Test {
 protected:
  void add(std::int64_t second, json workspaces, json box = json::object()) {
    history.add({{"at_us", 1'000'000 * second}, {"workspaces", std::move(workspaces)}, {"box", std::move(box)}});
  }
  UsageHistory history;
};

TEST_F(UsageOf, CpuIsARateBetweenTwoAnswers) {
  add(5, {workspace("ada", 1'000'000, 100)});
  EXPECT_EQ(history.since(0, "ada", false)["workspaces"][0]["cpu"], json::array());
  add(10, {workspace("ada", 3'500'000, 200)});
  add(15, {workspace("ada", 3'500'000, 300)});
  const json item = history.since(0, "ada", false)["workspaces"][0];
  EXPECT_EQ(item["cpu"], (json{0.5, 0.0}));
  EXPECT_EQ(item["memory"], (json{200, 300}));
  EXPECT_EQ(item["cpus"], 2.0);
  EXPECT_EQ(item["memory_limit"], 1000);
  EXPECT_EQ(item["name"], "main");
}

TEST_F(UsageOf, EachHearsOfTheirOwnAndReadersOfAll) {
  add(5, {workspace("ada", 1, 1), workspace("eve", 1, 1)}, {{"cpus", 4}});
  const json own = history.since(0, "ada", false), all = history.since(0, "otto", true);
  ASSERT_EQ(own["workspaces"].size(), 1u);
  EXPECT_EQ(own["workspaces"][0]["user"], "ada");
  EXPECT_FALSE(own.contains("box"));
  EXPECT_EQ(all["workspaces"].size(), 2u);
  EXPECT_EQ(all["box"]["gpus"], json::array());
}

TEST_F(UsageOf, OnlyNewsAfterTheFirstTime) {
  for (int i = 1; i <= 3; ++i) add(5 * i, {workspace("ada", i * 5'000'000, i)});
  const json first = history.since(0, "ada", false);
  EXPECT_TRUE(first["first"]);
  EXPECT_EQ(first["workspaces"][0]["memory"], (json{2, 3}));
  EXPECT_EQ(first["tick"], history.tick());
  add(20, {workspace("ada", 20'000'000, 4)});
  const json news = history.since(first["tick"], "ada", false);
  EXPECT_FALSE(news["first"]);
  EXPECT_EQ(news["workspaces"][0]["memory"], json{4});
}

TEST_F(UsageOf, KeepsTheLastPoints) {
  for (int i = 0; i < 100; ++i) add(5 + 5 * i, {workspace("ada", i * 5'000'000, i)}, {{"cpu_us", 1 + i * 5'000'000}, {"load", {0.5, 1, 1}}, {"memory", 5}});
  const json all = history.since(0, "", true);
  EXPECT_EQ(all["workspaces"][0]["memory"].size(), UsageHistory::kPoints);
  EXPECT_EQ(all["workspaces"][0]["memory"].back(), 99);
  EXPECT_EQ(all["box"]["load"].size(), UsageHistory::kPoints);
  EXPECT_EQ(all["box"]["cpu"].size(), UsageHistory::kPoints);
  EXPECT_EQ(all["box"]["cpu"][0], 1.0);
}

TEST_F(UsageOf, ARestartIsNoNegativeRateAndAnEndForgets) {
  add(5, {workspace("ada", 9'000'000, 1)});
  add(10, {workspace("ada", 10'000'000, 1)});
  add(15, {workspace("ada", 100, 2, 8)});
  EXPECT_EQ(history.since(0, "ada", false)["workspaces"][0]["memory"], json{1});
  add(20, json::array());
  EXPECT_TRUE(history.since(0, "ada", false)["workspaces"].empty());
}

TEST_F(UsageOf, GpusThatTellAndThatDoNot) {
  const json gpus = {{{"name", "A"}, {"busy", 0.25}, {"memory", 3}, {"memory_total", 8}}, {{"name", "N"}}};
  add(5, json::array(), {{"gpus", gpus}});
  add(10, json::array(), {{"gpus", gpus}});
  const json told = history.since(0, "", true)["box"]["gpus"];
  EXPECT_EQ(told[0]["busy"], (json{0.25, 0.25}));
  EXPECT_EQ(told[0]["memory_total"], 8);
  EXPECT_EQ(told[1]["tells"], false);
  EXPECT_EQ(told[1]["busy"], json::array());
}

TEST_F(UsageOf, WhatIsNotUnderstoodIsLeftOut) {
  for (const char* text : {"{}", "[]", "7", R"({"workspaces":7,"box":[]})", R"({"at_us":"x","workspaces":[1,{},{"user":7}],"box":{"gpus":[1,"x"],"load":["a"]}})",
                           R"({"at_us":-5,"workspaces":[{"user":"ada","workspace":"main","cpu_us":-1,"memory":-1,"cpus":-2}],"box":{"cpu_us":1.5,"gpus":{}}})"}) {
    history.add(json::parse(text));
    EXPECT_FALSE(history.since(0, "ada", true).dump().empty());
  }
}

}  // namespace
}  // namespace berth::workspaces
