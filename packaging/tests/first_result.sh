# Sourced: what each test does with the program that it has installed.

# Waits for the first response, at most 60 s: first_result URL DOCUMENT [CURL ARGUMENT …]. Prints the price.
first_result() {
  local url=$1 document=$2 until=$((SECONDS + 60)) answer
  shift 2
  while :; do
    answer=$(curl --silent --max-time 20 -H 'Content-Type: application/xml' --data-binary "@$document" "$@" \
      "$url/valuation?sync=Y" || true)
    case $answer in *'<amount>105.70</amount>'*) echo '105.70'; return ;; esac
    [ "$SECONDS" -lt "$until" ] || { echo "no result from $url: $answer" >&2; return 1; }
    sleep 0.1
  done
}

# A port of loopback that is free now.
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

seconds_since() { awk -v then="$1" -v now="$(date +%s.%N)" 'BEGIN {printf "%.1f\n", now - then}'; }
