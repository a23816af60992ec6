//! What dry runs print, held against the templates of the data.

use super::{
    Ran, at,
    double::service::{Manner, Service},
    legacy, run,
    score::Score,
    ssh,
};
use serde_json::Value;
use std::{
    io::{Read, Write},
    os::unix::net::UnixListener,
    path::Path,
};

#[test]
fn dry_runs_print_what_they_printed() {
    let service = Service::start(Manner::accepting("a-token"));
    let long = "t".repeat(1024);
    let strict = Service::start(Manner::accepting(&long));
    let legacy = legacy();
    let template = |name: &str| legacy["dry_run_stdout"][name].as_str().unwrap().to_owned();
    let command = "ssh -l alice -F none -o HostName=cue.example.org cue\n";
    let mut score = Score::default();
    let ran = at(&service, &ssh(&["--dry-run", "--token", "a-token"]), &[]);
    let expected = template("token").replace("{token}", "a-token").replace("{command}", command);
    score.same("token", ran.code == Some(0) && ran.out == expected);
    let ran = at(&strict, &ssh(&["--dry-run", "--token", &long]), &[]);
    let [before, after] = split(&template("otp"), "{sha512hex}");
    let digest = ran.out.strip_prefix(&before).and_then(|rest| rest.get(..128)).unwrap_or_default();
    let hex = digest.len() == 128 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    score.same("otp", hex && ran.out.ends_with(&after.replace("{command}", command)));
    for (name, expected, ran) in dry_runs_of_scp(&legacy["dry_run_stdout"]) {
        score.same(format!("{name}: {} {}", ran.out, ran.errors), ran.out == expected);
    }
    let folder = tempfile::tempdir().unwrap();
    let socket = agent_in(folder.path());
    let ran = at(&service, &ssh(&["--dry-run", "--oidc", "work"]), &[("OIDC_SOCK", &socket)]);
    let expected = template("agent")
        .replace("[ --scope \"{scope}\"]", " --scope \"openid\"")
        .replace("[ --aud {aud}]", "")
        .replace("{account_or_issuer}", "work")
        .replace("{command}", command);
    score.same(format!("agent: {}{}", ran.out, ran.errors), ran.out == expected);
    let names = legacy["dry_run_stdout"].as_object().unwrap();
    assert_eq!(names.len(), 6, "forms of dry runs");
    score.print("dry runs");
}

/// A double of oidc-agent that has one token for everybody; gives its socket.
fn agent_in(folder: &Path) -> String {
    let path = folder.join("agent");
    let listener = UnixListener::bind(&path).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0u8; 4096];
            let _ = stream.read(&mut request);
            let answer = r#"{"status":"success","access_token":"a-token","issuer":"https://op.example.org/","expires_at":4000000000}"#;
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    path.to_str().unwrap().to_owned()
}

/// What scp's forms print, with two hosts that no other test serves.
fn dry_runs_of_scp(templates: &Value) -> Vec<(&'static str, String, Ran)> {
    let _hosts = ["127.0.92.1", "127.0.92.2"]
        .map(|host| Service::start_at(&format!("{host}:8080"), Manner::accepting("A")));
    let cases = [
        (
            "several_prompts_one_host",
            "-r 127.0.92.1:x 127.0.92.1:y .",
            "scp -o User=alice -F none -r 127.0.92.1:x 127.0.92.1:y .",
            1,
        ),
        (
            "several_hosts",
            "-3 127.0.92.1:x 127.0.92.2:y",
            "scp -F none -3 alice@127.0.92.1:x alice@127.0.92.2:y",
            2,
        ),
        ("no_motley_cue", "me@other:x .", "scp -F none me@other:x .", 0),
    ];
    let line = |words: &'static str| {
        let own = ["--token", "A", "scp", "--dry-run", "-F", "none"].into_iter();
        run(&own.chain(words.split(' ')).collect::<Vec<_>>(), &[])
    };
    cases
        .map(|(name, words, command, tokens)| {
            (name, filled(&templates[name], command, tokens), line(words))
        })
        .into()
}

/// A template of one or several lines, with so many tokens.
fn filled(template: &Value, command: &str, tokens: usize) -> String {
    let lines: Vec<&str> = match template {
        Value::String(line) => vec![line.as_str()],
        lines => lines.as_array().unwrap().iter().filter_map(Value::as_str).collect(),
    };
    let mut text = String::new();
    for line in lines {
        let times = if line.starts_with("echo ") { tokens } else { 1 };
        let line = line.split(" (").next().unwrap();
        let line =
            line.replace("{n}", "2").replace("{token_expr}", "'A'").replace("{command}", command);
        text.push_str(&format!("{line}\n").repeat(times));
    }
    text
}

fn split(text: &str, at: &str) -> [String; 2] {
    let (before, after) = text.split_once(at).unwrap();
    [before.to_owned(), after.to_owned()]
}
