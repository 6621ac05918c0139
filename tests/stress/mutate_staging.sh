#!/bin/sh
# Mutation proof of the file sink's staging: weakens each named ordering edge to relaxed, one at a time, and requires
# ThreadSanitizer to report stress_staging on it. The unchanged staging must pass. One line per mutant; exit 1 when a
# mutant survives.
#   tests/stress/mutate_staging.sh [C compiler]     after the preset tsan was built
set -u
cc=${1:-gcc}
source=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
trap 'rm -rf "$work"' EXIT
export TSAN_OPTIONS="exitcode=66 halt_on_error=1"
flags="-std=gnu11 -O1 -g -fsanitize=thread -D_GNU_SOURCE -I$source"
libraries="$source/build/tsan/libtg_io.a $source/build/tsan/libtg_base.a" # everything else, as the build made it
$cc $flags -c -o "$work/stress_staging.o" "$source/tests/stress/stress_staging.c" || exit 1

# run NAME: build and run stress_staging with $work/NAME/staging.c; the result is the program's exit code.
run() {
    $cc $flags -o "$work/$1/stress" "$work/$1/staging.c" "$work/stress_staging.o" $libraries -lpthread || return 99
    TMPDIR="$work/$1" TG_SEED=1 "$work/$1/stress" 4400 >"$work/$1/log" 2>&1
}

status=0
for edge in none S1 S2 S3 S4; do
    mkdir "$work/$edge"
    sed "/\/\* $edge \*\//s/memory_order_\(acquire\|release\)/memory_order_relaxed/" "$source/io/file/staging.c" \
        >"$work/$edge/staging.c"
    if [ $edge != none ] && cmp -s "$source/io/file/staging.c" "$work/$edge/staging.c"; then
        echo "$edge: NOT FOUND in staging.c"
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
