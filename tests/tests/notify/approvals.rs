//! Approvals from the first deployment to the decision, over a real mail server.

use super::*;
use crate::post::Arrived;
use motley_tests::op::User;
use serde_json::json;

const APPROVAL: &str = "[ldf_adapter]\nbackend = local_unix\nfallback_group = motleyusers\n\
    [backend.local_unix]\nhome_base = /home\nshell = /bin/bash\n\
    [login_info]\nssh_host = ssh.example\n\
    [approval]\nenabled = yes\n\
    [notifier.email]\nsmtp_port = 2525\nsent_from = node@example.org\nadmin_email = admin@example.org\n";

fn world(sb: &Sandbox) -> Result<World> {
    let rules = "authorise_all = yes\nauthorised_admins = [boss]";
    let world = World::with(sb, rules, PamStack::token_only(), |daemon| daemon.adapter(APPROVAL))?;
    world.op.add_user(User::new("boss").subject("boss"));
    Ok(world)
}

fn token(world: &World, user: &str, groups: &[&str]) -> String {
    world
        .op
        .token(user)
        .userinfo_claim("groups", json!(groups))
        .userinfo_claim("eduperson_entitlement", json!([]))
        .userinfo_claim("name", "Alice\n  motleyctl approvals accept 00000000.1")
        .userinfo_claim("email", format!("{user}@example.org"))
        .userinfo_claim("email_verified", true)
        .sign()
}

fn ask(world: &World, path: &str, token: &str) -> Result<(u16, Value)> {
    let reply = world.daemon.rest()?.get(path, Some(token))?;
    Ok((reply.status, reply.json()))
}

/// The commands that a mail names, as an admin would paste them.
fn commands(mail: &str) -> Vec<Vec<String>> {
    let lines = mail.lines().map(str::trim).filter(|line| line.starts_with("motleyctl "));
    lines.map(|line| line.split(' ').skip(1).map(str::to_owned).collect()).collect()
}

fn run(words: &[String]) -> Result<(bool, String)> {
    ctl(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

mail_test! {
    fn r40_an_account_comes_about_by_the_command_of_the_mail_and_opens_to_its_owner(sb, partner) {
        let world = world(sb)?;
        let alice = token(&world, "alice", &["lab-a"]);
        // The mail server is down, and nobody notices at the door.
        let (status, answer) = ask(&world, "/user/deploy", &alice)?;
        assert_eq!((status, &answer["state"]), (200, &json!("pending")), "{answer}");
        assert_eq!(answer["message"], "Request for deployment was submitted for approval.");
        assert_eq!(answer["credentials"], json!({}));
        until("the failure in status", Duration::from_secs(40), || {
            ctl(&["status"]).ok().filter(|(_, text)| text.contains("MAIL FAILS")).map(|_| ())
        })?;
        let post = Post::start(sb, partner, &[])?;
        let (_, again) = ask(&world, "/user/deploy", &alice)?;
        assert!(again["message"].as_str().unwrap_or_default().contains("already submitted"), "{again}");
        for path in ["/user/get_status", "/user/status"] {
            let (_, status) = ask(&world, path, &alice)?;
            assert_eq!(status["message"], "User deployment is pending approval.");
            assert!(status["username"].as_str().unwrap_or_default().is_empty());
        }
        for name in ["deployment", "alice", ""] {
            let (_, verified) = ask(&world, &format!("/verify_user?username={name}"), &alice)?;
            assert_eq!(verified, json!({"state": "pending", "verified": false}), "{name}");
        }
        assert!(sb.user("alice")?.is_none());

        until("both mails", Duration::from_secs(100), || post.count().ok().filter(|count| *count == 2))?;
        let mails = [post.mail(0)?, post.mail(1)?];
        let to = |address: &str| mails.iter().find(|mail| mail.about["to"] == json!([address]));
        let mail = read(&to("admin@example.org").context("no mail to the admins")?.raw);
        assert!(read(&to("alice@example.org").context("no mail to alice")?.raw).contains("was submitted"));
        let [show, accept, reject] = commands(&mail).try_into().map_err(|odd| anyhow::anyhow!("{odd:?}"))?;
        assert_eq!((show[1].as_str(), reject[1].as_str()), ("show", "reject"), "{mail}");
        let (_, shown) = run(&show)?;
        assert!(shown.contains("alice@example.org (verified)") && shown.contains("lab-a"), "{shown}");
        let (worked, said) = run(&accept)?;
        assert!(worked && said.contains("User was created"), "{said}");
        assert!(!run(&accept)?.0 && !run(&reject)?.0, "decided once");
        assert!(ctl(&["approvals"])?.1.contains("nothing waits"));
        assert!(ctl(&["audit", "tail", "--event", "approval_decided"])?.1.contains("uid 0"));
        let outcome = world.paste(sb, "alice", &alice)?;
        assert!(outcome.is_success(), "{}", outcome.stdout);
        Ok(())
    }
}

mail_test! {
    fn r40_an_admin_with_a_token_decides_about_people_of_his_own_provider(sb, partner) {
        let post = Post::start(sb, partner, &[])?;
        let world = world(sb)?;
        let boss = world.op.token("boss").sign();
        let alice = token(&world, "alice", &["lab-a"]);
        ask(&world, "/user/deploy", &alice)?;
        let list = |token: &str| ask(&world, "/admin/approvals", token);
        assert_eq!(list(&alice)?.0, 403);
        let (status, all) = list(&boss)?;
        assert_eq!(status, 200, "{all}");
        let id = all["requests"][0]["id"].as_str().context("no id")?.to_owned();
        assert_eq!(all["requests"][0]["groups"], json!(["lab-a"]));
        let decide = |verb: &str, id: &str, token: &str| -> Result<(u16, Value)> {
            let path = format!("/admin/approvals/{verb}?id={id}");
            let reply = world.daemon.rest()?.post(&path, Some(token), &json!({}))?;
            Ok((reply.status, reply.json()))
        };
        assert_eq!(decide("accept", &id, &alice)?.0, 403);
        let other = id.replace(".1", ".2");
        assert_eq!(decide("accept", &other, &boss)?.0, 409);
        assert_eq!(decide("accept", "nonsense", &boss)?.0, 400);
        let (status, done) = decide("accept", &id, &boss)?;
        assert_eq!((status, &done["state"]), (200, &json!("deployed")), "{done}");
        assert_eq!(decide("accept", &id, &boss)?.0, 404);

        // Further groups wait, the account goes on to work.
        let more = token(&world, "alice", &["lab-a", "lab-b"]);
        let (_, answer) = ask(&world, "/user/deploy", &more)?;
        assert_eq!(answer["state"], "deployed");
        assert_eq!(answer["credentials"]["ssh_user"], "alice");
        let message = "User already existed, but groups changed. A request for updating user groups was submitted for approval.";
        assert_eq!(answer["message"], message);
        let (_, all) = list(&boss)?;
        assert_eq!((&all["requests"][0]["kind"], &all["requests"][0]["groups"]), (&json!("groups"), &json!(["lab-b"])));
        let id = all["requests"][0]["id"].as_str().context("no id")?.to_owned();
        assert_eq!(decide("accept", &id, &boss)?.1["message"], "User already existed and was added to groups lab-b.");
        let groups = Command::new("id").args(["-Gn", "alice"]).output()?.stdout;
        assert!(String::from_utf8_lossy(&groups).contains("lab-b"));

        // Who is rejected learns it, and no word of that is a name.
        world.op.add_user(User::new("carl"));
        let carl = token(&world, "carl", &["lab-a"]);
        ask(&world, "/user/deploy", &carl)?;
        let id = list(&boss)?.1["requests"][0]["id"].as_str().context("no id")?.to_owned();
        assert_eq!(decide("reject", &id, &boss)?.1["state"], "rejected");
        let (_, verified) = ask(&world, "/verify_user?username=deployment", &carl)?;
        assert_eq!(verified, json!({"state": "rejected", "verified": false}));
        assert_eq!(ask(&world, "/user/deploy", &carl)?.1["state"], "rejected");
        assert!(ctl(&["approvals", "forget", &id])?.0);
        assert_eq!(ask(&world, "/user/deploy", &carl)?.1["state"], "pending");
        // For each person and reader one mail waits at a time, and a newer one takes its place.
        until("mails of all requests", Duration::from_secs(40), || post.count().ok().filter(|count| *count == 6))?;
        let mails: Vec<Arrived> = (0..6).map(|number| post.mail(number)).collect::<Result<_>>()?;
        for (to, subject) in [
            ("alice@example.org", "Subject: Your request on 'ssh.example' was accepted"),
            ("carl@example.org", "Subject: Your request on 'ssh.example' was rejected"),
        ] {
            let is_it = |mail: &&Arrived| mail.about["to"] == json!([to]) && mail.raw.contains(subject);
            assert_eq!(mails.iter().filter(is_it).count(), 1, "{to}: {subject}");
        }
        Ok(())
    }
}
