//! A host that ran the Python stack: its accounts are taken over as they are.

use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use motley_proto::identity::quote_plus;
use motley_tests::op::{Alg, User};
use motley_tests::sandbox::{PamStack, World, built, check_run};
use motley_tests::sandbox_test;
use motley_tests::slapd::{GROUPS, PASSWORD, SERVICE, Slapd, USERS};
use sqlx::{Connection, Executor, SqliteConnection, sqlite::SqliteConnectOptions};

fn ctl(words: &[&str]) -> Result<Output> {
    Ok(Command::new(built("motleyctl")?).args(words).output()?)
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// An account as the Python stack makes it: the identity in the gecos field.
fn leave_behind(world: &World, name: &str, uid: &str) -> Result<String> {
    world.op.add_user(User::new(name).subject(&format!("sub-{name}")));
    let gecos = format!("sub-{name}@{}", quote_plus(world.op.issuer()));
    check_run("useradd", &["-m", "-s", "/bin/bash", "-u", uid, "-c", &gecos, name])?;
    Ok(world.op.token(name).alg(Alg::Es256).sign())
}

sandbox_test! {
    fn accounts_of_the_python_stack_are_told_then_taken_over_and_keep_their_locks(sb) {
        let world = World::start(sb)?;
        let token = leave_behind(&world, "jdoe", "5001")?;
        leave_behind(&world, "kim", "5002")?;
        // As its suspension leaves an account.
        check_run("chage", &["-E", "2020-01-01", "kim"])?;

        let told = ctl(&["import"])?;
        ensure!(told.status.success(), "{told:?}");
        let shown = text(&told);
        ensure!(shown.contains("2 to be taken over, 0 are known, 0 can't be"), "{shown}");
        ensure!(shown.contains("motleyctl import --apply"), "{shown}");
        ensure!(!text(&ctl(&["users"])?).contains("jdoe"), "nothing is noted yet");

        let done = ctl(&["import", "--apply"])?;
        ensure!(text(&done).contains("2 taken over, 0 were known"), "{done:?}");
        let again = text(&ctl(&["import", "--apply"])?);
        ensure!(again.contains("0 taken over, 2 were known"), "{again}");
        let users = text(&ctl(&["users"])?);
        ensure!(users.lines().any(|line| line.starts_with("kim") && line.contains("suspended")), "{users}");

        let run = world.paste(sb, "jdoe", &token)?;
        ensure!(run.is_success() && run.stdout.contains("jdoe"), "{run:?}");
        let name = world.deploy(&token)?;
        ensure!(name == "jdoe", "{name}");
        Ok(())
    }
}

sandbox_test! {
    fn accounts_of_the_python_stack_in_a_directory_are_told_then_taken_over_and_stay_as_they_are(sb) {
        let slapd = Slapd::builder().start()?;
        let adapter = format!(
            "[ldf_adapter]\nbackend = ldap\nfallback_group = people\n[login_info]\nssh_host = localhost\n\
             [backend.ldap]\nmode = full_access\nhost = 127.0.0.1\nport = {}\nadmin_user = {SERVICE}\n\
             admin_password = {PASSWORD}\nuser_base = {USERS}\ngroup_base = {GROUPS}\n\
             uid_min = 10000\nuid_max = 19999\ngid_min = 10000\ngid_max = 19999\nshell = /bin/bash\n",
            slapd.port()
        );
        let pam = PamStack::token_only();
        let world = World::with(sb, "authorise_all = yes", pam, |daemon| daemon.adapter(&adapter))?;
        // As its mode full_access leaves entries. eve has a uid that is none of ours, sys a name that nobody
        // can have, and the twins are one person.
        let dn = |name: &str| format!("uid={name},{USERS}");
        let shadow = "objectClass: shadowAccount\nshadowExpire: 1\n";
        for (name, subject, uid, more) in [
            ("jdoe", "jdoe", 5001, ""),
            ("kim", "kim", 5002, shadow),
            ("eve", "eve", 33, ""),
            ("sys", "sys", 5003, ""),
            ("twin1", "twin", 5004, ""),
            ("twin2", "twin", 5005, ""),
        ] {
            world.op.add_user(User::new(name).subject(&format!("sub-{subject}")));
            slapd.change(&format!(
                "dn: {}\nobjectClass: inetOrgPerson\nobjectClass: posixAccount\nuid: {name}\n\
                 cn: {name}\nsn: {name}\nuidNumber: {uid}\ngidNumber: 5000\nhomeDirectory: /home/{name}\n\
                 loginShell: /bin/bash\ngecos: sub-{subject}@{}\n{more}",
                dn(name),
                quote_plus(world.op.issuer()),
            ))?;
        }
        let entries = || -> Result<Vec<_>> {
            let names = ["jdoe", "kim", "eve", "sys", "twin1", "twin2"];
            names.iter().map(|name| slapd.entry(&dn(name))).collect()
        };
        let before = entries()?;

        let told = text(&ctl(&["import"])?);
        ensure!(told.contains("2 to be taken over, 0 are known, 3 can't be"), "{told}");
        for part in ["uid=sys,", "no name that an account can have", "uid=twin1,", "carry one identity"] {
            ensure!(told.contains(part), "{part}: {told}");
        }
        for (name, parts) in [("jdoe", ["5001", "deployed", "new"]), ("kim", ["5002", "suspended", "new"])] {
            let line = told.lines().find(|line| line.starts_with(name)).unwrap_or_default();
            ensure!(parts.iter().all(|part| line.contains(part)), "{line}");
        }
        let users = text(&ctl(&["users"])?);
        ensure!(!users.contains("jdoe") && !users.contains("kim"), "something was noted: {users}");

        let done = text(&ctl(&["import", "--apply"])?);
        ensure!(done.contains("2 taken over, 0 were known, 3 could not be"), "{done}");
        let users = text(&ctl(&["users"])?);
        ensure!(users.lines().any(|line| line.starts_with("kim") && line.contains("suspended")), "{users}");
        ensure!(entries()? == before, "the directory was changed");
        let again = text(&ctl(&["import", "--apply"])?);
        ensure!(again.contains("0 taken over, 2 were known, 3 could not be"), "{again}");

        // jdoe keeps name and uid when he comes, and so does kim, who is suspended.
        let name = world.deploy(&world.op.token("jdoe").alg(Alg::Es256).sign())?;
        let entry = slapd.entry(&dn("jdoe"))?.context("no entry")?;
        ensure!(name == "jdoe" && entry["uidNumber"] == ["5001"], "{name}: {entry:?}");
        let kim = world.op.token("kim").alg(Alg::Es256).sign();
        let answer = world.daemon.rest()?.get("/user/deploy", Some(&kim))?.json();
        ensure!(answer["state"] == "suspended", "{answer}");
        let people = slapd.find(USERS, "(objectClass=posixAccount)")?;
        ensure!(people.len() == 6, "nobody got a second account: {people:?}");
        Ok(())
    }
}

sandbox_test! {
    fn two_accounts_of_one_identity_are_told_to_the_admin(sb) {
        let world = World::start(sb)?;
        leave_behind(&world, "jdoe", "5001")?;
        let gecos = format!("sub-jdoe@{}", quote_plus(world.op.issuer()));
        check_run("useradd", &["-M", "-u", "5003", "-c", &gecos, "jdoe2"])?;
        let told = text(&ctl(&["--json", "import"])?);
        let report: serde_json::Value = serde_json::from_str(&told).context("JSON")?;
        let oddity = report["oddities"][0].as_str().unwrap_or_default();
        ensure!(oddity.contains("the accounts jdoe and jdoe2 carry one identity"), "{told}");
        Ok(())
    }
}

/// Requests as feudalAdapter 2.0.4 wrote them.
const WAITING: &str = include_str!("../vectors/pending_users.sql");

/// Leaves them where the Python stack keeps them, about people of this provider.
fn leave_requests(world: &World) -> Result<&'static str> {
    let folder = "/var/lib/feudal";
    std::fs::create_dir_all(folder)?;
    check_run("chmod", &["700", folder])?;
    let of_this = quote_plus(world.op.issuer());
    let script = WAITING.replace("https%3A%2F%2Fop.example%2F", &of_this);
    let script = script.replace("https://op.example/", world.op.issuer());
    let file = "/var/lib/feudal/pending_users.db";
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut connection = SqliteConnection::connect_with(&options).await?;
        connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(script))).await?;
        connection.close().await.map_err(anyhow::Error::from)
    })?;
    Ok(file)
}

sandbox_test! {
    fn r40_requests_of_the_python_stack_wait_here_and_are_decided_here(sb) {
        let adapter = "[ldf_adapter]\nbackend = local_unix\nfallback_group = nogroup\n\
            [backend.local_unix]\nhome_base = /home\nshell = /bin/bash\n\
            [login_info]\nssh_host = localhost\n[approval]\nenabled = yes\nnotifier = off\n";
        let pam = PamStack::token_only();
        let world = World::with(sb, "authorise_all = yes", pam, |daemon| daemon.adapter(adapter))?;
        leave_requests(&world)?;
        let told = text(&ctl(&["import", "--requests"])?);
        ensure!(told.contains("4 to be taken over, 0 are known, 1 can't be"), "{told}");
        ensure!(told.contains("fay") && told.contains("no account that could join"), "{told}");
        let page = text(&ctl(&["--json", "approvals"])?);
        ensure!(!page.contains("subject"), "something was changed: {page}");
        let done = text(&ctl(&["import", "--requests", "--apply"])?);
        ensure!(done.contains("4 taken over, 0 were known, 1 could not be"), "{done}");
        let again = text(&ctl(&["import", "--requests", "--apply"])?);
        ensure!(again.contains("0 taken over, 4 were known, 1 could not be"), "{again}");

        let waiting = |whose: &str| -> Result<(String, String)> {
            let page: serde_json::Value = serde_json::from_str(&text(&ctl(&["--json", "approvals"])?))?;
            let rows = page.as_array().context("no rows")?;
            let row = rows.iter().find(|row| row["identity"]["subject"] == whose);
            let row = row.with_context(|| format!("{whose} does not wait: {page}"))?;
            let word = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
            Ok((word("reference"), word("status")))
        };
        assert_eq!(waiting("dan")?.1, "rejected");
        // ann comes by: her request gets the claims of her token, and she is told what she knows.
        let user = User::new("ann").subject("ann").claim("preferred_username", "ann");
        world.op.add_user(user.claim("groups", serde_json::json!(["wlcg", "lab"])));
        let token = world.op.token("ann").alg(Alg::Es256).sign();
        let (before, _) = waiting("ann")?;
        let reply = world.daemon.rest()?.get("/user/deploy", Some(&token))?;
        ensure!(reply.text.contains("already submitted"), "{}", reply.text);
        let (after, _) = waiting("ann")?;
        ensure!(before.ends_with(".1") && after.ends_with(".2"), "{before} {after}");
        let old = ctl(&["approvals", "accept", &before])?;
        ensure!(!old.status.success(), "nobody accepts what he has not seen: {old:?}");
        // bob has not come by; what was noted of him is enough for these rules.
        for (whose, reference) in [("ann", after), ("bob", waiting("bob")?.0)] {
            let accepted = ctl(&["approvals", "accept", &reference])?;
            ensure!(accepted.status.success(), "{whose}: {accepted:?}");
            ensure!(sb.user(whose)?.is_some(), "{whose} has no account");
        }
        let run = world.paste(sb, "ann", &token)?;
        ensure!(run.is_success() && run.stdout.contains("ann"), "{run:?}");
        Ok(())
    }
}
