//! group(5), found by name, gid and member.

use std::ops::RangeInclusive;

use super::text::{Place, entries, equal, first_field, from, line, place, sorted};

/// Places of a member and of the line that lists it.
#[derive(Debug, Clone, Copy)]
struct Membership {
    member: Place,
    line: Place,
}

/// The fields of a line, where they stand.
struct Fields<'a> {
    name: &'a str,
    gid: u32,
    members: &'a str,
}

impl<'a> Fields<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let _password = fields.next()?;
        let gid = fields.next()?.parse().ok()?;
        let members = fields.next()?;
        fields.next().is_none().then_some(Self { name, gid, members })
    }
}

/// group(5), indexed. The first of several lines with one name counts, and nothing of the others.
#[derive(Debug, Default)]
pub struct Groups {
    text: String,
    by_name: Box<[Place]>,
    by_gid: Box<[(u32, Place)]>,
    by_member: Box<[Membership]>,
}

impl Groups {
    /// The groups in the text of the file.
    pub(super) fn of(text: String) -> Self {
        let found = entries(&text);
        let mut found: Vec<_> =
            found.filter_map(|(place, line)| Some((place, Fields::parse(line)?))).collect();
        found.sort_by_key(|(_, fields)| fields.name);
        found.dedup_by(|later, first| later.1.name == first.1.name);
        let mut gids: Vec<_> = found.iter().map(|(place, fields)| (fields.gid, *place)).collect();
        gids.sort_unstable();
        let by_member =
            sorted(found.iter().flat_map(|(at, it)| memberships(&text, *at, it)).collect());
        let by_name = found.into_iter().map(|(place, _)| place).collect();
        Self { by_name, by_gid: gids.into(), by_member, text }
    }

    fn fields(&self, name: &str) -> Option<Fields<'_>> {
        let name_at = |place| first_field(&self.text, place);
        let place = equal(&self.by_name, name_at, name).next()?;
        Fields::parse(line(&self.text, place))
    }

    /// Gid of the group of that name.
    pub fn gid(&self, name: &str) -> Option<u32> {
        self.fields(name).map(|fields| fields.gid)
    }

    /// Name of the first group with that gid.
    pub fn name(&self, gid: u32) -> Option<&str> {
        let (_, place) = equal(&self.by_gid, |(gid, _)| gid, gid).next()?;
        Some(first_field(&self.text, place))
    }

    /// The largest gid within the range where groupadd(8) takes new ones.
    pub fn largest_gid(&self, range: &RangeInclusive<u32>) -> Option<u32> {
        let mut gids = self.by_gid.iter().map(|(gid, _)| *gid);
        gids.rfind(|gid| range.contains(gid))
    }

    /// True if the group lists nobody, or is not there.
    pub fn is_empty(&self, name: &str) -> bool {
        self.fields(name).is_none_or(|fields| members(&fields).next().is_none())
    }

    /// Groups that list this member, sorted.
    pub fn of_member(&self, member: &str) -> Vec<String> {
        let member_at = |it: Membership| member_at(&self.text, it.member);
        let own = equal(&self.by_member, member_at, member);
        let mut groups: Vec<String> =
            own.map(|it| first_field(&self.text, it.line).to_owned()).collect();
        groups.sort();
        groups.dedup();
        groups
    }
}

fn members<'a>(fields: &Fields<'a>) -> impl Iterator<Item = &'a str> {
    fields.members.split(',').filter(|member| !member.is_empty())
}

fn member_at(text: &str, place: Place) -> &str {
    from(text, place).split([',', '\n']).next().unwrap_or_default()
}

/// Members that a line lists, with the places where they are named.
fn memberships<'a>(text: &'a str, at: Place, fields: &Fields<'a>) -> Vec<(&'a str, Membership)> {
    // The list is the last field.
    let end = line(text, at).len();
    let mut start = end.saturating_sub(fields.members.len());
    let mut found = Vec::new();
    for member in fields.members.split(',') {
        if !member.is_empty() {
            let place = at.saturating_add(place(start));
            found.push((member, Membership { member: place, line: at }));
        }
        start = start.saturating_add(member.len()).saturating_add(1);
    }
    found
}
