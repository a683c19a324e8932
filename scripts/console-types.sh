#!/usr/bin/env bash
# Checks the types of the console's scripts (JSDoc), with TypeScript in .tools/. The scripts are
# embedded as they are: nothing of this is needed to build or to run Fanfold.
set -euo pipefail
cd "$(dirname "$0")/.."
web=services/console/web
if ! command -v npm >/dev/null; then
  echo "console-types: NOT CHECKED: no npm here"
  exit 0
fi
folder=.tools/typescript
[ -x "$folder/node_modules/.bin/tsc" ] || npm install --silent --no-audit --no-fund --prefix "$folder" typescript@5.9.3
check=("$folder/node_modules/.bin/tsc" --noEmit --allowJs --checkJs --strict --target es2022 --module esnext --moduleDetection force)
"${check[@]}" --lib es2022,dom,dom.iterable "$web/console.js" "$web/live.js"
# A shared worker has no document.
"${check[@]}" --lib es2022,webworker "$web/changes.js"
