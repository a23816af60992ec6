//! Logins to accounts that a directory keeps: slapd, the name service, sshd, and the daemon in between.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use motley_tests::sandbox::{
    LOGIN_SOCKET, PamStack, Sandbox, Service, Ssh, World, built, check_run, until,
};
use motley_tests::sandbox_test;
use motley_tests::slapd::{GROUPS, PASSWORD, SERVICE, Slapd, USERS};

const SOON: Duration = Duration::from_secs(20);

/// Token or key, our account phase, the distribution's, and a home at the first login.
fn pam() -> PamStack {
    let module = format!("pam_oidc_token.so socket={LOGIN_SOCKET} fail_floor_ms=300");
    PamStack::text(&format!(
        "auth [success=done new_authtok_reqd=done maxtries=die default=ignore] {module}\n\
         auth required pam_deny.so\n\
         account required {module}\n\
         @include common-account\n\
         session required pam_mkhomedir.so umask=0077\n\
         session optional {module}\n\
         @include common-session\n"
    ))
}

fn adapter(slapd: &Slapd, more: &str) -> String {
    format!(
        "[ldf_adapter]\nbackend = ldap\nfallback_group = people\n\
         [username_generator]\nmode = friendly\n[login_info]\nssh_host = localhost\n\
         [backend.ldap]\nhost = 127.0.0.1\nport = {}\nadmin_user = {SERVICE}\n\
         admin_password = {PASSWORD}\nuser_base = {USERS}\ngroup_base = {GROUPS}\n\
         uid_min = 20000\nuid_max = 29999\ngid_min = 20000\ngid_max = 29999\n\
         shell = /bin/bash\n{more}",
        slapd.port()
    )
}

/// The host resolves names from the directory, by nslcd.
fn resolve_from(sb: &Sandbox, slapd: &Slapd) -> Result<Service> {
    let config = format!(
        "uid nslcd\ngid nslcd\nuri ldap://127.0.0.1:{}/\nbase dc=example\nbinddn {SERVICE}\n\
         bindpw {PASSWORD}\n",
        slapd.port()
    );
    fs::write("/etc/nslcd.conf", config)?;
    check_run("chown", &["root:nslcd", "/etc/nslcd.conf"])?;
    check_run("chmod", &["640", "/etc/nslcd.conf"])?;
    fs::create_dir_all("/run/nslcd")?;
    check_run("chown", &["nslcd:nslcd", "/run/nslcd"])?;
    let switch = "passwd: files ldap\ngroup: files ldap\nshadow: files ldap\nhosts: files\n";
    fs::write("/etc/nsswitch.conf", switch)?;
    let mut command = Command::new("/usr/sbin/nslcd");
    command.arg("-n");
    let mut nslcd = Service::start(sb, "nslcd", command).context("install nslcd")?;
    nslcd.wait_ready(SOON, || Path::new("/run/nslcd/socket").exists())?;
    Ok(nslcd)
}

/// What `motleyctl` says; its exit code tells that something is still to be done.
fn ctl(words: &[&str]) -> Result<String> {
    let output = Command::new(built("motleyctl")?).args(words).stdin(Stdio::null()).output()?;
    let text = [output.stdout, output.stderr].concat();
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn key_login(sb: &Sandbox, name: &str) -> Result<bool> {
    let key = sb.authorise_key(name)?;
    Ok(Ssh::to(name).key(&key).keys_only().command("id -un").with_askpass(sb, &[])?.is_success())
}

sandbox_test! {
    fn an_account_in_the_directory_is_logged_in_to_suspended_and_resumed(sb) {
        let slapd = Slapd::builder().start()?;
        let _nslcd = resolve_from(sb, &slapd)?;
        let text = adapter(&slapd, "mode = full_access\n");
        let world = World::with(sb, "authorise_all = yes", pam(), |daemon| daemon.adapter(&text))?;
        let token = world.op.token("alice").sign();
        let alice = world.deploy(&token)?;
        let user = sb.user(&alice)?.context("the host does not know the account")?;
        ensure!((20_000..=29_999).contains(&user.uid), "{user:?}");
        ensure!(!fs::read_to_string("/etc/passwd")?.contains(&alice), "no local account is made");
        let outcome = world.paste(sb, &alice, &token)?;
        ensure!(outcome.is_success(), "{}{}", outcome.stdout, outcome.stderr);
        ensure!(user.home.exists(), "the home is made at the first login");
        ensure!(key_login(sb, &alice)?, "a key logs in");
        let receipt = ctl(&["users", "suspend", &alice, "--reason", "test"])?;
        ensure!(receipt.contains("suspended"), "{receipt}");
        let dn = format!("uid={alice},{USERS}");
        let expire = || -> Result<Option<Vec<String>>> {
            Ok(slapd.entry(&dn)?.context("no entry")?.get("shadowExpire").cloned())
        };
        ensure!(expire()? == Some(vec!["1".to_owned()]), "{:?}", expire()?);
        ensure!(!world.paste(sb, &alice, &token)?.is_success(), "a token after the suspension");
        ensure!(!key_login(sb, &alice)?, "a key after the suspension");
        let receipt = ctl(&["users", "resume", &alice])?;
        ensure!(receipt.contains("deployed"), "{receipt}");
        ensure!(expire()?.is_none(), "{:?}", expire()?);
        ensure!(world.paste(sb, &alice, &token)?.is_success(), "a token after the resumption");
        ensure!(key_login(sb, &alice)?, "a key after the resumption");
        Ok(())
    }
}

sandbox_test! {
    fn r28_where_nothing_may_be_written_the_mark_of_the_service_keeps_people_out(sb) {
        let mut slapd = Slapd::builder().start()?;
        let _nslcd = resolve_from(sb, &slapd)?;
        let text = adapter(&slapd, "mode = read_only\n");
        let world = World::with(sb, "authorise_all = yes", pam(), |daemon| daemon.adapter(&text))?;
        let token = world.op.token("alice").sign();
        let unknown = world.daemon.rest()?.get("/user/deploy", Some(&token))?;
        ensure!(unknown.json()["state"] != "deployed", "nobody is prepared: {}", unknown.text);
        // The site names her.
        let id = motley_proto::Identity::new(
            motley_proto::Issuer::new(world.op.issuer())?,
            motley_proto::Subject::new("sub-alice")?,
        );
        slapd.change(&format!(
            "dn: uid=ally,{USERS}\nobjectClass: inetOrgPerson\nobjectClass: posixAccount\nuid: ally\n\
             cn: A\nsn: A\nuidNumber: 20500\ngidNumber: 20500\nhomeDirectory: /home/ally\n\
             loginShell: /bin/bash\ngecos: {}\n",
            id.unique_id().as_str()
        ))?;
        ensure!(world.deploy(&token)? == "ally");
        ensure!(world.paste(sb, "ally", &token)?.is_success());
        let receipt = ctl(&["users", "suspend", "ally"])?;
        ensure!(receipt.contains("NOT DONE") && receipt.contains("mode"), "{receipt}");
        ensure!(!world.paste(sb, "ally", &token)?.is_success());
        ensure!(!key_login(sb, "ally")?, "the account phase keeps keys out too");
        let refused = ctl(&["users", "undeploy", "ally", "--yes"])?;
        ensure!(refused.contains("not possible"), "{refused}");
        ctl(&["users", "resume", "ally"])?;
        until("the login after the resumption", SOON, || {
            world.paste(sb, "ally", &token).ok().filter(|outcome| outcome.is_success())
        })?;
        // Without the directory nobody is let in by a guess, and local people get in all the same.
        sb.add_user("localadmin")?;
        slapd.stop()?;
        ensure!(key_login(sb, "localadmin")?, "a local account without the directory");
        ensure!(!world.paste(sb, "ally", &token)?.is_success());
        Ok(())
    }
}

sandbox_test! {
    fn r40_an_account_in_the_directory_waits_for_an_admin_and_is_made_and_greeted_when_accepted(sb) {
        let slapd = Slapd::builder().start()?;
        let _nslcd = resolve_from(sb, &slapd)?;
        let script = "/etc/motley_cue/new-account.sh";
        let text = adapter(
            &slapd,
            &format!(
                "mode = full_access\npost_create_script = {script}\n\
                 [approval]\nenabled = yes\nnotifier = off\n"
            ),
        );
        fs::create_dir_all("/etc/motley_cue")?;
        fs::write(script, "echo \"$1\" >> /etc/motley_cue/greeted\n")?;
        fs::write("/etc/motley_cue/motley-root.conf", "directory_hooks = yes\n")?;
        // root's helper reads it at its start, before the daemon's files are there.
        fs::write("/etc/motley_cue/feudal_adapter.conf", &text)?;
        let world = World::with(sb, "authorise_all = yes", pam(), |daemon| daemon.adapter(&text))?;
        let groups = serde_json::json!(["lab", "chemistry"]);
        let token = world.op.token("alice").userinfo_claim("groups", groups).sign();
        let rest = world.daemon.rest()?;
        for message in ["was submitted for approval", "already submitted"] {
            let answer = rest.get("/user/deploy", Some(&token))?.json();
            ensure!(answer["state"] == "pending", "{answer}");
            ensure!(answer["message"].as_str().unwrap_or_default().contains(message), "{answer}");
        }
        let dn = format!("uid=alice,{USERS}");
        ensure!(slapd.entry(&dn)?.is_none(), "an entry before anybody accepted it");
        ensure!(!world.paste(sb, "alice", &token)?.is_success(), "a login of somebody who waits");
        let rows: serde_json::Value = serde_json::from_str(&ctl(&["--json", "approvals"])?)?;
        let reference = rows[0]["reference"].as_str().context("nothing waits")?;
        ensure!(!Path::new("/etc/motley_cue/greeted").exists());

        let accepted = ctl(&["approvals", "accept", reference])?;
        ensure!(accepted.contains("User was created"), "{accepted}");
        let entry = slapd.entry(&dn)?.context("no entry after the acceptance")?;
        ensure!(entry["objectClass"].contains(&"posixAccount".to_owned()), "{entry:?}");
        let lab = slapd.entry(&format!("cn=lab,{GROUPS}"))?.context("no group")?;
        ensure!(lab["memberUid"] == ["alice"], "{lab:?}");
        ensure!(fs::read_to_string("/etc/motley_cue/greeted")? == "alice\n", "the script ran once");
        ensure!(ctl(&["approvals"])?.contains("nothing waits"));
        ensure!(world.deploy(&token)? == "alice");
        let outcome = world.paste(sb, "alice", &token)?;
        ensure!(outcome.is_success(), "{}{}", outcome.stdout, outcome.stderr);
        ensure!(fs::read_to_string("/etc/motley_cue/greeted")? == "alice\n", "and not again");
        Ok(())
    }
}
