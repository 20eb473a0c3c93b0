#!/bin/bash
# Makes the secrets of docker-compose.yml, each in the volume of those who need it: random, on the first start only, and
# never printed. The volumes are mounted below /secrets; programs read them as files.
set -euo pipefail
umask 077

OURS=65532
random() { od -An -N32 -tx1 /dev/urandom | tr -d ' \n'; }
sha256() { printf %s "$1" | sha256sum | cut -d' ' -f1; }
# `keep FILE TEXT [MODE]`: written whole or not at all.
keep() {
    printf '%s\n' "$2" > "$1.new"
    chown "$OURS:$OURS" "$1.new"
    chmod "${3:-0400}" "$1.new"
    mv "$1.new" "$1"
}

if [ ! -e /secrets/database/url ]; then
    password=$(random)
    keep /secrets/database/password "$password"
    keep /secrets/database/url "postgres://gristmill:$password@postgres:5432/gristmill?sslmode=disable"
fi

if [ ! -e /secrets/store/s3.json ]; then
    id=$(random | cut -c1-20)
    secret=$(random)
    keep /secrets/store/access-key-id "$id"
    keep /secrets/store/secret-access-key "$secret"
    keep /secrets/store/s3.json '{"identities": [{"name": "gristmill",
  "credentials": [{"accessKey": "'"$id"'", "secretKey": "'"$secret"'"}],
  "actions": ["Admin", "Read", "List", "Tagging", "Write"]}]}' 0444 # the store runs as a user of its own
fi

# A token each for the services that call others, and one for you; of all of them only hashes are shared.
if [ ! -e /secrets/tokens/tokens.yaml ]; then
    lines="tokens:"
    token() { # NAME SERVICE ROLES
        local made
        made=$(random)
        keep "/secrets/$1/token" "$made"
        lines+=$(printf '\n  - { name: %s, sha256: "%s", service: %s, projects: { "*": [%s] } }' "$1" "$(sha256 "$made")" "$2" "$3")
    }
    token pipeline true "ml-engineer, data-engineer"
    token serving true software-engineer
    # Asks what the stages hold, as any service may: no role.
    token registry true ""
    token training-worker true software-engineer
    token admin false admin
    keep /secrets/tokens/tokens.yaml "$lines"
fi
