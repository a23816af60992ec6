//! Reads an audit log in pages, from the end or from where the last page ended.

use super::{
    LINE_LIMIT,
    files::{Piece, pieces},
};
use motley_proto::{
    Identity,
    admin::{TrailCursor, TrailFilter, TrailPage, TrailStart},
};
use serde_json::Value;
use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    path::Path,
};

/// Lines and bytes of one page: it must fit into a frame of the admin socket, written as JSON again.
const PAGE_LINES: usize = 200;
const PAGE_BYTES: usize = 40 * 1024;
/// Most that is read for one page, in bytes, before the asker is given a turn.
const SCAN_BYTES: u64 = 16 * 1024 * 1024;
/// First step back from the end.
const WINDOW: u64 = 256 * 1024;

/// Which lines are wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// What the asker named.
    pub filter: TrailFilter,
    /// Identities that stand for the person whom the asker named.
    pub identities: Vec<Identity>,
}

impl Wanted {
    fn is_everything(&self) -> bool {
        self.filter == TrailFilter::default()
    }

    fn takes(&self, line: &[u8]) -> bool {
        if self.is_everything() {
            return true;
        }
        let Ok(value) = serde_json::from_slice::<Value>(line) else { return false };
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        let fits_event = match &self.filter.event {
            Some(event) => text("event") == Some(event),
            None => true,
        };
        fits_event && (self.filter.whom.is_none() || self.is_about(&value))
    }

    fn is_about(&self, value: &Value) -> bool {
        let identity = value.get("identity");
        let identity: Option<Identity> =
            identity.and_then(|it| serde_json::from_value(it.clone()).ok());
        let named = [value.get("name"), value.get("user")].into_iter().flatten();
        identity.is_some_and(|it| self.identities.contains(&it))
            || named.filter_map(Value::as_str).any(|name| self.filter.names(name))
    }
}

/// One page of the lines that are wanted, oldest first.
///
/// # Errors
/// When a file can't be read.
pub fn page(path: &Path, start: TrailStart, wanted: &Wanted) -> io::Result<TrailPage> {
    let files = pieces(path)?;
    let cursor = match start {
        TrailStart::After(cursor) => cursor,
        TrailStart::Last(count) => {
            let count = usize::try_from(count).unwrap_or(usize::MAX);
            start_of_last(&files, wanted, count, u64::MAX)?
        }
    };
    read_on(&files, cursor, wanted)
}

/// The newest line that is wanted, if it is among the last `bytes` of the log.
///
/// # Errors
/// When a file can't be read.
pub fn newest(path: &Path, wanted: &Wanted, bytes: u64) -> io::Result<Option<String>> {
    let files = pieces(path)?;
    let cursor = start_of_last(&files, wanted, 1, bytes)?;
    Ok(read_on(&files, cursor, wanted)?.lines.pop())
}

/// The place behind which the last `count` wanted lines begin.
fn start_of_last(
    files: &[Piece],
    wanted: &Wanted,
    count: usize,
    mut budget: u64,
) -> io::Result<TrailCursor> {
    let mut missing = count;
    let mut earliest = TrailCursor::default();
    for piece in files.iter().rev() {
        let length = std::fs::metadata(&piece.path)?.len();
        let (found, offset) = last_in(piece, length, wanted, missing, budget)?;
        earliest = TrailCursor { file: piece.number, offset };
        missing = missing.saturating_sub(found);
        budget = budget.saturating_sub(length);
        if missing == 0 || budget == 0 {
            break;
        }
    }
    Ok(earliest)
}

/// How many of the last `count` wanted lines are in this file, and where they begin.
fn last_in(
    piece: &Piece,
    length: u64,
    wanted: &Wanted,
    count: usize,
    budget: u64,
) -> io::Result<(usize, u64)> {
    if count == 0 {
        return Ok((0, length));
    }
    let mut window = WINDOW;
    loop {
        let from = length.saturating_sub(window.min(budget));
        let offsets = wanted_offsets(piece, from, length, wanted)?;
        if let Some(at) = offsets.len().checked_sub(count).and_then(|at| offsets.get(at)) {
            return Ok((count, *at));
        }
        if from == 0 || window >= budget {
            return Ok((offsets.len(), offsets.first().copied().unwrap_or(from)));
        }
        window = window.saturating_mul(4);
    }
}

/// Where the wanted lines begin that lie whole between these places.
fn wanted_offsets(piece: &Piece, from: u64, to: u64, wanted: &Wanted) -> io::Result<Vec<u64>> {
    let mut file = File::open(&piece.path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut reader = BufReader::new(file.take(to.saturating_sub(from)));
    let mut offsets = Vec::new();
    let (mut at, mut line) = (from, Vec::new());
    // What stands before the first end of a line belongs to a line that began earlier.
    let mut is_whole = from == 0;
    loop {
        line.clear();
        let count = reader.read_until(b'\n', &mut line)?;
        if count == 0 || line.last() != Some(&b'\n') {
            return Ok(offsets);
        }
        if is_whole && wanted.takes(line.trim_ascii_end()) {
            offsets.push(at);
        }
        is_whole = true;
        at = at.saturating_add(count as u64);
    }
}

fn read_on(files: &[Piece], cursor: TrailCursor, wanted: &Wanted) -> io::Result<TrailPage> {
    let mut page = TrailPage { lines: Vec::new(), next: cursor, more: false };
    let mut room = Room { bytes: PAGE_BYTES, scan: SCAN_BYTES };
    for piece in files.iter().filter(|piece| piece.number >= cursor.file) {
        let offset = if piece.number == cursor.file { cursor.offset } else { 0 };
        page.next = TrailCursor { file: piece.number, offset };
        if read_file(piece, wanted, &mut page, &mut room)? {
            page.more = true;
            break;
        }
    }
    Ok(page)
}

struct Room {
    bytes: usize,
    scan: u64,
}

/// Reads on from `page.next`; true when the page is full.
fn read_file(
    piece: &Piece,
    wanted: &Wanted,
    page: &mut TrailPage,
    room: &mut Room,
) -> io::Result<bool> {
    let mut file = File::open(&piece.path)?;
    file.seek(SeekFrom::Start(page.next.offset))?;
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        let count = reader.by_ref().take(LINE_LIMIT).read_until(b'\n', &mut line)?;
        let whole = line.last() == Some(&b'\n');
        // A line that has no end yet is just being written; one that is too long is none of ours.
        if count == 0 || (!whole && (count as u64) < LINE_LIMIT) {
            return Ok(false);
        }
        let text = line.trim_ascii_end();
        if whole && wanted.takes(text) {
            let text = String::from_utf8_lossy(text).into_owned();
            // The quotation marks in it are escaped once more on the way.
            let size = text.len() + text.matches(['"', '\\']).count();
            if page.lines.len() >= PAGE_LINES || (size > room.bytes && !page.lines.is_empty()) {
                return Ok(true);
            }
            room.bytes = room.bytes.saturating_sub(size);
            page.lines.push(text);
        }
        page.next.offset = page.next.offset.saturating_add(count as u64);
        room.scan = room.scan.saturating_sub(count as u64);
        if room.scan == 0 {
            return Ok(true);
        }
    }
}
