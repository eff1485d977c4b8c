#include "coordinator/doors/clients/admission.h"

#include <gtest/gtest.h>

#include "proto/credit.h"

namespace trireme {
namespace admission_test {

AdmissionRules rules() {
  AdmissionRules rules;
  rules.model_name = "demo";
  rules.vocabulary_size = 100;
  rules.max_model_len = 16;
  rules.num_layers = 4;
  rules.has_tokenizer = true;
  rules.allow_probes = true;
  return rules;
}

door::Submit request_of(size_t length, door::Kind kind = door::Kind::kGenerate) {
  door::Submit submit;
  submit.tag = 7;
  submit.kind = kind;
  submit.prompt = std::vector<TokenId>(length, 1);
  return submit;
}

door::Submit probe_of(size_t length, door::ProbePoint point) {
  door::Submit submit = request_of(length, door::Kind::kProbe);
  submit.probes = {point};
  return submit;
}

std::string refusal(door::Submit submit, const AdmissionRules& with = rules()) {
  return error_id(admit(submit, with).status());
}

TEST(Admission, APromptThatGeneratesLeavesRoomForOneToken) {
  EXPECT_EQ(refusal(request_of(15)), "");
  EXPECT_EQ(refusal(request_of(16)), "TRI-REQ-089");
}

TEST(Admission, AScoreAndAProbeMayFillTheModel) {
  EXPECT_EQ(refusal(request_of(16, door::Kind::kScore)), "");
  EXPECT_EQ(refusal(request_of(17, door::Kind::kScore)), "TRI-REQ-089");
  EXPECT_EQ(refusal(probe_of(16, {15, -1})), "");
  EXPECT_EQ(refusal(probe_of(17, {15, -1})), "TRI-REQ-089");
}

TEST(Admission, AProbeAsksForAPositionOfThePrompt) {
  EXPECT_EQ(refusal(probe_of(3, {0, -1})), "");
  EXPECT_EQ(refusal(probe_of(3, {2, 4})), "");
  EXPECT_EQ(refusal(probe_of(3, {3, -1})), "TRI-REQ-092");
  EXPECT_EQ(refusal(probe_of(3, {-1, -1})), "TRI-REQ-092");
}

TEST(Admission, AProbeAsksForALayerOfTheModelOrItsLogits) {
  EXPECT_EQ(refusal(probe_of(3, {0, 5})), "TRI-REQ-092");
  EXPECT_EQ(refusal(probe_of(3, {0, -2})), "TRI-REQ-092");
}

TEST(Admission, ProbesNeedAClusterThatAllowsThemARightKindAndAtLeastOne) {
  AdmissionRules closed = rules();
  closed.allow_probes = false;
  EXPECT_EQ(refusal(probe_of(3, {0, -1}), closed), "TRI-REQ-091");
  door::Submit another_kind = probe_of(3, {0, -1});
  another_kind.kind = door::Kind::kScore;
  EXPECT_EQ(refusal(another_kind), "TRI-REQ-092");
  EXPECT_EQ(refusal(request_of(3, door::Kind::kProbe)), "TRI-REQ-092");
}

TEST(Admission, EveryTokenIsInTheVocabulary) {
  for (const TokenId bad : {-1, 100}) {
    door::Submit submit = request_of(3);
    std::get<std::vector<TokenId>>(submit.prompt)[1] = bad;
    EXPECT_EQ(refusal(submit), "TRI-REQ-087");
  }
  EXPECT_EQ(refusal(request_of(0)), "TRI-REQ-088");
}

TEST(Admission, APromptOfIdsIsMovedOutAndATextStays) {
  door::Submit with_ids = request_of(3);
  const auto admitted = admit(with_ids, rules());
  ASSERT_TRUE(admitted.ok());
  EXPECT_EQ(admitted->prompt.size(), 3u);
  EXPECT_TRUE(std::get<std::vector<TokenId>>(with_ids.prompt).empty());
  door::Submit with_text = request_of(3);
  with_text.prompt = std::string("The galley");
  ASSERT_TRUE(admit(with_text, rules()).ok());
  EXPECT_EQ(std::get<std::string>(with_text.prompt), "The galley");
}

TEST(Admission, AbsentSamplingValuesTakeTheModelsDefaults) {
  AdmissionRules with = rules();
  with.sampling_defaults.temperature = 0.25f;
  with.sampling_defaults.top_k = 7;
  door::Submit submit = request_of(3);
  submit.sampling.top_k = 3;
  const auto admitted = admit(submit, with);
  ASSERT_TRUE(admitted.ok());
  EXPECT_EQ(admitted->params.sampling.temperature, 0.25f);
  EXPECT_EQ(admitted->params.sampling.top_k, 3);
  EXPECT_EQ(admitted->credit_bytes, kDefaultCreditBytes);
}

TEST(Admission, KindAndDisconnectChoiceReachTheEngine) {
  const std::pair<door::Kind, RequestKind> kinds[] = {
      {door::Kind::kGenerate, RequestKind::kGenerate}, {door::Kind::kScore, RequestKind::kScore}};
  for (const auto& [asked, expected] : kinds) {
    door::Submit submit = request_of(3, asked);
    EXPECT_EQ(admit(submit, rules())->kind, expected);
  }
  door::Submit probe = probe_of(3, {0, -1});
  EXPECT_EQ(admit(probe, rules())->kind, RequestKind::kProbe);
  const std::pair<door::OnDisconnect, OnDisconnect> choices[] = {
      {door::OnDisconnect::kDefault, OnDisconnect::kContinue},
      {door::OnDisconnect::kCancel, OnDisconnect::kCancel},
      {door::OnDisconnect::kContinue, OnDisconnect::kContinue}};
  for (const auto& [asked, expected] : choices) {
    door::Submit submit = request_of(3);
    submit.on_disconnect = asked;
    EXPECT_EQ(admit(submit, rules())->on_disconnect, expected);
  }
}

TEST(Admission, ATextNeedsATokenizer) {
  AdmissionRules without = rules();
  without.has_tokenizer = false;
  door::Submit submit = request_of(3);
  submit.prompt = std::string("The galley");
  EXPECT_EQ(refusal(submit, without), "TRI-REQ-086");
  without.no_tokenizer = "tokenizer.model is not read";
  EXPECT_NE(message_of(admit(submit, without).status()).find("tokenizer.model is not read"),
            std::string::npos);
}

}  // namespace admission_test
}  // namespace trireme
