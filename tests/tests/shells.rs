//! The two shells of ours as an ssh login meets them, and the site's script for new accounts.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};

use anyhow::{Context, Result, ensure};
use motley_tests::op::User;
use motley_tests::sandbox::{
    Answer, Outcome, PamStack, Sandbox, Ssh, SshKey, World, built, check_run,
};
use motley_tests::sandbox_test;

const COMMANDS: &str = "# commands of tier limited\n\
    whoami = /usr/bin/whoami\n\
    env = /usr/bin/env\n\
    list = /bin/ls -1 ...\n\
    /usr/lib/openssh/sftp-server = /usr/lib/openssh/sftp-server\n";

/// A world in which everybody earns tier limited, and in which `/usr/bin` has our shells.
fn world(sb: &Sandbox, shell: &str) -> Result<(World, String, SshKey)> {
    fs::create_dir_all("/etc/motley_cue")?;
    for name in ["motley-limited-shell", "motley-message-shell"] {
        // The sandbox's `/usr` is the host's: the shells lie where nothing of the host is changed.
        let place = format!("/etc/motley_cue/{name}");
        fs::copy(built(name)?, &place)?;
        fs::set_permissions(&place, fs::Permissions::from_mode(0o755))?;
    }
    fs::write("/etc/motley_cue/limited_commands", COMMANDS)?;
    let adapter = format!(
        "[ldf_adapter]\nbackend = local_unix\n[username_generator]\nmode = friendly\n\
         [login_info]\nssh_host = localhost\n[backend.local_unix]\nhome_base = /home\n\
         shell = /bin/bash\nshell_limited = /etc/motley_cue/{shell}\n\
         post_create_script = /etc/motley_cue/new-account.sh\ndeploy_user_ssh_keys = yes\n"
    );
    // root's helper reads it at its start, before the daemon's files are there.
    fs::write("/etc/motley_cue/feudal_adapter.conf", &adapter)?;
    fs::write(
        "/etc/motley_cue/new-account.sh",
        "echo \"hello $1\"; mkdir /home/$1/scratch && chown $1 /home/$1/scratch\n",
    )?;
    let pam = PamStack::token_only().argument("fail_floor_ms=300");
    let world = World::with(sb, "authorise_all = yes", pam, |daemon| daemon.adapter(&adapter))?;
    let key = sb.make_key("alice")?;
    world.op.add_user(
        User::new("ada")
            .claim("preferred_username", "ada")
            .claim("ssh_key", key.public()?.as_str()),
    );
    let ada = world.deploy(&world.op.token("ada").sign())?;
    check_run(&built("motleyctl")?.to_string_lossy(), &["users", "limit", &ada])?;
    Ok((world, ada, key))
}

fn run(sb: &Sandbox, user: &str, key: &SshKey, line: &str) -> Result<Outcome> {
    Ssh::to(user).key(key).keys_only().command(line).with_askpass(sb, &[])
}

sandbox_test! {
    fn in_the_limited_shell_listed_commands_run_and_no_way_leads_out(sb) {
        let (world, ada, key) = world(sb, "motley-limited-shell")?;
        let token = world.op.token("ada").sign();
        // By token, as at every login; the rest by the key that the provider told.
        let by_token = Ssh::to(&ada).prompts(1).command("whoami")
            .option("-oPreferredAuthentications=keyboard-interactive")
            .on_terminal(sb, &[Answer::line("Access Token:", &token)])?;
        ensure!(by_token.is_success() && by_token.stdout.contains(&ada), "{}", by_token.stdout);
        let whoami = run(sb, &ada, &key, "whoami")?;
        assert_eq!((whoami.code, whoami.stdout.as_str()), (Some(0), format!("{ada}\n").as_str()), "{}", whoami.stderr);
        for line in [
            "bash", "/bin/sh", "sh -c id", "whoami; id", "whoami && id", "whoami | sh", "$(id)", "`id`",
            "env sh", "PATH=/tmp whoami", "exec sh", "whoami --help", "list `id`", "list\nid", "/usr/bin/whoami",
            "scp -t /tmp", "rsync --server . /tmp", "/usr/lib/openssh/sftp-server -d /",
        ] {
            let refused = run(sb, &ada, &key, line)?;
            ensure!(refused.code == Some(126) && !refused.stdout.contains("uid="), "{line}: {refused:?}");
        }
        // Files that other shells would read, and an environment that programs would obey.
        let home = sb.user(&ada)?.context("no user")?.home;
        for file in [".profile", ".bashrc", ".ssh/rc", ".ssh/environment", ".pam_environment"] {
            let path = home.join(file);
            fs::write(&path, "LD_PRELOAD=/tmp/x.so\necho ESCAPED\n")?;
            let user = sb.user(&ada)?.context("no user")?;
            chown(&path, Some(user.uid), Some(user.gid))?;
        }
        let env = run(sb, &ada, &key, "env")?;
        assert!(env.is_success() && !env.stdout.contains("ESCAPED"), "{env:?}");
        assert!(env.stdout.contains("PATH=/usr/bin:/bin\n") && !env.stdout.contains("LD_PRELOAD"), "{}", env.stdout);

        let mut terminal = Ssh::to(&ada).key(&key).keys_only().option("-tt").open_terminal(sb)?;
        let soon = std::time::Duration::from_secs(20);
        terminal.expect("motley> ", soon)?;
        terminal.type_line("list /etc/motley_cue")?;
        terminal.expect("limited_commands", soon)?;
        terminal.type_line("\u{3}")?;
        terminal.type_line("bash")?;
        terminal.expect("not among the commands", soon)?;
        terminal.type_line("help")?;
        terminal.expect("list ...", soon)?;
        terminal.type_line("exit")?;
        assert_eq!(terminal.wait(soon)?.code, Some(126), "the status of the last command");
        let copied = sb.dir().join("copied");
        let mut sftp = std::process::Command::new("scp");
        sftp.args(sb.host_key_options()).arg("-q").arg("-i").arg(&key.path);
        sftp.arg("/etc/hostname").arg(format!("{ada}@127.0.0.1:copied"));
        let done = sftp.output()?;
        // The sandbox's sshd serves sftp itself and asks no shell for it.
        ensure!(done.status.success() && home.join("copied").exists(), "{}", String::from_utf8_lossy(&done.stderr));
        assert!(!copied.exists());

        // A list that others may change is no list.
        fs::set_permissions("/etc/motley_cue/limited_commands", fs::Permissions::from_mode(0o666))?;
        let refused = run(sb, &ada, &key, "whoami")?;
        assert!(refused.code == Some(126) && refused.stderr.contains("root alone"), "{refused:?}");
        Ok(())
    }
}

sandbox_test! {
    fn the_message_shell_says_why_and_starts_nothing(sb) {
        let (_world, ada, key) = world(sb, "motley-message-shell")?;
        let plain = Ssh::to(&ada).key(&key).keys_only().with_askpass(sb, &[])?;
        assert!(plain.code == Some(1) && plain.stdout.contains("may not log in to a shell"), "{plain:?}");
        fs::write("/etc/motley_cue/message.txt", "Call 4711.\n")?;
        let command = run(sb, &ada, &key, "id")?;
        assert_eq!((command.code, command.stdout.as_str()), (Some(1), ""), "{command:?}");
        assert!(command.stderr.contains("Call 4711."), "{command:?}");
        Ok(())
    }
}

sandbox_test! {
    fn r25_the_script_for_new_accounts_runs_once_and_keys_of_the_provider_follow_it(sb) {
        let (world, ada, key) = world(sb, "motley-message-shell")?;
        let user = sb.user(&ada)?.context("no user")?;
        let owner = check_run("stat", &["-c", "%U", &user.home.join("scratch").to_string_lossy()])?;
        assert_eq!(owner.trim(), ada);
        assert!(world.root.log(sb).contains(&format!("hello {ada}")), "{}", world.root.log(sb));
        let trail = fs::read_to_string("/var/lib/motley_cue/audit.jsonl")?;
        assert_eq!(trail.matches("\"script_ran\"").count(), 1);
        let file = user.home.join(".ssh/authorized_keys");
        assert!(fs::read_to_string(&file)?.contains(&key.public()?));
        // The owner's own line stays when the provider knows of no key any more.
        fs::write(&file, format!("# mine\n{}", fs::read_to_string(&file)?))?;
        world.op.add_user(User::new("ada").claim("preferred_username", "ada"));
        check_run(&built("motleyctl")?.to_string_lossy(), &["users", "unlimit", &ada])?;
        world.deploy(&world.op.token("ada").sign())?;
        assert_eq!(fs::read_to_string(&file)?, "# mine\n");
        let trail = fs::read_to_string("/var/lib/motley_cue/audit.jsonl")?;
        assert_eq!(trail.matches("\"script_ran\"").count(), 1, "once for each creation");
        Ok(())
    }
}

sandbox_test! {
    fn r40_the_script_greets_an_account_that_an_admin_has_accepted_and_not_before(sb) {
        let adapter = "[ldf_adapter]\nbackend = local_unix\nfallback_group = motleyusers\n\
             [login_info]\nssh_host = localhost\n[approval]\nenabled = yes\nnotifier = off\n\
             [backend.local_unix]\nhome_base = /home\nshell = /bin/bash\n\
             post_create_script = /etc/motley_cue/new-account.sh\n";
        fs::create_dir_all("/etc/motley_cue")?;
        fs::write("/etc/motley_cue/feudal_adapter.conf", adapter)?;
        fs::write("/etc/motley_cue/new-account.sh", "echo \"hello $1\"\n")?;
        let pam = PamStack::token_only().argument("fail_floor_ms=300");
        let world = World::with(sb, "authorise_all = yes", pam, |daemon| daemon.adapter(adapter))?;
        let token = world.op.token("alice").sign();
        let greeted = || -> Result<usize> {
            let trail = fs::read_to_string("/var/lib/motley_cue/audit.jsonl")?;
            assert_eq!(trail.matches("\"script_ran\"").count(), world.root.log(sb).matches("hello alice").count());
            Ok(trail.matches("\"script_ran\"").count())
        };
        for _ in 0..2 {
            let answer = world.daemon.rest()?.get("/user/deploy", Some(&token))?;
            ensure!(answer.status == 200 && answer.json()["state"] == "pending", "{}", answer.text);
        }
        assert_eq!(greeted()?, 0);
        let ctl = built("motleyctl")?.to_string_lossy().into_owned();
        let rows: serde_json::Value = serde_json::from_str(&check_run(&ctl, &["--json", "approvals"])?)?;
        let reference = rows[0]["reference"].as_str().context("nothing waits")?;
        let said = check_run(&ctl, &["approvals", "accept", reference])?;
        ensure!(said.contains("User was created"), "{said}");
        assert_eq!(greeted()?, 1);
        assert_eq!(world.deploy(&token)?, "alice");
        ensure!(world.paste(sb, "alice", &token)?.is_success());
        assert_eq!(greeted()?, 1, "once for each creation");
        Ok(())
    }
}
