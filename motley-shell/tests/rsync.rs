//! The listed commands against the words that a real client of rsync(1) sends.

use motley_shell::{commands, line};
use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

const LIST: &str = "rsync --server = /usr/bin/rsync --server ...\n\
    rsync --server --sender = /usr/bin/rsync --server --sender ...\n";

/// What the client has started on the other side, for fetching and for bringing a file.
fn sent(dir: &Path, options: &str) -> Vec<String> {
    let (shell, log) = (dir.join("shell"), dir.join("log"));
    let script = format!("#!/bin/sh\nshift; printf '%s\\n' \"$*\" >> {}\n", log.display());
    fs::write(&shell, script).unwrap();
    fs::set_permissions(&shell, fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(dir.join("file"), "x").unwrap();
    let _ = fs::remove_file(&log);
    for paths in [["host:away/ab", "here"], ["file", "host:away"]] {
        let mut client = Command::new("rsync");
        client.current_dir(dir).arg("-e").arg(&shell).args(options.split(' ')).args(paths);
        client.output().unwrap();
    }
    fs::read_to_string(&log).unwrap_or_default().lines().map(str::to_owned).collect()
}

fn is_listed(typed: &str) -> bool {
    let list = commands::parse(LIST).unwrap();
    commands::choose(&list, &line::words(typed).unwrap()).is_some()
}

#[test]
fn what_the_real_client_asks_for_is_started_unless_it_hides_its_arguments() {
    if Command::new("rsync").arg("--version").output().is_err() {
        eprintln!("SKIPPED: there is no rsync on this host");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    for (options, expected) in [
        ("-a", true),
        ("-rtvz --delete", true),
        ("-avvzHAXS --numeric-ids --exclude x", true),
        ("-a --partial --partial-dir=p --progress --info=progress2", true),
        ("-a --backup --backup-dir=b --delete-after", true),
        ("-rc --inplace -B 700 --bwlimit=10 --timeout=5 --modify-window=2", true),
        ("-a --chmod=u+x --no-o -O --link-dest=../old", true),
        ("-a --usermap=0:1 --compress-level=3 --checksum-choice=md5 --files-from=file", true),
        ("-as", false),
        ("-a --secluded-args", false),
        ("-a --log-file=l -M--log-file=l", false),
        ("-a -M--daemon", false),
    ] {
        let lines = sent(dir.path(), options);
        assert!(!lines.is_empty(), "{options}");
        for line in lines {
            assert_eq!(is_listed(&line), expected, "{options}: {line}");
        }
    }
    let lines = sent(dir.path(), "-a --remove-source-files");
    assert_eq!(
        lines.iter().map(|it| is_listed(it)).collect::<Vec<_>>(),
        [false, true],
        "{lines:?}"
    );
}
