//! The ssh that runs the hook: what it is about to do, as far as its own command line tells.

use std::{
    ffi::{OsStr, OsString},
    fs,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

/// How many processes up the ssh may be: shells stand between where they do not replace themselves.
const MAX_DISTANCE: usize = 4;
/// Options of ssh(1) that take a value, OpenSSH 8.0 to 10.
const WITH_VALUE: &[u8] = b"BDEFIJLOPQRSWbceilmopw";
/// Options that the shared connection has none of: an identity, algorithms, another way, a tag.
const ELSEWHERE: &[u8] = b"IJMPBbcim";
/// Settings that act on a session over the shared connection, or on nothing that decides whom it
/// leads to and under which keys. Any other one leads elsewhere.
const HARMLESS: [&str; 40] = [
    "addkeystoagent",
    "batchmode",
    "clearallforwardings",
    "compression",
    "connectionattempts",
    "connecttimeout",
    "controlmaster",
    "controlpath",
    "controlpersist",
    "dynamicforward",
    "escapechar",
    "exitonforwardfailure",
    "forkafterauthentication",
    "forwardagent",
    "forwardx11",
    "forwardx11trusted",
    "gssapiauthentication",
    "hostbasedauthentication",
    "ipqos",
    "kbdinteractiveauthentication",
    "challengeresponseauthentication",
    "localforward",
    "loglevel",
    "numberofpasswordprompts",
    "passwordauthentication",
    "permitlocalcommand",
    "port",
    "preferredauthentications",
    "pubkeyauthentication",
    "remotecommand",
    "remoteforward",
    "requesttty",
    "sendenv",
    "serveralivecountmax",
    "serveraliveinterval",
    "sessiontype",
    "setenv",
    "stdinnull",
    "tcpkeepalive",
    "user",
];

/// What an ssh does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It logs in.
    Login(Line),
    /// It prints its settings, or asks a shared connection.
    Look,
    /// It goes another way than its configuration says, trusts other keys, or makes a connection of
    /// its own.
    Elsewhere,
}

/// What its command line says about the login.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Line {
    /// `-F`: the file in the place of the user's configuration.
    pub(crate) config: Option<PathBuf>,
    /// Where it looks for a shared connection, if it makes one there when there is none.
    pub(crate) control_path: Option<OsString>,
    /// It asks nobody anything.
    pub(crate) batch: bool,
}

/// What the ssh above this process does. Of one that can't be seen nobody knows where it goes.
pub(crate) fn purpose() -> Purpose {
    let mut pid = nix::unistd::getppid().as_raw();
    for _ in 0..MAX_DISTANCE {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<OsString> =
            line.split(|byte| *byte == 0).map(|word| OsString::from_vec(word.to_vec())).collect();
        let program = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
        if is_ssh(&program) {
            return read(words.get(1..).unwrap_or_default());
        }
        match parent(pid) {
            Some(next) if next > 1 => pid = next,
            _ => break,
        }
    }
    Purpose::Elsewhere
}

/// True for the program ssh, also after an update has replaced its file, and under names like
/// `openssh-client`.
fn is_ssh(program: &Path) -> bool {
    let Some(name) = program.file_name().and_then(OsStr::to_str) else { return false };
    let name = name.strip_suffix(" (deleted)").unwrap_or(name);
    name == "ssh" || name.starts_with("openssh") || name.starts_with("ssh.")
}

/// The parent, from proc_pid_stat(5): the second field behind the name, which may hold anything.
fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn read(words: &[OsString]) -> Purpose {
    let mut line = Line::default();
    let (mut control_master, mut batch) = (None, None);
    for (letter, value) in options(words) {
        match letter {
            b'G' | b'O' | b'Q' | b'V' => return Purpose::Look,
            letter if ELSEWHERE.contains(&letter) => return Purpose::Elsewhere,
            b'F' => line.config = Some(value.into()),
            b'S' => line.control_path = line.control_path.or(Some(value)),
            b'o' => {
                let Some((name, value)) = setting(&value) else { return Purpose::Elsewhere };
                match name.as_str() {
                    "controlpath" => line.control_path = line.control_path.or(Some(value.into())),
                    "controlmaster" => control_master = control_master.or(Some(value)),
                    "batchmode" => batch = batch.or(Some(matches!(&*value, "yes" | "true"))),
                    name if HARMLESS.contains(&name) => {}
                    _ => return Purpose::Elsewhere,
                }
            }
            _ => {}
        }
    }
    line.batch = batch.unwrap_or_default();
    // One made beforehand is as good as the one that it would make itself; ansible works so.
    let is_a_path =
        |path: &OsString| path.as_bytes().starts_with(b"/") || path.as_bytes().starts_with(b"~");
    match (&line.control_path, control_master.as_deref()) {
        (None, None | Some("no" | "false" | "auto")) => Purpose::Login(line),
        (Some(path), Some("auto")) if is_a_path(path) => Purpose::Login(line),
        _ => Purpose::Elsewhere,
    }
}

/// The options of a line, each with its value or an empty one.
fn options(words: &[OsString]) -> Vec<(u8, OsString)> {
    let mut found = Vec::new();
    let mut host_seen = false;
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let bytes = word.as_bytes();
        if !bytes.starts_with(b"-") {
            if host_seen {
                break;
            }
            host_seen = true;
            continue;
        }
        if bytes == b"--" {
            break;
        }
        let mut letters = bytes.get(1..).unwrap_or_default();
        while let Some((letter, attached)) = letters.split_first() {
            if !WITH_VALUE.contains(letter) {
                found.push((*letter, OsString::new()));
                letters = attached;
                continue;
            }
            let value = match attached {
                [] => words.next().cloned().unwrap_or_default(),
                _ => OsStr::from_bytes(attached).to_owned(),
            };
            found.push((*letter, value));
            break;
        }
    }
    found
}

/// Name and value of a setting, written as ssh_config(5) allows.
fn setting(text: &OsStr) -> Option<(String, String)> {
    let text = text.to_str()?.trim();
    let (name, value) = text.split_once(|c: char| c == '=' || c.is_whitespace())?;
    let value = value.trim_start_matches(|c: char| c == '=' || c.is_whitespace());
    let value = value.strip_prefix('"').and_then(|it| it.strip_suffix('"')).unwrap_or(value);
    Some((name.to_lowercase(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_ssh_tells_what_it_does() {
        use Purpose::{Elsewhere, Login, Look};
        let plain = || Login(Line::default());
        let with_config = || Login(Line { config: Some("cfg".into()), ..Line::default() });
        let at = |path: &str| Login(Line { control_path: Some(path.into()), ..Line::default() });
        for (line, expected) in [
            ("cue", plain()),
            ("-T -D 1080 cue bash -G", plain()),
            ("-p 2222 -lbob cue -- -G", plain()),
            ("-vF cfg cue", with_config()),
            ("-Fcfg cue", with_config()),
            ("-G cue", Look),
            ("-vG cue", Look),
            ("cue -G", Look),
            ("-O check cue", Look),
            ("-l G cue", plain()),
            ("-J jump cue", Elsewhere),
            ("-o ProxyJump=jump cue", Elsewhere),
            ("-oproxycommand=nc cue", Elsewhere),
            ("-S none cue", Elsewhere),
            ("-M cue", Elsewhere),
            ("-o ControlMaster=yes -S x cue", Elsewhere),
            ("-o ControlMaster=no cue", plain()),
            ("-o ControlMaster=auto -o ControlPath=\"/x\" cue", at("/x")),
            ("-S ~/x -o ControlPath=/y -oControlMaster=auto cue", at("~/x")),
            ("-S none -oControlMaster=auto cue", Elsewhere),
            ("-o ConnectTimeout=5 cue", plain()),
            ("-oForwardX11=no -oRequestTTY=no -oSendEnv=GIT_PROTOCOL -p 22 cue", plain()),
            ("-o Nonsense cue", Elsewhere),
        ] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(read(&words), expected, "{line}");
        }
        let batch = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            matches!(read(&words), Login(Line { batch: true, .. }))
        };
        assert!(batch("-oBatchMode=yes -oBatchMode=no cue") && batch("-o BatchMode=true cue"));
        assert!(!batch("-oBatchMode=no -oBatchMode=yes cue"), "the first counts");
        let sftp = ["-oForwardX11 no", "-obatchmode yes", "cue"].map(OsString::from);
        assert_eq!(read(&sftp), Login(Line { batch: true, ..Line::default() }));
    }

    #[test]
    fn r38_an_ssh_with_keys_of_its_own_choice_is_not_served_by_a_connection_made_without_them() {
        for line in [
            "-o StrictHostKeyChecking=yes cue",
            "-oStrictHostKeyChecking=no cue",
            "-o UserKnownHostsFile=./pinned cue",
            "-o GlobalKnownHostsFile=/dev/null cue",
            "-o HostKeyAlgorithms=ssh-ed25519 cue",
            "-o HostKeyAlias=other cue",
            "-o KnownHostsCommand=/bin/x cue",
            "-o Ciphers=aes256-ctr cue",
            "-o IdentityFile=key cue",
            "-i key cue",
            "-Tikey cue",
            "-c aes256-ctr cue",
            "cue -o StrictHostKeyChecking=yes",
        ] {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            assert_eq!(read(&words), Purpose::Elsewhere, "{line}");
        }
    }

    #[test]
    fn r38_an_ssh_is_known_by_the_file_that_it_runs() {
        for (program, expected) in [
            ("/usr/bin/ssh", true),
            ("/usr/bin/ssh (deleted)", true),
            ("/usr/bin/openssh-client", true),
            ("/usr/bin/bash", false),
            ("/usr/bin/sshd", false),
            ("", false),
        ] {
            assert_eq!(is_ssh(Path::new(program)), expected, "{program}");
        }
        // Nothing of the kind is above a test.
        assert_eq!(purpose(), Purpose::Elsewhere);
    }
}
