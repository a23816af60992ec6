//! The sample of motley-root.conf, the manual page and the table of keys say the same.

use motley_root::{
    config::{KEYS, default_limits, parse_limits},
    defaults::SiteDefaults,
    guard::DirectoryUids,
};
use std::{collections::BTreeSet, fs, path::Path};

fn text(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../etc").join(file)).unwrap()
}

fn site() -> SiteDefaults {
    SiteDefaults {
        uid_min: 1000,
        uid_max: 60_000,
        gids: 1000..=60_000,
        home_mode: 0o700,
        skel: "/etc/skel".into(),
    }
}

fn known() -> BTreeSet<&'static str> {
    KEYS.iter().map(|(key, _)| *key).collect()
}

#[test]
fn sample_and_page_name_every_key_and_no_other() {
    let sample = text("motley-root.conf.sample");
    let commented = sample.lines().filter_map(|line| line.strip_prefix('#')?.split_once(" ="));
    let named: Vec<&str> = commented.map(|(key, _)| key).filter(|key| !key.contains(' ')).collect();
    assert_eq!(named.len(), KEYS.len(), "each key once: {named:?}");
    assert_eq!(named.into_iter().collect::<BTreeSet<_>>(), known());
    let page = text("man/motley-root.8");
    let (_, section) = page.split_once(".Sh CONFIGURATION\n").expect("a section about the file");
    let (section, _) = section.split_once("\n.Sh ").unwrap();
    let named: Vec<&str> =
        section.lines().filter_map(|line| line.strip_prefix(".It Va ")).collect();
    assert_eq!(named.len(), KEYS.len(), "each key once: {named:?}");
    assert_eq!(named.into_iter().collect::<BTreeSet<_>>(), known());
}

#[test]
fn the_sample_shows_the_defaults() {
    let sample = text("motley-root.conf.sample");
    let all = |text: &str| parse_limits(text, "sample", &site()).unwrap();
    let plain = all(&sample);
    let uncommented: Vec<&str> = sample
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase()) => rest,
            _ => line,
        })
        .collect();
    let mut shown = all(&uncommented.join("\n"));
    assert_eq!(shown.directory_uids, DirectoryUids::None);
    // Only the file of the back ends may replace it where nothing is said.
    shown.directory_uids = DirectoryUids::Unset;
    let defaults = format!("{:?}", default_limits(&site()));
    assert_eq!(format!("{plain:?}"), defaults);
    assert_eq!(format!("{shown:?}"), defaults);
}

#[test]
fn the_page_names_the_defaults() {
    let page = text("man/motley-root.8");
    for (key, meaning) in KEYS {
        let (_, rest) = page.split_once(&format!(".It Va {key}\n")).unwrap();
        let entry = rest.split("\n.It ").next().unwrap();
        let default = meaning.rsplit_once("(default: ").unwrap().1.trim_end_matches(')');
        let first = default.split([' ', ',']).next().unwrap();
        assert!(entry.contains("Default: ") && entry.contains(first), "{key}: {entry}");
    }
}
