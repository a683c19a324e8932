#!/bin/sh
# Runs a command where the Docker engine has the images of the servers: scripts/with-images.sh COMMAND ….
# Exits with 69, and says so, where the engine can run no container of them.
set -eu
none() { echo "docker: NO CONTAINERS: $*" >&2; exit 69; }
"$(dirname "$0")/server-images.py" >&2 || none 'the images of the servers could not be made'
docker run --rm nats:2.15.1 --version >&2 || none 'the engine cannot run a container'
exec "$@"
