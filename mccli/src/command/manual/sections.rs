//! What the manual pages say beyond the options: exit codes, environment, files, examples.

use clap_mangen::roff::{Roff, bold, roman};
use std::io::{self, Write};

/// A list of terms and what they mean.
type Terms = &'static [(&'static str, &'static str)];

/// Exit codes of the commands that the Python client does not have.
const EXIT_CODES: Terms = &[
    ("0", "It worked."),
    ("1", "Something else failed; the message says what."),
    ("2", "The command line or the configuration file makes no sense."),
    ("3", "There is no token, or only expired ones: a login is needed."),
    ("4", "The service refused the token (HTTP 401)."),
    ("5", "The identity may not use the service (HTTP 403)."),
    ("6", "The account waits for approval."),
    ("7", "The account is suspended, limited or rejected."),
    ("8", "There is no service, or it can't be reached."),
    ("9", "A certificate was not accepted."),
    ("10", "The token is too long for ssh, and the service has no one-time passwords."),
    ("130", "You broke off."),
];

/// Exit codes of the commands that become another program.
const PASSED_CODES: Terms = &[
    ("any", "That of the program, once it runs; ssh itself ends with 255 when it fails."),
    ("1", "mccli could not start it; the message says why."),
    ("2", "The command line or the configuration file makes no sense."),
    ("130", "You broke off before it was started."),
];

/// Exit codes of rsync and exec, which the Python client does not have.
const STARTED_CODES: Terms = &[
    ("any", "That of the program, once it runs."),
    ("1 to 10", "mccli could not start it; the number is that of mccli(1)."),
    ("130", "You broke off before it was started."),
];

/// Exit codes of info.
const INFO_CODES: Terms = &[
    ("0", "Something could be told."),
    ("1", "Nothing could be told."),
    ("2", "The command line or the configuration file makes no sense."),
];

/// Variables that mccli reads.
const ENVIRONMENT: Terms = &[
    (
        "ACCESS_TOKEN, OIDC, OS_ACCESS_TOKEN, OIDC_ACCESS_TOKEN, WATTS_TOKEN, WATTSON_TOKEN",
        "An access token; the first that is not empty counts.",
    ),
    ("OIDC_AGENT_ACCOUNT", "An account of oidc-agent, as --oidc."),
    ("OIDC_ISS, OIDC_ISSUER", "An issuer, as --iss."),
    ("MCCLI_TOKEN_FILE, MCCLI_TOKEN_CMD", "As --token-file and --token-cmd."),
    ("MYTOKEN, MYTOKEN_SERVER", "As --mytoken and --mytoken-server."),
    (
        "BEARER_TOKEN, BEARER_TOKEN_FILE, XDG_RUNTIME_DIR",
        "Where WLCG bearer token discovery looks.",
    ),
    (
        "OIDC_SOCK, OIDC_REMOTE_SOCK",
        "The socket of oidc-agent, and the address of one behind a tunnel.",
    ),
    ("OIDC_CONFIG_DIR", "Where oidc-agent keeps its list of public clients."),
    ("BROWSER", "The program that shows pages of a login."),
    ("MCCLI_PROFILE, MCCLI_CONFIG", "As --profile and --config."),
    (
        "MCCLI_COMPAT",
        "0.7 has token variables beat options of another kind, and the socket of oidc-agent forwarded to every host, as version 0.7 did.",
    ),
    (
        "XDG_CONFIG_HOME, XDG_STATE_HOME, XDG_CACHE_HOME, XDG_RUNTIME_DIR",
        "Where the folders of the files below are.",
    ),
    ("LOG", "Least level of messages, as --log-level."),
    ("NO_COLOR, CLICOLOR_FORCE, TERM", "Whether colours are shown, where --color does not say."),
    (
        "SSL_CERT_FILE, SSL_CERT_DIR, REQUESTS_CA_BUNDLE",
        "Certificate authorities: the first two replace those of the system, the third adds to them.",
    ),
    (
        "HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY",
        "Proxies for requests to services and providers.",
    ),
];

/// Files of the user's.
const FILES: Terms = &[
    (
        "~/.config/mccli/config.toml",
        "Profiles, and what is different for some hosts and providers.",
    ),
    (
        "~/.local/state/mccli/logins/",
        "Stored logins, where there is no Secret Service, and beside it the key that they are encrypted by; for you alone.",
    ),
    ("~/.local/state/mccli/hosts.json", "Hosts that you named: programs may log in there."),
    ("~/.cache/mccli/", "What services told, without tokens; may be deleted at any time."),
    ("$XDG_RUNTIME_DIR/mccli/, ~/.ssh/mccli/", "Sockets of shared connections; for you alone."),
    ("~/.ssh/config", "mccli ssh-config --install writes a marked block into it."),
];

/// How each command is used.
const EXAMPLES: &[(&str, Terms)] = &[
    (
        "mccli",
        &[
            ("mccli login login.example.org", "Log in at the provider of a host, once."),
            ("mccli ssh login.example.org", "Log in on the host."),
            ("mccli scp data.tar login.example.org:", "Copy a file there."),
            ("mccli doctor login.example.org", "Say what is wrong, and how to mend it."),
        ],
    ),
    (
        "mccli-login",
        &[
            ("mccli login https://op.example.org", "Log in at a provider."),
            ("mccli login --device login.example.org", "Use the browser of another machine."),
        ],
    ),
    ("mccli-logout", &[("mccli logout --all", "Give all logins back.")]),
    (
        "mccli-token",
        &[
            (
                "mccli token --check login.example.org || mccli login login.example.org",
                "Log in only if that is needed.",
            ),
            (
                "curl -H \"Authorization: Bearer $(mccli token login.example.org)\" https://api.example.org",
                "Use a token elsewhere.",
            ),
        ],
    ),
    ("mccli-whoami", &[("mccli whoami --json", "Your logins, for a script.")]),
    (
        "mccli-info",
        &[("mccli info login.example.org", "All that is known of the service and of you.")],
    ),
    (
        "mccli-ssh",
        &[
            ("mccli ssh login.example.org", "A shell."),
            ("mccli ssh -p 2222 -L 8888:localhost:8888 login.example.org", "Options of ssh."),
            (
                "mccli ssh login.example.org --oidc work -- ls -l",
                "A command, with an account of oidc-agent.",
            ),
        ],
    ),
    (
        "mccli-scp",
        &[
            ("mccli scp -r results login.example.org:", "A folder."),
            ("mccli scp -3 one.example.org:f two.example.org:", "From host to host."),
        ],
    ),
    (
        "mccli-sftp",
        &[("mccli sftp -b batch.txt login.example.org", "Without anybody at the keyboard.")],
    ),
    (
        "mccli-rsync",
        &[("mccli rsync -a results/ login.example.org:results/", "Only what has changed.")],
    ),
    (
        "mccli-exec",
        &[("mccli exec -- git clone login.example.org:project", "Any program that uses ssh.")],
    ),
    ("mccli-ops", &[("mccli ops login.example.org", "Providers, and what their tokens need.")]),
    ("mccli-endpoint", &[("mccli endpoint login.example.org", "Where the service is.")]),
    (
        "mccli-status",
        &[("mccli status --json login.example.org", "The state of your account, for a script.")],
    ),
    (
        "mccli-deploy",
        &[("mccli deploy login.example.org", "Have your account made before the first login.")],
    ),
    (
        "mccli-suspend",
        &[("mccli suspend login.example.org", "Lock your account, after a question.")],
    ),
    ("mccli-otp", &[("mccli otp login.example.org", "Something short to paste where ssh asks.")]),
    (
        "mccli-admin-suspend",
        &[(
            "mccli admin suspend login.example.org --sub 4711 --iss https://op.example.org",
            "Lock somebody's account.",
        )],
    ),
    (
        "mccli-admin-resume",
        &[(
            "mccli admin resume login.example.org --sub 4711 --iss https://op.example.org",
            "Unlock it.",
        )],
    ),
    (
        "mccli-ssh-config",
        &[(
            "mccli ssh-config --host '*.example.org' --install",
            "From now on plain ssh, scp, git and the rest log in by themselves.",
        )],
    ),
    ("mccli-ssh-stop", &[("mccli ssh-stop login.example.org", "End the shared connection.")]),
    ("mccli-doctor", &[("mccli doctor login.example.org", "One line per check, and what to do.")]),
    ("mccli-cache-clear", &[("mccli cache clear", "Ask services again.")]),
    (
        "mccli-completions",
        &[(
            "mccli completions bash > ~/.local/share/bash-completion/completions/mccli",
            "For bash.",
        )],
    ),
    ("mccli-man", &[("mccli man ssh | man -l -", "Read the page of a command.")]),
];

/// Writes how the command is called.
pub(super) fn synopsis(usage: &str, out: &mut dyn Write) -> io::Result<()> {
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]).text([roman(usage)]);
    roff.to_writer(out)
}

/// Writes the sections of a page.
pub(super) fn write(page: &str, out: &mut dyn Write) -> io::Result<()> {
    let codes = match page {
        "mccli-ssh" | "mccli-scp" | "mccli-sftp" => PASSED_CODES,
        "mccli-rsync" | "mccli-exec" => STARTED_CODES,
        "mccli-info" => INFO_CODES,
        _ => EXIT_CODES,
    };
    section("EXIT STATUS", codes, out)?;
    section("ENVIRONMENT", ENVIRONMENT, out)?;
    section("FILES", FILES, out)?;
    let examples = EXAMPLES.iter().find(|(of, _)| *of == page).map_or(&[][..], |(_, terms)| terms);
    section("EXAMPLES", examples, out)?;
    let others = if page == "mccli" {
        "ssh(1), ssh_config(5), oidc-agent(1); each command has a page of its own, as mccli-ssh(1)"
    } else {
        "mccli(1), ssh(1)"
    };
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]).text([roman(others)]);
    roff.to_writer(out)
}

fn section(title: &str, terms: Terms, out: &mut dyn Write) -> io::Result<()> {
    if terms.is_empty() {
        return Ok(());
    }
    let mut roff = Roff::new();
    roff.control("SH", [title]);
    for (term, meaning) in terms {
        roff.control("TP", []).text([bold(*term)]).text([roman(*meaning)]);
    }
    roff.to_writer(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_code_of_an_error_is_in_the_table() {
        let numbers: Vec<&str> = EXIT_CODES.iter().map(|(code, _)| *code).collect();
        assert_eq!(numbers, ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "130"]);
    }
}
