//! Where configuration is found, and that nobody else can have written it.

use motley_daemon::config::{Owners, Paths, Surroundings, load};
use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A private file system root with files in it.
struct Place {
    directory: tempfile::TempDir,
    variables: HashMap<&'static str, String>,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap(), variables: HashMap::new() }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    fn with(self, below: &str, text: &str) -> Self {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        self
    }

    fn variable(mut self, name: &'static str, below: &str) -> Self {
        self.variables.insert(name, self.path(below).display().to_string());
        self
    }

    /// The file that `motley_cue.conf` was read from, or the problems.
    fn load(&self, paths: &Paths) -> Result<[PathBuf; 2], String> {
        let variable = |name: &str| self.variables.get(name).cloned();
        let service = nix::unistd::geteuid().as_raw();
        let around = Surroundings {
            variable: &variable,
            root: self.directory.path().to_path_buf(),
            owners: Owners { service },
        };
        load(paths, &around).map(|(config, _)| config.files).map_err(|error| error.to_string())
    }
}

fn usual() -> Place {
    Place::new()
        .with("etc/motley_cue/motley_cue.conf", "")
        .with("etc/motley_cue/feudal_adapter.conf", "")
}

#[test]
fn the_command_line_comes_before_variables_home_and_etc() {
    let place = usual()
        .with("home/.config/motley_cue/motley_cue.conf", "")
        .with("var.conf", "")
        .with("arg.conf", "");
    let config = |place: &Place, paths: &Paths| place.load(paths).unwrap()[0].clone();
    let nothing = Paths::default();
    assert_eq!(config(&place, &nothing), place.path("etc/motley_cue/motley_cue.conf"));
    let place = place.variable("HOME", "home");
    let home = place.path("home/.config/motley_cue/motley_cue.conf");
    assert_eq!(config(&place, &nothing), home);
    let place = place.variable("MOTLEY_CUE_CONFIG", "var.conf");
    assert_eq!(config(&place, &nothing), place.path("var.conf"));
    let named = Paths { config: Some(place.path("arg.conf")), adapter: None };
    assert_eq!(config(&place, &named), place.path("arg.conf"));
}

#[test]
fn the_adapters_file_is_found_by_both_variables_and_old_names() {
    let place = Place::new()
        .with("etc/motley_cue/motley_cue.conf", "")
        .with("etc/feudal/ldf_adapter.conf", "")
        .with("old.conf", "")
        .with("new.conf", "");
    let adapter = |place: &Place| place.load(&Paths::default()).unwrap()[1].clone();
    assert_eq!(adapter(&place), place.path("etc/feudal/ldf_adapter.conf"));
    let place = place.with("etc/feudal/feudal_adapter.conf", "");
    assert_eq!(adapter(&place), place.path("etc/feudal/feudal_adapter.conf"));
    let place = place.variable("LDF_ADAPTER_CONFIG", "old.conf");
    assert_eq!(adapter(&place), place.path("old.conf"));
    let place = place.variable("FEUDAL_ADAPTER_CONFIG", "new.conf");
    assert_eq!(adapter(&place), place.path("new.conf"));
}

#[test]
fn a_variable_that_names_a_missing_file_stops_the_start() {
    let place = usual().variable("MOTLEY_CUE_CONFIG", "gone.conf");
    let error = place.load(&Paths::default()).unwrap_err();
    assert!(error.contains("gone.conf: MOTLEY_CUE_CONFIG names this file"), "{error}");
    let named = Paths { config: None, adapter: Some(PathBuf::from("/gone")) };
    let error = usual().load(&named).unwrap_err();
    assert!(error.starts_with("/gone: --adapter-config names this file"), "{error}");
}

#[test]
fn no_file_at_all_stops_the_start_and_says_where_one_may_be() {
    let error = Place::new().load(&Paths::default()).unwrap_err();
    for part in ["etc/motley_cue/motley_cue.conf", "--config", "etc/feudal/feudal_adapter.conf"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn the_working_directory_is_not_searched() {
    let place = Place::new().with("motley_cue.conf", "").with("feudal_adapter.conf", "");
    std::env::set_current_dir(place.directory.path()).unwrap();
    let error = place.load(&Paths::default()).unwrap_err();
    assert!(error.contains("there is none of"), "{error}");
}

#[test]
fn r33_a_world_writable_file_stops_the_start_with_the_cure() {
    let place = usual();
    let path = place.path("etc/motley_cue/motley_cue.conf");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let error = place.load(&Paths::default()).unwrap_err();
    assert_eq!(
        error,
        format!("{0}: can be changed by others (mode 0666); chmod go-w {0}", path.display())
    );
}

#[test]
fn r33_a_directory_above_that_others_can_change_stops_the_start() {
    let place = usual();
    let above = place.path("etc");
    fs::set_permissions(&above, fs::Permissions::from_mode(0o777)).unwrap();
    let error = place.load(&Paths::default()).unwrap_err();
    assert!(error.contains(&format!("chmod go-w {}", above.display())), "{error}");
}

#[test]
fn problems_of_one_file_are_shown_even_when_the_other_can_not_be_read() {
    let place = Place::new().with("etc/motley_cue/motley_cue.conf", "[mapper]\nx = 1\n");
    let error = place.load(&Paths::default()).unwrap_err();
    assert!(error.contains("unknown option"), "{error}");
    assert!(error.contains("feudal_adapter.conf: there is none of"), "{error}");
}

#[test]
fn the_secret_of_introspection_is_read_from_a_private_file_only() {
    let text = |file: &Path| {
        format!(
            "[authorisation.a]\nop_url = https://op\nintrospection_client_id = c\n\
             introspection_client_secret_file = {}\n",
            file.display()
        )
    };
    let place = usual().with("secret", "hush\n");
    let secret = place.path("secret");
    let config = text(&secret);
    let place = place.with("etc/motley_cue/motley_cue.conf", &config);
    let error = place.load(&Paths::default()).unwrap_err();
    assert!(error.contains("others can read it"), "{error}");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(place.load(&Paths::default()).is_ok());
}

#[test]
fn a_file_of_the_python_stack_that_is_not_read_is_named() {
    let place = usual();
    let variable = |name: &str| (name == "FLAAT_CONFIG").then(|| "/etc/flaat.conf".to_owned());
    let around = Surroundings {
        variable: &variable,
        root: place.directory.path().to_path_buf(),
        owners: Owners { service: nix::unistd::geteuid().as_raw() },
    };
    let (_, warnings) = load(&Paths::default(), &around).unwrap();
    assert!(warnings.iter().any(|w| *w.file == *"/etc/flaat.conf"), "{warnings:?}");
}
