#!/bin/sh
# Mutation proof of the file sink's staging by stress_staging (S1 to S4) and stress_settle (S5, S6): its named ordering
# edges, as edges.sh says.
#   tests/stress/mutate_staging.sh [C compiler]     after the preset tsan was built
set -u
cc=${1:-gcc}
source=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d -p /dev/shm 2>/dev/null || mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$source/tests/stress/edges.sh"
flags="-std=gnu11 -O1 -g -fsanitize=thread -D_GNU_SOURCE -I$source"
libraries="$source/build/tsan/libtg_io.a $source/build/tsan/libtg_base.a" # everything else, as the build made it
for program in stress_staging stress_settle; do
    $cc $flags -c -o "$work/$program.o" "$source/tests/stress/$program.c" || exit 1
done

run() {
    case $1 in S5 | S6) program=stress_settle ;; *) program=stress_staging ;; esac
    $cc $flags -o "$work/$1/stress" "$work/$1"/*.c "$work/$program.o" $libraries -lpthread || return 99
    TMPDIR="$work/$1" TG_SEED=1 "$work/$1/stress" 1500 >"$work/$1/log" 2>&1
}

prove "$source/io/file/staging.c" staging.c S1 S2 S4 S5 S6 && prove "$source/io/file/commit.c" commit.c S3
