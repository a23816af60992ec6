//! Manual pages and completions: complete, for every command, and in line with the reference.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

fn mccli(words: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_mccli")).args(words).output().unwrap();
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// All pages by name.
fn pages() -> BTreeMap<String, String> {
    let folder = tempfile::tempdir().unwrap();
    mccli(&["man", "--into", folder.path().to_str().unwrap()]);
    let entries = fs::read_dir(folder.path()).unwrap();
    entries
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, fs::read_to_string(path).unwrap())
        })
        .collect()
}

/// The long options that the help of a command shows.
fn options(words: &[&str]) -> BTreeSet<String> {
    let help = mccli(&[words, &["--help"]].concat());
    let starts = help.lines().map(str::trim_start).filter(|line| {
        line.starts_with('-') || line.starts_with("[aliases:") || line.ends_with(']')
    });
    let names = starts.flat_map(|line| line.split(|c: char| !(c.is_alphanumeric() || c == '-')));
    names.filter(|word| word.starts_with("--") && word.len() > 2).map(str::to_owned).collect()
}

/// The reference, with what its tables escape.
fn reference() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/mccli/reference.md");
    fs::read_to_string(path).unwrap()
}

/// The words of each command, by the name of its page.
fn commands() -> BTreeMap<String, Vec<String>> {
    let nested = ["mccli-admin-suspend", "mccli-admin-resume", "mccli-cache-clear"];
    let words = |page: &str| -> Vec<String> {
        let rest = page.trim_start_matches("mccli").trim_start_matches('-');
        if nested.contains(&page) {
            rest.split('-').map(str::to_owned).collect()
        } else {
            [rest].iter().filter(|word| !word.is_empty()).map(|word| (*word).to_owned()).collect()
        }
    };
    pages().into_keys().map(|page| (page.clone(), words(&page))).collect()
}

#[test]
fn every_option_of_every_command_is_in_its_manual_page_and_in_the_reference() {
    let reference = reference();
    let pages = pages();
    for (page, words) in commands() {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let text = pages[&page].replace("\\-", "-");
        let found = options(&words);
        assert!(found.contains("--help"), "{page}: {found:?}");
        for option in found {
            let name = option.trim_start_matches("--");
            assert!(text.contains(name), "{page} lacks {option}");
            let general = ["--help", "--version"].contains(&option.as_str());
            let whole = format!("`{option}");
            assert!(general || reference.contains(&whole), "the reference lacks {option}");
        }
    }
}

#[test]
fn every_command_has_a_page_with_the_usual_sections_and_an_example() {
    let pages = pages();
    for name in
        ["mccli", "mccli-ssh", "mccli-scp", "mccli-login", "mccli-doctor", "mccli-admin-suspend"]
    {
        assert!(pages.contains_key(name), "{name}: {:?}", pages.keys());
    }
    for (name, text) in &pages {
        for section in [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "OPTIONS",
            "\"EXIT STATUS\"",
            "ENVIRONMENT",
            "FILES",
            "\"SEE ALSO\"",
        ] {
            assert!(text.contains(&format!("\n.SH {section}\n")), "{name} lacks {section}");
        }
        let group = ["mccli-admin", "mccli-cache"].contains(&name.as_str());
        assert!(group || text.contains("\n.SH EXAMPLES\n"), "{name} lacks an example");
        assert!(!name.contains("ssh-prepare"), "what ssh runs is nobody's command");
    }
    assert_eq!(mccli(&["man"]), pages["mccli"]);
    assert_eq!(mccli(&["man", "admin", "suspend"]), pages["mccli-admin-suspend"]);
}

#[test]
fn every_command_is_in_the_reference() {
    let reference = reference();
    for words in commands().into_values() {
        if let Some(word) = words.first() {
            assert!(reference.contains(&format!("`{word}")), "the reference lacks {word}");
        }
    }
}

#[test]
fn the_pages_can_be_shown_without_complaint() {
    for (name, text) in pages() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), &text).unwrap();
        let output = Command::new("groff")
            .args(["-man", "-Tutf8", "-ww", "-z"])
            .arg(file.path())
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{name}");
    }
}

#[test]
fn completions_are_written_for_all_shells_and_understood_by_those_that_are_here() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = mccli(&["completions", shell]);
        assert!(script.contains("doctor") && script.contains("ssh-config"), "{shell}");
        if shell == "bash" {
            let file = tempfile::NamedTempFile::new().unwrap();
            fs::write(file.path(), &script).unwrap();
            let output = Command::new("bash").arg("-n").arg(file.path()).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
}
