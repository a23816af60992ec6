//! No door of tests or fuzz targets, no variable and no option lets anybody past verification (R35).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What runs on the login node.
const SHIPPED: [&str; 6] =
    ["motley-proto", "pam-oidc", "motley-root", "motley-shell", "feudal-plugins", "motley-daemon"];

/// Where code is built on a condition other than `test`, with the condition.
const CONDITIONS: &[(&str, &str)] = &[
    ("motley-daemon/src/identity/mod.rs", "fuzzing"),
    ("motley-daemon/src/serve/rest/mod.rs", "fuzzing"),
    ("pam-oidc/src/hooks.rs", "feature = \"test-panic\""),
    ("pam-oidc/src/panics.rs", "feature = \"test-panic\""),
    ("pam-oidc/src/panics.rs", "not(feature = \"test-panic\")"),
];

/// Where the environment is read, with the variables. The module inside sshd reads none.
const VARIABLES: &[(&str, &[&str])] = &[
    ("motley-daemon/src/log/mod.rs", &["JOURNAL_STREAM"]),
    (
        "motley-daemon/src/config/search.rs",
        &[
            "FEUDAL_ADAPTER_CONFIG",
            "FLAAT_CONFIG",
            "HOME",
            "LDF_ADAPTER_CONFIG",
            "MOTLEY_CUE_CONFIG",
        ],
    ),
    ("motley-root/src/main.rs", &["FEUDAL_ADAPTER_CONFIG"]),
    // All of it passes through `motley-shell/src/environment.rs`.
    ("motley-shell/src/bin/limited.rs", &["CARGO_PKG_VERSION"]),
];

/// Ways in which the libraries that we link can be told not to verify.
const UNVERIFIED: &[&str] = &[
    "danger_accept_invalid",
    "tls_danger",
    ".dangerous()",
    "insecure_disable_signature_validation",
    "insecure_decode",
    "dangerous_insecure",
    "SslVerifyMode",
    "decode_header",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Sources of what ships, named from the root of the repository, up to their unit tests.
fn sources() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut todo: Vec<PathBuf> = SHIPPED.iter().map(|name| root().join(name).join("src")).collect();
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(&dir).unwrap().map(Result::unwrap) {
            let path = entry.path();
            let is_test =
                ["tests", "tests.rs", "script.rs"].iter().any(|name| path.ends_with(name));
            if path.is_dir() && !is_test {
                todo.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") && !is_test {
                let text = fs::read_to_string(&path).unwrap();
                let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
                let name = path.strip_prefix(root()).unwrap().display().to_string();
                found.push((name, text));
            }
        }
    }
    assert!(found.len() > 80, "the sources were not found");
    found
}

fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(|line| line.split("//").next().unwrap_or_default())
}

#[test]
fn r35_code_is_built_on_no_condition_that_nobody_has_looked_at() {
    let mut found = BTreeSet::new();
    for (file, text) in sources() {
        for line in code(&text).filter(|line| line.contains("cfg(") || line.contains("cfg!(")) {
            let (_, condition) = line.split_once('(').unwrap();
            let condition = condition.trim_end().trim_end_matches(']');
            let condition = condition.strip_suffix(')').unwrap_or(condition).to_owned();
            if condition != "test" {
                found.insert((file.clone(), condition));
            }
        }
    }
    let known = CONDITIONS.iter().map(|(file, on)| ((*file).to_owned(), (*on).to_owned()));
    assert_eq!(found, known.collect(), "a condition that is new or gone");
}

#[test]
fn r35_only_the_build_of_the_fuzz_targets_opens_their_doors() {
    let instrument = fs::read_to_string(root().join("fuzz/instrument")).unwrap();
    assert!(instrument.contains("--cfg fuzzing"));
    for file in ["run", ".ci/run", "debian/rules", "Cargo.toml", "fuzz/Cargo.toml"] {
        let text = fs::read_to_string(root().join(file)).unwrap();
        let opens = text.contains("--cfg") || text.contains("test-panic");
        assert!(!opens, "{file} opens a door of the tests");
    }
    assert!(!root().join(".cargo").exists(), "flags for every build belong under this test");
    let module = fs::read_to_string(root().join("pam-oidc/Cargo.toml")).unwrap();
    assert!(!module.contains("default ="), "a door of the tests must not be open by default");
}

#[test]
fn r35_no_environment_variable_is_read_that_could_switch_verification_off() {
    let mut readers = BTreeSet::new();
    for (file, text) in sources() {
        let reads =
            ["env::var", "env::vars", "secure_getenv", "getenv(", "env = \"", "option_env!"];
        if code(&text).any(|line| reads.iter().any(|read| line.contains(read))) {
            readers.insert(file.clone());
        }
        let Some((_, known)) = VARIABLES.iter().find(|(name, _)| *name == file) else { continue };
        // Every word in capitals that stands between quotes is the name of a variable, but for those
        // by which the command line's help names a value.
        let named: BTreeSet<&str> = code(&text)
            .filter(|line| !line.contains("value_name"))
            .flat_map(|line| line.split('"').skip(1).step_by(2))
            .filter(|word| {
                word.len() > 3 && word.bytes().all(|b| b.is_ascii_uppercase() || b == b'_')
            })
            .collect();
        assert_eq!(named, known.iter().copied().collect(), "{file} reads other variables");
    }
    let known = VARIABLES.iter().map(|(file, _)| (*file).to_owned()).collect();
    assert_eq!(readers, known, "the environment is read somewhere else");
}

#[test]
fn r35_no_option_is_about_verifying_less() {
    let mut options = BTreeSet::new();
    for file in ["motley_cue.conf.sample", "feudal_adapter.conf.sample", "motley-root.conf.sample"]
    {
        let text = fs::read_to_string(root().join("etc").join(file)).unwrap();
        let names = text.lines().filter_map(|line| line.split_once(" ="));
        options.extend(names.map(|(name, _)| name.trim_matches(['#', ' ']).to_owned()));
    }
    assert!(options.len() > 80, "the options were not found");
    for word in ["verif", "insecure", "signature", "skip", "bypass", "danger", "debug", "disable"] {
        let found: Vec<_> = options.iter().filter(|option| option.contains(word)).collect();
        assert!(found.is_empty(), "{found:?}");
    }
}

#[test]
fn r35_no_library_is_told_not_to_verify() {
    for (file, text) in sources() {
        for way in UNVERIFIED {
            assert!(!code(&text).any(|line| line.contains(way)), "{way} in {file}");
        }
    }
}
