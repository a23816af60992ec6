//! The original Python client, version 0.7.6, against the daemon and the PAM module.

#[path = "../partners/cache.rs"]
mod cache;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use motley_tests::sandbox::{
    Mccli, Outcome, PamStack, Sandbox, TlsFront, World, built, check_run, test_name,
};
use serde_json::Value;

/// Everything that is installed, with versions.
const REQUIREMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/partners/mccli-requirements.txt");

/// Declares a test whose body is given the sandbox and the client's program.
macro_rules! client_test {
    (fn $name:ident($sb:ident, $client:ident) $body:block) => {
        #[test]
        fn $name() {
            let test = test_name(module_path!(), stringify!($name));
            let result = cache::run_with(&test, install, |$sb: &Sandbox, folder: &Path| {
                let $client = &folder.join("bin/mccli");
                $body
            });
            if let Err(error) = result {
                panic!("{error:#}");
            }
        }
    };
}

/// Makes the virtual environment of the client.
fn install() -> Result<PathBuf> {
    let system = "/usr/bin/python3";
    let python = if Path::new(system).exists() { system } else { "python3" };
    let version = cache::version_of(python, "python3")?;
    let recipe = format!("{version}\n{}", std::fs::read_to_string(REQUIREMENTS)?);
    cache::installed("mccli-0.7.6", &recipe, |folder| {
        let place = folder.to_string_lossy();
        check_run(python, &["-m", "venv", &place])?;
        let pip = folder.join("bin/pip");
        let quiet = ["--quiet", "--no-input", "--disable-pip-version-check"];
        let patience = ["--retries", "2", "--timeout", "30"];
        let words = [&["install"], &quiet[..], &patience, &["-r", REQUIREMENTS]].concat();
        check_run(&pip.to_string_lossy(), &words)?;
        Ok(())
    })
}

/// `mccli WORDS…`, at home in a directory of its own.
fn client(program: &Path, world: &World, sb: &Sandbox, words: &[&str]) -> Mccli {
    let home = sb.dir().join("client-home");
    std::fs::create_dir_all(&home).expect("a home directory");
    Mccli::program(program, words)
        .env("HOME", &home.to_string_lossy())
        .env("REQUESTS_CA_BUNDLE", &world.ca.path().to_string_lossy())
}

/// `mccli ssh --mc-endpoint URL OWN… 127.0.0.1 id`.
fn ssh_id(program: &Path, world: &World, sb: &Sandbox, own: &[&str]) -> Mccli {
    let keys = sb.host_key_options();
    let mut words = vec!["ssh", "--mc-endpoint", world.daemon.url()];
    words.extend_from_slice(own);
    // In two words: the client takes the letter h inside of one for its own -h.
    words.extend(keys.iter().filter_map(|key| key.strip_prefix("-o")).flat_map(|key| ["-o", key]));
    words.extend(["127.0.0.1", "id"]);
    client(program, world, sb, &words)
}

/// The client ends with 0 whatever happens, so the remote command must have spoken.
fn assert_ran_as(user: &str, outcome: &Outcome) {
    let shown = format!("{}{}", outcome.stdout, outcome.stderr);
    assert!(outcome.stdout.contains(&format!("({user})")), "{shown}");
}

client_test! {
    fn the_original_client_logs_in_with_a_token(sb, program) {
        let world = World::start(sb)?;
        let token = world.op.token("alice").sign();
        assert!(token.len() < 1024, "{}", token.len());
        let mccli = ssh_id(program, &world, sb, &["--token", &token]);
        assert!(sb.user("alice")?.is_none());
        assert_ran_as("alice", &mccli.run(sb)?);
        assert_ran_as("alice", &mccli.on_terminal(&[])?);
        assert_eq!(world.daemon.log(sb).matches("by=\"token\"").count(), 2);
        Ok(())
    }
}

client_test! {
    fn the_original_client_logs_in_with_a_one_time_password_for_a_long_token(sb, program) {
        let world = World::start(sb)?;
        let token = world.op.token("alice").size(4096).sign();
        let mccli = ssh_id(program, &world, sb, &["--token", &token]);
        assert_ran_as("alice", &mccli.run(sb)?);
        assert_ran_as("alice", &mccli.on_terminal(&[])?);
        assert_eq!(world.daemon.log(sb).matches("by=\"one_time_password\"").count(), 2);
        Ok(())
    }
}

client_test! {
    fn the_original_client_finds_the_service_behind_tls_by_the_name_of_the_host(sb, program) {
        let world = World::start(sb)?;
        let _front = TlsFront::of_the_login_node(&world.ca)?;
        let token = world.op.token("alice").sign();
        let keys = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"];
        let words = [&["ssh", "--token", &token], &keys[..], &["localhost", "id"]].concat();
        assert_ran_as("alice", &client(program, &world, sb, &words).run(sb)?);
        Ok(())
    }
}

client_test! {
    fn what_the_original_client_prints_at_a_dry_run_logs_in(sb, program) {
        let world = World::start(sb)?;
        for token in [world.op.token("alice").sign(), world.op.token("alice").size(4096).sign()] {
            let dry = ssh_id(program, &world, sb, &["--dry-run", "--token", &token]).run(sb)?;
            let line = dry.stdout.lines().find(|line| line.starts_with("SSHPASS="));
            let line = line.unwrap_or_else(|| panic!("{}{}", dry.stdout, dry.stderr));
            let output = Command::new("sh").args(["-c", line]).output()?;
            let shown = String::from_utf8_lossy(&output.stdout);
            assert!(shown.contains("(alice)"), "{line}: {output:?}");
        }
        Ok(())
    }
}

client_test! {
    fn the_original_client_shows_what_the_service_tells(sb, program) {
        let rules = "authorise_all = yes\nclient_id = public-client";
        let world = World::with(sb, rules, PamStack::shipped(), |daemon| daemon)?;
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl";
        std::fs::write("/etc/ssh/ssh_host_other_key.pub", format!("{key} somebody\n"))?;
        let words = ["info", "--mc-endpoint", world.daemon.url(), "127.0.0.1"];
        let outcome = client(program, &world, sb, &words).run(sb)?;
        let start = outcome.stdout.find('{').unwrap_or_default();
        let block = outcome.stdout.get(start..).unwrap_or_default();
        let told = serde_json::Deserializer::from_str(block).into_iter::<Value>().next();
        let told = told.unwrap_or_else(|| panic!("{}{}", outcome.stdout, outcome.stderr))?;
        let expected = world.daemon.rest()?.get("/info", None)?.json();
        assert_eq!(told, expected);
        assert_eq!(told["supported_OPs"][0], world.op.issuer());
        assert!(told["ssh_host_keys"].is_array(), "members that it does not know are no obstacle");
        assert_eq!(told["ops_info"][world.op.issuer()]["client_id"], "public-client");
        Ok(())
    }
}

client_test! {
    fn the_original_client_is_refused_with_a_token_of_a_suspended_user(sb, program) {
        let world = World::with(sb, "authorise_all = yes", PamStack::token_only(), |daemon| daemon)?;
        let token = world.op.token("alice").sign();
        let own = ["--log-level", "WARNING", "--token", &token, "-o", "NumberOfPasswordPrompts=1"];
        let mccli = ssh_id(program, &world, sb, &own);
        assert_ran_as("alice", &mccli.run(sb)?);
        let reply = world.daemon.rest()?.get("/user/suspend", Some(&token))?;
        assert_eq!(reply.status, 200, "{}", reply.text);
        let outcome = mccli.run(sb)?;
        let shown = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(!outcome.stdout.contains("(alice)"), "{shown}");
        assert!(shown.contains("suspended"), "{shown}");
        Ok(())
    }
}

/// A command line for both clients, and which line of what they say must be the same.
struct Same<'a> {
    words: Vec<&'a str>,
    /// The exit code of both.
    code: i32,
    /// Beginnings of lines, on either stream, that both write to the end alike.
    lines: &'a [&'a str],
}

/// Lines that begin so, in order.
fn lines_of(outcome: &Outcome, beginnings: &[&str]) -> Vec<String> {
    let both = format!("{}\n{}", outcome.stdout, outcome.stderr);
    let wanted = |line: &&str| beginnings.iter().any(|beginning| line.starts_with(beginning));
    both.lines().map(str::trim_end).filter(wanted).map(str::to_owned).collect()
}

client_test! {
    fn both_clients_answer_the_same_command_lines_alike(sb, program) {
        let world = World::start(sb)?;
        let token = world.op.token("alice").sign();
        world.deploy(&token)?;
        let url = world.daemon.url();
        let elsewhere = format!("{url}/elsewhere");
        let cases = [
            Same { words: vec![], code: 2, lines: &[] },
            Same { words: vec!["nonsense"], code: 2, lines: &[] },
            Same { words: vec!["info", "--nonsense"], code: 2, lines: &[] },
            Same { words: vec!["--token", "a", "--oidc", "b", "info"], code: 2, lines: &[] },
            Same { words: vec!["--log-level", "LOUD", "info"], code: 2, lines: &[] },
            Same { words: vec!["info"], code: 1, lines: &["error: No information available"] },
            Same {
                words: vec!["--oidc", "work", "info", "--mc-endpoint", url, "127.0.0.1"],
                code: 0,
                lines: &["===="],
            },
            Same {
                words: vec!["ssh", "--token", "opaque", "--mc-endpoint", &elsewhere, "127.0.0.1"],
                code: 1,
                lines: &["error: No motley_cue service found"],
            },
            Same {
                words: vec!["ssh", "--token", "opaque", "--mc-endpoint", url, "127.0.0.1"],
                code: 1,
                lines: &["error: Failed on get_status: [HTTP 401]"],
            },
            Same {
                words: vec!["ssh", "--dry-run", "--token", &token, "--mc-endpoint", url, "-p", "22", "127.0.0.1", "id"],
                code: 0,
                lines: &["SSHPASS="],
            },
        ];
        for case in &cases {
            let theirs = client(program, &world, sb, &case.words).run(sb)?;
            let ours = client(&built("mccli")?, &world, sb, &case.words).run(sb)?;
            let shown = format!("{:?}\n{theirs:?}\n{ours:?}", case.words);
            assert_eq!((theirs.code, ours.code), (Some(case.code), Some(case.code)), "{shown}");
            assert_eq!(lines_of(&theirs, case.lines), lines_of(&ours, case.lines), "{shown}");
            assert_eq!(lines_of(&ours, case.lines).is_empty(), case.lines.is_empty(), "{shown}");
        }
        Ok(())
    }
}

client_test! {
    fn both_clients_show_the_same_facts_about_service_and_token(sb, program) {
        let world = World::start(sb)?;
        // The original stops with a traceback at a token of a provider that it does not know.
        let token = world.op.token("alice").opaque();
        let words = ["info", "--token", &token, "--mc-endpoint", world.daemon.url(), "127.0.0.1"];
        let theirs = client(program, &world, sb, &words).run(sb)?;
        let ours = client(&built("mccli")?, &world, sb, &words).run(sb)?;
        let objects = |outcome: &Outcome| -> Vec<Value> {
            let texts = outcome.stdout.split("\n==== ").filter_map(|block| block.split_once(" ====\n"));
            texts.filter_map(|(_, text)| serde_json::from_str(text.trim()).ok()).collect()
        };
        let (theirs, ours) = (objects(&theirs), objects(&ours));
        assert!(theirs.len() >= 2, "{theirs:?}");
        for (at, told) in theirs.iter().enumerate() {
            assert_eq!(told, &ours[at], "block {at}");
        }
        Ok(())
    }
}

client_test! {
    fn both_clients_show_a_signed_token_alike_but_for_the_signature(sb, program) {
        let world = World::start(sb)?;
        // One that the original knows, and nobody answers for in here.
        let issuer = "https://aai.egi.eu/auth/realms/egi";
        let token = world.op.token("alice").claim("iss", issuer).sign();
        let words = ["info", "--token", &token];
        let theirs = client(program, &world, sb, &words).run(sb)?;
        let ours = client(&built("mccli")?, &world, sb, &words).run(sb)?;
        let title = " Information stored inside the provided Access Token ====\n";
        let inside = |outcome: &Outcome| -> Value {
            let text = outcome.stdout.split_once(title).map(|(_, text)| text).unwrap_or_default();
            let mut values = serde_json::Deserializer::from_str(text).into_iter();
            values.next().and_then(Result::ok).unwrap_or_default()
        };
        let (mut old, new) = (inside(&theirs), inside(&ours));
        let signature = old.as_object_mut().and_then(|members| members.remove("signature"));
        assert!(signature.is_some(), "{theirs:?}");
        assert_eq!(old, new);
        let titles = ["===="];
        assert_eq!(lines_of(&theirs, &titles), lines_of(&ours, &titles));
        for outcome in [&theirs, &ours] {
            let last = outcome.stdout.trim_end().lines().last().unwrap_or_default();
            let left = last.strip_prefix("Token valid for ").and_then(|it| it.strip_suffix(" more seconds."));
            let left: f64 = left.unwrap_or_else(|| panic!("{outcome:?}")).parse()?;
            assert!((3500.0..=3600.0).contains(&left), "{last}");
        }

        let over = world.op.token("alice").claim("iss", issuer).lifetime(-30).sign();
        let words = ["info", "--token", &over];
        let theirs = client(program, &world, sb, &words).run(sb)?;
        let ours = client(&built("mccli")?, &world, sb, &words).run(sb)?;
        let beginning = ["error: No information available"];
        assert_eq!(lines_of(&theirs, &beginning), lines_of(&ours, &beginning));
        assert_eq!((theirs.code, ours.code, lines_of(&ours, &beginning).len()), (Some(1), Some(1), 1));

        // Of any other issuer the original has nothing but a traceback.
        let signed = world.op.token("alice").sign();
        let words = ["info", "--token", &signed];
        let theirs = client(program, &world, sb, &words).run(sb)?;
        assert!(theirs.stderr.contains("Traceback") && theirs.code == Some(1), "{theirs:?}");
        let ours = client(&built("mccli")?, &world, sb, &words).ca(world.ca.path()).run(sb)?;
        assert!(ours.stdout.contains("\"email\": \"alice@example.org\""), "{ours:?}");
        Ok(())
    }
}
