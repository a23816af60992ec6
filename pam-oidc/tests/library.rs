//! What the built library shows to the outside: its symbols, its strings, what it links.

mod support;

use std::{collections::BTreeSet, fs, process::Command};
use support::library::module;

fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).arg(module()).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn only_the_entry_points_of_a_pam_module_are_exported() {
    let symbols = run("nm", &["--dynamic", "--defined-only", "--extern-only"]);
    let names: BTreeSet<&str> =
        symbols.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
    let expected = [
        "pam_sm_acct_mgmt",
        "pam_sm_authenticate",
        "pam_sm_chauthtok",
        "pam_sm_close_session",
        "pam_sm_open_session",
        "pam_sm_setcred",
    ];
    assert_eq!(names, BTreeSet::from(expected));
}

#[test]
fn r35_no_door_for_tests_is_built_in() {
    let bytes = fs::read(module()).unwrap();
    for door in [&b"panic_in="[..], b"requested in "] {
        let found = bytes.windows(door.len()).any(|it| it == door);
        assert!(!found, "{} is in the module", String::from_utf8_lossy(door));
    }
}

#[test]
fn the_module_links_libpam_and_the_c_library_only() {
    let dynamic = run("readelf", &["--dynamic", "--wide"]);
    let needed: BTreeSet<&str> = dynamic
        .lines()
        .filter(|line| line.contains("(NEEDED)"))
        .filter_map(|line| line.split(['[', ']']).nth(1))
        .collect();
    for library in &needed {
        let fits = ["libpam.so", "libc.so", "libgcc_s.so", "ld-linux"]
            .iter()
            .any(|it| library.starts_with(it));
        assert!(fits, "{library}");
    }
    assert!(needed.contains("libpam.so.0"));
}
