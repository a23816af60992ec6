//! The daemon as a service: where it listens, whom it cuts off, how it ends.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use motley_tests::op::{Endpoint, Fault};
use motley_tests::sandbox::{Daemon, PamStack, Rest, World};
use motley_tests::sandbox_test;

sandbox_test! {
    fn sigterm_lets_a_running_request_end_and_leaves_with_success(sb) {
        let mut world = World::start(sb)?;
        let token = world.op.token("alice").sign();
        world.op.fault(Endpoint::Userinfo, Fault::DelayMs(1500));
        let url = world.daemon.url().to_owned();
        let running = std::thread::spawn(move || Rest::new(&url, None)?.get("/user/get_status", Some(&token)));
        motley_tests::sandbox::until("the request at the provider", Duration::from_secs(5), || {
            (world.op.count(Endpoint::Userinfo) > 0).then_some(())
        })?;
        let service = world.daemon.service().expect("running");
        service.signal(nix::sys::signal::Signal::SIGTERM)?;
        let reply = running.join().expect("the thread")?;
        assert_eq!(reply.status, 200, "{}", reply.text);
        motley_tests::sandbox::until("the end of the daemon", Duration::from_secs(10), || {
            world.daemon.log(sb).contains("stopping").then_some(())
        })?;
        world.daemon.kill();
        Ok(())
    }
}

sandbox_test! {
    fn who_sends_half_a_request_is_cut_off_and_nobody_else_waits(sb) {
        let world = World::start(sb)?;
        let mut slow = TcpStream::connect("127.0.0.1:8080")?;
        slow.write_all(b"GET /info HTTP/1.1\r\nHost: x\r\nX-Slow: ")?;
        slow.set_read_timeout(Some(Duration::from_secs(20)))?;
        assert_eq!(world.daemon.rest()?.get("/info", None)?.status, 200);
        let start = Instant::now();
        let mut rest = Vec::new();
        let _ = slow.read_to_end(&mut rest);
        assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
        Ok(())
    }
}

sandbox_test! {
    fn rest_is_served_on_several_addresses_and_a_unix_socket(sb) {
        let socket = "/run/motley_cue/rest.sock";
        let _root = motley_tests::sandbox::Root::start(sb)?;
        let config = format!("[server]\nlisten = 127.0.0.1:8080, 127.0.0.1:8081\n  unix:{socket}\n");
        let daemon = Daemon::with(&config).start(sb)?;
        for url in ["http://127.0.0.1:8080", "http://127.0.0.1:8081"] {
            assert_eq!(Rest::new(url, None)?.get("/info", None)?.status, 200, "{url}");
        }
        let mut stream = UnixStream::connect(socket)?;
        stream.write_all(b"GET /info HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        let log = daemon.log(sb);
        assert!(log.contains("REST http://127.0.0.1:8081") && log.contains(socket), "it says where: {log}");
        Ok(())
    }
}

sandbox_test! {
    fn a_client_of_the_old_kind_can_be_kept_from_changing_by_get(sb) {
        let world = World::with(sb, "authorise_all = yes", PamStack::shipped(), |daemon| {
            daemon.section("[limits]\nrequest_timeout = 20")
        })?;
        let token = world.op.token("alice").sign();
        let rest = world.daemon.rest()?;
        assert_eq!(rest.send("HEAD", "/user/deploy", Some(&format!("Bearer {token}")), None)?.status, 405);
        assert!(sb.user("alice")?.is_none(), "r29: HEAD changes nothing");
        assert_eq!(rest.post("/user/deploy", Some(&token), &serde_json::Value::Null)?.status, 200);
        assert!(sb.user("alice")?.is_some());
        Ok(())
    }
}
