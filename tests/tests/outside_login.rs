//! Accounts that others keep, through the whole road: a map of the host's accounts, and a program of the site.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Result;
use motley_tests::sandbox::{PamStack, Sandbox, Ssh, World, built};
use motley_tests::sandbox_test;

const MAP: &str = "/etc/motley_cue/accounts.map";
const PROGRAM: &str = "/etc/motley_cue/external_backend.py";

fn ctl(words: &[&str]) -> Result<String> {
    let output = Command::new(built("motleyctl")?).args(words).stdin(Stdio::null()).output()?;
    let text = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn key_login(sb: &Sandbox, name: &str) -> Result<bool> {
    let key = sb.authorise_key(name)?;
    Ok(Ssh::to(name).key(&key).keys_only().command("id -un").with_askpass(sb, &[])?.is_success())
}

/// Every login method asks the daemon about the account.
fn world(sb: &Sandbox, adapter: &str) -> Result<World> {
    World::with(sb, "authorise_all = yes", PamStack::shipped(), |daemon| daemon.adapter(adapter))
}

sandbox_test! {
    fn an_account_of_the_host_is_logged_in_to_by_whom_the_map_names_and_by_nobody_suspended(sb) {
        fs::create_dir_all("/etc/motley_cue")?;
        fs::write(MAP, "# nobody yet\n")?;
        let world = world(sb, &format!(
            "[ldf_adapter]\nbackend = map\n[backend.map]\nfile = {MAP}\n"
        ))?;
        sb.add_user("veteran")?;
        let (alice, bob) = (world.op.token("alice").sign(), world.op.token("bob").sign());
        assert!(world.deploy(&alice).is_err(), "she is not in the map yet");
        // Read without a restart or a reload.
        let subject = world.op.claims_of("alice")["sub"].as_str().unwrap_or_default().to_owned();
        let mut map = OpenOptions::new().append(true).open(MAP)?;
        writeln!(map, "{} {subject} veteran", world.op.issuer())?;
        drop(map);
        assert_eq!(world.deploy(&alice)?, "veteran");
        assert!(world.deploy(&bob).is_err());
        let outcome = world.paste(sb, "veteran", &alice)?;
        assert!(outcome.is_success(), "{}", outcome.stdout);
        assert!(key_login(sb, "veteran")?);

        let told = ctl(&["users", "suspend", "veteran", "--reason", "test"])?;
        assert!(told.contains("suspended") && told.contains("map file"), "{told}");
        assert!(world.deploy(&alice).is_err());
        assert!(!key_login(sb, "veteran")?, "the account itself is not locked, the login is");
        ctl(&["users", "resume", "veteran", "--reason", "test"])?;
        assert!(world.paste(sb, "veteran", &alice)?.is_success());
        Ok(())
    }
}

sandbox_test! {
    fn a_program_of_the_site_keeps_accounts_for_the_daemon(sb) {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/how-to/external_backend.py");
        fs::create_dir_all("/etc/motley_cue")?;
        fs::write(PROGRAM, fs::read(example)?)?;
        fs::set_permissions(PROGRAM, Permissions::from_mode(0o755))?;
        let file = "/var/lib/motley_cue/accounts.json";
        let world = world(sb, &format!(
            "[ldf_adapter]\nbackend = external\n[backend.external]\ncommand = {PROGRAM} {file}\n"
        ))?;
        let alice = world.op.token("alice").sign();
        let name = world.deploy(&alice)?;
        let kept: serde_json::Value = serde_json::from_str(&fs::read_to_string(file)?)?;
        assert_eq!(kept["accounts"][&name]["locked"], false);
        ctl(&["users", "suspend", &name, "--reason", "test"])?;
        let kept: serde_json::Value = serde_json::from_str(&fs::read_to_string(file)?)?;
        assert_eq!(kept["accounts"][&name]["locked"], true);
        assert!(world.deploy(&alice).is_err());
        Ok(())
    }
}
