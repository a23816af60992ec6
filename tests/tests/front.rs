//! The daemon's own front: TLS, limits beside good users, health, metrics, log lines.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use motley_tests::op::{Endpoint, Fault, TestCa, TestOp};
use motley_tests::sandbox::{
    Daemon, Mccli, PamStack, Rest, Root, Service, World, install_tls, until,
};
use motley_tests::sandbox_test;

const WATCH: &str = "127.0.0.1:9180";

/// The whole answer to one request with these header lines.
fn ask(address: &str, path: &str, lines: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let head = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}\r\n");
    stream.write_all(head.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The status of a request with a token, as a proxy on this host hands it on for this client.
fn status_for(client: &str, token: &str) -> Result<String> {
    let lines = format!("X-Forwarded-For: {client}\r\nAuthorization: Bearer {token}\r\n");
    let answer = ask("127.0.0.1:8080", "/user/get_status", &lines)?;
    Ok(answer.get(9..12).unwrap_or_default().to_owned())
}

sandbox_test! {
    fn a_daemon_that_speaks_tls_itself_needs_no_web_server(sb) {
        let ca = TestCa::new()?;
        let op = TestOp::builder(&ca).start()?;
        let _root = Root::start(sb)?;
        let daemon = Daemon::for_op("demo", &op, "authorise_all = yes").ca(ca.path()).tls(&ca)?;
        let daemon = daemon.start(sb)?;
        let token = op.token("alice").sign();
        let words = ["deploy", "--mc-endpoint", daemon.url(), "--token", &token, "localhost"];
        let outcome = Mccli::new(words)?.ca(ca.path()).run(sb)?;
        assert!(outcome.is_success(), "{} {}", outcome.stdout, outcome.stderr);
        assert!(outcome.stdout.contains("deployed"), "{}", outcome.stdout);
        let mut curl = Command::new("curl");
        curl.args(["-sS", "https://localhost:8080/info", "--cacert"]).arg(ca.path());
        let curl = curl.output()?;
        assert!(String::from_utf8_lossy(&curl.stdout).contains("supported_OPs"), "{curl:?}");
        assert!(daemon.log(sb).contains("REST https://127.0.0.1:8080"));
        Ok(())
    }
}

sandbox_test! {
    fn a_renewed_certificate_is_served_while_a_request_is_under_way(sb) {
        let (ca, next) = (TestCa::new()?, TestCa::new()?);
        let op = TestOp::builder(&ca).start()?;
        let _root = Root::start(sb)?;
        let daemon = Daemon::for_op("demo", &op, "authorise_all = yes").ca(ca.path()).tls(&ca)?;
        let daemon = daemon.start(sb)?;
        let url = daemon.url().to_owned();
        op.fault(Endpoint::Userinfo, Fault::DelayMs(3000));
        let (token, pem, at) = (op.token("alice").sign(), ca.pem().to_owned(), url.clone());
        let running = std::thread::spawn(move || {
            Rest::new(&at, Some(&pem))?.get("/user/get_status", Some(&token))
        });
        until("the request at the provider", Duration::from_secs(5), || {
            (op.count(Endpoint::Userinfo) > 0).then_some(())
        })?;
        let (certificate, key) = next.issue_pem(&["localhost", "127.0.0.1"])?;
        install_tls(&certificate, &key)?;
        let renewed = Rest::new(&url, Some(next.pem()))?;
        until("the new certificate", Duration::from_secs(15), || {
            renewed.get("/info", None).is_ok().then_some(())
        })?;
        let service = daemon.service().expect("running");
        service.signal(nix::sys::signal::Signal::SIGHUP)?;
        let reply = running.join().expect("the thread")?;
        assert_eq!(reply.status, 200, "{}", reply.text);
        assert!(Rest::new(&url, Some(ca.pem()))?.get("/info", None).is_err(), "the old one is gone");
        install_tls("half of a certi", &key)?;
        service.wait_for_log("the old pair is served", Duration::from_secs(15))?;
        assert_eq!(renewed.get("/info", None)?.status, 200);
        Ok(())
    }
}

sandbox_test! {
    fn sigterm_lets_a_request_over_tls_end(sb) {
        let ca = TestCa::new()?;
        let op = TestOp::builder(&ca).start()?;
        let _root = Root::start(sb)?;
        let daemon = Daemon::for_op("demo", &op, "authorise_all = yes").ca(ca.path()).tls(&ca)?;
        let mut daemon = daemon.start(sb)?;
        op.fault(Endpoint::Userinfo, Fault::DelayMs(1500));
        let (token, rest) = (op.token("alice").sign(), daemon.rest()?);
        let running = std::thread::spawn(move || rest.get("/user/get_status", Some(&token)));
        until("the request at the provider", Duration::from_secs(5), || {
            (op.count(Endpoint::Userinfo) > 0).then_some(())
        })?;
        let idle = TcpStream::connect("127.0.0.1:8080")?;
        daemon.service().expect("running").signal(nix::sys::signal::Signal::SIGTERM)?;
        let reply = running.join().expect("the thread")?;
        assert_eq!(reply.status, 200, "{}", reply.text);
        until("the end of the daemon", Duration::from_secs(5), || {
            TcpStream::connect("127.0.0.1:8080").is_err().then_some(())
        })?;
        drop(idle);
        daemon.kill();
        Ok(())
    }
}

sandbox_test! {
    fn a_key_that_others_can_read_stops_the_start_with_the_cure(sb) {
        use std::os::unix::fs::PermissionsExt;
        let ca = TestCa::new()?;
        let mut daemon = Daemon::with_defaults().tls(&ca)?.install(sb)?;
        fs::set_permissions("/etc/motley_cue/tls.key", fs::Permissions::from_mode(0o644))?;
        let service = daemon.launch(sb)?;
        assert!(!service.wait(Duration::from_secs(15))?.success());
        let log = daemon.log(sb);
        assert!(log.contains("[server] tls_key: /etc/motley_cue/tls.key") && log.contains("chmod o-r"), "{log}");
        Ok(())
    }
}

sandbox_test! {
    fn r30_a_flood_from_an_address_keeps_no_good_user_out_not_even_behind_the_same_one(sb) {
        let world = World::with(sb, "authorise_all = yes\nopaque_tokens = yes", PamStack::shipped(), |daemon| {
            daemon.section("[limits]\nrequests_per_source = 60\nrequests_per_identity = 40")
        })?;
        let known = world.op.token("carol").opaque();
        assert_eq!(status_for("198.51.100.1", &known)?, "200");
        let mut refused = 0;
        let forged = world.op.token("mallory").sign_with_foreign_key();
        for i in 0..40 {
            let bad = if i % 2 == 0 { forged.clone() } else { format!("made-up-token-{i}-0123456789abcdef") };
            refused += usize::from(status_for("198.51.100.1", &bad)? == "429");
        }
        assert!(refused >= 30, "{refused}");
        world.op.reset_counters();
        assert_eq!(status_for("198.51.100.1", "made-up-again-0123456789abcdefghij")?, "429");
        assert_eq!(world.op.requests(), 0, "what is refused asks nobody");
        assert_eq!(status_for("198.51.100.1", &world.op.token("alice").sign())?, "200", "a good signature");
        assert_eq!(status_for("198.51.100.1", &known)?, "200", "an opaque token that is known");
        assert_eq!(status_for("198.51.100.2", &world.op.token("bob").opaque())?, "200", "another address");
        assert_eq!(status_for("2001:db8::1", &world.op.token("bob").sign())?, "200");
        let spoofed = status_for("198.51.100.2, 198.51.100.1", "made-up-once-more-0123456789abcdef")?;
        assert_eq!(spoofed, "429", "what the client wrote itself does not count");
        // ssh knows nothing of this: its addresses are counted with names, and by failures.
        let token = world.op.token("alice").sign();
        let name = world.deploy(&token)?;
        assert!(world.paste(sb, &name, &token)?.is_success());
        Ok(())
    }
}

sandbox_test! {
    fn r30_one_person_can_use_up_nobodys_allowance_but_their_own(sb) {
        let world = World::with(sb, "authorise_all = yes", PamStack::shipped(), |daemon| {
            daemon.section("[limits]\nrequests_per_identity = 20")
        })?;
        let (greedy, other) = (world.op.token("greedy").sign(), world.op.token("alice").sign());
        let mut last = String::new();
        for i in 0..40 {
            last = status_for(&format!("198.51.100.{i}"), &greedy)?;
        }
        assert_eq!(last, "429");
        assert_eq!(status_for("198.51.100.1", &other)?, "200");
        // A forged token that names somebody counts against nobody's allowance.
        let forged = world.op.token("alice").sign_with_foreign_key();
        for i in 0..40 {
            assert_eq!(status_for(&format!("203.0.113.{i}"), &forged)?, "401");
        }
        assert_eq!(status_for("198.51.100.1", &other)?, "200");
        Ok(())
    }
}

sandbox_test! {
    fn r30_a_token_of_somebody_that_is_no_good_here_keeps_the_good_one_out_for_nobody(sb) {
        let world = World::with(sb, "authorise_all = yes\naudience = here", PamStack::shipped(), |daemon| {
            daemon.section("[limits]\nrequests_per_source = 20\nrequests_per_identity = 20")
        })?;
        let alice = || world.op.token("alice");
        let elsewhere = alice().claim("aud", "elsewhere").sign();
        let id_token = alice().header("typ", "JWT").claim("aud", "here").claim("at_hash", "x").sign();
        let good = alice().claim("aud", "here").sign();
        for (bad, early) in [(&elsewhere, "403"), (&id_token, "401")] {
            let answers = (0..60).map(|_| status_for("198.51.100.1", bad)).collect::<Result<Vec<_>>>()?;
            assert_eq!(answers.first().map(String::as_str), Some(early));
            assert_eq!(answers.last().map(String::as_str), Some("429"));
        }
        assert_eq!(status_for("198.51.100.1", &good)?, "200", "behind the same address");
        assert_eq!(status_for("198.51.100.2", &good)?, "200");
        Ok(())
    }
}

sandbox_test! {
    fn health_and_metrics_are_told_to_those_who_watch_and_to_nobody_else(sb) {
        let mut world = World::with(sb, "authorise_all = yes", PamStack::token_only(), |daemon| {
            daemon.option("admin", &format!("listen = {WATCH}"))
        })?;
        assert!(ask(WATCH, "/healthz", "")?.ends_with("\r\n\r\nok\n"));
        until("readiness", Duration::from_secs(10), || {
            ask(WATCH, "/readyz", "").is_ok_and(|it| it.contains(" 200 OK")).then_some(())
        })?;
        let token = world.op.token("alice").sign();
        let name = world.deploy(&token)?;
        assert!(world.paste(sb, &name, &token)?.is_success());
        assert!(!world.paste(sb, &name, &world.op.token("mallory").sign())?.is_success());
        let hostile = "/nowhere%0aX?token=hidden";
        ask("127.0.0.1:8080", hostile, "User-Agent: a\u{202e}b\r\n")?;
        let metrics = ask(WATCH, "/metrics", "")?;
        for line in [
            "motley_deployments_total{outcome=\"deployed\"} 1",
            "motley_deploy_seconds_count 1",
            "motley_tasks_total{task=\"deploy\",outcome=\"ok\"} 1",
            "motley_logins_total{result=\"granted\"} 1",
            "motley_login_refusals_total{reason=\"",
            "motley_authorisation_total{decision=\"granted\"}",
            "motley_http_requests_total{route=\"/user/deploy\",method=\"GET\",status=\"200\"} 1",
            "motley_http_requests_total{route=\"other\",method=\"GET\",status=\"404\"} 1",
            "motley_http_request_seconds_bucket{route=\"/user/deploy\",le=\"0.001\"}",
            "motley_audit_failures_total 0",
            "motley_build_info{version=\"",
            "# TYPE motley_http_connections gauge",
        ] {
            assert!(metrics.contains(line), "{line}: {metrics}");
        }
        for secret in ["alice", "mallory", "nowhere", "hidden", &token, "127.0.0.1"] {
            assert!(!metrics.contains(secret), "{secret}: {metrics}");
        }
        for path in ["/metrics", "/healthz", "/readyz"] {
            assert!(ask("127.0.0.1:8080", path, "")?.contains(" 404 "), "{path} is public");
        }
        world.root.kill();
        until("that it is seen", Duration::from_secs(10), || {
            let answer = ask(WATCH, "/readyz", "").ok()?;
            (answer.contains(" 503 ") && answer.contains("root_helper: ")).then_some(())
        })?;
        assert!(ask(WATCH, "/healthz", "")?.contains(" 200 OK"));
        Ok(())
    }
}

sandbox_test! {
    fn r31_each_request_leaves_one_line_by_which_it_is_found_again(sb) {
        let world = World::start(sb)?;
        let lines = "X-Forwarded-For: 198.51.100.7\r\nUser-Agent: a\u{202e}b\r\n";
        let answer = ask("127.0.0.1:8080", "/info%0d%0aERROR%20forged?secret=hidden", lines)?;
        let lower = answer.to_lowercase();
        let id = lower.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap_or_default();
        let token = world.op.token("alice").sign();
        let reply = world.daemon.rest()?.get("/user/deploy", Some(&token))?;
        let deploy = &reply.headers["x-request-id"];
        let log = world.daemon.log(sb);
        let of = |id: &str| log.lines().filter(|line| line.contains(id)).collect::<Vec<_>>();
        let found = of(id);
        assert!(found.len() == 1 && found[0].contains("198.51.100.7"), "{id}: {found:?}");
        assert!(found[0].contains("route=\"other\" status=404 ms="), "{found:?}");
        assert!(of(deploy).iter().any(|line| line.contains("route=\"/user/deploy\" status=200")), "{log}");
        assert!(!log.contains("forged") && !log.contains("hidden") && !log.contains('\x1b'), "{log}");
        let audit = fs::read_to_string("/var/lib/motley_cue/audit.jsonl")?;
        let deployed = audit.lines().find(|line| line.contains("\"deployed\"")).unwrap_or_default();
        assert!(deployed.contains(deploy) && deployed.contains("\"source\":\"host\""), "{audit}");
        Ok(())
    }
}

sandbox_test! {
    fn the_log_may_be_json(sb) {
        let world = World::with(sb, "authorise_all = yes", PamStack::shipped(), |daemon| {
            daemon.option("mapper", "log_format = json")
        })?;
        world.daemon.rest()?.get("/info", None)?;
        let log = world.daemon.log(sb);
        let mut lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        let answered = lines.rfind(|line| line["fields"]["message"] == "answered");
        let answered = answered.unwrap_or_else(|| panic!("{log}"));
        assert_eq!((&answered["fields"]["route"], &answered["fields"]["status"]), (&"/info".into(), &200.into()));
        assert!(answered["span"]["id"].is_string(), "{answered}");
        Ok(())
    }
}

sandbox_test! {
    fn the_log_may_go_to_the_journal_with_fields_of_its_own(sb) {
        let journald = Path::new("/lib/systemd/systemd-journald");
        if !journald.exists() {
            eprintln!("SKIPPED: there is no {} here", journald.display());
            return Ok(());
        }
        fs::create_dir_all("/run/systemd/journal")?;
        fs::create_dir_all("/run/log/journal")?;
        fs::write("/etc/machine-id", "0123456789abcdef0123456789abcdef\n")?;
        let mut journal = Service::start(sb, "journald", Command::new(journald))?;
        journal.wait_ready(Duration::from_secs(10), || Path::new("/run/systemd/journal/socket").exists())?;
        let world = World::with(sb, "authorise_all = yes", PamStack::shipped(), |daemon| {
            daemon.option("mapper", "log_format = journal")
        })?;
        let reply = world.daemon.rest()?.get("/info", None)?;
        let entry = until("the entry", Duration::from_secs(10), || {
            let mut look = Command::new("journalctl");
            look.args(["-D", "/run/log/journal", "-t", "motley-daemon", "-o", "json"]);
            look.arg(format!("MOTLEY_REQUEST_ID={}", reply.headers["x-request-id"]));
            let found = look.output().ok()?.stdout;
            serde_json::from_slice::<serde_json::Value>(&found).ok()
        })?;
        assert_eq!((&entry["MOTLEY_ROUTE"], &entry["MOTLEY_STATUS"]), (&"/info".into(), &"200".into()));
        assert_eq!(entry["PRIORITY"], "6");
        Ok(())
    }
}

sandbox_test! {
    fn r37_the_daemon_dumps_no_core_and_can_not_be_traced(sb) {
        use std::os::unix::fs::MetadataExt;
        let _root = Root::start(sb)?;
        let daemon = Daemon::with_defaults().start(sb)?;
        let place = format!("/proc/{}", daemon.service().expect("running").pid());
        let limits = fs::read_to_string(format!("{place}/limits"))?;
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap_or_default();
        assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{limits}");
        // What is not dumpable belongs to root in /proc, and only root may trace it (proc(5)).
        assert_eq!(fs::metadata(format!("{place}/environ"))?.uid(), 0);
        assert!(fs::read_to_string(format!("{place}/status"))?.contains("CapEff:\t0000000000000000"));
        Ok(())
    }
}
