//! What mails say, and what nobody can make them say.

use super::*;
use motley_proto::{Issuer, Subject, approval::ApprovalId};
use proptest::prelude::*;
use std::{fs, os::unix::fs::PermissionsExt};

fn email(folder: &Path) -> EmailConfig {
    EmailConfig {
        server: "localhost".to_owned(),
        port: 25,
        tls: false,
        sender: "node@example.org".to_owned(),
        password: Some(motley_proto::Secret::new("canary".to_owned())),
        receivers: vec!["admin@example.org".to_owned()],
        templates: folder.to_owned(),
    }
}

fn owners() -> Owners {
    Owners { service: nix::unistd::geteuid().as_raw() }
}

fn letters(files: &[(&str, &str, u32)]) -> (Letters, Vec<Finding>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text, mode) in files {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).unwrap();
    }
    let (letters, findings) = Letters::load(&email(folder.path()), "ssh.example", owners());
    (letters, findings, folder)
}

fn identity(subject: &str) -> Identity {
    Identity::new(Issuer::new("https://op.example").unwrap(), Subject::new(subject).unwrap())
}

fn reference() -> ApprovalRef {
    ApprovalRef { id: ApprovalId::new("k7dm3xqp").unwrap(), revision: 2 }
}

fn told<'a>(identity: &'a Identity, reference: &'a ApprovalRef, name: &'a str) -> Told<'a> {
    Told {
        identity,
        reference,
        kind: ApprovalKind::Account,
        full_name: Some(name),
        email: Some("jane@example.org"),
        email_verified: true,
        name: None,
        groups: Vec::new(),
    }
}

#[test]
fn r31_no_claim_forges_a_command_or_a_line_of_the_mail() {
    let (letters, _, _) = letters(&[]);
    let identity = identity("$(reboot);`x`'\"");
    let (reference, name) =
        (reference(), "Eve\n\n  motleyctl approvals accept 00000000.1\u{1b}[2J");
    let mail = letters.to_admins(Occasion::Deploy, &told(&identity, &reference, name));
    let commands: Vec<&str> =
        mail.body.lines().map(str::trim).filter(|line| line.starts_with("motleyctl")).collect();
    assert_eq!(
        commands,
        ["show", "accept", "reject"].map(|verb| format!("motleyctl approvals {verb} k7dm3xqp.2"))
    );
    assert!(!mail.body.contains('\u{1b}'));
    assert!(mail.subject.lines().count() == 1);
}

#[test]
fn the_sites_own_text_is_taken_and_a_dollar_sign_is_kept() {
    let own = "$$5 for ${full_name} $username $ ${nonsense} ${user_cmd}|${groups_cmd}|${memberships_cmd}|${reject_cmd}";
    let (letters, findings, _) = letters(&[("admin.deploy.template", own, 0o644)]);
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].to_string().contains("${nonsense}"), "{findings:?}");
    let (identity, reference) = (identity("1"), reference());
    let mail = letters.to_admins(Occasion::Deploy, &told(&identity, &reference, "${sub} Jane"));
    assert_eq!(
        mail.body,
        "$5 for ${sub} Jane - $ ${nonsense} motleyctl approvals accept k7dm3xqp.2|\
         # part of: motleyctl approvals accept k7dm3xqp.2|# part of: motleyctl approvals accept k7dm3xqp.2|\
         motleyctl approvals reject k7dm3xqp.2"
    );
}

#[test]
fn r33_a_text_that_others_can_change_is_not_used() {
    let (letters, findings, _folder) = letters(&[("admin.deploy.template", "forged", 0o666)]);
    assert!(findings[0].to_string().contains("chmod go-w"), "{findings:?}");
    let (identity, reference) = (identity("1"), reference());
    let mail = letters.to_admins(Occasion::Deploy, &told(&identity, &reference, "Jane"));
    assert!(mail.body.contains("motleyctl approvals accept") && !mail.body.contains("forged"));
}

#[test]
fn r06_the_test_mail_masks_the_password() {
    let (letters, _, folder) =
        letters(&[("admin.test.template", "${notifier}: ${settings}", 0o644)]);
    let text = letters.test(&email(folder.path())).unwrap();
    assert!(text.starts_with("email: ") && text.contains("********") && !text.contains("canary"));
}

#[test]
fn a_person_is_written_to_only_at_one_verified_address() {
    let (letters, _, _) = letters(&[]);
    let (identity, reference) = (identity("1"), reference());
    let mut told = told(&identity, &reference, "Jane");
    let mail = letters.to_person(Occasion::Update, &told).unwrap();
    assert_eq!(mail.to, Addressee::Person("jane@example.org".to_owned()));
    told.email_verified = false;
    assert_eq!(letters.to_person(Occasion::Update, &told), None);
    told.email_verified = true;
    for text in
        ["a@b.example, c@d.example", "Jane <a@b.example>", "a@b.example\nBcc: c@d.example", "", "a"]
    {
        told.email = Some(text);
        assert_eq!(letters.to_person(Occasion::Update, &told), None, "{text:?}");
    }
}

proptest! {
    #[test]
    fn r45_a_text_of_any_form_is_filled_without_panic(text in "[$\\{\\}a-z_ ]{0,40}|\\PC{0,40}") {
        let filled = fill(&text, &HashMap::new());
        prop_assert!(filled.len() <= text.len() * 4 + 4);
    }
}
