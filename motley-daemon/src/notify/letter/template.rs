//! Texts with names in them, for which values are put in.

use std::collections::HashMap;

/// A part of a text.
enum Piece<'a> {
    Text(&'a str),
    Dollar,
    Name(&'a str),
}

/// Takes a text apart at `$$`, `${name}` and `$name`. A dollar sign before anything else is itself.
fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        pieces.push(Piece::Text(before));
        rest = after;
        if let Some(behind) = after.strip_prefix('$') {
            pieces.push(Piece::Dollar);
            rest = behind;
            continue;
        }
        let braced = after.strip_prefix('{').and_then(|inner| inner.split_once('}'));
        match braced {
            Some((name, behind)) if is_name(name) => {
                pieces.push(Piece::Name(name));
                rest = behind;
            }
            _ => {
                let end = after.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
                let (name, behind) = after.split_at(end.unwrap_or(after.len()));
                if is_name(name) {
                    pieces.push(Piece::Name(name));
                    rest = behind;
                } else {
                    pieces.push(Piece::Text("$"));
                }
            }
        }
    }
    pieces.push(Piece::Text(rest));
    pieces
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

/// Puts values in. What was put in is not looked at again, and an unknown name stays as it stands.
pub(super) fn fill(text: &str, values: &HashMap<&'static str, String>) -> String {
    let mut out = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Text(text) => out.push_str(text),
            Piece::Dollar => out.push('$'),
            Piece::Name(name) => match values.get(name) {
                Some(value) => out.push_str(value),
                None => out.push_str(&format!("${{{name}}}")),
            },
        }
    }
    out
}

/// What mails about requests put in.
const OF_REQUESTS: [&str; 16] = [
    "hostname",
    "unique_id",
    "full_name",
    "email",
    "email_verified",
    "user_cmd",
    "groups_cmd",
    "memberships_cmd",
    "sub",
    "iss",
    "username",
    "admin_email",
    "groups",
    "accept_cmd",
    "reject_cmd",
    "show_cmd",
];
/// What the test mail puts in.
const OF_TESTS: [&str; 4] = ["hostname", "admin_email", "notifier", "settings"];

/// Names in the text of this template for which nothing is put in.
pub(super) fn unknown_names(template: &str, text: &str) -> Vec<String> {
    let known: &[&str] = if template == super::TEST { &OF_TESTS } else { &OF_REQUESTS };
    let name = |piece: Piece<'_>| match piece {
        Piece::Name(name) if !known.contains(&name) => Some(format!("${{{name}}}")),
        _ => None,
    };
    pieces(text).into_iter().filter_map(name).collect()
}
