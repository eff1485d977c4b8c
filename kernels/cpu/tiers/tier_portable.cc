// The portable tier. Compiled with its own flags: see kernels/CMakeLists.txt and tier.h.
#include "kernels/cpu/tiers/tier_attention.h"
#include "kernels/cpu/tiers/tier_matmul.h"
#include "kernels/cpu/tiers/tier_norm.h"
#include "kernels/cpu/tiers/tier_sample.h"

namespace trireme {

const TierOps kPortableOps = {"portable",
                              matmul<uint16_t>,
                              matmul<float>,
                              attend<uint16_t>,
                              attend<float>,
                              norm_row,
                              draw_row,
                              exp_sum};

}  // namespace trireme
