//! The text of an account file, and sorted places in it to find entries by.
//!
//! Texts are kept as they are: tables of copied strings take several times the size of the files on a
//! host with many accounts, and the files are read again after each change.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read},
};

/// Largest account file that is read, in bytes. Places in it are counted in 32 bits.
const MAX_FILE_BYTES: u64 = 256 * 1024 * 1024;

/// Where in a text something begins.
pub(super) type Place = u32;

/// The whole text; a byte that is no UTF-8 is replaced and hides no line.
pub(super) fn read_text(file: File) -> io::Result<String> {
    let size = require_readable(&file)?;
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default().saturating_add(1));
    file.take(MAX_FILE_BYTES.saturating_add(1)).read_to_end(&mut bytes)?;
    require_size(u64::try_from(bytes.len()).unwrap_or(u64::MAX))?;
    Ok(String::from_utf8(bytes)
        .unwrap_or_else(|odd| String::from_utf8_lossy(odd.as_bytes()).into_owned()))
}

/// Calls `each` with every line that may hold an entry, and keeps nothing of them.
pub(super) fn read_lines(file: File, mut each: impl FnMut(&str)) -> io::Result<()> {
    require_readable(&file)?;
    let mut reader = BufReader::new(file.take(MAX_FILE_BYTES.saturating_add(1)));
    let (mut line, mut read) = (Vec::new(), 0_u64);
    loop {
        line.clear();
        let count = reader.read_until(b'\n', &mut line)?;
        if count == 0 {
            return Ok(());
        }
        read = read.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        require_size(read)?;
        let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line));
        if is_entry(&text) {
            each(&text);
        }
    }
}

fn require_readable(file: &File) -> io::Result<u64> {
    let size = file.metadata()?.len();
    require_size(size)?;
    Ok(size)
}

/// Half a file would hide the accounts of the other half.
fn require_size(bytes: u64) -> io::Result<()> {
    if bytes > MAX_FILE_BYTES { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(()) }
}

/// Comments and lines for other sources of names (nsswitch.conf(5), `compat`) are none.
fn is_entry(line: &str) -> bool {
    !line.is_empty() && !line.starts_with(['#', '+', '-'])
}

/// Lines that may hold entries, with the places where they begin.
pub(super) fn entries(text: &str) -> impl Iterator<Item = (Place, &str)> {
    let mut start = 0_usize;
    let lines = text.split('\n').map(move |line| {
        let place = place(start);
        start = start.saturating_add(line.len()).saturating_add(1);
        (place, line)
    });
    lines.filter(|(_, line)| is_entry(line))
}

/// A place that can't be counted is none at which anything stands.
pub(super) fn place(at: usize) -> Place {
    Place::try_from(at).unwrap_or(Place::MAX)
}

/// The text from a place on.
pub(super) fn from(text: &str, place: Place) -> &str {
    usize::try_from(place).ok().and_then(|place| text.get(place..)).unwrap_or_default()
}

/// The line that begins at a place.
pub(super) fn line(text: &str, place: Place) -> &str {
    from(text, place).split('\n').next().unwrap_or_default()
}

/// The first field of the line that begins at a place.
pub(super) fn first_field(text: &str, place: Place) -> &str {
    from(text, place).split([':', '\n']).next().unwrap_or_default()
}

/// What was found, by the text that it is found by; in the order of the file where texts are equal.
pub(super) fn sorted<T>(mut found: Vec<(&str, T)>) -> Box<[T]> {
    found.sort_by_key(|(text, _)| *text);
    found.into_iter().map(|(_, what)| what).collect()
}

/// Those of a sorted list by which `wanted` is found.
pub(super) fn equal<'a, T: Copy, K: Ord + 'a>(
    list: &'a [T],
    key: impl Fn(T) -> K + 'a,
    wanted: K,
) -> impl Iterator<Item = T> + 'a {
    let start = list.partition_point(|item| key(*item) < wanted);
    list.iter().skip(start).copied().take_while(move |item| key(*item) == wanted)
}
