//! The stores: file, kernel key ring, and a real Secret Service.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use crate::desk::{Desk, ran};

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn files_are_the_users_alone_and_key_and_data_lie_apart() {
    let desk = Desk::logged_in();
    let key = desk.home().join(".config/mccli/logins.key");
    assert_eq!(fs::metadata(&key).unwrap().len(), 32);
    for file in [&key, &desk.file("sealed"), &desk.file("json")] {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
    assert_eq!(mode(&desk.logins()), 0o700);
}

#[test]
fn r38_a_file_that_others_can_read_is_refused_and_so_is_a_link() {
    let desk = Desk::logged_in();
    let issuer = desk.op.issuer().to_owned();
    let key = desk.home().join(".config/mccli/logins.key");
    for file in [desk.file("sealed"), key] {
        for bad in [0o640, 0o604, 0o620] {
            chmod(&file, bad);
            let ran = desk.run(&["token", &issuer]);
            assert_eq!(ran.code, Some(1), "{bad:o} {ran:?}");
            assert!(ran.err.contains("is not used: it can be read by others"), "{ran:?}");
            assert!(ran.err.contains("chmod go-rwx"), "{ran:?}");
        }
        chmod(&file, 0o600);
        assert_eq!(desk.run(&["token", &issuer]).code, Some(0));
        let aside = file.with_extension("aside");
        fs::rename(&file, &aside).unwrap();
        symlink(&aside, &file).unwrap();
        assert_eq!(desk.run(&["token", &issuer]).code, Some(1), "a link");
        fs::rename(&aside, &file).unwrap();
    }
    nix::unistd::chown(&desk.file("sealed"), Some(65534.into()), None).unwrap();
    let ran = desk.run(&["token", &issuer]);
    assert!(ran.err.contains("it belongs to uid 65534"), "{ran:?}");
}

#[test]
fn a_folder_that_others_can_write_to_takes_no_login() {
    let desk = Desk::new();
    desk.op.sign_in(Some("alice"));
    fs::create_dir_all(desk.logins()).unwrap();
    chmod(&desk.logins(), 0o777);
    let ran = desk.run(&["login", desk.op.issuer(), "--device", "--store", "file"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("can be changed by others"), "{ran:?}");
}

#[test]
fn a_sealed_login_opens_with_its_key_and_under_its_name_only() {
    let desk = Desk::logged_in();
    let issuer = desk.op.issuer().to_owned();
    let sealed = desk.file("sealed");
    let whole = fs::read(&sealed).unwrap();
    for damage in [0, 14, 20, whole.len() / 2, whole.len() - 1] {
        let mut bytes = whole.clone();
        bytes[damage] ^= 1;
        fs::write(&sealed, bytes).unwrap();
        let ran = desk.run(&["token", &issuer]);
        assert_eq!(ran.code, Some(1), "byte {damage}: {ran:?}");
        assert!(ran.err.contains("can't be opened with the key"), "{ran:?}");
    }
    for length in [0, 10, 14, 25, 26, 40] {
        fs::write(&sealed, &whole[..length]).unwrap();
        assert_eq!(desk.run(&["token", &issuer]).code, Some(1), "{length} bytes");
    }
    fs::write(&sealed, &whole).unwrap();
    assert_eq!(desk.run(&["token", &issuer]).code, Some(0));
    fs::write(desk.home().join(".config/mccli/logins.key"), [7; 32]).unwrap();
    assert_eq!(desk.run(&["token", &issuer]).code, Some(1), "another key");
    let out = desk.run(&["logout", &issuer]);
    assert_eq!(out.code, Some(0), "what can't be opened can be forgotten: {out:?}");
}

#[test]
fn the_kernel_keeps_a_login_on_no_disk() {
    let desk = Desk::new();
    desk.op.sign_in(Some("alice"));
    let words = ["login", desk.op.issuer(), "--device", "--store", "memory"];
    let login = desk.run(&words);
    if login.err.contains("the kernel's key ring") {
        let required = std::env::var_os("REQUIRE_E2E").is_some_and(|value| value == "1");
        assert!(!required, "REQUIRE_E2E=1, but there is no key ring here: {login:?}");
        eprintln!("SKIPPED: there is no key ring here: {}", login.err);
        return;
    }
    assert_eq!(login.code, Some(0), "{login:?}");
    desk.op.rotate_refresh_tokens();
    for _ in 0..2 {
        let ran = desk.run(&["token", desk.op.issuer(), "--min-valid", "100000", "--check"]);
        assert_eq!(ran.code, Some(3));
        assert_eq!(desk.op.refresh_tokens(), 1);
    }
    let token = desk.run(&["token", desk.op.issuer()]);
    assert_eq!(token.code, Some(0), "{token:?}");
    assert!(!desk.home().join(".config/mccli/logins.key").exists());
    let files: Vec<_> = fs::read_dir(desk.logins()).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(files.iter().all(|path| path.extension().is_some_and(|e| e != "sealed")), "{files:?}");
    assert_eq!(desk.run(&["logout"]).code, Some(0));
    assert_eq!(desk.run(&["token", "--check"]).code, Some(3));
}

/// Runs a script on a session bus of its own, with an open gnome-keyring.
fn with_keyring(desk: &Desk, script: &str) -> crate::desk::Ran {
    let run = desk.home().join("run");
    fs::create_dir_all(&run).unwrap();
    chmod(&run, 0o700);
    let mccli = motley_tests::sandbox::built("mccli").unwrap();
    let mut command = std::process::Command::new("dbus-run-session");
    command.args(["--", "sh", "-euc"]).arg(format!(
        "printf pw | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1\n{script}"
    ));
    desk.furnish(&mut command);
    command.env("XDG_RUNTIME_DIR", &run).env("MCCLI", mccli).env("ISSUER", desk.op.issuer());
    ran(command.output().unwrap())
}

#[test]
fn a_secret_service_keeps_the_login_where_one_is_open() {
    let desk = Desk::new();
    desk.op.sign_in(Some("alice"));
    desk.op.rotate_refresh_tokens();
    let ran = with_keyring(
        &desk,
        "$MCCLI login $ISSUER --device --json\n\
         $MCCLI token $ISSUER --min-valid 100000 --check || echo rc $?\n\
         $MCCLI token $ISSUER\n\
         $MCCLI whoami --json | grep '\"store\"'\n\
         $MCCLI logout\n\
         $MCCLI token --check || echo rc $?",
    );
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.out.contains("\"store\": \"keyring\""), "{ran:?}");
    assert_eq!(ran.out.matches("rc 3").count(), 2, "{ran:?}");
    assert!(!desk.home().join(".config/mccli/logins.key").exists(), "no file of ours");
    assert_eq!(desk.op.refresh_tokens(), 0, "revoked");
    let token = ran.out.lines().find(|line| line.len() > 200).unwrap();
    assert!(desk.files_with(token).is_empty(), "the keyring seals what it keeps");
}

#[test]
fn without_a_session_bus_the_keyring_says_what_is_missing() {
    let desk = Desk::new();
    desk.op.sign_in(Some("alice"));
    let ran = desk.run(&["login", desk.op.issuer(), "--device", "--store", "keyring"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.err.contains("--store file"), "{ran:?}");
    let usual = desk.run(&["login", desk.op.issuer(), "--device", "--json"]);
    assert_eq!(usual.json()["store"], "file");
}
