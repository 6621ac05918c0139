# For the mutation proofs beside it: every named ordering edge of a source, weakened to relaxed one at a time, must be
# reported by ThreadSanitizer; the unchanged source must pass. The caller has set $work and defined `run EDGE`, which
# builds and runs the stress program with the copy in $work/EDGE, its output in $work/EDGE/log.
export TSAN_OPTIONS="exitcode=66 halt_on_error=1"

# prove SOURCE COPY EDGE...: COPY is the source's path below $work/EDGE. One line per mutant; 1 when a mutant survives.
prove() {
    original=$1
    copy=$2
    shift 2
    status=0
    for edge in none "$@"; do
        rm -rf "${work:?}/$edge"
        mkdir -p "$(dirname "$work/$edge/$copy")"
        sed "/\/\* $edge \*\//s/memory_order_\(acquire\|release\)/memory_order_relaxed/" "$original" >"$work/$edge/$copy"
        if [ "$edge" != none ] && cmp -s "$original" "$work/$edge/$copy"; then
            echo "$edge: NOT FOUND in $original"
            status=1
            continue
        fi
        run "$edge"
        code=$?
        if [ "$edge" = none ]; then
            [ $code -eq 0 ] && echo "unchanged: passes" || { echo "unchanged: FAILS ($code)"; cat "$work/$edge/log"; status=1; }
        elif [ $code -eq 66 ] && grep -q "data race" "$work/$edge/log"; then
            echo "$edge relaxed: data race reported"
        else
            echo "$edge relaxed: SURVIVED (exit $code)"
            status=1
        fi
    done
    return $status
}
