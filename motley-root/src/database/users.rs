//! passwd(5), found by name, uid and full name.

use super::text::{Place, entries, equal, first_field, line, sorted};

/// One line of passwd(5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserEntry {
    /// Name.
    pub name: String,
    /// Uid.
    pub uid: u32,
    /// Gid of the primary group.
    pub gid: u32,
    /// Gecos field, whole.
    pub gecos: String,
    /// Home directory.
    pub home: String,
    /// Login shell.
    pub shell: String,
}

impl UserEntry {
    /// The full-name part of the gecos field: what stands before its first comma (chfn(1)).
    pub fn full_name(&self) -> &str {
        full_name(&self.gecos)
    }
}

fn full_name(gecos: &str) -> &str {
    gecos.split(',').next().unwrap_or_default()
}

/// The fields of a line, where they stand.
struct Fields<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    gecos: &'a str,
    home: &'a str,
    shell: &'a str,
}

impl<'a> Fields<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let _password = fields.next()?;
        let uid = fields.next()?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        let (gecos, home, shell) = (fields.next()?, fields.next()?, fields.next()?);
        fields.next().is_none().then_some(Self { name, uid, gid, gecos, home, shell })
    }

    fn entry(&self) -> UserEntry {
        UserEntry {
            name: self.name.to_owned(),
            uid: self.uid,
            gid: self.gid,
            gecos: self.gecos.to_owned(),
            home: self.home.to_owned(),
            shell: self.shell.to_owned(),
        }
    }
}

/// passwd(5), indexed. The first of several lines with one name counts, as in the C library.
#[derive(Debug, Default)]
pub struct Users {
    text: String,
    by_name: Box<[Place]>,
    by_uid: Box<[(u32, Place)]>,
    /// Lines whose full name may be that of an identity.
    by_full_name: Box<[Place]>,
    malformed: Vec<Place>,
}

impl Users {
    /// The accounts in the text of the file.
    pub(super) fn of(text: String) -> Self {
        let (mut names, mut uids, mut full_names) = (Vec::new(), Vec::new(), Vec::new());
        let mut malformed = Vec::new();
        for (place, line) in entries(&text) {
            let Some(fields) = Fields::parse(line) else {
                // Nobody can log in by it, but a new line of that name would revive its remains.
                malformed.push(place);
                continue;
            };
            names.push((fields.name, place));
            uids.push((fields.uid, place));
            let full_name = full_name(fields.gecos);
            if full_name.contains('@') {
                full_names.push((full_name, place));
            }
        }
        uids.sort_unstable();
        let (by_name, by_full_name) = (sorted(names), sorted(full_names));
        Self { by_name, by_uid: uids.into(), by_full_name, malformed, text }
    }

    fn fields(&self, place: Place) -> Option<Fields<'_>> {
        Fields::parse(line(&self.text, place))
    }

    fn entry(&self, place: Place) -> Option<UserEntry> {
        self.fields(place).map(|fields| fields.entry())
    }

    fn all(&self) -> impl Iterator<Item = Fields<'_>> {
        self.by_uid.iter().filter_map(|(_, place)| self.fields(*place))
    }

    /// The account of that name.
    pub fn named(&self, name: &str) -> Option<UserEntry> {
        let name_at = |place| first_field(&self.text, place);
        equal(&self.by_name, name_at, name).next().and_then(|place| self.entry(place))
    }

    /// All accounts with that uid, in the order of the file.
    pub fn with_uid(&self, uid: u32) -> impl Iterator<Item = UserEntry> {
        equal(&self.by_uid, |(uid, _)| uid, uid).filter_map(|(_, place)| self.entry(place))
    }

    /// The first account whose full name is exactly this text; none for a text without `@`.
    pub fn with_full_name(&self, text: &str) -> Option<UserEntry> {
        let full_name_at = |place| self.fields(place).map(|fields| full_name(fields.gecos));
        let place = equal(&self.by_full_name, full_name_at, Some(text)).next()?;
        self.entry(place)
    }

    /// True if this is anybody's primary group.
    pub fn uses_gid(&self, gid: u32) -> bool {
        self.all().any(|fields| fields.gid == gid)
    }

    /// True if an account other than `name` has its home here or below.
    pub fn others_live_in(&self, home: &str, name: &str) -> bool {
        self.all().filter(|fields| fields.name != name).any(|fields| {
            let rest = fields.home.strip_prefix(home);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// True if a line that can't be read begins with this name.
    pub fn is_malformed(&self, name: &str) -> bool {
        self.malformed.iter().any(|place| first_field(&self.text, *place) == name)
    }
}
