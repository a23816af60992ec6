//! Groups of the provider on the host: those that are gone are left at the login, and the person is told;
//! those of the system are out of reach.

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

/// The lines of `/etc/group` that name the account as a member.
fn lines_naming(name: &str) -> Result<Vec<String>> {
    let text = std::fs::read_to_string("/etc/group")?;
    let names = |line: &&str| {
        line.rsplit_once(':').is_some_and(|(_, members)| members.split(',').any(|it| it == name))
    };
    Ok(text.lines().filter(names).map(str::to_owned).collect())
}

sandbox_test! {
    fn r22_a_provider_that_names_groups_of_the_system_makes_nobody_their_member(sb) {
        check_run("groupadd", &["--system", "docker"])?;
        check_run("groupadd", &["localstaff"])?;
        // Whatever has sudo in it is made to end as that very group.
        let mapping = "[groups]\nmethod = regex\nmapping =\n    ^.*sudo.*$ -> sudo\n    ^.*:group: ->\n";
        let world = World::with(sb, "authorise_all = yes", PamStack::token_only(), |daemon| {
            daemon.adapter(&format!("{ADAPTER}{mapping}"))
        })?;
        let before = std::fs::read_to_string("/etc/group")?;
        let asserted = ["sudo", "docker", "root", "shadow", "localstaff", "lab-a"];
        let name = world.deploy(&token(&world, &asserted))?;
        assert_eq!(groups()?.trim(), "motleyusers lab-a");
        let names = |log: &str, group: &str| {
            let [bare, quoted] = [format!("group={group} "), format!("group=\"{group}\"")];
            log.lines().any(|line| line.contains(&bare) || line.contains(&quoted))
        };
        let log = world.daemon.log(sb);
        for group in ["sudo", "docker", "root", "shadow", "localstaff"] {
            assert!(names(&log, group), "the log does not name {group}: {log}");
        }
        let by_entitlement = ["urn:geant:op.example:group:sudo#op.example", "urn:geant:op.example:group:lab-b#op.example"];
        let token = world.op.token("alice").userinfo_claim("eduperson_entitlement", json!(by_entitlement)).sign();
        assert_eq!(world.deploy(&token)?, name);
        assert_eq!(groups()?.trim(), "motleyusers lab-b");
        let later = world.daemon.log(sb).split_off(log.len());
        assert!(names(&later, "sudo"), "{later}");

        let after = std::fs::read_to_string("/etc/group")?;
        let changed: Vec<&str> = before.lines().filter(|line| !after.lines().any(|it| it == *line)).collect();
        assert!(changed.is_empty(), "groups that were there have changed: {changed:?}");
        let lines = lines_naming(&name)?;
        assert!(lines.iter().all(|line| line.starts_with("motleyusers:") || line.starts_with("lab-b:")), "{lines:?}");
        Ok(())
    }
}

sandbox_test! {
    fn a_primary_group_from_claims_is_taken_away_with_the_claim(sb) {
        let adapter = ADAPTER.replace("primary_group = motleyusers\n", "fallback_group =\n");
        let world = World::with(sb, "authorise_all = yes", PamStack::token_only(), |daemon| {
            daemon.adapter(&adapter).section("[lifecycle]\ncheck_groups = yes\n")
        })?;
        let name = world.deploy(&token(&world, &["lab-a", "lab-b"]))?;
        assert_eq!(groups()?.trim(), "lab-a lab-b");
        let told = |outcome: &str, left: &str| {
            outcome.contains(&format!("Your account was removed from groups {left}."))
        };
        let outcome = world.paste(sb, &name, &token(&world, &["lab-b"]))?;
        assert!(outcome.is_success() && told(&outcome.stdout, "lab-a"), "{}", outcome.stdout);
        assert_eq!(groups()?.trim(), "lab-b");
        // The login itself begins with the groups that are left.
        let outcome = world.paste(sb, &name, &token(&world, &[]))?;
        assert!(outcome.is_success() && told(&outcome.stdout, "lab-b"), "{}", outcome.stdout);
        assert_eq!(groups()?.trim(), "nogroup");
        // What the host's admin chose stays.
        motley_tests::sandbox::check_run("usermod", &["-g", "lab-a", &name])?;
        let outcome = world.paste(sb, &name, &token(&world, &["lab-b"]))?;
        assert!(outcome.is_success() && !outcome.stdout.contains("removed from"), "{}", outcome.stdout);
        world.deploy(&token(&world, &["lab-b"]))?;
        assert_eq!(groups()?.trim(), "lab-a lab-b");
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
