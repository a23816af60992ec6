//! Sections `[backend.bwidm]`, `[backend.external]` and `[backend.map]`: accounts that others keep.

use super::choice::{choose, path, shells};
use super::finding::{Finding, FindingKind, Findings, quoted};
use super::ldap::group_limits;
use super::permissions::{Owners, check_program, read_guarded};
use super::raw::Settings;
use feudal_plugins::{
    Naming, Shells,
    bwidm::{BaseUrl, BwIdmConfig, BwIdmError, Organisation, ServiceName},
    external::ExternalConfig,
    map::{GuardedRead, MapFile, NameMap},
};
use motley_proto::{Secret, task::AccountPath};
use std::{path::PathBuf, sync::Arc};

/// Accounts that others keep, with the shells and homes that they are taken to have.
#[derive(Debug, Clone)]
pub struct Outside<T> {
    /// The options of the section.
    pub config: T,
    /// Shells of the tiers.
    pub shells: Shells,
    /// Directory of homes.
    pub home_base: AccountPath,
}

/// Options of `[backend.map]`.
#[derive(Debug, Clone)]
pub struct MapConfig {
    /// The file.
    pub file: PathBuf,
    /// Who may own it.
    pub owners: Owners,
}

impl MapConfig {
    /// Opens the file, to be read again whenever it changes.
    ///
    /// # Errors
    /// Why it can't be read, or what is wrong in it.
    pub fn open(&self) -> Result<MapFile, Vec<String>> {
        let owners = self.owners;
        let read: GuardedRead = Arc::new(move |path| {
            read_guarded(path, owners).map(|content| content.text).map_err(|it| it.to_string())
        });
        MapFile::open(&self.file, read)
    }
}

/// Validates `[backend.bwidm]`.
pub(super) fn bwidm(settings: &Settings, found: &mut Findings) -> Option<Outside<BwIdmConfig>> {
    fn read<T>(
        settings: &Settings,
        option: &str,
        parse: impl FnOnce(&str) -> Result<T, BwIdmError>,
        found: &mut Findings,
    ) -> Option<T> {
        let text = settings.text(option);
        let parsed = parse(text);
        if let Err(error) = &parsed {
            let what = format!("{} is not what it must be: it {error}", quoted(text));
            found.problem(settings.finding(FindingKind::Value, option, what, "correct it"));
        }
        parsed.ok()
    }
    let url = read(settings, "url", BaseUrl::parse, found);
    let organisation = read(settings, "org_id", Organisation::parse, found);
    let service = read(settings, "service_name", ServiceName::parse, found);
    let (shell, home_base) = (path(settings, "shell", found), path(settings, "home_base", found));
    let groups = group_limits(settings, found);
    let config = BwIdmConfig {
        url: url?,
        organisation: organisation?,
        service: service?,
        user: settings.text("http_user").to_owned(),
        password: settings
            .secret("http_pass")
            .cloned()
            .unwrap_or_else(|| Secret::new(String::new())),
        timeout: settings.seconds("timeout"),
        patience: settings.seconds("registration_timeout"),
        groups: groups?,
    };
    let shells = Shells { full: shell?, ..Shells::standard().ok()? };
    Some(Outside { config, shells, home_base: home_base? })
}

const NAMINGS: [(&str, Naming); 3] =
    [("offered", Naming::Offered), ("numbered", Naming::Numbered), ("known", Naming::Known)];

/// Validates `[backend.external]`.
pub(super) fn external(
    settings: &Settings,
    owners: Owners,
    found: &mut Findings,
) -> Option<Outside<ExternalConfig>> {
    let naming = choose(settings, "naming", &NAMINGS, found);
    let shells = shells(settings, found);
    let home_base = path(settings, "home_base", found);
    let mut words = settings.text("command").split_ascii_whitespace().map(str::to_owned);
    let program = words.next().map(PathBuf::from).filter(|program| program.is_absolute());
    if program.is_none() {
        let what = "names no program by its absolute path";
        let cure = "write command = /path/to/program, with arguments between blanks";
        found.problem(settings.finding(FindingKind::Value, "command", what, cure));
    }
    let program = program?;
    // Who can change the program decides about every account.
    if let Err(finding) = check_program(&program, owners) {
        found.problem(finding);
    }
    let timeout = settings.seconds("timeout");
    let config = ExternalConfig { program, arguments: words.collect(), timeout, naming: naming? };
    Some(Outside { config, shells: shells?, home_base: home_base? })
}

/// Validates `[backend.map]` and reads its file.
pub(super) fn map(
    settings: &Settings,
    owners: Owners,
    found: &mut Findings,
) -> Option<Outside<MapConfig>> {
    let Some(file) = settings.filled("file").map(PathBuf::from) else {
        let what = "names no file";
        let cure = "write file = /etc/motley_cue/accounts.map";
        found.problem(settings.finding(FindingKind::Value, "file", what, cure));
        return None;
    };
    let content = read_guarded(&file, owners).map_err(|finding| found.problem(finding)).ok()?;
    if let Err(errors) = NameMap::parse(&content.text) {
        let shown = file.display().to_string();
        for error in errors {
            let what = error.problem.to_string();
            let finding = Finding::new(FindingKind::Value, &shown, what, "correct the line");
            found.problem(finding.at(error.line));
        }
    }
    let shells = Shells::standard().ok()?;
    let home_base = AccountPath::new("/home").ok()?;
    Some(Outside { config: MapConfig { file, owners }, shells, home_base })
}
