//! The table of metrics: complete, bounded, and the same as its page of documentation.

use motley_daemon::measure::{METRICS, render_reference};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Labels whose words are a closed set, or come from the configuration.
const BOUNDED_LABELS: &[&str] = &[
    "change", "decision", "event", "issuer", "kind", "method", "outcome", "reason", "result",
    "route", "status", "task", "version", "whose",
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|it| it == "rs") {
            found.push(path);
        }
    }
    found
}

/// Names of metrics that the program measures.
fn measured() -> BTreeSet<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut names = BTreeSet::new();
    for path in sources(&source).iter().filter(|path| !path.ends_with("measure/table.rs")) {
        let text = fs::read_to_string(path).unwrap();
        for call in ["counter!(", "gauge!(", "histogram!("] {
            for after in text.split(call).skip(1) {
                let literal =
                    after.trim_start().strip_prefix('"').and_then(|it| it.split('"').next());
                names.extend(literal.map(str::to_owned));
            }
        }
    }
    names
}

#[test]
fn every_metric_that_is_measured_stands_in_the_table_once() {
    let table: BTreeSet<String> = METRICS.iter().map(|it| it.name.to_owned()).collect();
    assert_eq!(table.len(), METRICS.len(), "a name stands there twice");
    let measured = measured();
    assert!(measured.len() > 15, "the calls were not found: {measured:?}");
    let missing: Vec<_> = measured.difference(&table).collect();
    assert!(missing.is_empty(), "add these to measure/table.rs: {missing:?}");
}

#[test]
fn r32_no_label_can_hold_what_somebody_outside_chooses() {
    for metric in METRICS {
        for label in metric.labels {
            assert!(BOUNDED_LABELS.contains(label), "{}: {label}", metric.name);
        }
    }
}

/// `MOTLEY_UPDATE_SAMPLES=1` writes it anew.
#[test]
fn the_page_about_metrics_is_that_of_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let page = render_reference();
    if std::env::var_os("MOTLEY_UPDATE_SAMPLES").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(kept, page, "run this test with MOTLEY_UPDATE_SAMPLES=1");
}
