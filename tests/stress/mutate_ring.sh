#!/bin/sh
# Mutation proof of the ring: weakens each named ordering edge to relaxed, one at a time, and requires ThreadSanitizer to
# report stress_ring on it. The unchanged ring must pass. One line per mutant; exit 1 when a mutant survives.
#   tests/stress/mutate_ring.sh [C compiler]
set -u
cc=${1:-gcc}
source=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TSAN_OPTIONS="exitcode=66 halt_on_error=1"

# run NAME: build and run stress_ring against $work/NAME/shards/ring.h; the result is the program's exit code.
run() {
    "$cc" -std=gnu11 -O1 -g -fsanitize=thread -D_GNU_SOURCE -I"$work/$1" -I"$source" -o "$work/$1/stress" \
        "$source/tests/stress/stress_ring.c" "$work/$1/ring.c" "$source/base/assert.c" -lpthread || return 99
    TG_SEED=1 "$work/$1/stress" 12000 >"$work/$1/log" 2>&1
}

status=0
for edge in none P1 C1 C2 P2; do
    mkdir -p "$work/$edge/shards"
    cp "$source/shards/ring.c" "$work/$edge/ring.c"
    sed "/\/\* $edge \*\//s/memory_order_\(acquire\|release\)/memory_order_relaxed/" "$source/shards/ring.h" \
        >"$work/$edge/shards/ring.h"
    if [ $edge != none ] && cmp -s "$source/shards/ring.h" "$work/$edge/shards/ring.h"; then
        echo "$edge: NOT FOUND in ring.h"
        status=1
        continue
    fi
    run $edge
    code=$?
    if [ $edge = none ]; then
        [ $code -eq 0 ] && echo "unchanged: passes" || { echo "unchanged: FAILS ($code)"; cat "$work/$edge/log"; status=1; }
    elif [ $code -eq 66 ] && grep -q "data race" "$work/$edge/log"; then
        echo "$edge relaxed: data race reported"
    else
        echo "$edge relaxed: SURVIVED (exit $code)"
        status=1
    fi
done
exit $status
