#include "worker/peer_agreement.h"

#include <string>
#include <variant>
#include <vector>

#include "proto/rank_agreement.h"
#include "proto/step_codec.h"
#include "worker/comm/host_collectives.h"

namespace trireme {

Status agree_with_peers(Comm& group, const RankHello& hello) {
  StepCodec codec;
  std::string frame;
  codec.encode(hello, frame);
  ASSIGN_OR_RETURN(const std::vector<std::string> frames, gather_texts(group, frame));
  std::vector<RankHello> hellos;
  for (const std::string& each : frames) {
    RankMessage message;
    RETURN_IF_ERROR(codec.decode(each, message));
    hellos.push_back(std::get<RankHello>(std::move(message)));
  }
  for (const RankHello& other : hellos) {
    RETURN_IF_ERROR(check_same_terms(hellos.front(), other));
  }
  return ok_status();
}

}  // namespace trireme
