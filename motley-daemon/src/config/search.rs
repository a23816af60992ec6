//! Where the configuration files are: command line, environment, home directory, `/etc`.

use super::finding::{Finding, FindingKind, Findings};
use super::permissions::Owners;
use std::path::{Path, PathBuf};

/// Files named on the command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paths {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--adapter-config`.
    pub adapter: Option<PathBuf>,
}

/// What the search depends on beside the command line.
pub struct Surroundings<'a> {
    /// Reads an environment variable.
    pub variable: &'a dyn Fn(&str) -> Option<String>,
    /// Directory that `/etc` is looked for in; `/` outside tests.
    pub root: PathBuf,
    /// Who may own the files.
    pub owners: Owners,
}

impl Surroundings<'static> {
    /// Environment, file system and user of this process.
    pub fn of_process() -> Self {
        Self {
            variable: &|name| std::env::var(name).ok(),
            root: PathBuf::from("/"),
            owners: Owners { service: nix::unistd::geteuid().as_raw() },
        }
    }
}

/// The working directory is never searched: who can make a service start in a directory of his
/// own could give it his own policy.
struct Search {
    /// Usual name.
    name: &'static str,
    /// Option of the command line.
    flag: &'static str,
    /// Environment variables, the first that is set counts.
    variables: &'static [&'static str],
    /// Places below the home directory and below the root, in order.
    places: &'static [Place],
}

enum Place {
    Home(&'static str),
    Root(&'static str),
}

const MOTLEY_CUE: Search = Search {
    name: "motley_cue.conf",
    flag: "--config",
    variables: &["MOTLEY_CUE_CONFIG"],
    places: &[
        Place::Home(".config/motley_cue/motley_cue.conf"),
        Place::Root("etc/motley_cue/motley_cue.conf"),
    ],
};

const FEUDAL_ADAPTER: Search = Search {
    name: "feudal_adapter.conf",
    flag: "--adapter-config",
    variables: &["FEUDAL_ADAPTER_CONFIG", "LDF_ADAPTER_CONFIG"],
    places: &[
        Place::Home(".config/feudal_adapter.conf"),
        Place::Home(".config/feudal/feudal_adapter.conf"),
        Place::Root("etc/feudal/feudal_adapter.conf"),
        Place::Root("etc/motley_cue/feudal_adapter.conf"),
        Place::Home(".config/ldf_adapter.conf"),
        Place::Home(".config/feudal/ldf_adapter.conf"),
        Place::Root("etc/feudal/ldf_adapter.conf"),
    ],
};

/// Finds `motley_cue.conf`.
///
/// # Errors
/// When there is none, or one that was named is missing.
pub fn find_config(paths: &Paths, around: &Surroundings<'_>) -> Result<PathBuf, Finding> {
    MOTLEY_CUE.find(paths.config.as_deref(), around)
}

/// Finds `feudal_adapter.conf`.
///
/// # Errors
/// As [`find_config`].
pub fn find_adapter(paths: &Paths, around: &Surroundings<'_>) -> Result<PathBuf, Finding> {
    FEUDAL_ADAPTER.find(paths.adapter.as_deref(), around)
}

/// A file that the Python stack also reads, and nothing here does.
pub(super) fn warn_about_other_files(around: &Surroundings<'_>, found: &mut Findings) {
    if let Some(path) = (around.variable)("FLAAT_CONFIG").filter(|path| !path.is_empty()) {
        let what = "FLAAT_CONFIG names this file, and it is not read any more";
        let cure = "remove the variable; audience holds for every provider that has it";
        found.warn(Finding::new(FindingKind::Obsolete, &path, what, cure));
    }
}

impl Search {
    fn find(&self, named: Option<&Path>, around: &Surroundings<'_>) -> Result<PathBuf, Finding> {
        if let Some(path) = named {
            return self.take(path, self.flag);
        }
        for variable in self.variables {
            match (around.variable)(variable).filter(|value| !value.is_empty()) {
                Some(value) => return self.take(Path::new(&value), variable),
                None => continue,
            }
        }
        let places = self.places(around);
        if let Some(path) = places.iter().find(|path| path.exists()) {
            return Ok(path.clone());
        }
        let looked: Vec<String> = places.iter().map(|path| path.display().to_string()).collect();
        let what = format!("there is none of {}", looked.join(", "));
        let cure = format!("write one, or name it with {}", self.flag);
        Err(Finding::new(FindingKind::File, self.name, what, cure))
    }

    /// A file that was named must exist: falling back to another one would be another policy.
    fn take(&self, path: &Path, source: &str) -> Result<PathBuf, Finding> {
        if path.exists() {
            return Ok(path.to_path_buf());
        }
        let what = format!("{source} names this file, and it is missing or out of reach");
        let cure = format!("correct {source}");
        Err(Finding::new(FindingKind::File, &path.display().to_string(), what, cure))
    }

    fn places(&self, around: &Surroundings<'_>) -> Vec<PathBuf> {
        let home = (around.variable)("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
        self.places
            .iter()
            .filter_map(|place| match place {
                Place::Home(below) => home.as_ref().map(|home| home.join(below)),
                Place::Root(below) => Some(around.root.join(below)),
            })
            .collect()
    }
}
