#!/bin/sh
# Runs a command where the Docker engine has the images of the servers: scripts/with-images.sh COMMAND ….
set -eu
"$(dirname "$0")/server-images.py" >&2
exec "$@"
