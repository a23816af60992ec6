//! Mails over a real mail server: people who knock, requests for approval, accounts that nobody uses.

#[path = "../../partners/cache.rs"]
mod cache;
mod post;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use motley_tests::op::{TestCa, TestOp};
use motley_tests::sandbox::{Daemon, PamStack, Root, Sandbox, Ssh, World, built, test_name, until};
use motley_tests::sandbox_test;
use serde_json::Value;

use post::{PORT, Post};

/// Declares a test whose body is given the sandbox and the mail server's folder in the cache.
macro_rules! mail_test {
    (fn $name:ident($sb:ident, $partner:ident) $body:block) => {
        #[test]
        fn $name() {
            let test = test_name(module_path!(), stringify!($name));
            let body = |$sb: &Sandbox, $partner: &Path| -> Result<()> { $body };
            if let Err(error) = cache::run_with(&test, post::install, body) {
                panic!("{error:#}");
            }
        }
    };
}

mod approvals;
mod lifecycle;

const RULES: &str = "authorised_users = [somebody-else]";

/// Provider and daemon, with digests every hour.
struct Node {
    ca: TestCa,
    op: TestOp,
    daemon: Daemon,
    _root: Root,
}

impl Node {
    /// `email` are lines of `[notifier.email]`.
    fn start(sb: &Sandbox, email: &str) -> Result<Self> {
        let ca = TestCa::new()?;
        let op = TestOp::builder(&ca).start()?;
        let root = Root::start(sb)?;
        let builder = Daemon::for_op("demo", &op, RULES).ca(ca.path());
        let builder = builder.section("[notify]\nunauthorised = hourly");
        let daemon = builder.adapter(&adapter(email)).install(sb)?;
        let mut node = Self { ca, op, daemon, _root: root };
        node.configure(email)?;
        node.daemon.restart(sb)?;
        Ok(node)
    }

    /// Writes the file again; it holds the password of the sender, so nobody else may read it.
    fn configure(&self, email: &str) -> Result<()> {
        let file = self.daemon.config_path().with_file_name("feudal_adapter.conf");
        let group = nix::unistd::Group::from_name("motley")?.context("no group of the daemon")?;
        fs::write(&file, adapter(email))?;
        chown(&file, Some(0), Some(group.gid.as_raw()))?;
        fs::set_permissions(&file, Permissions::from_mode(0o640))?;
        Ok(())
    }

    /// Tries to use the service, and is not authorised.
    fn knock(&self, token: &str) -> Result<()> {
        let reply = self.daemon.rest()?.get("/user/get_status", Some(token))?;
        ensure!(reply.status == 403, "{}: {}", reply.status, reply.text);
        Ok(())
    }
}

fn adapter(email: &str) -> String {
    format!(
        "[ldf_adapter]\nbackend = local_unix\n[backend.local_unix]\nhome_base = /home\n\
         [notifier.email]\nsmtp_port = {PORT}\nsent_from = node@example.org\n\
         admin_email = one@example.org, two@example.org\n{email}\n"
    )
}

/// What `motleyctl` says, and whether it succeeded.
fn ctl(words: &[&str]) -> Result<(bool, String)> {
    let output = Command::new(built("motleyctl")?).args(words).output()?;
    let text = [output.stdout, output.stderr].concat();
    Ok((output.status.success(), String::from_utf8_lossy(&text).into_owned()))
}

fn knocks() -> Result<Vec<Value>> {
    let (_, text) = ctl(&["knocks", "--json"])?;
    let answer: Value = serde_json::from_str(&text).with_context(|| text.clone())?;
    Ok(answer.as_array().cloned().unwrap_or_default())
}

/// A body of quoted-printable or plain text, as people read it.
fn read(raw: &str) -> String {
    let (head, body) =
        raw.split_once("\r\n\r\n").or_else(|| raw.split_once("\n\n")).unwrap_or((raw, ""));
    let encoding = head.lines().find(|line| line.starts_with("Content-Transfer-Encoding"));
    let body = body.replace("\r\n", "\n");
    match encoding {
        Some(line) if line.contains("quoted-printable") => unquote(&body),
        Some(line) if line.contains("base64") => panic!("unreadable without a program: {line}"),
        _ => body,
    }
}

fn unquote(body: &str) -> String {
    let joined = body.replace("=\n", "");
    let mut bytes = Vec::new();
    let mut rest = joined.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'=', Some(byte)) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

mail_test! {
    fn r31_who_knocks_is_listed_and_mailed_once_with_every_name_made_harmless(sb, partner) {
        let post = Post::start(sb, partner, &[])?;
        let node = Node::start(sb, "")?;
        let mallory = node
            .op
            .token("alice")
            .userinfo_claim("name", "Mallory\r\nBcc: victim@example.org\r\n\r\nbody")
            .userinfo_claim("email", "\u{202e}".repeat(64 * 1024))
            .userinfo_claim("preferred_username", "mallory\u{1b}[31m")
            .sign();
        for _ in 0..3 {
            node.knock(&mallory)?;
        }
        let mail = post.mail(0)?;
        assert_eq!(mail.about["to"], serde_json::json!(["one@example.org", "two@example.org"]));
        assert_eq!(mail.about["from"], "node@example.org");
        let head = mail.raw.split_once("\r\n\r\n").map_or("", |(head, _)| head);
        assert!(!head.contains("Bcc") && head.contains("Auto-Submitted: auto-generated"), "{head}");
        assert!(mail.raw.lines().all(|line| line.len() < 999), "RFC 5322 2.1.1");
        let text = read(&mail.raw);
        assert!(text.contains("Mallory\\u{d}\\u{a}Bcc: victim@example.org"), "{text}");
        assert!(text.contains("not one of authorised_users"), "{text}");
        assert!(text.contains(node.op.issuer()), "{text}");
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'));
        assert!(mail.raw.len() < 20_000, "{}", mail.raw.len());

        node.knock(&mallory)?;
        let (_, shown) = ctl(&["knocks"])?;
        assert!(shown.contains("tried               4 times") && shown.contains("mailed              yes"), "{shown}");
        assert!(!shown.contains('\u{1b}') && !shown.contains('\u{202e}'), "{shown}");
        assert!(ctl(&["status"])?.1.contains("digest              hourly, last sent 20"));
        std::thread::sleep(Duration::from_secs(12));
        assert_eq!(post.count()?, 1);
        assert!(ctl(&["knocks", "--clear"])?.1.contains("1 forgotten"));
        assert!(knocks()?.is_empty());
        Ok(())
    }
}

mail_test! {
    fn a_mail_server_that_is_down_costs_no_digest_even_over_a_restart(sb, partner) {
        let mut node = Node::start(sb, "")?;
        node.knock(&node.op.token("alice").sign())?;
        until("the failure in status", Duration::from_secs(40), || {
            ctl(&["status"]).ok().filter(|(_, text)| text.contains("DIGEST FAILS        1 times")).map(|_| ())
        })?;
        let (_, status) = ctl(&["status"])?;
        assert!(status.contains("mail server localhost:2525") && status.contains("smtp_port"), "{status}");
        assert!(node.daemon.log(sb).contains("the digest for the admins was not sent"));
        let (worked, said) = ctl(&["notify", "--test"])?;
        assert!(!worked && said.contains("check smtp_server"), "{said}");
        node.daemon.kill();
        let post = Post::start(sb, partner, &[])?;
        node.daemon.restart(sb)?;
        // The first wait after a failure is half a minute.
        until("the mail", Duration::from_secs(100), || post.count().ok().filter(|count| *count == 1))?;
        let text = read(&post.mail(0)?.raw);
        assert!(text.contains("alice"), "{text}");
        Ok(())
    }
}

/// What it is, arguments of the server, lines of the configuration, and whether the mail arrives
/// by TLS and with a login, or else what the answer says.
type Case<'a> = (&'a str, Vec<&'a str>, Vec<&'a str>, Result<(bool, bool), &'a str>);

mail_test! {
    fn a_test_mail_tells_what_the_server_said_however_it_is_reached(sb, partner) {
        let node = Node::start(sb, "")?;
        // A name that is not this host's, although it leads here.
        let hosts = fs::read_to_string("/etc/hosts")?;
        fs::write("/etc/hosts", format!("{hosts}\n127.0.0.1 mail.test\n"))?;
        let ours = certificate(sb, &node.ca, "ours")?;
        let foreign = certificate(sb, &TestCa::new()?, "foreign")?;
        let ours = [ours[0].as_str(), ours[1].as_str()];
        let foreign = [foreign[0].as_str(), foreign[1].as_str()];
        let login = ["--login", "node@example.org", "pa55 word"];
        let (password, far, tls) =
            ("sent_from_password = pa55 word", "smtp_server = mail.test", "use_ssl = yes");
        let cases: [Case<'_>; 12] = [
            ("plain", vec![], vec![], Ok((false, false))),
            ("starttls as offered", [&["--starttls"], &ours[..]].concat(), vec![], Ok((true, false))),
            ("starttls of anybody", [&["--starttls"], &foreign[..]].concat(), vec![far], Ok((true, false))),
            ("tls", [&["--tls"], &ours[..]].concat(), vec![tls], Ok((true, false))),
            ("tls of a stranger", [&["--tls"], &foreign[..]].concat(), vec![tls], Err("TLS")),
            ("login on this host", login.to_vec(), vec![password], Ok((false, true))),
            ("login by starttls", [&["--starttls"], &ours[..], &login].concat(), vec![password, far], Ok((true, true))),
            ("r06 login in the clear", login.to_vec(), vec![password, far], Err("STARTTLS")),
            ("r06 login at a stranger", [&["--starttls"], &foreign[..], &login].concat(), vec![password, far], Err("certificate")),
            ("wrong password", login.to_vec(), vec!["sent_from_password = other"], Err("check sent_from and sent_from_password")),
            ("refused", vec!["--refuse", "550 no such \u{1b}[31m user"], vec![], Err("check sent_from, admin_email")),
            ("later", vec!["--refuse", "451 not now"], vec![], Err("not now")),
        ];
        for (what, server, email, expected) in cases {
            let post = Post::start(sb, partner, &server)?;
            node.configure(&email.join("\n"))?;
            let (reloaded, said) = ctl(&["reload"])?;
            assert!(reloaded, "{what}: {said}");
            let (worked, said) = ctl(&["notify", "--test"])?;
            assert!(!said.contains("pa55") && !said.contains('\u{1b}'), "{what}: {said}");
            match expected {
                Ok((by_tls, by_login)) => {
                    assert!(worked && said.contains("250 taken as number 0"), "{what}: {said}");
                    let about = post.mail(0)?.about;
                    assert_eq!((&about["tls"], &about["login"]), (&by_tls.into(), &by_login.into()), "{what}");
                }
                Err(part) => {
                    assert!(!worked && said.contains(part), "{what}: {said}");
                    assert_eq!(post.count()?, 0, "{what}");
                }
            }
        }
        let log = node.daemon.log(sb);
        assert!(!log.contains("pa55"), "r06: the log holds the password");
        Ok(())
    }
}

/// Files of a certificate and its key, for the names under which the server is reached.
fn certificate(sb: &Sandbox, ca: &TestCa, name: &str) -> Result<[String; 2]> {
    let (certificate, key) = ca.issue_pem(&["localhost", "mail.test"])?;
    let file = |ending: &str| sb.dir().join(format!("{name}.{ending}"));
    fs::write(file("pem"), certificate)?;
    fs::write(file("key"), key)?;
    Ok(["pem", "key"].map(|ending| file(ending).to_string_lossy().into_owned()))
}

sandbox_test! {
    fn a_refused_login_counts_as_a_knock_too(sb) {
        let rules = "authorise_all = yes\naudience = ssh-here";
        let world = World::with(sb, rules, PamStack::token_only(), |daemon| daemon)?;
        let good = world.op.token("alice").claim("aud", "ssh-here").sign();
        let alice = world.deploy(&good)?;
        let other = world.op.token("alice").claim("aud", "elsewhere").sign();
        assert!(!world.paste(sb, &alice, &other)?.is_success());
        let rows = knocks()?;
        assert_eq!(rows.len(), 1, "{rows:?}");
        assert_eq!(rows[0]["missing"], serde_json::json!(["audience"]));
        assert_eq!(rows[0]["count"], 1);
        Ok(())
    }
}
