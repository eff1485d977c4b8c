#!/bin/bash
# namespace_agent.sh 10.77.0.N COMMAND...: what ssh is between hosts, between the network namespaces
# of multi_host_test.sh. Each has a host name of its own, so that MPI takes it for a host.
set -euo pipefail
number=${1##*.}
shift
exec ip netns exec "${TRIREME_TEST_NETNS:?}-$number" \
  unshare --uts sh -c "hostname host-$number && $*"
