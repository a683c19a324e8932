#!/usr/bin/env bash
# fuzz.sh SECONDS TARGET...: runs each fuzz target for so long, from the corpus in the tree. What is
# new goes into fuzz/target/corpus, what is wrong into fuzz/artifacts; the next target runs anyway.
set -uo pipefail
cd "$(dirname "$0")/../fuzz"
export RUSTC_BOOTSTRAP=1
seconds=$1
shift
# The code is safe Rust but for the counting allocator: the address sanitizer would find nothing.
cargo fuzz build -s none || exit 1
failed=()
for target in "$@"; do
    echo "fuzz: $target for $seconds s"
    found=target/corpus/$target
    mkdir -p "$found"
    options=(-max_total_time="$seconds" -timeout=20 -rss_limit_mb=3072 -verbosity=0 -print_final_stats=1)
    case $target in
    documents) options+=(-max_len=16384 -dict=documents.dict) ;;
    xpath | use_argument) options+=(-max_len=2048 -dict=documents.dict) ;;
    bundle) options+=(-max_len=20480) ;;
    costly) options+=(-max_len=256 -len_control=0) ;;
    *) options+=(-max_len=512) ;;
    esac
    cargo fuzz run -s none "$target" "$found" "corpus/$target" -- "${options[@]}" || failed+=("$target")
done
if ((${#failed[@]})); then
    echo "fuzz: found something: ${failed[*]} (inputs in fuzz/artifacts/)"
    exit 1
fi
