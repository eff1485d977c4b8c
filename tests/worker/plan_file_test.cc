#include "worker/control/plan_file.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "worker/step_bench.h"

namespace trireme {
namespace plan_file_test {

class PlanFile : public testing::Test {
 protected:
  PlanFile() : path_(testing::TempDir() + "plan_file_test.plans") {}
  ~PlanFile() override { std::filesystem::remove(path_); }

  StepPlan make_plan(int64_t step) {
    StepPlan plan;
    plan.step = step;
    plan.parts.resize(1);
    plan.parts[0].decodes = {3, 4};
    plan.parts[0].chunks = {{7, 32, true, {10, 11, 12}}};
    return plan;
  }
  void write(int64_t plans) {
    auto writer = RecordWriter::create(path_);
    ASSERT_TRUE(writer.ok()) << message_of(writer.status());
    for (int64_t step = 1; step <= plans; ++step) (*writer)->write(make_plan(step));
    ASSERT_TRUE((*writer)->flush().ok());
  }

  const std::string path_;
};

TEST_F(PlanFile, ReturnsThePlansInOrderAndThenItsEnd) {
  write(3);
  auto reader = PlanFileReader::open(path_);
  ASSERT_TRUE(reader.ok()) << message_of(reader.status());
  StepPlan plan;
  for (int64_t step = 1; step <= 3; ++step) {
    const auto next = (*reader)->next(plan);
    ASSERT_TRUE(next.ok()) << message_of(next.status());
    EXPECT_EQ(*next, PlanSource::Next::kPlan);
    EXPECT_EQ(plan, make_plan(step));
  }
  const auto end = (*reader)->next(plan);
  ASSERT_TRUE(end.ok());
  EXPECT_EQ(*end, PlanSource::Next::kEnd);
}

TEST_F(PlanFile, TruncatedAnywhereItIsAnError) {
  write(1);
  const auto whole = std::filesystem::file_size(path_);
  for (uintmax_t bytes = whole - 1; bytes > 0; --bytes) {
    std::filesystem::resize_file(path_, bytes);
    auto reader = PlanFileReader::open(path_);
    ASSERT_TRUE(reader.ok());
    StepPlan plan;
    EXPECT_EQ(error_id((*reader)->next(plan).status()), "TRI-GRP-009") << bytes;
  }
}

TEST_F(PlanFile, AMissingFileIsNamed) {
  const auto reader = PlanFileReader::open("no/such/file");
  EXPECT_EQ(error_id(reader.status()), "TRI-GRP-008");
  EXPECT_NE(message_of(reader.status()).find("no/such/file"), std::string::npos);
  EXPECT_EQ(error_id(RecordWriter::create("no/such/folder/file").status()), "TRI-GRP-010");
}

TEST(StepBenchSpec, IsParsedFromItsText) {
  const auto spec = parse_step_bench("prefill=64,decode=0,context=9,batch=1:4:16,repeats=2");
  ASSERT_TRUE(spec.ok()) << message_of(spec.status());
  EXPECT_EQ(spec->prefill, 64);
  EXPECT_EQ(spec->decode, 0);
  EXPECT_EQ(spec->context, 9);
  EXPECT_EQ(spec->batch, (std::vector<int32_t>{1, 4, 16}));
  EXPECT_EQ(spec->repeats, 2);
  for (const char* bad : {"prefil=1", "prefill=x", "batch=1:-2", "prefill=99999999", "prefill"}) {
    EXPECT_EQ(error_id(parse_step_bench(bad).status()), "TRI-GRP-011") << bad;
  }
}

}  // namespace plan_file_test
}  // namespace trireme
