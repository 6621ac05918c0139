#!/bin/sh
# Mutation proof of the ring by stress_ring: its named ordering edges, as edges.sh says.
#   tests/stress/mutate_ring.sh [C compiler]
set -u
cc=${1:-gcc}
source=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$source/tests/stress/edges.sh"

run() {
    "$cc" -std=gnu11 -O1 -g -fsanitize=thread -D_GNU_SOURCE -I"$work/$1" -I"$source" -o "$work/$1/stress" \
        "$source/tests/stress/stress_ring.c" "$source/shards/ring.c" "$source/base/assert.c" -lpthread || return 99
    TG_SEED=1 "$work/$1/stress" 12000 >"$work/$1/log" 2>&1
}

prove "$source/shards/ring.h" shards/ring.h P1 C1 C2 P2
