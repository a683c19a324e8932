#!/bin/sh
# Makes the users of NATS and Redis, one for each role with what it needs and no more, and the keys of
# the first callers:
#
#   deploy/identities.sh FOLDER [FANFOLD …]
#
# ROUTES, in the environment, names the servers of a cluster of NATS: "nats-1 nats-2 nats-3".
# FANFOLD is how to run the program: `fanfold` where it is installed, or
# `docker run --rm fanfold/fanfold:0.1.0`. Settings that change what a role may do, such as SHARDS,
# REDIS_PREFIX or the task types, must be in the environment or on that command line.
#
# Passwords and keys that are there already stay. The permissions are written anew, so run it again after
# an upgrade; then nats-server reads its part again (`nats-server --signal reload`), and Redis (`ACL LOAD`).
set -eu
folder=${1:?usage: identities.sh FOLDER [FANFOLD …]}
shift
[ $# -gt 0 ] || set -- fanfold
umask 077
mkdir -p "$folder"

# 256 bits, as text that needs no quotes anywhere.
secret() { od -An -v -tx1 -N32 /dev/urandom | tr -d ' \n'; }
keep() { [ -s "$1" ] || secret > "$1"; }
sha256() { printf %s "$1" | { sha256sum 2>/dev/null || shasum -a 256; } | cut -d' ' -f1; }
ask() { "$@" </dev/null; }

nats=$folder/nats-users.conf redis=$folder/redis-users.acl
{
    echo '# Made by deploy/identities.sh.'
    echo 'accounts { FANFOLD { jetstream: enabled, users: ['
    for role in api orchestrator worker projector webhooks operator topology; do
        keep "$folder/$role.nats"
        echo "{ user: $role, password: \"$(cat "$folder/$role.nats")\""
        ask "$@" topology permissions --role "$role" --only nats
        echo '}'
    done
    echo '] } }'
} > "$nats.new"
mv "$nats.new" "$nats"

{
    echo 'user default off'
    for role in api projector operator; do
        keep "$folder/$role.redis"
        echo "user $role on #$(sha256 "$(cat "$folder/$role.redis")") $(ask "$@" topology permissions --role "$role" --only redis)"
    done
} > "$redis.new"
mv "$redis.new" "$redis"

# The servers of a cluster of NATS prove themselves to each other too.
keep "$folder/routes"
{
    echo '# Made by deploy/identities.sh.'
    printf 'authorization { user: routes, password: "%s" }\n' "$(cat "$folder/routes")"
    echo 'routes: ['
    for server in ${ROUTES:-}; do
        printf '"nats-route://routes:%s@%s:6222"\n' "$(cat "$folder/routes")" "$server"
    done
    echo ']'
} > "$folder/routes.new"
mv "$folder/routes.new" "$folder/nats-routes.conf"

# The keys of callers: the file has their hashes, and each key stands once in a file of its own.
if [ ! -s "$folder/keys" ]; then
    : > "$folder/keys.new"
    for caller in submit read admin; do
        key=$(ask "$@" keys new --subject "$caller" --grant "default:$caller" 2> "$folder/line")
        printf %s "$key" > "$folder/$caller.key"
        sed -n 's/^its line for AUTH_KEYS_FILE: //p' "$folder/line" >> "$folder/keys.new"
        rm "$folder/line"
    done
    mv "$folder/keys.new" "$folder/keys"
fi

# The folder is for its owner alone. The files in it may be read by whoever reaches them, because a
# container that gets one of them has another user.
chmod 0444 "$folder"/*
chmod 0700 "$folder"
echo "identities: $folder has the users of NATS and Redis, and the keys of callers"
