//! The digest as admins read it, and what nobody can write into it.

use super::*;
use motley_proto::{Identity, Issuer, Subject, knock::Missing};

fn knock(subject: &str) -> Knock {
    let issuer = Issuer::new("https://op.example").unwrap();
    Knock {
        identity: Identity::new(issuer, Subject::new(subject).unwrap()),
        missing: vec![Missing::Membership, Missing::Audience],
        preferred_username: Some("jdoe".to_owned()),
        email: Some("jane@example.org".to_owned()),
        name: Some("Jane Doe".to_owned()),
        first_at: 1_800_000_000,
        last_at: 1_800_003_600,
        count: 17,
        mailed: false,
    }
}

#[test]
fn the_digest_names_who_from_where_what_was_missing_how_often_and_since_when() {
    let mail = digest(&[knock("abc")], "node1");
    assert_eq!(mail.subject, "[node1] 1 person is not authorised");
    let row = "\n  1. Jane Doe, jdoe, jane@example.org\n     subject   abc\n     provider  https://op.example\n     missing   not a member of what authorised_vos asks for; the token is for another audience\n     tried     17 times since 2027-01-15 08:00 UTC, last on 2027-01-15 09:00 UTC\n";
    assert!(mail.body.contains(row), "{}", mail.body);
}

#[test]
fn r31_hostile_names_can_neither_end_a_line_nor_grow() {
    let mut hostile = knock("sub\u{202e}ject");
    hostile.name = Some("x\r\nBcc: a@b\r\n\r\nhello".to_owned());
    hostile.email = Some("\u{202e}".repeat(64 * 1024));
    let mail = digest(&[hostile], "node1");
    assert!(!mail.body.contains('\r') && !mail.body.contains('\u{202e}'));
    assert!(mail.body.contains("x\\u{d}\\u{a}Bcc: a@b"), "{}", mail.body);
    assert!(mail.body.len() < 6_000, "{}", mail.body.len());
    assert!(!mail.subject.contains('\n'));
}

#[test]
fn two_hundred_people_are_named_and_the_others_counted() {
    let people: Vec<Knock> = (0..205).map(|n| knock(&n.to_string())).collect();
    let mail = digest(&people, "node1");
    assert_eq!(mail.body.matches("subject   ").count(), 200);
    assert!(mail.body.contains("\nand 5 more.\n"));
    assert_eq!(mail.subject, "[node1] 205 people are not authorised");
}
