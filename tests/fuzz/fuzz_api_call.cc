// Bodies of requests to the reader of each API. The first byte chooses the API.
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "clients/gateway/api/api_call.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace trireme::gateway;
  if (size == 0) return 0;
  ApiContext context;
  context.models.emplace_back();
  context.models[0].name = "demo";
  context.models[0].max_model_len = 1024;
  context.models[0].has_tokenizer = true;
  context.models[0].vocabulary_size = 4096;
  context.models[0].chat.available = true;
  context.models[0].chat.tools = true;
  const auto api = static_cast<Api>(data[0] % 7);
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto read = read_call(api, body, {}, context);
  if (const auto* error = std::get_if<ApiError>(&read)) {
    CHECK(error->http_status >= 400 && error->http_status < 500);
    CHECK(!write_error(api, *error, "id").empty());
  }
  return 0;
}
