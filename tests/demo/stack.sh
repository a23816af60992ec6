# Brings the whole stack up inside the sandbox, as the packages would: sourced by story.sh.
# shellcheck shell=bash

BIN=${MOTLEY_BIN:-/run/sandbox/bin}
LOGS=/run/sandbox/logs
CA=/run/sandbox/work/ca.pem
CONTROL=http://127.0.0.1:9400/_control/demo
ISSUER=https://localhost:9443

wait_for() {
    local what=$1 tries=200
    shift
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        if [ $tries -le 0 ]; then
            echo "the $what does not come up; its log:" >&2
            tail -n 20 "$LOGS"/*.log >&2
            exit 1
        fi
        sleep 0.1
    done
}

# In the background, with its output in a log file.
launch() {
    local name=$1
    shift
    "$@" >"$LOGS/$name.log" 2>&1 </dev/null &
}

start_provider() {
    launch test-op "$BIN/test-op" --op demo=9443 --user kim --user security --ca-file $CA
    wait_for "OpenID provider" grep -q READY "$LOGS/test-op.log"
    chmod 644 $CA
}

# An access token of a person, as their agent or a web page would give it: token NAME [SIZE].
token() {
    curl -fsS "$CONTROL/token" -d "{\"user\": \"$1\", \"size\": ${2:-0}, \"claims\": {\"aud\": \"login-node\"}}"
}

write_configuration() {
    mkdir -p /etc/motley_cue
    cat > /etc/motley_cue/motley_cue.conf <<TEXT
[mapper]
log_level = INFO

[authorisation.demo]
op_url = $ISSUER
audience = login-node
authorised_users = [sub-kim]
authorised_admins = [sub-security]
TEXT
    cat > /etc/motley_cue/feudal_adapter.conf <<TEXT
[ldf_adapter]
backend = local_unix
primary_group = users_of_demo

[username_generator]
mode = friendly

[login_info]
description = motley demonstration
ssh_host = localhost

[backend.local_unix]
shell = /bin/bash
home_base = /home
TEXT
}

start_services() {
    id -u motley >/dev/null 2>&1 || useradd --system --user-group --home-dir /var/lib/motley_cue --shell /usr/sbin/nologin motley
    install -d -m 700 -o motley -g motley /var/lib/motley_cue
    install -d -m 755 -o motley -g motley /run/motley_cue
    launch motley-root "$BIN/motley-root"
    wait_for "root helper" test -S /run/motley_cue/task.sock
    launch motley-daemon setpriv --reuid motley --regid motley --clear-groups --inh-caps=-all --no-new-privs \
        env SSL_CERT_FILE=$CA HOME=/var/lib/motley_cue "$BIN/motley-daemon" serve
    wait_for "daemon" curl -fsS http://127.0.0.1:8080/
}

# The module and its two lines, as the package puts them there.
start_sshd() {
    local modules
    modules=$(dirname "$(find /usr/lib /lib -name pam_unix.so -print -quit 2>/dev/null)")
    cp "$BIN/libpam_oidc_token.so" "$modules/pam_oidc_token.so"
    cp etc/pam/pam_oidc.toml /etc/pam_oidc.toml
    etc/pam/pam-line add-token-only
    mkdir -p /etc/ssh/sshd_config.d
    ssh-keygen -q -t ed25519 -N '' -f /run/sandbox/work/host_key
    cat > /run/sandbox/work/sshd_config <<TEXT
Port 22
HostKey /run/sandbox/work/host_key
PidFile none
PasswordAuthentication no
PrintMotd no
PrintLastLog no
LogLevel VERBOSE
TEXT
    cat etc/ssh/50-pam-ssh-oidc.conf >> /run/sandbox/work/sshd_config
    launch sshd /usr/sbin/sshd -D -e -f /run/sandbox/work/sshd_config
    wait_for "ssh server" bash -c 'exec 3<>/dev/tcp/127.0.0.1/22'
}

# Where people work: an account of its own, which stands for their laptops.
make_laptop() {
    id -u laptop >/dev/null 2>&1 || useradd --create-home --shell /bin/bash laptop
    install -d -m 700 -o laptop -g laptop /home/laptop/.ssh
    cat > /home/laptop/.ssh/config <<TEXT
Host localhost
    StrictHostKeyChecking accept-new
    LogLevel ERROR
TEXT
    runuser -u laptop -- ssh-keygen -q -t ed25519 -N '' -f /home/laptop/.ssh/id_ed25519
    local person
    for person in kim security; do
        token $person > /home/laptop/token-$person
    done
    token kim 4096 > /home/laptop/token-kim-4k
    chown laptop: /home/laptop/token-* /home/laptop/.ssh/config
    chmod 600 /home/laptop/token-* /home/laptop/.ssh/config
}

# Runs a line as the person at the laptop, with mccli on the search path.
at_laptop() {
    runuser -u laptop -- env -C /home/laptop HOME=/home/laptop USER=laptop PATH="$BIN:$PATH" \
        bash -c "$1"
}
