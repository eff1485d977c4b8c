// A cluster that is killed as a whole and started again on the same --state, or whose coordinator
// is killed alone: what was accepted goes on, each answer comes once and is that of an undisturbed
// run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>

#include "tests/cluster/cluster_life.h"

namespace trireme {
namespace restart_test {

using std::chrono::milliseconds;
using testing::HasSubstr;

constexpr int kTokens = 300;

struct Heard {
  std::string request_id;
  bool repeated = false;
  std::vector<TokenId> ids;
  std::string text;
  int finishes = 0;
  door::Finished ending;
  std::string error_id;
};

door::Submit request_of(const std::string& key, uint64_t seed = 7) {
  door::Submit request;
  request.prompt = std::string("The galley");
  request.idempotency_key = key;
  request.sampling.max_tokens = kTokens;
  request.sampling.ignore_eos = true;
  request.sampling.seed = seed;
  request.sampling.temperature = 0.8f;
  return request;
}

// Reads the stream until it has `enough` ids or is over.
void read(Client& client, uint64_t tag, size_t enough, Heard& heard) {
  for (int round = 0; round < 600 && heard.finishes == 0 && heard.ids.size() < enough; ++round) {
    const auto events = client.poll(milliseconds(100));
    ASSERT_TRUE(events.ok()) << message_of(events.status());
    for (const ClientEvent& event : *events) {
      if (const auto* accepted = std::get_if<door::Accepted>(&event)) {
        if (accepted->tag != tag) continue;
        heard.request_id = accepted->request_id;
        heard.repeated = accepted->repeated_key;
      } else if (const auto* piece = std::get_if<door::Piece>(&event)) {
        if (piece->tag != tag) continue;
        heard.ids.insert(heard.ids.end(), piece->token_ids.begin(), piece->token_ids.end());
        heard.text += piece->text;
      } else if (const auto* finished = std::get_if<door::Finished>(&event)) {
        if (finished->tag != tag) continue;
        ++heard.finishes;
        heard.text += finished->text;
        heard.ending = *finished;
      } else if (const auto* error = std::get_if<door::Error>(&event)) {
        if (error->tag != tag) continue;
        heard.error_id = error->error_id;
        return;
      }
    }
  }
}

// Goes on with the answer where it was heard last.
void resume(Client& client, Heard& heard) {
  door::Resume resume;
  resume.request_id = heard.request_id;
  resume.next_index = {static_cast<int32_t>(heard.ids.size())};
  const auto tag = client.resume(resume);
  ASSERT_TRUE(tag.ok());
  read(client, *tag, SIZE_MAX, heard);
}

Heard answer_of(Client& client, door::Submit request) {
  Heard heard;
  const auto tag = client.submit(std::move(request));
  EXPECT_TRUE(tag.ok());
  if (tag.ok()) read(client, *tag, SIZE_MAX, heard);
  return heard;
}

TEST(Restart, AnAnswerGoesOnWhereItWasWhenTheClusterWasKilled) {
  const TemporaryFolder state;
  Heard before;
  {
    ClusterLife life(state.path());
    const auto tag = life.client().submit(request_of("once"));
    ASSERT_TRUE(tag.ok());
    read(life.client(), *tag, 40, before);
    ASSERT_GE(before.ids.size(), 40u);
    ASSERT_EQ(before.finishes, 0) << "the answer is too short for this test";
    life.kill();
  }
  ClusterLife life(state.path());
  Heard after = before;
  resume(life.client(), after);
  EXPECT_EQ(after.error_id, "");
  EXPECT_EQ(after.finishes, 1);
  EXPECT_EQ(after.ending.output_tokens, kTokens);
  const Heard again = answer_of(life.client(), request_of("once"));
  EXPECT_TRUE(again.repeated);
  EXPECT_EQ(again.request_id, before.request_id);
  const Heard alone = answer_of(life.client(), request_of("another"));
  EXPECT_FALSE(alone.repeated);
  EXPECT_EQ(after.ids, alone.ids);
  EXPECT_EQ(after.text, alone.text);
  EXPECT_EQ(again.ids, alone.ids);
  EXPECT_EQ(again.text, alone.text);
}

TEST(Restart, AnAnswerThatIsOverIsFoundAndAFolderInUseIsRefused) {
  const TemporaryFolder state;
  Heard first;
  {
    ClusterLife life(state.path());
    first = answer_of(life.client(), request_of("once"));
    ASSERT_EQ(first.finishes, 1);
    const CommandResult second = run_trireme(
        {"up", "--model", kDemo, "--port", "0", "--backend", "cpu", "--state", state.path()});
    EXPECT_EQ(second.status, 2) << second.err;
    EXPECT_THAT(second.err, HasSubstr("TRI-JRN-003"));
    life.kill();
  }
  ClusterLife life(state.path());
  const Heard again = answer_of(life.client(), request_of("once"));
  EXPECT_TRUE(again.repeated);
  EXPECT_EQ(again.ids, first.ids);
  EXPECT_EQ(again.text, first.text);
  EXPECT_EQ(again.ending.reason, first.ending.reason);
}

TEST(Restart, WithoutAJournalNothingIsKept) {
  const TemporaryFolder state;
  Heard first;
  {
    ClusterLife life(state.path(), {"--journal", "off"});
    first = answer_of(life.client(), request_of("once"));
    life.kill();
  }
  ClusterLife life(state.path(), {"--journal", "off"});
  const Heard again = answer_of(life.client(), request_of("once"));
  EXPECT_FALSE(again.repeated);
  EXPECT_EQ(again.ids, first.ids) << "the same request gives the same answer";
}

TEST(Restart, UpStartsItsCoordinatorAgainAndAnswersGoOn) {
  const TemporaryFolder state;
  ClusterLife life(state.path());
  Heard heard;
  const auto tag = life.client().submit(request_of("once"));
  ASSERT_TRUE(tag.ok());
  read(life.client(), *tag, 40, heard);
  ASSERT_GE(heard.ids.size(), 40u);
  ASSERT_EQ(heard.finishes, 0) << "the answer is too short for this test";
  const auto ranks = life.running().descendants("trireme-worker");
  const pid_t first = life.coordinator();
  ASSERT_EQ(::kill(first, SIGKILL), 0);
  EXPECT_THAT(life.event("coordinator_lost").value("cause", ""), HasSubstr("signal 9 (SIGKILL)"));
  const auto back = life.event("coordinator_back");
  EXPECT_EQ(back.value("endpoint", ""), life.endpoint());
  EXPECT_EQ(back.value("pid", 0), life.coordinator());
  EXPECT_NE(back.value("pid", 0), first);
  EXPECT_EQ(life.event("group_ready").value("group", -1), 0);
  ASSERT_EQ(ranks.size(), 2u);
  EXPECT_EQ(life.running().descendants("trireme-worker"), ranks) << "they have lived on";
  life.connect();
  resume(life.client(), heard);
  EXPECT_EQ(heard.error_id, "");
  EXPECT_EQ(heard.finishes, 1);
  const Heard alone = answer_of(life.client(), request_of("another"));
  EXPECT_EQ(heard.ids, alone.ids);
  EXPECT_EQ(heard.text, alone.text);
  life.running().signal(SIGTERM);
  const CommandResult end = life.running().finish();
  EXPECT_EQ(end.status, 0) << end.err;
  EXPECT_THAT(end.err, HasSubstr("the coordinator has ended: killed by signal 9 (SIGKILL)"));
}

TEST(Restart, WithoutAJournalUpServesNewRequestsAfterItsCoordinatorWasKilled) {
  const TemporaryFolder state;
  ClusterLife life(state.path(), {"--journal", "off"});
  const Heard first = answer_of(life.client(), request_of("once"));
  ASSERT_EQ(::kill(life.coordinator(), SIGKILL), 0);
  life.event("coordinator_back");
  life.event("group_ready");
  life.connect();
  const Heard again = answer_of(life.client(), request_of("once"));
  EXPECT_FALSE(again.repeated);
  EXPECT_EQ(again.ids, first.ids);
  life.running().signal(SIGTERM);
  EXPECT_EQ(life.running().finish().status, 0);
}

TEST(Restart, ACoordinatorThatOthersDrainEndsUp) {
  const TemporaryFolder state;
  ClusterLife life(state.path());
  ASSERT_EQ(::kill(life.coordinator(), SIGTERM), 0);
  const CommandResult end = life.running().finish();
  EXPECT_EQ(end.status, 0) << end.err;
}

TEST(Restart, ACoordinatorThatFindsBadInputEndsUpWithItsError) {
  namespace fs = std::filesystem;
  const TemporaryFolder state;
  const TemporaryFolder model;
  for (const auto& file : fs::directory_iterator(kDemo)) {
    fs::create_symlink(file.path(), model.path() / file.path().filename());
  }
  ClusterLife life(state.path(), {"--model", model.path()});
  fs::remove(model.path() + "/config.json");
  ASSERT_EQ(::kill(life.coordinator(), SIGKILL), 0);
  const CommandResult end = life.running().finish();
  EXPECT_EQ(end.status, 2) << end.err;
  EXPECT_THAT(end.err, testing::AllOf(HasSubstr("TRI-"), HasSubstr("config.json")));
}

// One client over two lives of the cluster: it sees each event once, in order, and notices nothing
// but the pause.
TEST(Restart, AClientGoesOnByItself) {
  const TemporaryFolder state;
  std::optional<ClusterLife> life(std::in_place, state.path());
  auto client = Client::connect(life->endpoint(), milliseconds(5'000), {});
  ASSERT_TRUE(client.ok()) << message_of(client.status());
  door::Submit request = request_of("");
  const auto tag = (*client)->submit(request);
  ASSERT_TRUE(tag.ok());
  Heard heard;
  read(**client, *tag, 40, heard);
  ASSERT_EQ(heard.finishes, 0) << "the answer is too short for this test";
  life->kill();
  const std::string port = life->port();
  life.emplace(state.path(), std::vector<std::string>{}, port);
  read(**client, *tag, SIZE_MAX, heard);
  EXPECT_EQ(heard.error_id, "");
  EXPECT_EQ(heard.finishes, 1);
  const Heard alone = answer_of(life->client(), request_of("another"));
  EXPECT_EQ(heard.ids, alone.ids);
  EXPECT_EQ(heard.text, alone.text);
}

// A planned restart: what still runs after --drain-timeout is left to the journal.
TEST(Restart, ADrainedClusterIsContinuedByTheNext) {
  const TemporaryFolder state;
  const std::vector<std::string> at_once = {"--drain-timeout", "0s"};
  std::optional<ClusterLife> life(std::in_place, state.path(), at_once);
  auto client = Client::connect(life->endpoint(), milliseconds(5'000), {});
  ASSERT_TRUE(client.ok()) << message_of(client.status());
  const auto tag = (*client)->submit(request_of(""));
  ASSERT_TRUE(tag.ok());
  Heard heard;
  read(**client, *tag, 40, heard);
  ASSERT_EQ(heard.finishes, 0) << "the answer is too short for this test";
  const CommandResult drain = run_trireme({"drain", "--state", state.path()});
  EXPECT_EQ(drain.status, 0) << drain.err;
  EXPECT_EQ(drain.out, "drained");
  const CommandResult up = life->running().finish();
  EXPECT_EQ(up.status, 0) << up.err;
  EXPECT_EQ(run_trireme({"drain", "--state", state.path()}).status, 3) << "nothing runs there";
  const std::string port = life->port();
  life.emplace(state.path(), std::vector<std::string>{}, port);
  read(**client, *tag, SIZE_MAX, heard);
  EXPECT_EQ(heard.error_id, "");
  EXPECT_EQ(heard.finishes, 1);
  EXPECT_EQ(heard.ids, answer_of(life->client(), request_of("another")).ids);
}

TEST(Restart, APrivateClusterStartsItsCoordinatorAgainAndItsJobGoesOn) {
  const TemporaryFolder folder;
  const std::string prompts = folder.path() + "/prompts.jsonl";
  {
    std::ofstream file(prompts);
    for (int i = 0; i < 16; ++i) {  // the first answer is short: it tells that the others run
      file << format_text(R"({{"prompt":"The galley {}","max_tokens":{},"ignore_eos":true,)"
                          R"("seed":{},"temperature":0.8}})",
                          i,
                          i == 0 ? 1 : 400,
                          i)
           << "\n";
    }
  }
  const std::vector<std::string> words = {
      "run", "--model", kDemo, "--backend", "cpu", "--prompts", prompts};
  const CommandResult alone = run_trireme(words);
  ASSERT_EQ(alone.status, 0) << alone.err;
  RunningTrireme running(words);
  const auto coordinators = running.wait_for_descendants("trireme-coordinator", 1);
  ASSERT_EQ(coordinators.size(), 1u);
  ASSERT_NE(running.wait_for("=== 1"), "") << running.text();
  ASSERT_EQ(::kill(coordinators[0], SIGKILL), 0);
  const CommandResult disturbed = running.finish(60'000);
  EXPECT_EQ(disturbed.status, 0) << disturbed.err;
  EXPECT_EQ(disturbed.out, alone.out);
  EXPECT_THAT(disturbed.err, HasSubstr("the coordinator is back"));
}

}  // namespace restart_test
}  // namespace trireme
