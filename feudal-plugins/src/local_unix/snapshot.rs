//! passwd and group at one moment: their texts, and sorted places in them to find entries by.

use super::facts::{identity_in, state_by_shell};
use crate::backend::{Account, BackendError};
use motley_proto::text::escape;
use motley_proto::{Identity, UserName};

/// Where in a text something begins. The files are far below 4 GiB.
type Place = u32;

/// The accounts at one moment.
///
/// The texts are kept as they are and the places are sorted by what is found there, because tables of
/// copied strings take several times the size of the files on a host with many accounts.
#[derive(Debug)]
pub(crate) struct Snapshot {
    passwd: String,
    /// Lines by name; of one name, the first line first.
    by_name: Vec<Place>,
    /// Lines that name an identity, by it; of one identity, the last line last.
    by_unique_id: Vec<Place>,
    uids: Vec<u32>,
    group: String,
    /// Members in lines of group, by name.
    members: Vec<Membership>,
}

/// Places of a member and of the line that it stands in.
#[derive(Debug, Clone, Copy)]
struct Membership {
    member: Place,
    line: Place,
}

/// One line of passwd (passwd(5)).
struct Line<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    gecos: &'a str,
    home: &'a str,
    shell: &'a str,
}

impl<'a> Line<'a> {
    /// A line that is no entry is left out, as the C library does.
    fn parse(text: &'a str) -> Option<Self> {
        let mut fields = text.split(':');
        let name =
            fields.next().filter(|name| !name.is_empty() && !name.starts_with(['+', '-']))?;
        fields.next()?;
        let uid = fields.next()?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        let (gecos, home, shell) = (fields.next()?, fields.next()?, fields.next()?);
        fields.next().is_none().then_some(Self { name, uid, gid, gecos, home, shell })
    }

    fn unique_id(&self) -> Option<&'a str> {
        self.gecos.split(',').next().filter(|text| text.contains('@'))
    }
}

impl Snapshot {
    /// The accounts in the texts of passwd and group.
    pub(super) fn of(passwd: String, group: String) -> Self {
        let (mut names, mut ids, mut uids) = (Vec::new(), Vec::new(), Vec::new());
        for (place, text) in lines(&passwd) {
            let Some(line) = Line::parse(text) else { continue };
            names.push((line.name, place));
            ids.extend(line.unique_id().map(|id| (id, place)));
            uids.push(line.uid);
        }
        uids.sort_unstable();
        let (by_name, by_unique_id) = (sorted(names), sorted(ids));
        let members = sorted(memberships(&group));
        Self { passwd, by_name, by_unique_id, uids, group, members }
    }

    fn line(&self, place: Place) -> Option<Line<'_>> {
        Line::parse(from(&self.passwd, place).split('\n').next()?)
    }

    fn unique_id(&self, place: Place) -> Option<&str> {
        self.line(place)?.unique_id()
    }

    fn account(&self, line: &Line<'_>, name: UserName) -> Account {
        Account {
            identity: identity_in(line.gecos),
            uid: Some(line.uid),
            gid: Some(line.gid),
            home: line.home.to_owned(),
            shell: line.shell.to_owned(),
            state: state_by_shell(line.shell),
            groups: self.groups_of(line.name),
            name,
        }
    }

    /// Supplementary groups, sorted.
    fn groups_of(&self, user: &str) -> Vec<String> {
        let name = |it: &Membership| until(from(&self.group, it.member), [',', ':', '\n']);
        let start = self.members.partition_point(|it| name(it) < user);
        let own = self.members.iter().skip(start).take_while(|it| name(it) == user);
        let groups = own.map(|it| until(from(&self.group, it.line), [':', '\n', '\n']).to_owned());
        let mut groups: Vec<String> = groups.collect();
        groups.sort_unstable();
        groups.dedup();
        groups
    }

    fn named(&self, name: &str) -> Option<Line<'_>> {
        let name_at = |place: &Place| until(from(&self.passwd, *place), [':', '\n', '\n']);
        let at = self.by_name.partition_point(|place| name_at(place) < name);
        self.line(*self.by_name.get(at)?).filter(|line| line.name == name)
    }

    /// The account whose gecos field names this identity.
    ///
    /// Two accounts with one identity: the last line counts, as sites are used to.
    pub(super) fn find(&self, identity: &Identity) -> Result<Option<Account>, BackendError> {
        let id = identity.unique_id();
        let id = Some(id.as_str());
        let end = self.by_unique_id.partition_point(|place| self.unique_id(*place) <= id);
        let last = end.checked_sub(1).and_then(|at| self.by_unique_id.get(at));
        let line = last.and_then(|place| self.line(*place));
        let Some(line) = line.filter(|line| line.unique_id() == id) else { return Ok(None) };
        match UserName::new(line.name) {
            Ok(name) => Ok(Some(self.account(&line, name))),
            Err(error) => Err(BackendError::Refused(format!(
                "the account of this identity has a name that {error}"
            ))),
        }
    }

    pub(crate) fn by_name(&self, name: &UserName) -> Option<Account> {
        let line = self.named(name.as_str())?;
        Some(self.account(&line, name.clone()))
    }

    pub(crate) fn has_name(&self, name: &str) -> bool {
        self.named(name).is_some()
    }

    pub(crate) fn has_group(&self, name: &str) -> bool {
        lines(&self.group).any(|(place, _)| until(from(&self.group, place), [':'; 3]) == name)
    }

    /// True when a group lists a member of that name.
    pub(crate) fn is_member(&self, name: &str) -> bool {
        !self.groups_of(name).is_empty()
    }

    pub(crate) fn has_uid(&self, uid: u32) -> bool {
        self.uids.binary_search(&uid).is_ok()
    }

    /// Accounts that name an identity, in no order.
    pub(super) fn with_identity(&self) -> Vec<Account> {
        let accounts = self
            .last_of_each_identity()
            .filter_map(|line| Some(self.account(&line, UserName::new(line.name).ok()?)));
        accounts.filter(|account| account.identity.is_some()).collect()
    }

    /// Accounts that name an identity and are passed over, with the reason.
    pub(super) fn oddities(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut before: Option<Line<'_>> = None;
        for line in self.by_unique_id.iter().filter_map(|place| self.line(*place)) {
            if let Some(twin) = before.filter(|twin| twin.unique_id() == line.unique_id())
                && identity_in(line.gecos).is_some()
            {
                found.push(format!(
                    "the accounts {} and {} carry one identity, of which the second counts; take it \
                     off the other: usermod --comment ''",
                    escape(twin.name, 64),
                    escape(line.name, 64),
                ));
            }
            if identity_in(line.gecos).is_some()
                && let Err(error) = UserName::new(line.name)
            {
                let name = escape(line.name, 64);
                found.push(format!("the account {name} is not looked after: its name {error}"));
            }
            before = Some(line);
        }
        found
    }

    fn last_of_each_identity(&self) -> impl Iterator<Item = Line<'_>> {
        let lines = self.by_unique_id.iter().filter_map(|place| self.line(*place));
        let mut lines = lines.peekable();
        std::iter::from_fn(move || {
            loop {
                let line = lines.next()?;
                if lines.peek().is_none_or(|next| next.unique_id() != line.unique_id()) {
                    return Some(line);
                }
            }
        })
    }
}

/// Lines of a text with the places where they begin.
fn lines(text: &str) -> impl Iterator<Item = (Place, &str)> {
    let mut start = 0;
    text.split('\n').map_while(move |line| {
        let place = Place::try_from(start).ok()?;
        start += line.len() + 1;
        Some((place, line))
    })
}

/// Members of groups (group(5)), with the places where they are named.
fn memberships(text: &str) -> Vec<(&str, Membership)> {
    let mut found = Vec::new();
    for (line, entry) in lines(text) {
        let Some(rest) = entry.splitn(4, ':').nth(3) else { continue };
        let mut start = entry.len() - rest.len();
        for name in until(rest, [':', '\n', '\n']).split(',') {
            if let Some(member) = Place::try_from(start).ok().and_then(|it| line.checked_add(it))
                && !name.is_empty()
            {
                found.push((name, Membership { member, line }));
            }
            start += name.len() + 1;
        }
    }
    found
}

/// What was found, by the text that it is found by; in the order of the file where texts are equal.
fn sorted<T: Copy>(mut found: Vec<(&str, T)>) -> Vec<T> {
    found.sort_by_key(|(text, _)| *text);
    found.into_iter().map(|(_, what)| what).collect()
}

fn from(text: &str, place: Place) -> &str {
    usize::try_from(place).ok().and_then(|place| text.get(place..)).unwrap_or_default()
}

/// The part of a text before the first of these characters.
fn until(text: &str, ends: [char; 3]) -> &str {
    text.split(ends).next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a look-up without any index finds.
    fn groups_by_reading(group: &str, user: &str) -> Vec<String> {
        let mut found: Vec<String> = group
            .split('\n')
            .map(|line| line.split(':').collect::<Vec<_>>())
            .filter(|fields| fields.len() > 3 && fields[3].split(',').any(|name| name == user))
            .map(|fields| fields[0].to_owned())
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    proptest! {
        #[test]
        fn the_index_finds_what_reading_line_by_line_finds(
            passwd in "([abc]{0,2}:x:[0-9]{1,2}:1:([ab]{0,2}@o)?(,x)?:/h:/s(:)?\n?){0,12}",
            group in "([xyz]{0,2}:x:[0-9]{0,2}(:([abc]{0,2},?){0,4})?\n?){0,12}",
        ) {
            let snapshot = Snapshot::of(passwd.clone(), group.clone());
            let parsed: Vec<_> = passwd.split('\n').filter_map(Line::parse).collect();
            for name in ["", "a", "b", "aa", "ab", "bc", "c", "cc", "zz"] {
                let first = parsed.iter().find(|line| line.name == name);
                let found = snapshot.named(name);
                prop_assert_eq!(found.map(|line| line.uid), first.map(|line| line.uid));
                if !name.is_empty() {
                    prop_assert_eq!(snapshot.groups_of(name), groups_by_reading(&group, name));
                }
            }
            for uid in 0..100 {
                prop_assert_eq!(snapshot.has_uid(uid), parsed.iter().any(|line| line.uid == uid));
            }
            let mut last: Vec<_> = parsed
                .iter()
                .enumerate()
                .filter(|(at, line)| {
                    let rest = &parsed[at + 1..];
                    line.unique_id().is_some() && rest.iter().all(|it| it.unique_id() != line.unique_id())
                })
                .map(|(_, line)| (line.unique_id(), line.uid))
                .collect();
            last.sort_unstable();
            let indexed = snapshot.last_of_each_identity();
            let indexed: Vec<_> = indexed.map(|line| (line.unique_id(), line.uid)).collect();
            prop_assert_eq!(indexed, last);
        }
    }
}
