#!/bin/sh
# Makes the types of the clients anew from the OpenAPI document of a running Fanfold:
# clients/generate.sh [URL]. scripts/recipes.sh installs what this needs.
set -eu
url=${1:-http://127.0.0.1:8080}
cd "$(dirname "$0")"
document=$(mktemp)
trap 'rm -f "$document"' EXIT
curl --silent --show-error --fail "$url/openapi.json" > "$document"
python3 python/generate.py < "$document" > python/fanfold/types.py
typescript/node_modules/.bin/openapi-typescript "$document" --output typescript/types.ts
