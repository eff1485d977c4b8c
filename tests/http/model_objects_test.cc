#include "clients/gateway/model_objects.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace trireme::gateway {
namespace model_objects_test {

using nlohmann::json;

door::ModelInfo demo() {
  door::ModelInfo model;
  model.name = "org/demo";
  model.max_model_len = 1024;
  model.created_s = 1'769'847'302;
  model.labels = {"stable"};
  return model;
}

TEST(ModelObjects, AModelHasTheFieldsOfThreeKindsOfClient) {
  EXPECT_EQ(json::parse(write_model(demo())), json::parse(R"({
    "id": "org/demo", "object": "model", "created": 1769847302, "owned_by": "trireme",
    "max_model_len": 1024, "type": "model", "display_name": "org/demo",
    "created_at": "2026-01-31T08:15:02Z", "lifecycle": "active",
    "model_version_status": [{"version": "1", "state": "LOADING",
                              "status": {"error_code": "OK", "error_message": ""}}]})"));
  door::ModelInfo ready = demo();
  ready.ready_groups = 1;
  EXPECT_EQ(json::parse(write_model(ready))["model_version_status"][0]["state"], "AVAILABLE");
  ready.state = "UNLOADING";
  EXPECT_EQ(json::parse(write_model(ready))["model_version_status"][0]["state"], "UNLOADING");
}

TEST(ModelObjects, AListNamesItsEnds) {
  const json list = json::parse(write_model_list({demo()}));
  EXPECT_EQ(list["object"], "list");
  EXPECT_EQ(list["has_more"], false);
  EXPECT_EQ(list["first_id"], "org/demo");
  EXPECT_EQ(list["last_id"], "org/demo");
  EXPECT_TRUE(json::parse(write_model_list({}))["first_id"].is_null());
}

TEST(ModelObjects, AModelIsFoundByNameVersionAndLabel) {
  const std::vector<door::ModelInfo> models = {demo()};
  EXPECT_NE(find_model(models, "org/demo", "", ""), nullptr);
  EXPECT_NE(find_model(models, "org/demo", "1", "stable"), nullptr);
  EXPECT_EQ(find_model(models, "org/demo", "2", ""), nullptr);
  EXPECT_EQ(find_model(models, "org/demo", "", "canary"), nullptr);
  EXPECT_EQ(find_model(models, "demo", "", ""), nullptr);
}

TEST(ModelObjects, HealthSaysWhyNot) {
  DoorHealth::Verdict verdict;
  verdict.ready = true;
  verdict.status = "ok";
  EXPECT_EQ(write_health(verdict), R"({"status":"ok"})");
  verdict = {false, "loading", "no group", 5, 10, 2.5};
  EXPECT_EQ(write_health(verdict),
            R"({"status":"loading","reason":"no group","loaded_bytes":5,"total_bytes":10,)"
            R"("eta_s":2.5})");
}

}  // namespace model_objects_test
}  // namespace trireme::gateway
