#!/usr/bin/env bash
# Fails where a program needs a newer glibc than the named one: packaging/symbols.sh PROGRAM 2.28.
# Prints the symbols that are too new.
set -euo pipefail
program=$1 glibc=$2
needed=$(objdump -T "$program" | grep -oE 'GLIBC_[0-9.]+\)? +[A-Za-z0-9_]+' | tr -d ')' | sort -uV)
[ -n "$needed" ] || { echo "symbols: $program names no symbol of glibc: is it the program?" >&2; exit 1; }
newest=$(awk '{print substr($1, 7)}' <<<"$needed" | sort -uV | tail -1)
if [ "$(printf '%s\n%s\n' "$newest" "$glibc" | sort -V | tail -1)" != "$glibc" ]; then
  echo "symbols: $program needs glibc $newest, and is to run with $glibc:" >&2
  while read -r version symbol; do
    [ "$(printf '%s\n%s\n' "${version#GLIBC_}" "$glibc" | sort -V | tail -1)" = "$glibc" ] || echo "  $version $symbol" >&2
  done <<<"$needed"
  exit 1
fi
echo "symbols: glibc $newest is enough for $program, and $glibc is allowed"
