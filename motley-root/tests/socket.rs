//! The running program: who may speak to it, what it makes of nonsense, and when it refuses to start.

#[allow(unreachable_pub)]
mod support;

use motley_proto::task::{ExpiryMarks, Task, TaskDone, TaskRefusal};
use std::{
    fs,
    io::{Read, Write},
    os::{
        fd::AsRawFd,
        unix::{
            fs::{FileTypeExt, MetadataExt, PermissionsExt},
            net::{UnixListener, UnixStream},
            process::CommandExt,
        },
    },
    process::Command,
    thread,
    time::{Duration, Instant},
};
use support::{helper::*, *};

fn inspect_frame() -> Vec<u8> {
    let task = Task::Inspect { name: user("localadmin") };
    motley_proto::frame::encode(&task, motley_proto::frame::Cap::TASK).unwrap().to_vec()
}

fn frame(body: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(body.len() + 1).unwrap().to_be_bytes().to_vec();
    frame.push(1);
    frame.extend_from_slice(body);
    frame
}

fn open_as_daemon() -> UnixStream {
    let stream = connect_as(DAEMON, DAEMON).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Sends, closes the sending half, and yields all that comes back.
fn tell(bytes: &[u8]) -> Vec<u8> {
    let mut stream = open_as_daemon();
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard);
    heard
}

#[test]
fn r02_only_the_daemon_is_served() {
    if !enter() {
        return;
    }
    let _running = Helper::start();
    let meta = fs::metadata(SOCKET).unwrap();
    assert!(meta.file_type().is_socket());
    assert_eq!((meta.uid(), meta.gid(), meta.mode() & 0o7777), (0, DAEMON, 0o660));
    assert!(!tell(&inspect_frame()).is_empty());
    // A third uid does not get past the socket's mode; with it out of the way, not past the check.
    assert!(connect_as(1500, 1500).is_err());
    fs::set_permissions(SOCKET, fs::Permissions::from_mode(0o666)).unwrap();
    for uid in [0, 1500, 65_534] {
        let mut stream = connect_as(uid, uid).unwrap();
        let _ = stream.write_all(&inspect_frame());
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard);
        assert_eq!(heard, b"", "uid {uid}");
    }
    assert!(log_text().contains("refused a connection of uid 1500"), "{}", log_text());
}

#[test]
fn r27_nonsense_gets_no_answer_and_does_no_harm() {
    if !enter() {
        return;
    }
    let running = Helper::start();
    let before = fs::read("/etc/passwd").unwrap();
    let deep = "[".repeat(8000);
    let mut bodies: Vec<Vec<u8>> = [
        "",
        "null",
        "{}",
        "[]",
        "\"inspect\"",
        "{\"run\":{\"command\":\"id\"}}",
        "{\"inspect\":{}}",
        "{\"inspect\":{\"name\":\"root\"}}",
        "{\"inspect\":{\"name\":\"a\",\"x\":1}}",
        "{\"inspect\":{\"name\":\"a\"},\"inspect\":{\"name\":\"b\"}}",
        "{\"inspect\":{\"name\":\"-rf\"}}",
        "{\"inspect\":{\"name\":\"a\\n\"}}",
        "{\"inspect\":{\"name\":\"localadmin\"}} x",
        &deep,
    ]
    .map(|text| frame(text.as_bytes()))
    .into();
    let mut version = inspect_frame();
    version[4] = 2;
    let short = inspect_frame()[..9].to_vec();
    bodies.extend([version, short, vec![0xff; 64], vec![0; 64], vec![0, 1, 0, 0, 1], vec![]]);
    let mut random = 12345u32;
    for _ in 0..50 {
        let noise = (0..60).map(|_| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            random.to_be_bytes()[0]
        });
        bodies.push(frame(&noise.collect::<Vec<_>>()));
    }
    for bytes in &bodies {
        assert_eq!(tell(bytes), b"", "{:?}", String::from_utf8_lossy(bytes));
    }
    assert_eq!(fs::read("/etc/passwd").unwrap(), before);
    assert!(matches!(
        ask(&Task::Inspect { name: user("localadmin") }),
        Some(Ok(TaskDone::Inspected(Some(_))))
    ));
    assert_eq!(running.stop(), Some(0));
}

#[test]
fn r03_a_frame_beyond_the_cap_is_refused_at_once_and_costs_no_memory() {
    if !enter() {
        return;
    }
    let running = Helper::start();
    let resident = || {
        let status = fs::read_to_string(format!("/proc/{}/status", running.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap().to_owned();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
    };
    let before = resident();
    for length in [16 * 1024 + 1, 64 * 1024, u32::MAX] {
        let mut bytes = length.to_be_bytes().to_vec();
        bytes.push(1);
        bytes.extend_from_slice(&[b' '; 4096]);
        let begun = Instant::now();
        assert_eq!(tell(&bytes), b"");
        assert!(begun.elapsed() < Duration::from_secs(2));
    }
    assert!(resident() < before + 4096, "{before} kB before");
}

#[test]
fn two_tasks_on_one_connection_are_answered_in_order_even_when_glued() {
    if !enter() {
        return;
    }
    let _running = Helper::start();
    let one = tell(&inspect_frame());
    assert_eq!(tell(&[inspect_frame(), inspect_frame()].concat()), [one.clone(), one].concat());
}

#[test]
fn r03_a_connection_that_drips_is_cut_and_delays_nobody() {
    if !enter() {
        return;
    }
    let _running = Helper::start();
    let mut slow = open_as_daemon();
    let begun = Instant::now();
    let dripping = thread::spawn(move || {
        for byte in inspect_frame().iter().cycle().take(4 + 1 + 10) {
            if slow.write_all(&[*byte]).is_err() {
                break;
            }
            thread::sleep(Duration::from_secs(1));
        }
        let mut heard = Vec::new();
        let _ = slow.read_to_end(&mut heard);
        heard
    });
    while !dripping.is_finished() {
        let asked = Instant::now();
        assert!(!tell(&inspect_frame()).is_empty());
        assert!(asked.elapsed() < Duration::from_secs(1));
        thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(dripping.join().unwrap(), b"");
    assert!(begun.elapsed() < Duration::from_secs(20));
}

#[test]
fn sigterm_lets_a_running_task_end_and_removes_the_socket() {
    if !enter() {
        return;
    }
    let running = Helper::start();
    let _idle = open_as_daemon();
    let asking = thread::spawn(|| ask(&Task::Create(plan("jdoe", 5001))));
    while !fs::read_to_string(format!("{STATE}/ledger.jsonl")).unwrap().contains("reserved") {
        thread::sleep(Duration::from_millis(1));
    }
    let begun = Instant::now();
    assert_eq!(running.stop(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(5), "an idle connection was waited for");
    assert_eq!(account(asking.join().unwrap().unwrap()).uid, 5001);
    assert!(!fs::exists(SOCKET).unwrap());
}

#[test]
fn r28_an_order_that_was_given_up_is_not_carried_out_late() {
    if !enter() {
        return;
    }
    let _running = Helper::start();
    account(ask(&Task::Create(plan("jdoe", 5001))).unwrap());
    // The account files are locked, so the first order waits while it has its turn.
    let holder = Command::new("/bin/sleep").arg("60").spawn().unwrap();
    fs::write("/etc/passwd.lock", format!("{}\0", holder.id())).unwrap();
    let (identity, name) = (identity("jdoe"), user("jdoe"));
    let send = |task: Task| {
        let mut stream = open_as_daemon();
        let frame = motley_proto::frame::encode(&task, motley_proto::frame::Cap::TASK).unwrap();
        stream.write_all(&frame).unwrap();
        stream
    };
    let first = send(Task::Create(plan("kim", 5002)));
    thread::sleep(Duration::from_millis(500));
    let given_up = send(Task::Expire { identity: identity.clone(), name: name.clone() });
    thread::sleep(Duration::from_millis(300));
    drop(given_up);
    kill(holder);
    fs::remove_file("/etc/passwd.lock").unwrap();
    drop(first);
    let until = Instant::now() + Duration::from_secs(20);
    while !log_text().contains("expire jdoe") {
        assert!(Instant::now() < until, "{}", log_text());
        thread::sleep(Duration::from_millis(20));
    }
    let seen = ask(&Task::Inspect { name: name.clone() });
    let Some(Ok(TaskDone::Inspected(Some(facts)))) = seen else { panic!("{seen:?}") };
    assert!(!facts.expired, "{}", log_text());
    // Whoever only sends no more still waits.
    let task = Task::Expire { identity, name };
    let frame = motley_proto::frame::encode(&task, motley_proto::frame::Cap::TASK).unwrap();
    assert!(!tell(&frame).is_empty());
    assert!(log_text().contains("expire jdoe of") && log_text().contains("done, uid 5001"));
}

fn kill(mut child: std::process::Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn r27_r37_the_helper_has_no_network_and_can_not_be_dumped_or_traced() {
    if !enter() {
        return;
    }
    let mut command = command();
    let leak = fs::File::open("/etc/passwd").unwrap();
    nix::fcntl::fcntl(&leak, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
    let running = Helper::start_with(&mut command);
    let proc = format!("/proc/{}", running.pid());
    let devices = fs::read_to_string(format!("{proc}/net/dev")).unwrap();
    let devices: Vec<_> =
        devices.lines().skip(2).map(|l| l.split(':').next().unwrap().trim()).collect();
    assert!(devices.iter().all(|d| ["lo", "sit0", "tunl0", "ip6tnl0"].contains(d)), "{devices:?}");
    assert_ne!(
        fs::read_link(format!("{proc}/ns/net")).unwrap(),
        fs::read_link("/proc/self/ns/net").unwrap()
    );
    let limits = fs::read_to_string(format!("{proc}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"]);
    let status = fs::read_to_string(format!("{proc}/status")).unwrap();
    assert!(status.contains("NoNewPrivs:\t1") && status.contains("Umask:\t0077"), "{status}");
    let open = fs::read_dir(format!("{proc}/fd")).unwrap().flatten();
    let leaked = open.filter(|e| fs::read_link(e.path()).is_ok_and(|p| p.ends_with("etc/passwd")));
    assert_eq!(leaked.count(), 0);
    drop(leak);
}

#[test]
fn r26_a_hostile_environment_of_the_helper_reaches_no_program() {
    if !enter() {
        return;
    }
    fs::create_dir("/mnt/evil").unwrap();
    for name in ["useradd", "usermod", "groupadd", "sh", "nscd"] {
        let file = format!("/mnt/evil/{name}");
        fs::write(&file, "#!/bin/sh\ntouch /mnt/evil/ran\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = command();
    for (key, value) in [
        ("PATH", "/mnt/evil"),
        ("IFS", "/"),
        ("BASH_ENV", "/mnt/evil/sh"),
        ("ENV", "/mnt/evil/sh"),
        ("LD_LIBRARY_PATH", "/mnt/evil"),
        ("LC_ALL", "de_DE.UTF-8"),
        ("TZ", "/mnt/evil/zone"),
    ] {
        command.env(key, value);
    }
    let _running = Helper::start_with(&mut command);
    assert_eq!(account(ask(&Task::Create(plan("jdoe", 5001))).unwrap()).uid, 5001);
    assert!(!fs::exists("/mnt/evil/ran").unwrap());
}

#[test]
fn r36_a_handful_of_capabilities_is_enough_for_every_task() {
    if !enter() {
        return;
    }
    // What the unit grants, and setgid for the socket, which the service manager makes there.
    let granted = "-all,+chown,+dac_override,+fowner,+kill,+setgid";
    let mut command = Command::new("/usr/bin/setpriv");
    command.args(["--bounding-set", granted, "--inh-caps", "-all"]);
    command.args([env!("CARGO_BIN_EXE_motley-root"), "--socket", SOCKET, "--state", STATE]);
    let _running = Helper::start_with(&mut command);
    account(ask(&Task::Create(plan("jdoe", 58_732))).unwrap());
    let mut process = Command::new("/bin/sleep");
    process.arg("600").uid(58_732).gid(65_534);
    let mut process = process.spawn().unwrap();
    let (i, n) = (|| identity("jdoe"), || user("jdoe"));
    for task in [
        Task::SetGroups {
            identity: i(),
            name: n(),
            join: vec![group("cms")],
            leave: vec![group("atlas")],
        },
        Task::SetPrimaryGroup { identity: i(), name: n(), group: group("cms") },
        Task::SetShell { identity: i(), name: n(), shell: path("/bin/sh") },
        Task::Expire { identity: i(), name: n() },
        Task::Unexpire { identity: i(), name: n(), marks: ExpiryMarks::OfSuspensions },
    ] {
        let answer = ask(&task).unwrap();
        assert!(answer.is_ok(), "{task:?}: {answer:?}");
    }
    let ended = ask(&Task::EndSessions { identity: i(), name: n() }).unwrap();
    let Ok(TaskDone::Sessions(ended)) = ended else { panic!("{ended:?}") };
    assert_eq!((ended.processes, ended.remaining), (1, 0));
    assert!(!process.wait().unwrap().success());
}

#[test]
fn a_socket_of_the_service_manager_is_taken_over() {
    if !enter() {
        return;
    }
    fs::create_dir("/run/passed").unwrap();
    let listener = UnixListener::bind("/run/passed/task.sock").unwrap();
    fs::set_permissions("/run/passed/task.sock", fs::Permissions::from_mode(0o666)).unwrap();
    // LISTEN_PID must be the helper's own: the shell sets it and then becomes the helper.
    let fd = listener.as_raw_fd();
    let line =
        format!("exec 3<&{fd}; export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$0\" --state {STATE}");
    nix::fcntl::fcntl(&listener, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty()))
        .unwrap();
    let mut child = Command::new("/bin/sh")
        .args(["-c", &line, env!("CARGO_BIN_EXE_motley-root")])
        .spawn()
        .unwrap();
    drop(listener);
    let stream = thread::spawn(|| {
        support::ffi::become_user(DAEMON, DAEMON).unwrap();
        UnixStream::connect("/run/passed/task.sock").unwrap()
    });
    let mut stream = stream.join().unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream.write_all(&inspect_frame()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(String::from_utf8_lossy(&heard).contains("localadmin"));
}

#[test]
fn r33_it_refuses_to_start_with_a_reason_and_a_cure() {
    if !enter() {
        return;
    }
    fs::write("/mnt/open.conf", "uid_min = 2000\n").unwrap();
    fs::set_permissions("/mnt/open.conf", fs::Permissions::from_mode(0o666)).unwrap();
    fs::write("/mnt/wrong.conf", "# limits\nshell = /bin/sh\n").unwrap();
    fs::create_dir("/mnt/open").unwrap();
    fs::set_permissions("/mnt/open", fs::Permissions::from_mode(0o777)).unwrap();
    for (args, part) in [
        (&["--daemon-user", "stranger"][..], "no user stranger; create it"),
        (&["--daemon-user", "root"], "the daemon must run as a user of its own"),
        (&["--config", "/mnt/open.conf"], "run: chmod go-w /mnt/open.conf"),
        (&["--config", "/mnt/wrong.conf"], "/mnt/wrong.conf:2: unknown key `shell`"),
        (&["--config", "/mnt/absent.conf"], "/mnt/absent.conf: No such file"),
        (&["--socket", "/mnt/open/task.sock"], "run: chmod go-w /mnt/open"),
        (&["--state", "/mnt/open"], "must belong to root and be closed to everybody else"),
    ] {
        let said = refusal_to_start(args);
        assert!(said.contains(part), "{args:?}: {said}");
    }
    let _running = Helper::start();
    assert!(refusal_to_start(&[]).contains("is in use by another motley-root"));
}

/// The defaults are wider than what may stand in the file.
#[test]
fn r33_limits_behind_a_link_that_leads_nowhere_are_not_taken_for_none() {
    if !enter() {
        return;
    }
    std::os::unix::fs::symlink("/mnt/gone", "/etc/motley_cue").unwrap();
    let said = refusal_to_start(&[]);
    assert!(said.contains("/etc/motley_cue is a link that leads nowhere"), "{said}");
    fs::remove_file("/etc/motley_cue").unwrap();
    fs::create_dir("/etc/motley_cue").unwrap();
    let config = "/etc/motley_cue/motley-root.conf";
    std::os::unix::fs::symlink("/mnt/limits", config).unwrap();
    let said = refusal_to_start(&[]);
    assert!(said.contains(&format!("{config} is a link that leads nowhere")), "{said}");
    fs::write("/mnt/limits", "uid_min = 6000\n").unwrap();
    let running = Helper::start();
    let refused = ask(&Task::Create(plan("jdoe", 5001))).unwrap();
    assert!(matches!(refused, Err(TaskRefusal::Forbidden(_))), "{refused:?}");
    running.kill();
    fs::remove_file(config).unwrap();
    let _running = Helper::start();
    account(ask(&Task::Create(plan("jdoe", 5001))).unwrap());
}

#[test]
fn it_refuses_to_run_as_anybody_but_root() {
    if !enter() {
        return;
    }
    let said = Command::new("/usr/bin/setpriv")
        .args([
            "--reuid",
            "1500",
            "--regid",
            "1500",
            "--clear-groups",
            env!("CARGO_BIN_EXE_motley-root"),
        ])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&said.stderr);
    assert!(!said.status.success() && text.contains("must be started as root"), "{text}");
}
