// Conversion between client.proto and client_messages.h. For client_codec.cc only. `write` expects
// a cleared message; `read` reports fields out of range to `check`. Pure functions.
#pragma once

#include "proto/client.pb.h"
#include "proto/client_messages.h"
#include "proto/wire_fields.h"

namespace trireme {

// From client to coordinator.
void write(const door::Hello& from, v1::Hello& to);
void write(const door::Submit& from, v1::Submit& to);
void write(const door::Cancel& from, v1::Cancel& to);
void write(const door::Resume& from, v1::Resume& to);
void write(const door::Credit& from, v1::Credit& to);
void write(const door::Ping& from, v1::Ping& to);
void write(const door::Tokenize& from, v1::Tokenize& to);
void write(const door::Detokenize& from, v1::Detokenize& to);
void write(const door::ListModels& from, v1::ListModels& to);
void write(const door::StatusRequest& from, v1::StatusRequest& to);

void read(wire::RangeCheck& check, const v1::Hello& from, door::Hello& to);
void read(wire::RangeCheck& check, const v1::Submit& from, door::Submit& to);
void read(wire::RangeCheck& check, const v1::Cancel& from, door::Cancel& to);
void read(wire::RangeCheck& check, const v1::Resume& from, door::Resume& to);
void read(wire::RangeCheck& check, const v1::Credit& from, door::Credit& to);
void read(wire::RangeCheck& check, const v1::Ping& from, door::Ping& to);
void read(wire::RangeCheck& check, const v1::Tokenize& from, door::Tokenize& to);
void read(wire::RangeCheck& check, const v1::Detokenize& from, door::Detokenize& to);
void read(wire::RangeCheck& check, const v1::ListModels& from, door::ListModels& to);
void read(wire::RangeCheck& check, const v1::StatusRequest& from, door::StatusRequest& to);

// From coordinator to client.
void write(const door::Welcome& from, v1::Welcome& to);
void write(const door::Accepted& from, v1::Accepted& to);
void write(const door::Tokens& from, v1::Tokens& to);
void write(const door::PromptLogprobs& from, v1::PromptLogprobs& to);
void write(const door::ProbeValues& from, v1::ProbeValues& to);
void write(const door::Finished& from, v1::Finished& to);
void write(const door::Error& from, v1::Error& to);
void write(const door::Pong& from, v1::Pong& to);
void write(const door::Models& from, v1::Models& to);
void write(const door::Tokenized& from, v1::Tokenized& to);
void write(const door::Detokenized& from, v1::Detokenized& to);
void write(const door::Progress& from, v1::Progress& to);
void write(const door::StatusReply& from, v1::StatusReply& to);

void read(wire::RangeCheck& check, const v1::Welcome& from, door::Welcome& to);
void read(wire::RangeCheck& check, const v1::Accepted& from, door::Accepted& to);
void read(wire::RangeCheck& check, const v1::Tokens& from, door::Tokens& to);
void read(wire::RangeCheck& check, const v1::PromptLogprobs& from, door::PromptLogprobs& to);
void read(wire::RangeCheck& check, const v1::ProbeValues& from, door::ProbeValues& to);
void read(wire::RangeCheck& check, const v1::Finished& from, door::Finished& to);
void read(wire::RangeCheck& check, const v1::Error& from, door::Error& to);
void read(wire::RangeCheck& check, const v1::Pong& from, door::Pong& to);
void read(wire::RangeCheck& check, const v1::Models& from, door::Models& to);
void read(wire::RangeCheck& check, const v1::Tokenized& from, door::Tokenized& to);
void read(wire::RangeCheck& check, const v1::Detokenized& from, door::Detokenized& to);
void read(wire::RangeCheck& check, const v1::Progress& from, door::Progress& to);
void read(wire::RangeCheck& check, const v1::StatusReply& from, door::StatusReply& to);

// Parts of several messages.
void write(const ChatRequest& from, v1::Chat& to);
void write(const AnswerPart& from, v1::AnswerPart& to);
void read(wire::RangeCheck& check, const v1::Chat& from, ChatRequest& to);
void read(wire::RangeCheck& check, const v1::AnswerPart& from, AnswerPart& to);

}  // namespace trireme
