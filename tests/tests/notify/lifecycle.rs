//! The life of an account that nobody uses, from the warning to the way back, with aged notes of use.

use super::*;
use motley_tests::op::User;
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};

const STORE: &str = "/var/lib/motley_cue/motley.db";
const SOON: Duration = Duration::from_secs(20);

const LIFECYCLE: &str =
    "[lifecycle]\nlimit_after = 100\nsuspend_after = 200\nwarn_before = 10\nreactivate = yes";

fn world(sb: &Sandbox) -> Result<World> {
    let text = adapter("") + "[login_info]\nssh_host = ssh.example\n";
    let pam = PamStack::token_only().argument("fail_floor_ms=300");
    let world = World::with(sb, "authorise_all = yes", pam, |daemon| {
        daemon.adapter(&text).section(LIFECYCLE)
    })?;
    let alice = User::new("alice").claim("email", "alice@example.org");
    world.op.add_user(alice.claim("email_verified", true));
    Ok(world)
}

/// Makes every note of use older, as if the daemon had been away for so many days. It looks for idle
/// accounts as soon as it is back.
fn sleep(sb: &Sandbox, world: &mut World, days: i64) -> Result<()> {
    world.daemon.kill();
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let options = SqliteConnectOptions::new().filename(STORE);
        let mut connection = SqliteConnection::connect_with(&options).await?;
        let age = sqlx::query("UPDATE last_use SET used_at = used_at - $1").bind(days * 86_400);
        let aged = age.execute(&mut connection).await?.rows_affected();
        ensure!(aged == 1, "{aged} notes of use");
        connection.close().await.map_err(anyhow::Error::from)
    })?;
    let owner = nix::unistd::User::from_name("motley")?.context("no user of the daemon")?;
    for entry in fs::read_dir("/var/lib/motley_cue")? {
        chown(entry?.path(), Some(owner.uid.as_raw()), Some(owner.gid.as_raw()))?;
    }
    world.daemon.restart(sb)
}

/// A line of `motleyctl users show`.
fn fact(user: &str, name: &str) -> Option<String> {
    let (_, text) = ctl(&["users", "show", user]).ok()?;
    text.lines().find_map(|line| Some(line.strip_prefix(name)?.trim().to_owned()))
}

/// Waits until `motleyctl users show` has this in the line.
fn wait(user: &str, name: &str, part: &str) -> Result<String> {
    let found = until(&format!("{name} {part}"), SOON, || {
        fact(user, name).filter(|value| value.contains(part))
    });
    found.with_context(|| format!("{name}: {:?}", fact(user, name)))
}

mail_test! {
    fn an_account_that_nobody_uses_is_warned_by_mail_limited_suspended_and_back_by_a_login(sb, partner) {
        let post = Post::start(sb, partner, &[])?;
        let mut world = world(sb)?;
        let name = world.deploy(&world.op.token("alice").sign())?;
        let key = sb.authorise_key(&name)?;
        let by_key = || -> Result<bool> {
            Ok(Ssh::to(&name).key(&key).keys_only().command("id -un").with_askpass(sb, &[])?.is_success())
        };
        wait(&name, "last use", "by rest")?;

        // Warned, and a login by key is use: it voids the warning.
        sleep(sb, &mut world, 95)?;
        let mail = post.mail(0)?;
        assert_eq!(mail.about["to"], serde_json::json!(["alice@example.org"]));
        assert!(mail.raw.contains(&format!("Subject: Your account {name} on 'ssh.example' will be limited")), "{}", mail.raw);
        let text = read(&mail.raw);
        assert!(text.contains("In 5 days") && text.contains("one@example.org"), "{text}");
        wait(&name, "last use", "warned")?;
        assert_eq!(fact(&name, "state").as_deref(), Some("deployed"));
        assert!(by_key()?);
        let used = wait(&name, "last use", "by key")?;
        assert!(!used.contains("warned"), "{used}");

        // Limited: the account is there, and its shell lets nobody in.
        sleep(sb, &mut world, 101)?;
        wait(&name, "state", "limited")?;
        assert!(!by_key()?, "nologin");
        // The try by key was one more use; without another one the suspension follows.
        sleep(sb, &mut world, 201)?;
        wait(&name, "state", "suspended")?;
        assert!(!by_key()?);
        assert!(wait(&name, "last use", "since then")?.contains("suspended"));
        let (_, trail) = ctl(&["audit", "tail", "--event", "suspended"])?;
        assert!(trail.contains("idleness"), "{trail}");

        // The person comes back by a token, and everything is as before. sshd had read the shell that he
        // had when he connected, so this login still ends in nologin, and the next one does not.
        let back = world.paste(sb, &name, &world.op.token("alice").sign())?;
        assert!(back.stdout.contains("This account is currently not available"), "{}", back.stdout);
        assert_eq!(fact(&name, "state").as_deref(), Some("deployed"));
        assert!(by_key()?, "the shell and the lock are taken back");
        let again = world.paste(sb, &name, &world.op.token("alice").sign())?;
        assert!(again.is_success(), "{}", again.stdout);
        let used = wait(&name, "last use", "by ")?;
        assert!(!used.contains("since then") && !used.contains("warned"), "{used}");
        Ok(())
    }
}
