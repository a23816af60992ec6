//! Groups that are gone are left at the login, and the person is told.

use anyhow::Result;
use motley_tests::op::{Endpoint, Fault, User};
use motley_tests::sandbox::{PamStack, Sandbox, World, built, check_run};
use motley_tests::sandbox_test;
use serde_json::json;
use std::process::Command;

const ADAPTER: &str = "[ldf_adapter]\nbackend = local_unix\nprimary_group = motleyusers\n\
    [backend.local_unix]\nhome_base = /home\nshell = /bin/bash\n";

fn token(world: &World, groups: &[&str]) -> String {
    token_of(world, "alice", groups)
}

fn token_of(world: &World, who: &str, groups: &[&str]) -> String {
    let token = world.op.token(who).userinfo_claim("eduperson_entitlement", json!([]));
    token.userinfo_claim("groups", json!(groups)).sign()
}

fn groups() -> Result<String> {
    groups_of("alice")
}

fn groups_of(name: &str) -> Result<String> {
    let output = Command::new("id").args(["-Gn", name]).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn ctl(words: &[&str]) -> Result<String> {
    check_run(&built("motleyctl")?.to_string_lossy(), words)
}

fn world(sb: &Sandbox) -> Result<World> {
    World::with(sb, "authorise_all = yes", PamStack::token_only(), |daemon| {
        daemon.adapter(ADAPTER).section("[lifecycle]\ncheck_groups = yes\nlimit_after = 90")
    })
}

sandbox_test! {
    fn a_login_leaves_groups_that_are_gone_and_says_so(sb) {
        let world = world(sb)?;
        let name = world.deploy(&token(&world, &["lab-a", "lab-b"]))?;
        let fewer = token(&world, &["lab-b", "lab-new"]);
        let outcome = world.paste(sb, &name, &fewer)?;
        assert!(outcome.is_success(), "{}", outcome.stdout);
        let told = "Your account was removed from groups lab-a.";
        assert!(outcome.stdout.contains(told), "{}", outcome.stdout);
        assert_eq!(groups()?.trim(), "motleyusers lab-b");
        let outcome = world.paste(sb, &name, &token(&world, &["lab-b"]))?;
        assert!(outcome.is_success() && !outcome.stdout.contains("removed from"), "{}", outcome.stdout);
        let shown = Command::new(motley_tests::sandbox::built("motleyctl")?).args(["users", "show", &name]).output()?;
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(shown.contains("last use"), "{shown}");
        Ok(())
    }
}

sandbox_test! {
    fn userinfo_that_is_down_at_a_login_takes_nobody_out_of_a_group(sb) {
        let world = world(sb)?;
        let name = world.deploy(&token(&world, &["lab-a", "lab-b"]))?;
        // The token itself says less than userinfo would.
        let signed = world.op.token("alice").claim("groups", json!(["lab-b"])).sign();
        world.op.fault(Endpoint::Userinfo, Fault::Status(503));
        let outcome = world.paste(sb, &name, &signed)?;
        assert!(outcome.is_success(), "{}", outcome.stdout);
        assert_eq!(groups()?.trim(), "motleyusers lab-a lab-b");
        Ok(())
    }
}

sandbox_test! {
    fn r22_a_group_that_becomes_the_name_of_another_lets_in_once_the_admin_has_released_it(sb) {
        let world = world(sb)?;
        world.op.add_user(User::new("mallory"));
        world.deploy(&token(&world, &["vo.lab"]))?;
        let other = token_of(&world, "mallory", &["VO-lab"]);
        let mallory = world.deploy(&other)?;
        assert_eq!((groups()?.trim(), groups_of(&mallory)?.trim()), ("motleyusers vo-lab", "motleyusers"));
        let log = world.daemon.log(sb);
        assert!(log.contains("WARN") && log.contains("motleyctl groups release vo-lab"), "{log}");
        let listed = ctl(&["groups"])?;
        assert!(listed.contains("vo-lab") && listed.contains("vo.lab"), "{listed}");
        // It was renamed at the provider: who still asserts the former text leaves at the login.
        ctl(&["groups", "release", "vo-lab"])?;
        assert!(ctl(&["audit", "tail", "--event", "admin_asked"])?.contains("release group vo-lab"));
        world.deploy(&other)?;
        assert_eq!(groups_of(&mallory)?.trim(), "motleyusers vo-lab");
        let outcome = world.paste(sb, "alice", &token(&world, &["vo.lab"]))?;
        assert!(outcome.is_success(), "{}", outcome.stdout);
        assert_eq!(groups()?.trim(), "motleyusers");
        Ok(())
    }
}
