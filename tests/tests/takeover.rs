//! A host that ran the Python stack: its accounts are taken over as they are.

use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use motley_proto::identity::quote_plus;
use motley_tests::op::{Alg, User};
use motley_tests::sandbox::{World, built, check_run};
use motley_tests::sandbox_test;

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
