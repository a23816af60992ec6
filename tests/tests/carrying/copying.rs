//! scp, sftp and rsync: operands as they are, each far end with its own login.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use motley_tests::op::User;
use motley_tests::sandbox::{Mccli, until};
use motley_tests::sandbox_test;

use super::road::{Road, assert_success, binary_file, is_broker_left, wait_for_the_brokers_end};

sandbox_test! {
    fn scp_copies_up_and_down_with_all_its_options_and_tells_its_own_exit_code(sb) {
        let road = Road::start(sb)?;
        let token = road.world.op.token("alice").sign();
        let dir = sb.dir().join("with space");
        fs::create_dir_all(&dir)?;
        let data = binary_file(&dir.join("f 2"), 300_000)?;
        let here = dir.join("f 2").to_string_lossy().into_owned();
        for (number, own) in [
            &[][..], &["-O"], &["-s"], &["-pC"], &["-v"], &["-P", "22"], &["-l", "100000"],
            &["-X", "nrequests=8"], &["-o", "Compression=yes"], &["-3"],
        ].into_iter().enumerate() {
            let back = dir.join(format!("back {number}")).to_string_lossy().into_owned();
            // The old protocol has the path read by a shell over there.
            let there = if own == ["-O"] { "one.test:up\\ file" } else { "one.test:up file" };
            let up = [&["scp"], own, &[&here, there]].concat();
            assert_success(&road.mccli(sb, &token, &up)?.run(sb)?);
            let down = [&["scp"], own, &["--", there, &back]].concat();
            assert_success(&road.mccli(sb, &token, &down)?.run(sb)?);
            assert!(fs::read(&back)? == data, "{own:?}");
        }
        let url = ["scp", &here, "scp://one.test:22/by-url"];
        assert_success(&road.mccli(sb, &token, &url)?.run(sb)?);
        assert!(fs::read("/home/alice/by-url")? == data);
        let missing = road.mccli(sb, &token, &["scp", "one.test:missing", &here])?.run(sb)?;
        assert_eq!(missing.code, Some(1), "{}", missing.stderr);
        assert!(missing.stderr.contains("missing"), "{}", missing.stderr);
        wait_for_the_brokers_end()?;
        Ok(())
    }
}

sandbox_test! {
    fn two_prompts_on_one_host_get_a_one_time_password_each(sb) {
        let road = Road::start(sb)?;
        let token = road.world.op.token("alice").sign();
        let words = ["--otp", "always", "scp", "one.test:/etc/hostname", "one.test:/etc/passwd"];
        let target = sb.dir().join("target");
        fs::create_dir_all(&target)?;
        let target = target.to_string_lossy().into_owned();
        assert_success(&road.mccli(sb, &token, &[&words[..], &[&target]].concat())?.run(sb)?);
        let by_password = road.world.daemon.log(sb).matches("by=\"one_time_password\"").count();
        assert_eq!(by_password, 2);
        let between = ["--otp", "always", "scp", "-3", "one.test:/etc/hostname", "one.test:copied"];
        assert_success(&road.mccli(sb, &token, &between)?.run(sb)?);
        assert!(fs::exists("/home/alice/copied")?);
        Ok(())
    }
}

sandbox_test! {
    fn one_scp_goes_between_two_hosts_as_two_people(sb) {
        let road = Road::start(sb)?;
        road.world.op.add_user(User::new("bob"));
        let mut config = String::new();
        for (host, person) in [("one.test", "alice"), ("two.test", "bob")] {
            let path = sb.dir().join(person);
            fs::write(&path, road.world.op.token(person).sign())?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
            config += &format!(
                "[profile.{person}]\ntoken_file = \"{}\"\n[host.\"{host}\"]\nprofile = \"{person}\"\n",
                path.display()
            );
        }
        fs::create_dir_all("/root/.config/mccli")?;
        fs::write("/root/.config/mccli/config.toml", config)?;
        let scp = |words: &[&str]| {
            Mccli::new([&["scp"], words].concat())?.ca(road.world.ca.path()).run(sb)
        };
        assert_success(&scp(&["/etc/hostname", "one.test:alices file"])?);
        assert_success(&scp(&["-3", "one.test:alices file", "two.test:bobs file"])?);
        assert_eq!(fs::read("/home/bob/bobs file")?, fs::read("/etc/hostname")?);
        let target = sb.dir().join("both");
        fs::create_dir_all(&target)?;
        let target = target.to_string_lossy().into_owned();
        assert_success(&scp(&["one.test:alices file", "two.test:bobs file", &target])?);
        // Names in the configuration work for programs under their own names too.
        let link = Mccli::program(road.link("mccli-scp"), ["-3", "two.test:bobs file", "one.test:again"]);
        assert_success(&link.ca(road.world.ca.path()).run(sb)?);
        assert!(fs::exists("/home/alice/again")?);
        Ok(())
    }
}

sandbox_test! {
    fn r38_a_host_with_a_user_of_ones_own_and_a_jump_host_get_no_token(sb) {
        let road = Road::start(sb)?;
        let token = road.world.op.token("alice").sign();
        road.world.deploy(&token)?;
        let quiet = ["-o", "NumberOfPasswordPrompts=1"];
        for (what, words) in [
            ("a user in the operand", vec!["scp", "/etc/hostname", "alice@one.test:x"]),
            ("a user in an option", vec!["scp", "-o", "User=alice", "/etc/hostname", "one.test:x"]),
            ("a jump host", vec!["scp", "-J", "alice@two.test", "/etc/hostname", "one.test:x"]),
            // The same user and host, so the same prompt: and yet another ssh.
            ("the host itself as jump", vec!["scp", "-J", "alice@one.test", "/etc/hostname", "one.test:x"]),
            ("sftp over a jump host", vec!["sftp", "-J", "alice@one.test", "one.test:x"]),
            ("ssh over itself", vec!["ssh", "-J", "alice@one.test", "one.test", "true"]),
        ] {
            let (program, rest) = words.split_at(1);
            let words = [program, &quiet, rest].concat();
            let outcome = road.mccli(sb, &token, &words)?.run(sb)?;
            assert!(!outcome.is_success(), "{what}: {}", outcome.stderr);
            assert_eq!(road.granted(sb), 0, "{what}: {}", outcome.stderr);
        }
        let both = ["scp", "-3", "one.test:/etc/hostname", "alice@two.test:x"];
        let outcome = road.mccli(sb, &token, &both)?.run(sb)?;
        assert!(!outcome.is_success() && !fs::exists("/home/alice/x")?, "{}", outcome.stderr);
        assert!(road.granted(sb) <= 1, "{}", outcome.stderr);
        Ok(())
    }
}

sandbox_test! {
    fn sftp_works_by_batch_and_by_path_and_tells_its_exit_code(sb) {
        let road = Road::start(sb)?;
        let token = road.world.op.token("alice").sign();
        let batch = "put /etc/hostname up\nrename up moved\nget moved /tmp/back\n";
        let piped = road.mccli(sb, &token, &["sftp", "-b", "-", "one.test"])?.stdin(batch).run(sb)?;
        assert_success(&piped);
        assert_eq!(fs::read("/tmp/back")?, fs::read("/etc/hostname")?);
        let file = sb.dir().join("batch");
        fs::write(&file, "get missing\n")?;
        let named = ["sftp", "-q", "-b", &file.to_string_lossy(), "one.test:/tmp"];
        assert_eq!(road.mccli(sb, &token, &named)?.run(sb)?.code, Some(1));
        let one = ["sftp", "-P", "22", "one.test:moved", "/tmp/again"];
        assert_success(&road.mccli(sb, &token, &one)?.run(sb)?);
        let url = ["sftp", "sftp://one.test:22/moved", "/tmp/by-url"];
        assert_success(&road.mccli(sb, &token, &url)?.run(sb)?);
        Ok(())
    }
}

sandbox_test! {
    fn rsync_goes_both_ways_with_an_ssh_of_the_users_choice_too(sb) {
        let road = Road::start(sb)?;
        let token = road.world.op.token("alice").sign();
        let from = sb.dir().join("from");
        fs::create_dir_all(from.join("sub folder"))?;
        let data = binary_file(&from.join("sub folder/file"), 100_000)?;
        let from = format!("{}/", from.display());
        for own in [&[][..], &["-e", "ssh -p 22"], &["--rsh=ssh -4"]] {
            let up = [&["rsync"], own, &["-a", "--delete", &from, "one.test:mirror/"]].concat();
            assert_success(&road.mccli(sb, &token, &up)?.run(sb)?);
        }
        let back = format!("{}/", sb.dir().join("back").display());
        let down = ["rsync", "-a", "one.test:mirror/", &back];
        assert_success(&road.mccli(sb, &token, &down)?.run(sb)?);
        assert!(fs::read(sb.dir().join("back/sub folder/file"))? == data);
        let missing = ["rsync", "one.test:missing", &back];
        assert_eq!(road.mccli(sb, &token, &missing)?.run(sb)?.code, Some(23));
        let nowhere = ["--mc-endpoint", "https://one.test:1", "rsync", &from, "one.test:x"];
        let outcome = road.mccli(sb, &token, &nowhere)?.run(sb)?;
        assert!(!outcome.is_success());
        Ok(())
    }
}

sandbox_test! {
    fn what_is_wrong_is_said_before_scp_starts(sb) {
        let road = Road::start(sb)?;
        let token = road.world.op.token("alice").sign();
        for (words, code, said) in [
            (["scp", "/etc/hostname", "three.test:"], 1, "Could not resolve hostname"),
            (["scp", "/etc/hostname", "@:x"], 1, "does not contain a host"),
            (["sftp", "-q", "three.test:x"], 1, "Could not resolve hostname"),
        ] {
            let outcome = road.mccli(sb, &token, &words)?.run(sb)?;
            assert_eq!(outcome.code, Some(code), "{words:?}: {}", outcome.stderr);
            assert!(outcome.stderr.contains(said), "{words:?}: {}", outcome.stderr);
        }
        let outcome = road.mccli(sb, &token, &["scp", "alone"])?.run(sb)?;
        assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
        let refused = road.mccli(sb, "no-token-at-all", &["scp", "/etc/hostname", "one.test:"])?;
        let outcome = refused.run(sb)?;
        assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("401"), "{}", outcome.stderr);
        Ok(())
    }
}

sandbox_test! {
    fn the_broker_goes_with_a_killed_scp(sb) {
        let road = Road::start(sb)?;
        let token = road.world.op.token("alice").sign();
        let words = ["scp", "-l", "8", "/bin/bash", "one.test:slow"];
        let mut terminal = road.mccli(sb, &token, &words)?.open_terminal()?;
        until("the copy has begun", Duration::from_secs(30), || {
            fs::metadata("/home/alice/slow").ok().filter(|it| it.len() > 0)
        })?;
        assert!(is_broker_left());
        let pid = terminal.pid().to_string();
        super::road::sh(&format!("kill -9 $(pgrep -x scp) || kill -9 {pid}"))?;
        terminal.wait(Duration::from_secs(10))?;
        wait_for_the_brokers_end()?;
        Ok(())
    }
}
