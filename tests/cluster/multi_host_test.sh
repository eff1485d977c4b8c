#!/bin/bash
# A group over three hosts, each a network namespace of its own: the answer equals that of one host,
# the worker door speaks CURVE, and a lost rank is named with its host. Exit 77 where namespaces
# cannot be made.
set -euo pipefail
bin=${1:?usage: multi_host_test.sh FOLDER-OF-PROGRAMS}
here=$(cd "$(dirname "$0")" && pwd)
model=$here/../../models/demo

skip() { echo "skipped: $*"; exit 77; }
fail() { echo "FAILED: $*" >&2; exit 1; }
[ "$(id -u)" = 0 ] || skip "making network namespaces takes root"
command -v ip >/dev/null || skip "there is no ip (package iproute2)"
command -v unshare >/dev/null || skip "there is no unshare (package util-linux)"

export TRIREME_TEST_NETNS=trireme$$
prefix=$TRIREME_TEST_NETNS
folder=$(mktemp -d)
up_pid=
cleanup() {
  if [ -n "$up_pid" ]; then
    kill -INT "$up_pid" 2>/dev/null || true
    wait "$up_pid" 2>/dev/null || true
  fi
  for host in 1 2 3; do ip netns del "$prefix-$host" 2>/dev/null || true; done
  rm -rf "$folder"
}
trap cleanup EXIT

ip netns add "$prefix-1" 2>/dev/null || skip "this container may not make network namespaces"
ip netns add "$prefix-2"
ip netns add "$prefix-3"
for host in 1 2 3; do ip -n "$prefix-$host" link set lo up; done
ip -n "$prefix-1" link add bridge type bridge 2>/dev/null || skip "the kernel has no bridges"
ip -n "$prefix-1" address add 10.77.0.1/24 dev bridge
ip -n "$prefix-1" link set bridge up
for host in 2 3; do
  ip -n "$prefix-1" link add "to$host" type veth peer name eth0 netns "$prefix-$host" 2>/dev/null ||
    skip "the kernel has no virtual Ethernet pairs"
  ip -n "$prefix-1" link set "to$host" master bridge up
  ip -n "$prefix-$host" address add "10.77.0.$host/24" dev eth0
  ip -n "$prefix-$host" link set eth0 up
done
printf '10.77.0.1 slots=1\n10.77.0.2 slots=1\n10.77.0.3 slots=2\n' >"$folder/hosts"
shape=(--model "$model" -tp 2 -pp 2)
several=(--hostfile "$folder/hosts" --worker-host 10.77.0.1 --interface 10.77.0.0/24
  --launch-agent "$here/namespace_agent.sh")
ask=(--prompt "A vector is" --temperature 0 --max-tokens 24 --json)
first_host() { ip netns exec "$prefix-1" "$@"; }
ids() { sed -n 's/.*"token_ids":\(\[[0-9,]*\]\).*/\1/p' "$1"; }

"$bin/trireme" run "${shape[@]}" "${ask[@]}" >"$folder/one" || fail "one host does not answer"
first_host "$bin/trireme" run "${shape[@]}" "${several[@]}" "${ask[@]}" --verbose \
  >"$folder/three" 2>"$folder/log" || { cat "$folder/log"; fail "three hosts do not answer"; }
for host in 1 2 3; do
  grep -q "on host-$host" "$folder/log" || grep -q "on $(hostname)" "$folder/log" ||
    { cat "$folder/log"; fail "no rank ran on host $host"; }
done
grep -q "on host-2:" "$folder/log" || fail "no rank ran on host-2"
grep -q "on host-3:" "$folder/log" || fail "no rank ran on host-3"
[ -n "$(ids "$folder/one")" ] || fail "no token ids: $(cat "$folder/one")"
[ "$(ids "$folder/one")" = "$(ids "$folder/three")" ] ||
  fail "one host and three hosts differ: $(ids "$folder/one") $(ids "$folder/three")"
echo "three hosts give the token ids of one"

# A cluster that stays: a stranger without the launch's key is refused, and a lost rank is named.
exec 3< <(exec ip netns exec "$prefix-1" "$bin/trireme" up "${shape[@]}" "${several[@]}" --port 0 \
  --worker-port 18901 --state "$folder/state" --json 2>"$folder/up.log")
up_pid=$!
await() { # WORDS SECONDS: the next event that holds the words, in $event
  while read -r -t "$2" -u 3 event; do
    [[ $event != *"$1"* ]] || return 0
  done
  cat "$folder/up.log"
  fail "no $1 within $2 s"
}
await '"event":"ready"' 30
if ip netns exec "$prefix-2" env OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 \
  timeout 30 "$bin/trireme-worker" --model "$model" --coordinator tcp://10.77.0.1:18901 \
  >"$folder/stranger" 2>&1; then
  fail "a rank without a key was let in"
fi
grep -q "TRI-GRP-01[78]" "$folder/stranger" ||
  { cat "$folder/stranger"; fail "the stranger is not told of the key"; }
grep -q TRIREME_WORKER_KEY "$folder/stranger" || fail "the stranger is not told what to do"
echo "a rank without the key of this launch is refused"

victim=
for process in $(ip netns pids "$prefix-3"); do
  [ "$(cat "/proc/$process/comm" 2>/dev/null)" = trireme-worker ] && victim=$process
done
[ -n "$victim" ] || fail "host-3 has no rank"
kill -KILL "$victim"
await '"event":"group_lost"' 15
[[ $event == *'"host":"host-3"'* ]] || fail "the loss does not name host-3: $event"
await '"event":"group_ready"' 30
echo "a lost rank is named with its host, and the group comes back"
kill -INT "$up_pid"
wait "$up_pid" && status=0 || status=$?
up_pid=
[ "$status" = 0 ] || { cat "$folder/up.log"; fail "the drain ended with $status"; }
echo "the drain ended with 0"
