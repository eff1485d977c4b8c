// The HTTP gateway's translation: reading a request of 4 KB (at most 50 us), and writing the chunk
// of a token.
#include <benchmark/benchmark.h>

#include <string>

#include "clients/gateway/api/api_call.h"

namespace trireme::gateway {
namespace {

ApiContext context() {
  ApiContext made;
  door::ModelInfo model;
  model.name = "demo";
  model.max_model_len = 4096;
  model.fingerprint = "0123456789abcdef";
  made.models = {model};
  return made;
}

std::string long_text(size_t bytes) {
  std::string text;
  while (text.size() < bytes) text += "A sentence with a \\\"quote\\\" and an \u00e9.\\n";
  return text;
}

// A chat of ten turns, with two tools and the usual numbers.
std::string chat_body() {
  std::string body = R"({"model":"demo","messages":[{"role":"system","content":"Be brief."})";
  for (int turn = 0; turn < 5; ++turn) {
    body += R"(,{"role":"user","content":")" + long_text(300) + R"("})";
    body += R"(,{"role":"assistant","content":")" + long_text(300) + R"("})";
  }
  body += R"(,{"role":"user","content":"Go on."}],"temperature":0.7,"top_p":0.9,"max_tokens":256,)";
  body += R"("stream":true,"stream_options":{"include_usage":true},"tools":[)";
  for (const char* name : {"a", "b"}) {
    body += std::string(name[0] == 'a' ? "" : ",") + R"({"type":"function","function":{"name":")" +
            name +
            R"(","description":"A tool.","parameters":{"type":"object","properties":)"
            R"({"x":{"type":"number"},"y":{"type":"string"}},"required":["x"]}}})";
  }
  return body + "]}";
}

std::string messages_body() {
  std::string body = R"({"model":"demo","max_tokens":256,"system":"Be brief.","messages":[)";
  for (int turn = 0; turn < 5; ++turn) {
    body += R"({"role":"user","content":[{"type":"text","text":")" + long_text(350) + R"("}]},)";
    body += R"({"role":"assistant","content":[{"type":"text","text":")" + long_text(350) + "\"}]},";
  }
  return body + R"({"role":"user","content":"Go on."}]})";
}

void read_body(benchmark::State& state, Api api, const std::string& body) {
  const ApiContext made = context();
  for (auto _ : state) {
    auto result = read_call(api, body, ApiHeaders(), made);
    if (!std::holds_alternative<ApiCall>(result)) state.SkipWithError("refused");
    benchmark::DoNotOptimize(result);
  }
  state.SetLabel(std::to_string(body.size()) + " bytes");
}

void read_chat(benchmark::State& state) { read_body(state, Api::kChatCompletions, chat_body()); }
void read_messages(benchmark::State& state) { read_body(state, Api::kMessages, messages_body()); }
BENCHMARK(read_chat)->Unit(benchmark::kMicrosecond);
BENCHMARK(read_messages)->Unit(benchmark::kMicrosecond);

void write_chunk(benchmark::State& state, Api api, const std::string& body) {
  auto result = read_call(api, body, ApiHeaders(), context());
  AnswerWriter& writer = *std::get<ApiCall>(result).writer;
  std::string out;
  door::Accepted accepted;
  accepted.public_id = "0123456789abcdef";
  accepted.fingerprint = "0123456789abcdef";
  writer.on_accepted(0, accepted, out);
  for (auto _ : state) {
    out.clear();
    door::Piece piece;
    piece.token_ids = {7};
    piece.parts = {{PartKind::kContent, 0, "", "", " word"}};
    writer.on_piece(0, std::move(piece), out);
    benchmark::DoNotOptimize(out.data());
  }
}

void write_chat(benchmark::State& state) {
  write_chunk(state,
              Api::kChatCompletions,
              R"({"messages":[{"role":"user","content":"a"}],"stream":true})");
}
void write_messages(benchmark::State& state) {
  write_chunk(state,
              Api::kMessages,
              R"({"max_tokens":9,"messages":[{"role":"user","content":"a"}],"stream":true})");
}
BENCHMARK(write_chat)->Unit(benchmark::kMicrosecond);
BENCHMARK(write_messages)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace trireme::gateway

BENCHMARK_MAIN();
