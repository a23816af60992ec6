//! The rules of the architecture that a compiler does not check: who may import whom, where unsafe may stand.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Which of our crates each of our crates may import. The end-to-end tests may import all.
const MAY_IMPORT: [(&str, &[&str]); 7] = [
    ("motley-proto", &[]),
    ("pam-oidc", &["motley-proto"]),
    ("motley-root", &["motley-proto"]),
    ("motley-shell", &[]),
    ("feudal-plugins", &["motley-proto"]),
    ("motley-daemon", &["motley-proto", "feudal-plugins"]),
    ("mccli", &["motley-proto"]),
];

const RUNTIME: &[&str] = &["tokio", "async-std", "smol", "mio"];
const TLS: &[&str] = &["rustls", "native-tls", "openssl-sys", "aws-lc-rs", "ring", "tokio-rustls"];
const HTTP: &[&str] = &["hyper", "axum", "reqwest", "http", "ureq"];
const HTTP_SERVER: &[&str] = &["axum", "actix-web"];
const JWT: &[&str] = &["jsonwebtoken", "josekit", "jwt-simple", "openidconnect"];
const SQL: &[&str] =
    &["sqlx", "sqlx-core", "sqlx-sqlite", "libsqlite3-sys", "rusqlite", "tokio-postgres"];
const PAM: &[&str] = &["pamsm", "pam-sys", "libpam-sys", "nonstick", "pam-bindings"];

/// What must not be linked into each crate, not even by way of others.
const MUST_NOT_LINK: [(&str, &[&[&str]]); 7] = [
    ("motley-proto", &[RUNTIME, TLS, HTTP, JWT, SQL, PAM]),
    ("pam-oidc", &[RUNTIME, TLS, HTTP, JWT, SQL]),
    ("motley-root", &[RUNTIME, TLS, HTTP, JWT, SQL, PAM]),
    ("motley-shell", &[RUNTIME, TLS, HTTP, JWT, SQL, PAM]),
    ("feudal-plugins", &[HTTP_SERVER, JWT, SQL, PAM]),
    ("motley-daemon", &[PAM]),
    ("mccli", &[SQL, PAM, HTTP_SERVER]),
];

/// The crates that are normal dependencies of each package, by package id.
struct Graph {
    names: BTreeMap<String, String>,
    normal: BTreeMap<String, BTreeSet<String>>,
    ours: BTreeSet<String>,
}

impl Graph {
    fn read() -> Self {
        let metadata = cargo_metadata();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let names = metadata["packages"].as_array().unwrap();
        let names = names.iter().map(|package| (text(&package["id"]), text(&package["name"])));
        let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
        let normal = nodes.iter().map(|node| {
            let deps = node["deps"].as_array().unwrap().iter();
            let linked = deps.filter(|dep| {
                let kinds = dep["dep_kinds"].as_array().unwrap();
                kinds.iter().any(|kind| kind["kind"].is_null())
            });
            (text(&node["id"]), linked.map(|dep| text(&dep["pkg"])).collect())
        });
        let ours = metadata["workspace_members"].as_array().unwrap();
        Self {
            names: names.collect(),
            normal: normal.collect(),
            ours: ours.iter().map(text).collect(),
        }
    }

    fn id(&self, name: &str) -> &str {
        let found = self.ours.iter().find(|id| self.names[*id] == name);
        found.unwrap_or_else(|| panic!("no crate {name} in the workspace"))
    }

    /// Names of our crates that `name` imports directly.
    fn own_imports(&self, name: &str) -> BTreeSet<&str> {
        let imports = self.normal[self.id(name)].iter();
        imports.filter(|id| self.ours.contains(*id)).map(|id| self.names[id].as_str()).collect()
    }

    /// Names of all crates that end up in `name`.
    fn linked(&self, name: &str) -> BTreeSet<&str> {
        let mut seen = BTreeSet::new();
        let mut todo = vec![self.id(name)];
        while let Some(id) = todo.pop() {
            if seen.insert(id) {
                todo.extend(self.normal[id].iter().map(String::as_str));
            }
        }
        seen.into_iter().map(|id| self.names[id].as_str()).collect()
    }
}

fn cargo_metadata() -> Value {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(root())
        .output()
        .expect("cargo does not start");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// All Rust sources of our crates, tests included.
fn sources() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut todo: Vec<PathBuf> = MAY_IMPORT
        .iter()
        .map(|(name, _)| root().join(name))
        .chain([root().join("tests"), root().join("benches")])
        .collect();
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(&dir).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push((path, text));
            }
        }
    }
    assert!(found.len() > 50, "the sources were not found");
    found
}

/// Lines of code without what stands behind `//`.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(|line| line.split("//").next().unwrap_or_default())
}

fn manifests() -> Vec<(PathBuf, String)> {
    let crates = MAY_IMPORT.iter().map(|(name, _)| *name).chain(["tests"]);
    let paths = crates.map(|name| root().join(name).join("Cargo.toml"));
    paths
        .chain([root().join("Cargo.toml")])
        .map(|p| (p.clone(), fs::read_to_string(&p).unwrap()))
        .collect()
}

#[test]
fn every_crate_imports_only_those_of_ours_that_it_may() {
    let graph = Graph::read();
    for (name, allowed) in MAY_IMPORT {
        for import in graph.own_imports(name) {
            assert!(allowed.contains(&import), "{name} must not import {import}");
        }
    }
    let known: BTreeSet<_> =
        MAY_IMPORT.iter().map(|(name, _)| *name).chain(["motley-tests"]).collect();
    let members: BTreeSet<_> = graph.ours.iter().map(|id| graph.names[id].as_str()).collect();
    assert_eq!(members, known, "a new crate needs its row in this table");
}

#[test]
fn no_crate_links_what_its_process_must_not_have() {
    let graph = Graph::read();
    for (name, groups) in MUST_NOT_LINK {
        let linked = graph.linked(name);
        for forbidden in groups.iter().copied().flatten() {
            assert!(
                !linked.contains(forbidden),
                "{name} links {forbidden}: cargo tree -p {name} -i {forbidden}"
            );
        }
    }
}

#[test]
fn r46_what_runs_in_sshd_links_few_crates() {
    let linked = Graph::read().linked("pam-oidc").len();
    assert!(linked <= 30, "pam-oidc links {linked} crates; the budget is 30");
}

#[test]
fn r46_what_runs_as_root_links_few_crates() {
    let linked = Graph::read().linked("motley-root").len();
    assert!(linked <= 50, "motley-root links {linked} crates; the budget is 50");
}

#[test]
fn r43_unsafe_stands_in_ffi_modules_only_and_each_time_with_its_reason() {
    for (path, text) in sources() {
        let is_ffi = path.components().any(|part| part.as_os_str() == "ffi")
            || path.file_name().is_some_and(|name| name == "ffi.rs");
        let uses = code(&text).filter(|line| {
            let opens = line.contains("unsafe {")
                || line.contains("unsafe fn ")
                || line.contains("unsafe impl ");
            opens && !line.contains('"')
        });
        let uses = uses.count();
        assert!(uses == 0 || is_ffi, "unsafe outside an ffi module: {}", path.display());
        let reasons = text.matches("SAFETY:").count() + text.matches("# Safety").count();
        assert!(reasons >= uses, "unsafe without a SAFETY comment: {}", path.display());
    }
}

#[test]
fn r05_no_profile_aborts_on_panic() {
    for (path, text) in manifests() {
        let aborts = text.lines().any(|line| line.replace(' ', "").starts_with("panic=\"abort\""));
        assert!(
            !aborts,
            "{}: without unwinding a panic in the PAM module ends sshd",
            path.display()
        );
    }
}

#[test]
fn r27_the_root_helper_starts_no_shell() {
    let files = sources().into_iter().filter(|(path, _)| {
        path.starts_with(root().join("motley-root/src")) && !path.ends_with("tests.rs")
    });
    for (path, text) in files {
        for shell in ["\"sh\"", "\"/bin/sh\"", "\"bash\"", "\"-c\"", "sh -c"] {
            let found = code(&text)
                .take_while(|line| !line.contains("#[cfg(test)]"))
                .any(|line| line.contains(shell));
            assert!(!found, "{} in {}", shell, path.display());
        }
    }
}

#[test]
fn every_crate_takes_over_the_lints_of_the_workspace() {
    for (path, text) in
        manifests().into_iter().filter(|(path, _)| *path != root().join("Cargo.toml"))
    {
        assert!(text.contains("[lints]\nworkspace = true"), "{}", path.display());
    }
}

#[test]
fn every_module_begins_by_saying_what_it_is() {
    let silent: Vec<_> = sources()
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//! "))
        .map(|(path, _)| path.display().to_string())
        .collect();
    assert!(silent.is_empty(), "the first line is not `//! what it is`: {}", silent.join(", "));
}

#[test]
fn no_source_file_grows_beyond_what_can_be_read_at_once() {
    for (path, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= 600, "{} has {lines} lines; cut it", path.display());
    }
}

#[test]
fn the_security_page_names_a_proof_only_where_there_is_a_test() {
    let page = fs::read_to_string(root().join("docs/security.md")).unwrap();
    let tests: Vec<String> = sources().into_iter().map(|(_, text)| text).collect();
    let mut rows = 0;
    for row in page.lines().filter(|line| line.starts_with("| R")) {
        rows += 1;
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let (number, proof) = (cells[1].to_lowercase(), cells[4]);
        let named = [format!("fn {number}_"), format!("_{number}_")];
        let has_test = tests.iter().any(|text| {
            text.lines().any(|line| {
                line.contains("fn r") && named.iter().any(|it| line.contains(it.as_str()))
            })
        });
        let claims_test = proof.contains(&format!("`{number}_`"));
        assert!(!claims_test || has_test, "{number} claims a test that is not there");
        assert!(claims_test || !has_test, "{number} has a test that the page does not name");
        for file in cells[3]
            .split('`')
            .filter(|word| word.starts_with("motley") || word.starts_with("etc/"))
        {
            let full = file.contains('/').then(|| root().join(file));
            assert!(
                full.is_none_or(|path| path.exists()),
                "{number} names {file}, which is not there"
            );
        }
    }
    assert_eq!(rows, 48);
}

/// Names of the functions in the block that begins with this line at the left margin.
fn functions(text: &str, begin: &str) -> BTreeSet<String> {
    let block = text.lines().skip_while(|line| !line.starts_with(begin));
    let block = block.skip(1).take_while(|line| !line.starts_with('}'));
    let name = |line: &str| {
        let line = line.strip_prefix("    ")?;
        let rest = line.strip_prefix("async fn ").or_else(|| line.strip_prefix("fn "))?;
        Some(rest.split(['(', '<']).next()?.to_owned())
    };
    block.filter_map(name).collect()
}

#[test]
fn what_measures_a_back_end_forwards_all_that_it_can_and_takes_no_default_for_it() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let measured = read("motley-daemon/src/daemon/measured.rs");
    for (file, of) in [("backend", "Backend"), ("host", "Host")] {
        let all = functions(
            &read(&format!("feudal-plugins/src/{file}.rs")),
            &format!("pub trait {of}: "),
        );
        let forwarded = functions(&measured, &format!("impl {of} for Measured"));
        assert!(all.len() > 5, "{all:?}");
        assert_eq!(forwarded, all, "{of}");
    }
}
