#include "clients/cli/explain/error_pages.h"

namespace trireme {

namespace {

constexpr ErrorPage kGatewayPages[] = {
    {"TRI-HTTP-020",
     "The body of an HTTP request is not JSON.",
     "A typing error in a body written by hand, text in another encoding than UTF-8, or more than "
     "64 levels of arrays and objects.",
     "Correct the byte that the message names."},
    {"TRI-HTTP-021",
     "The body of an HTTP request is JSON, but no object.",
     "The value was sent without its field.",
     "Send an object, {\"model\": ..., \"messages\": ...}."},
    {"TRI-HTTP-022",
     "A field that a request needs is missing.",
     "A typing error in its name, or null as its value.",
     "Add the field that the message names; docs/http.md lists those of each path."},
    {"TRI-HTTP-023",
     "A field of a request has a value of the wrong kind.",
     "A number in quotes, a list in place of a text.",
     "Correct the field that the message names."},
    {"TRI-HTTP-024",
     "A field of a request asks for something that is not supported.",
     "The field changes the shape or the meaning of the answer, so it is not ignored.",
     "Leave it out; the message says how to get the same in another way, where there is one."},
    {"TRI-HTTP-025",
     "A request has an unknown field, and the gateway runs with --strict-api.",
     "A typing error, or a field of another server.",
     "The message names the most similar field. Without --strict-api such fields are ignored and "
     "named in the header trireme-warnings."},
    {"TRI-HTTP-026",
     "No model of this name is served.",
     "A client that is configured for another server.",
     "Use a name of the message or of /v1/models, or start the gateway with --accept-any-model."},
    {"TRI-HTTP-027",
     "No model can be asked yet.",
     "The cluster is starting, or the gateway has no connection to its coordinator.",
     "Wait until /ready answers 200."},
    {"TRI-HTTP-028",
     "A list of a request is too long.",
     "More than 4,096 messages, 1,024 tools or 64 prompts in one request.",
     "Send fewer, or several requests."},
    {"TRI-HTTP-029",
     "A message of a chat cannot be understood.",
     "It has no role, an unknown role, no content, or content that is neither a text nor parts.",
     "Correct the message whose number is in the text of the error."},
    {"TRI-HTTP-030",
     "A message has a part that is no text.",
     "Images, audio and files cannot be read by the models served here.",
     "Leave the part out."},
    {"TRI-HTTP-031",
     "The tools of a request cannot be understood, or tool_choice does not fit them.",
     "A tool without a name, of a type other than function, or a choice of a tool that is not in "
     "the list.",
     "Correct the tool that the message names."},
    {"TRI-HTTP-032",
     "Two fields of a request contradict each other.",
     "top_logprobs without logprobs, or continue_final_message with add_generation_prompt.",
     "Keep one of them."},
    {"TRI-HTTP-033",
     "The answer would repeat its prompts too often.",
     "echo or prompt_logprobs with long prompts and a large n: every choice repeats its prompt, "
     "and the gateway holds the whole answer. Above 256 MiB it refuses.",
     "Ask for fewer choices, prompts or log-probabilities in one request."},
    {"TRI-HTTP-034",
     "A header that resumes an answer has a wrong value.",
     "Trireme-Resume is 1 in a request whose answer is to be resumed, and the token of that answer "
     "in GET /trireme/v1/stream. Last-Event-ID is an `id:` that came in the same stream.",
     "Send both as they came. Without Last-Event-ID the stream comes from its first event."},
    {"TRI-HTTP-035",
     "This answer cannot be made so that it can be resumed.",
     "Trireme-Resume: 1 with an answer that is no stream, with more than 64 choices of all "
     "prompts, with log-probabilities of the prompt, or with more than 64 KiB of instructions and "
     "tools that the answer repeats.",
     "Change what the message names, or leave the header out. A whole answer is got again by "
     "sending its request again with the same Idempotency-Key."},
    {"TRI-HTTP-036",
     "The gateway does not know the form in which an answer was begun.",
     "It was begun by a newer or older gateway, or by a client of the ZeroMQ door.",
     "Resume it at a gateway of the version that began it, or send its request again."},
    {"TRI-HTTP-040",
     "A request was cancelled by somebody other than its client.",
     "Another connection cancelled it by its request id, or the cluster is stopping.",
     "Send the request again."},
};

}  // namespace

std::span<const ErrorPage> gateway_error_pages() { return kGatewayPages; }

}  // namespace trireme
