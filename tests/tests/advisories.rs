//! The page of advisories held against the sources: every row has its tests, and every test is there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the page must answer: advisories of this field, and changes and issues that were public.
const ADVISORIES: &[&str] = &[
    "CVE-2019-12209",
    "CVE-2019-12210",
    "CVE-2021-31924",
    "CVE-2023-28486",
    "CVE-2023-42456",
    "CVE-2023-42465",
    "CVE-2023-51385",
    "CVE-2024-10963",
    "CVE-2024-11738",
    "CVE-2024-22365",
    "CVE-2024-35515",
    "CVE-2024-9312",
    "CVE-2024-9313",
    "CVE-2025-4658",
    "CVE-2025-46717",
    "CVE-2025-46718",
    "CVE-2025-49012",
    "CVE-2025-49825",
    "CVE-2025-54882",
    "CVE-2025-5689",
    "CVE-2025-61984",
    "CVE-2026-25537",
    "CVE-2026-25727",
    "GHSA-4f5j-9xgm-8pvr",
    "GHSA-56wx-66px-9j66",
    "GHSA-6gp8-pp9v-gx45",
    "GHSA-c978-wq47-pvvw",
    "GHSA-j7c9-79x7-8hpr",
    "GHSA-p989-2f5w-9cf6",
    "GHSA-q428-6v73-fc4q",
    "GHSA-q746-m2wv-qh4v",
    "GHSA-x259-23ph-65m5",
    "GHSA-xxwr-vvr3-2g9f",
    "RUSTSEC-2023-0071",
    "6802543",
    "authd#1878",
    "authd#1888",
    "c126855",
    "d55f040e",
    "f4a36cc",
    "guest-oslogin PR 29/30",
    "himmelblau#1561",
    "open-bastion #49, #174, #175, #189, #222",
];

/// Major, minor and patch.
type Version = (u64, u64, u64);

/// Crates that must not be linked below a version; `None`: in no version.
const BANNED: &[(&str, Option<Version>)] = &[
    ("bincode", None),
    ("jsonwebtoken", Some((10, 3, 0))),
    ("native-tls", None),
    ("openssl-sys", None),
    ("ring", None),
    ("rsa", None),
    ("rustls", Some((0, 23, 18))),
    ("time", Some((0, 3, 47))),
    ("users", None),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

fn page() -> String {
    fs::read_to_string(root().join("docs/advisories.md")).unwrap()
}

/// The cells of each advisory's row: advisory, what went wrong, what stands against it, proof.
fn rows(page: &str) -> Vec<[&str; 4]> {
    let rows = page.lines().filter(|line| line.starts_with("| "));
    let cells = rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>());
    let cells = cells.filter(|cells| !matches!(cells[0], "advisory" | "---"));
    cells
        .map(|cells| cells.try_into().unwrap_or_else(|row| panic!("four cells: {row:?}")))
        .collect()
}

/// True when the text names the advisory, and not one that only begins like it.
fn names(text: &str, advisory: &str) -> bool {
    text.match_indices(advisory).any(|(at, _)| {
        let rest = text[at + advisory.len()..].chars().next();
        !rest.is_some_and(|c| c.is_ascii_alphanumeric())
    })
}

/// Crates of a lock file with all their versions.
fn locked(file: &str) -> BTreeMap<String, Vec<String>> {
    let text = fs::read_to_string(root().join(file)).unwrap();
    let mut crates: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in text.split("[[package]]").skip(1) {
        let value = |key: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(key));
            line.unwrap().trim_matches([' ', '=', '"']).to_owned()
        };
        crates.entry(value("name")).or_default().push(value("version"));
    }
    crates
}

/// Names and versions of all crates that are built for what ships.
fn linked() -> Vec<(String, String)> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["tree", "--workspace", "--offline", "--locked", "--edges", "normal,build"])
        .args(["--prefix", "none", "--no-dedupe", "--format", "{p}"])
        .current_dir(root())
        .output()
        .expect("cargo does not start");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut crates: Vec<(String, String)> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .filter_map(|line| line.split_once(" v"))
        .map(|(name, rest)| (name.to_owned(), rest.split(' ').next().unwrap().to_owned()))
        .collect();
    crates.sort();
    crates.dedup();
    assert!(crates.len() > 100, "the crates were not found");
    crates
}

fn numbers(version: &str) -> Version {
    let plain = version.split(['-', '+']).next().unwrap_or_default();
    let mut parts = plain.split('.').map(|part| part.parse().unwrap());
    let mut next = || parts.next().unwrap();
    (next(), next(), next())
}

#[test]
fn r48_every_advisory_has_exactly_one_row() {
    let page = page();
    let rows = rows(&page);
    for advisory in ADVISORIES {
        let found = rows.iter().filter(|[named, ..]| names(named, advisory)).count();
        assert_eq!(found, 1, "{advisory} has {found} rows in docs/advisories.md");
    }
    for [named, wrong, against, _] in rows {
        let is_known = ADVISORIES.iter().any(|advisory| names(named, advisory));
        assert!(is_known, "{named} is not in the list of this test");
        assert!(!wrong.is_empty() && !against.is_empty(), "{named} is not explained");
    }
}

#[test]
fn r48_every_test_that_the_page_names_is_there() {
    let page = page();
    for [named, _, _, proof] in rows(&page) {
        let tests: Vec<&str> = proof.split('`').filter(|word| word.contains("::")).collect();
        assert!(!tests.is_empty(), "{named} names no test");
        for test in tests {
            let (file, function) = test.split_once("::").unwrap();
            let source = fs::read_to_string(root().join(file))
                .unwrap_or_else(|error| panic!("{named}: {file}: {error}"));
            let lines: Vec<&str> = source.lines().map(str::trim).collect();
            let head = [format!("fn {function}("), format!("async fn {function}(")];
            let at = lines
                .iter()
                .position(|line| head.iter().any(|head| line.starts_with(head.as_str())))
                .unwrap_or_else(|| panic!("{named}: no test {function} in {file}"));
            let marks = ["#[test]", "::test]", "::test(", "_test! {", "on_both_databases! {"];
            let mut before = lines[at.saturating_sub(4)..at].iter();
            let is_test = before.any(|line| marks.iter().any(|mark| line.contains(mark)));
            assert!(is_test, "{named}: {function} in {file} is no test");
        }
    }
}

#[test]
fn r46_no_crate_with_an_advisory_that_bites_here_is_linked() {
    let deny = fs::read_to_string(root().join("deny.toml")).unwrap();
    let linked = linked();
    for (name, floor) in BANNED {
        for (_, version) in linked.iter().filter(|(linked, _)| linked == name) {
            let fits = floor.is_some_and(|floor| numbers(version) >= floor);
            assert!(fits, "{name} {version} has an advisory; see docs/advisories.md");
        }
        let banned = [format!("crate = \"{name}\""), format!("crate = \"{name}@<")];
        assert!(banned.iter().any(|it| deny.contains(it)), "deny.toml does not ban {name}");
    }
}

/// What a lock file says that a crate of ours needs.
fn needs(file: &str, name: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join(file)).unwrap();
    let head = format!("\nname = \"{name}\"\n");
    let package = text.split("[[package]]").find(|it| it.contains(&head)).unwrap();
    let (_, list) = package.split_once("dependencies = [").unwrap();
    let words = list.split(']').next().unwrap().split('"').skip(1).step_by(2);
    words.map(|word| word.split(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn the_fuzz_targets_link_what_ships() {
    let cure = "cp Cargo.lock fuzz/ && cargo metadata --manifest-path fuzz/Cargo.toml >/dev/null";
    let ours = locked("Cargo.lock");
    let only_there = ["arbitrary", "cap", "libfuzzer-sys", "motley-fuzz"];
    for (name, versions) in locked("fuzz/Cargo.lock") {
        let is_ours = ours.get(&name).is_some_and(|ours| versions.iter().all(|v| ours.contains(v)));
        assert!(is_ours || only_there.contains(&name.as_str()), "{name} {versions:?}: {cure}");
    }
    for name in ["motley-proto", "feudal-plugins", "motley-daemon"] {
        let manifest = fs::read_to_string(root().join(name).join("Cargo.toml")).unwrap();
        let (_, of_tests) = manifest.split_once("[dev-dependencies]").unwrap_or_default();
        for missing in needs("Cargo.lock", name).difference(&needs("fuzz/Cargo.lock", name)) {
            assert!(of_tests.contains(missing.as_str()), "{name} needs {missing}: {cure}");
        }
    }
}
