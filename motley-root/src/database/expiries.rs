//! shadow(5): only who is in it and when accounts expire. Password hashes are not kept.

use super::text::{Place, equal, first_field, place, read_lines, sorted};
use std::{fs::File, io};

/// shadow(5), found by name. The first of several lines with one name counts.
#[derive(Debug, Default)]
pub struct Expiries {
    /// One name a line.
    names: String,
    by_name: Box<[Place]>,
    /// Days of expiry by place of the name, for those who have one.
    days: Vec<(Place, i64)>,
}

impl Expiries {
    /// The expiries in the file.
    pub(super) fn read(file: File) -> io::Result<Self> {
        let (mut names, mut places, mut days) = (String::new(), Vec::new(), Vec::new());
        read_lines(file, |line| {
            let mut fields = line.split(':');
            let Some(name) = fields.next().filter(|name| !name.is_empty()) else { return };
            let at = place(names.len());
            names.push_str(name);
            names.push('\n');
            places.push(at);
            let day = fields.nth(6).and_then(|day| day.parse().ok()).filter(|day| *day >= 0);
            days.extend(day.map(|day| (at, day)));
        })?;
        names.shrink_to_fit();
        let by_name = sorted(places.into_iter().map(|at| (first_field(&names, at), at)).collect());
        Ok(Self { by_name, days, names })
    }

    fn place(&self, name: &str) -> Option<Place> {
        equal(&self.by_name, |place| first_field(&self.names, place), name).next()
    }

    /// True if the account has a line.
    pub fn knows(&self, name: &str) -> bool {
        self.place(name).is_some()
    }

    /// Day on which the account expires, in days since 1970-01-01.
    pub fn day(&self, name: &str) -> Option<i64> {
        let place = self.place(name)?;
        equal(&self.days, |(place, _)| place, place).next().map(|(_, day)| day)
    }
}
