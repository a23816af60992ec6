//! Both configuration files: parsed, interpolated, typed and validated (R33).
#![no_main]

use libfuzzer_sys::fuzz_target;
use motley_daemon::config::ini::{Ini, Section, parse};
use motley_daemon::config::interpolate::interpolate;
use motley_daemon::config::{Owners, Source, validate};
use motley_fuzz::{bounded, is_one_line};
use std::collections::BTreeSet;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // What names files on this host is left out: a target reads its input and nothing else.
    if text.to_lowercase().contains("_file") {
        return;
    }
    let (config, adapter) = text.split_once('\0').unwrap_or((text, ""));
    bounded(text.len(), || {
        check_ini(config);
        check_ini(adapter);
        check_whole(config, adapter);
    });
});

/// Section, option and value of everything.
fn content(ini: &Ini) -> Vec<(String, Vec<(String, String)>)> {
    let of = |section: &Section| {
        let entries = section.entries.iter();
        (section.name.clone(), entries.map(|e| (e.option.clone(), e.value())).collect())
    };
    std::iter::once(of(&ini.defaults)).chain(ini.sections.iter().map(of)).collect()
}

fn print(ini: &Ini) -> String {
    let mut out = String::new();
    for (section, entries) in content(ini) {
        out += &format!("[{section}]\n");
        for (option, value) in entries {
            out += &format!("{option} = {}\n", value.replace('\n', "\n  "));
        }
    }
    out
}

fn check_ini(text: &str) {
    match parse("f", text) {
        Err(problems) => {
            assert!(!problems.is_empty());
            for problem in problems {
                assert!(problem.line.is_some() && is_one_line(&problem.to_string()), "{problem}");
            }
        }
        Ok(ini) => {
            let again = parse("f", &print(&ini)).expect("what is printed can be parsed");
            assert_eq!(content(&again), content(&ini));
            for section in &ini.sections {
                for entry in ini.defaults.entries.iter().chain(&section.entries).take(64) {
                    let _ = interpolate(entry, section, &ini.defaults);
                }
            }
        }
    }
}

fn check_whole(config: &str, adapter: &str) {
    let source = |name: &str, text: &str| Source {
        path: name.into(),
        text: text.to_owned(),
        is_public: false,
    };
    let files = [source("motley_cue.conf", config), source("feudal_adapter.conf", adapter)];
    let [config, adapter] = files;
    match validate(config, adapter, Owners { service: 0 }) {
        Err(error) => {
            assert!(!error.problems.is_empty());
            for problem in &error.problems {
                assert!(!problem.what.is_empty() && is_one_line(&problem.to_string()), "{problem}");
            }
        }
        Ok((config, warnings)) => {
            assert!(warnings.iter().all(|warning| is_one_line(&warning.to_string())));
            let issuers: BTreeSet<&str> = config.ops.iter().map(|op| op.issuer.trimmed()).collect();
            assert_eq!(issuers.len(), config.ops.len(), "a provider stands there twice");
        }
    }
}
