#!/usr/bin/env bash
# Tells the story of a login with real commands: a stranger, kim, a long token, a suspension.
# Runs inside the sandbox: ./run demo [--shell]
set -euo pipefail

here=$(dirname "$(readlink -f "$0")")
cd "$here/../.."
# shellcheck source=tests/demo/stack.sh
. "$here/stack.sh"

number=0
scene() {
    number=$((number + 1))
    printf '\n\033[1m%s. %s\033[0m\n' "$number" "$1"
}

fail() {
    printf '\nThe demonstration failed: %s\n' "$1" >&2
    printf 'Logs:\n' >&2
    tail -n 15 "$LOGS"/*.log /run/sandbox/syslog >&2
    exit 1
}

# Shows a line as typed and runs it; its outcome and a part of its output must be as expected:
# show succeeds|fails PART COMMAND
show() {
    local expected=$1 part=$2 line=$3 output outcome=succeeds code=0
    printf '%s $ %s\n' "${PLACE:-laptop}" "$line"
    output=$(if [ "${PLACE:-laptop}" = laptop ]; then at_laptop "$line"; else bash -c "$line"; fi 2>&1 </dev/null) ||
        code=$?
    [ -z "$output" ] || printf '%s\n' "$output" | tr -d '\r' | sed 's/^/    /'
    if [ $code -ne 0 ]; then
        outcome=fails
        printf '    (exit code %s)\n' $code
    fi
    [ "$outcome" = "$expected" ] || fail "the command above $outcome"
    case "$output" in *"$part"*) ;; *) fail "the output above does not say: $part" ;; esac
}

on_host() { PLACE=login-node show "$@"; }

bring_up() {
    echo "Starting an OpenID provider, motley-root, motley-daemon and sshd."
    start_provider
    write_configuration
    start_services
    start_sshd
    make_laptop
    export PATH="$BIN:$PATH"
    echo
    echo "kim has an access token of the provider, in the file token-kim; so has the security"
    echo "contact. ssh asks for it with \"Access Token:\"; here sshpass does the pasting."
}

a_stranger() {
    scene "Who has no account and no token does not get in"
    show fails "Permission denied" "ssh -o BatchMode=yes kim@localhost id"
    show fails "" "sshpass -P 'Access Token' -p not-a-token ssh -o NumberOfPasswordPrompts=1 kim@localhost id"
}

first_login() {
    scene "mccli: one step from nothing to a shell; it asks the service to make the account"
    show succeeds "kim" "mccli ssh --token-file token-kim localhost 'id; pwd'"
    on_host succeeds "sub-kim" "getent passwd kim"
}

pasted_token() {
    scene "Plain ssh: paste the token"
    show succeeds "I am kim" "sshpass -P 'Access Token' -f token-kim ssh -tt kim@localhost 'echo I am \$(id -un) on \$(tty)'"
}

long_token() {
    scene "A token of 4 KB, which the ssh client would cut at 1023 bytes"
    show succeeds "409" "wc -c < token-kim-4k"
    show succeeds "kim" "mccli ssh --token-file token-kim-4k localhost id -un"
}

key_login() {
    scene "kim also leaves an ssh key"
    show succeeds "" "mccli ssh --token-file token-kim localhost 'mkdir -p .ssh && cat > .ssh/authorized_keys' < .ssh/id_ed25519.pub"
    show succeeds "kim" "ssh -o BatchMode=yes kim@localhost id -un"
}

suspension() {
    scene "kim has a session running when the security contact suspends the identity"
    echo "laptop \$ ssh kim@localhost 'echo session runs; sleep 600' &"
    at_laptop "exec ssh -o BatchMode=yes kim@localhost 'echo session runs; sleep 600'" >/run/sandbox/work/session 2>&1 </dev/null &
    local session=$!
    wait_for "session" grep -q "session runs" /run/sandbox/work/session
    sed 's/^/    /' /run/sandbox/work/session
    show succeeds "suspended" "mccli admin suspend --yes --token-file token-security --sub sub-kim --iss $ISSUER localhost"
    echo "laptop \$ wait   # for the session"
    local code=0
    timeout 15 tail --pid=$session -f /dev/null || fail "the session still runs"
    wait $session || code=$?
    echo "    the session has ended, exit code $code"
    [ $code -ne 0 ] || fail "the session ended as if nothing had happened"
    scene "Neither token nor key lets kim in"
    show fails "" "sshpass -P 'Access Token' -f token-kim ssh -o PubkeyAuthentication=no -o NumberOfPasswordPrompts=1 kim@localhost id"
    show fails "" "ssh -o BatchMode=yes kim@localhost id"
    show fails "suspended" "mccli ssh --token-file token-kim localhost id"
    on_host succeeds "suspended" "motleyctl users"
}

resumption() {
    scene "The host's admin lets kim in again"
    on_host succeeds "deployed" "motleyctl resume kim"
    show succeeds "kim" "ssh -o BatchMode=yes kim@localhost id -un"
    show succeeds "kim" "mccli ssh --token-file token-kim localhost id -un"
    scene "What the daemon wrote down"
    on_host succeeds "" "tail -n 6 $(ls /var/lib/motley_cue/audit* | head -n 1)"
}

play() {
    cat <<TEXT

You are root on the login node, inside the sandbox; "exit" ends it and everything in it.
  token NAME [SIZE]    an access token of anybody at the provider $ISSUER
  at_laptop COMMAND    runs a command as a person at a laptop, with mccli
  configuration        /etc/motley_cue     logs: $LOGS, /run/sandbox/syslog
TEXT
    export BIN LOGS CA CONTROL ISSUER
    export -f token at_laptop
    bash --norc -i || true
}

bring_up
a_stranger
first_login
pasted_token
long_token
key_login
suspension
resumption
printf '\nThat was the whole road.\n'
if [ "${1:-}" = --shell ]; then play; fi
