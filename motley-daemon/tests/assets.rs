//! The files of others are the ones that their description names.

use std::fs;
use std::path::Path;
use std::process::Command;

use aws_lc_rs::digest;

const ASSETS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets");

fn sha256(bytes: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, bytes);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What stands between backticks behind `label` in the description.
fn described(label: &str) -> String {
    let text = fs::read_to_string(Path::new(ASSETS).join("README.md")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("- {label}: "))).unwrap();
    line.trim_matches('`').to_owned()
}

#[test]
fn redoc_is_the_version_that_is_described_unchanged() {
    let file = Path::new(ASSETS).join("redoc.standalone.js.gz");
    let packed = fs::read(&file).unwrap();
    assert_eq!(sha256(&packed), described("SHA-256 of `redoc.standalone.js.gz`"));
    let unpacked = Command::new("gzip").args(["-d", "-c"]).arg(&file).output().unwrap().stdout;
    assert_eq!(sha256(&unpacked), described("SHA-256 of `redoc.standalone.js`"));
    let version = described("Version");
    let licence = fs::read_to_string(Path::new(ASSETS).join("redoc.LICENSE.txt")).unwrap();
    assert!(licence.contains("The MIT License"));
    assert!(licence.contains(&format!("Version: \"{version}\"")), "{version}");
    let debian = concat!(env!("CARGO_MANIFEST_DIR"), "/../debian/copyright");
    assert!(fs::read_to_string(debian).unwrap().contains(&format!("ReDoc {version}")));
}

#[test]
fn swagger_ui_is_the_version_that_is_named_to_packagers() {
    let debian = concat!(env!("CARGO_MANIFEST_DIR"), "/../debian/copyright");
    let bundle = utoipa_swagger_ui::serve("swagger-ui-bundle.js", Default::default()).unwrap();
    let bundle = String::from_utf8(bundle.unwrap().bytes.into_owned()).unwrap();
    let named = fs::read_to_string(debian).unwrap();
    let (_, rest) = named.split_once("Swagger UI ").unwrap();
    let version = rest.split(',').next().unwrap();
    assert!(bundle.contains(&format!("\"{version}\"")), "{version}");
}
