//! Which of several candidates is the service, and what is said of the others.

use std::time::Duration;

use anyhow::{Context, Result};
use motley_tests::op::TestCa;
use motley_tests::sandbox::check_run;
use motley_tests::sandbox_test;
use nix::sys::signal::Signal;

use super::place::{ADDRESS, DAEMON, HOST, Place, relay, told};

sandbox_test! {
    fn a_certificate_that_nobody_trusts_on_443_hides_no_good_service_on_8443(sb) {
        let place = Place::start(sb)?;
        let foreign = TestCa::new()?;
        let _bad = place.front(&foreign, 443)?;
        let good = place.usual_front()?;
        let token = place.token("alice");
        let outcome = place.run_as(&token, &["ssh", HOST, "id -un"])?;
        assert_eq!((outcome.stdout.as_str(), outcome.code), ("alice\n", Some(0)), "{}", outcome.stderr);

        let outcome = place.run(&["endpoint", HOST])?;
        assert!(outcome.is_success(), "{}", outcome.stderr);
        assert!(outcome.stdout.starts_with(&format!("https://{HOST}:8443")), "{}", outcome.stdout);
        for url in [format!("https://{HOST}/motley_cue"), format!("https://{HOST}")] {
            let said = outcome.stderr.lines().find(|line| line.starts_with(&format!("{url}: ")));
            assert!(said.is_some_and(|line| line.contains(": TLS: ")), "{url}: {}", outcome.stderr);
        }

        drop(good);
        let _as_bad = place.front(&foreign, 8443)?;
        let words = ["--no-cache", "endpoint", HOST];
        let outcome = place.run(&words)?;
        assert_eq!(outcome.code, Some(9), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("SSL certificate verification failed"), "{}", outcome.stderr);
        let outcome = place.run_as(&token, &["--no-cache", "ssh", HOST, "id -un"])?;
        assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("SSL certificate verification failed"), "{}", outcome.stderr);
        Ok(())
    }
}

/// TLS to the front, all else to the daemon: a TLS record of a handshake begins with 22.
fn by_first_byte(byte: u8) -> &'static str {
    if byte == 22 { "127.0.0.9:8443" } else { DAEMON }
}

sandbox_test! {
    fn https_comes_before_http_for_a_host_and_for_an_endpoint_without_scheme(sb) {
        let place = Place::start(sb)?;
        relay(&format!("{ADDRESS}:8080"), |_| DAEMON)?;
        let alone = told(&place.run(&["--json", "endpoint", HOST, "--allow-http"])?, 0)?;
        let url = alone["endpoint"].as_str().context("an endpoint")?;
        assert!(url.starts_with(&format!("http://{HOST}:8080")), "{alone}");

        let _front = place.usual_front()?;
        let both = told(&place.run(&["--json", "--no-cache", "endpoint", HOST, "--allow-http"])?, 0)?;
        let url = both["endpoint"].as_str().context("an endpoint")?;
        assert!(url.starts_with(&format!("https://{HOST}:8443")), "{both}");

        relay(&format!("{ADDRESS}:9000"), by_first_byte)?;
        let given = format!("{HOST}:9000");
        let words = ["--json", "--allow-http", "--mc-endpoint", &given, "endpoint"];
        assert_eq!(told(&place.run(&words)?, 0)?["endpoint"], format!("https://{given}"));
        let plain = format!("{ADDRESS}:8080");
        let words = ["--json", "--mc-endpoint", &plain, "endpoint"];
        assert_eq!(told(&place.run(&words)?, 0)?["endpoint"], format!("http://{plain}"));
        Ok(())
    }
}

sandbox_test! {
    fn plain_http_to_another_machine_is_used_when_the_user_allows_it_and_then_told(sb) {
        let place = Place::start(sb)?;
        let far = "192.0.2.10";
        check_run("ip", &["addr", "add", &format!("{far}/32"), "dev", "lo"])?;
        relay(&format!("{far}:8080"), |_| DAEMON)?;
        let token = place.token("alice");
        let url = format!("http://{far}:8080");

        let outcome = place.run_as(&token, &["ssh", far, "id -un"])?;
        assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("No motley_cue service found"), "{}", outcome.stderr);
        let outcome = place.run_as(&token, &["--mc-endpoint", &url, "status"])?;
        assert_eq!(outcome.code, Some(8), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("is plain http"), "{}", outcome.stderr);

        let warning = format!("warning: {url}");
        for words in [
            &["--allow-http", "ssh", far, "id -un"][..],
            &["--allow-http", "--mc-endpoint", &url, "ssh", far, "id -un"],
        ] {
            let outcome = place.run_as(&token, words)?;
            assert_eq!(outcome.stdout, "alice\n", "{words:?}: {}", outcome.stderr);
            assert!(outcome.stderr.contains(&warning), "{words:?}: {}", outcome.stderr);
            assert!(outcome.stderr.contains("is not encrypted"), "{words:?}: {}", outcome.stderr);
        }
        Ok(())
    }
}

/// What a command says, and its end, when the service takes connections and answers none.
fn hangs(place: &Place<'_>, token: &str, words: &[&str]) -> Result<()> {
    let outcome = place.run_as(token, &[&["--timeout", "1"], words].concat())?;
    assert_eq!(outcome.code, Some(8), "{words:?}: {}", outcome.stderr);
    assert!(outcome.took < Duration::from_secs(3), "{words:?}: {:?}", outcome.took);
    Ok(())
}

sandbox_test! {
    fn a_service_that_hangs_is_given_up_after_the_time_that_was_set(sb) {
        let place = Place::start(sb)?;
        let _front = place.usual_front()?;
        let token = place.token("alice");
        // The endpoint of the host is remembered from here on.
        assert!(place.run_as(&token, &["status", HOST])?.is_success());
        place.world.daemon.service().context("running")?.signal(Signal::SIGSTOP)?;
        let url = format!("https://{HOST}:8443");
        for words in [
            &["status", HOST][..],
            &["--no-cache", "status", HOST],
            &["--mc-endpoint", &url, "status"],
            &["--no-cache", "endpoint", HOST],
        ] {
            hangs(&place, &token, words)?;
        }
        place.world.daemon.service().context("running")?.signal(Signal::SIGCONT)?;
        assert!(place.run_as(&token, &["status", HOST])?.is_success());
        Ok(())
    }
}
