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

/// The mails that a text of the site can make, each with the name of that text.
fn mails(letters: &Letters, told: &Told<'_>) -> Vec<(&'static str, String)> {
    let (deploy, changed) = (Occasion::Deploy, Occasion::DeployUpdate);
    let person = |occasion| letters.to_person(occasion, told).unwrap().body;
    let verdict = |verdict| letters.verdict(verdict, told).unwrap().body;
    vec![
        ("admin.deploy", letters.to_admins(deploy, told).body),
        ("admin.deploy.update", letters.to_admins(changed, told).body),
        ("admin.update", letters.to_admins(Occasion::Update, told).body),
        ("user.deploy", person(deploy)),
        ("user.deploy.update", person(changed)),
        ("user.update", person(Occasion::Update)),
        ("user.accepted", verdict(Verdict::Accepted)),
        ("user.rejected", verdict(Verdict::Rejected)),
    ]
}

/// Every name that a text about requests may hold, and what is put in below.
const PUT_IN: [(&str, &str); 16] = [
    ("hostname", "ssh.example"),
    ("unique_id", "j%2F1@https%3A%2F%2Fop.example"),
    ("full_name", "Jane Doe"),
    ("email", "jane@example.org"),
    ("email_verified", "verified"),
    ("user_cmd", "motleyctl approvals accept k7dm3xqp.2"),
    ("groups_cmd", "# part of: motleyctl approvals accept k7dm3xqp.2"),
    ("memberships_cmd", "# part of: motleyctl approvals accept k7dm3xqp.2"),
    ("sub", "j/1"),
    ("iss", "https://op.example"),
    ("username", "jdoe"),
    ("admin_email", "admin@example.org"),
    ("groups", "lab, wlcg"),
    ("accept_cmd", "motleyctl approvals accept k7dm3xqp.2"),
    ("reject_cmd", "motleyctl approvals reject k7dm3xqp.2"),
    ("show_cmd", "motleyctl approvals show k7dm3xqp.2"),
];

#[test]
fn every_text_of_the_site_is_used_for_its_mail_alone_with_every_name_filled() {
    let (identity, reference) = (identity("j/1"), reference());
    let (name, groups) =
        (UserName::new("jdoe").unwrap(), ["lab", "wlcg"].map(|it| GroupName::new(it).unwrap()));
    let told = Told {
        name: Some(&name),
        groups: groups.iter().collect(),
        ..told(&identity, &reference, "Jane Doe")
    };
    let own: String =
        PUT_IN.iter().map(|(name, _)| format!("{name}: ${{{name}}} ${name}\n")).collect();
    let filled: String = PUT_IN.iter().map(|(name, it)| format!("{name}: {it} {it}\n")).collect();
    let built_in = mails(&letters(&[]).0, &told);
    for (at, (replaced, _)) in built_in.iter().enumerate() {
        let file = format!("{replaced}.template");
        let (letters, findings, _folder) = letters(&[(&file, &own, 0o644)]);
        assert!(findings.is_empty(), "{replaced}: {findings:?}");
        let mut expected = built_in.clone();
        expected[at].1.clone_from(&filled);
        assert_eq!(mails(&letters, &told), expected, "{replaced}");
    }
    for (name, text) in &built_in {
        assert!(!text.contains('$'), "{name}: {text}");
    }
}

#[test]
fn for_an_account_that_is_there_the_groups_are_what_a_pasted_command_is_about() {
    let own = "${user_cmd}\n${groups_cmd}\n${memberships_cmd}\n";
    let (letters, _, _folder) = letters(&[("admin.update.template", own, 0o644)]);
    let (identity, reference) = (identity("1"), reference());
    let told = Told { kind: ApprovalKind::Groups, ..told(&identity, &reference, "Jane") };
    let mail = letters.to_admins(Occasion::Update, &told);
    let accept = "motleyctl approvals accept k7dm3xqp.2";
    assert_eq!(mail.body, format!("# nothing to do\n{accept}\n# part of: {accept}\n"));
}

#[test]
fn a_name_for_which_nothing_is_put_in_stays_and_is_told_in_every_text() {
    let (identity, reference) = (identity("1"), reference());
    let told = told(&identity, &reference, "Jane");
    for (at, (name, _)) in mails(&letters(&[]).0, &told).into_iter().enumerate() {
        let own = "${user_cmnd} ${settings} ${notifier}";
        let (letters, findings, _folder) = letters(&[(&format!("{name}.template"), own, 0o644)]);
        let [finding] = findings.as_slice() else { panic!("{name}: {findings:?}") };
        let shown = finding.to_string();
        assert!(
            shown.contains("nothing is put in for ${user_cmnd}, ${settings}, ${notifier}"),
            "{shown}"
        );
        assert_eq!(mails(&letters, &told)[at].1, own, "{name}");
    }
    let own = "${hostname} ${admin_email} ${sub}";
    let (letters, findings, folder) = letters(&[("admin.test.template", own, 0o644)]);
    assert!(findings[0].to_string().contains("nothing is put in for ${sub};"), "{findings:?}");
    let text = letters.test(&email(folder.path())).unwrap();
    assert_eq!(text, "ssh.example admin@example.org ${sub}");
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
    for occasion in [Occasion::Deploy, Occasion::DeployUpdate, Occasion::Update] {
        let mail = letters.to_person(occasion, &told).unwrap();
        assert_eq!(mail.to, Addressee::Person("jane@example.org".to_owned()), "{occasion:?}");
        assert_eq!(letters.to_admins(occasion, &told).to, Addressee::Admins);
    }
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
