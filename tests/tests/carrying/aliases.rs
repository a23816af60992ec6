//! `mccli ssh-config`: the lines for a shell whose programs log in one by one, and the block as text.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use anyhow::Result;
use motley_tests::sandbox::{Mccli, Sandbox, built};
use motley_tests::sandbox_test;

use super::road::{Road, assert_success, sh};

const CONFIG: &str = "/root/.ssh/config";

/// mccli with `mccli-ssh` beside it, as packages install them.
fn installed(sb: &Sandbox) -> Result<String> {
    let folder = sb.dir().join("installed with space");
    fs::create_dir_all(&folder)?;
    let program = folder.join("mccli");
    fs::copy(built("mccli")?, &program)?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    symlink("mccli", folder.join("mccli-ssh"))?;
    Ok(program.to_string_lossy().into_owned())
}

sandbox_test! {
    fn the_lines_for_the_shell_make_ssh_scp_sftp_git_and_rsync_log_in(sb) {
        let road = Road::start(sb)?;
        let token = road.world.op.token("alice").sign();
        road.world.deploy(&token)?;
        sh("su alice -s /bin/sh -c 'git init -q --bare --initial-branch=main /home/alice/project.git'")?;
        let program = installed(sb)?;
        let config = fs::read_to_string(CONFIG)?;
        let lines = format!(
            "eval \"$('{program}' ssh-config --mode askpass)\"
             ssh one.test id -un
             scp -q /etc/hostname one.test:'by scp'
             echo 'put /etc/hostname by-sftp' | sftp -q -b - two.test >/dev/null
             rsync /etc/hostname one.test:by-rsync
             git ls-remote one.test:project.git && echo listed
             ssh one.test 'exit 7'; echo code $?"
        );
        for how in [&["-ic", &lines][..], &["-O", "expand_aliases", "-c", &lines]] {
            let _ = sh("rm -f '/home/alice/by scp' /home/alice/by-sftp /home/alice/by-rsync");
            let granted = road.granted(sb);
            let outcome = road.program(sb, &token, "bash", how)?.run(sb)?;
            assert_success(&outcome);
            assert_eq!(outcome.stdout, "alice\nlisted\ncode 7\n", "{}", outcome.stderr);
            for name in ["by scp", "by-sftp", "by-rsync"] {
                assert!(fs::exists(format!("/home/alice/{name}"))?, "{name}: {}", outcome.stderr);
            }
            assert_eq!(road.granted(sb), granted + 6, "each logs in by itself");
        }
        assert_eq!(fs::read_to_string(CONFIG)?, config, "nothing is written");
        let install = Mccli::program(&program, ["ssh-config", "--mode", "askpass", "--install"]);
        let outcome = install.run(sb)?;
        assert_eq!(outcome.code, Some(2), "{}", outcome.stderr);
        assert!(outcome.stderr.contains("nothing to install"), "{}", outcome.stderr);
        Ok(())
    }
}

sandbox_test! {
    fn the_block_is_printed_as_it_would_be_installed_and_takes_profile_and_configuration_along(sb) {
        let road = Road::start(sb)?;
        let token = road.world.op.token("alice").sign();
        let file = road.token_file(sb, &token)?;
        let elsewhere = sb.dir().join("my config.toml").to_string_lossy().into_owned();
        fs::write(&elsewhere, format!("[profile.work]\ntoken_file = \"{file}\"\n[host.\"*.test\"]\n"))?;
        let before = fs::read_to_string(CONFIG)?;
        let own = ["--config", &elsewhere, "--profile", "work", "ssh-config", "--host", "*.test"];
        let printed = Mccli::new(own)?.run(sb)?;
        assert_success(&printed);
        assert_eq!(fs::read_to_string(CONFIG)?, before, "printing changes nothing");
        for option in [format!(" --config='{elsewhere}'"), " --profile='work'".to_owned()] {
            assert!(printed.stdout.contains(&option), "{option}: {}", printed.stdout);
        }
        let installed = Mccli::new([&own[..], &["--install"]].concat())?.run(sb)?;
        assert_success(&installed);
        assert_eq!(fs::read_to_string(CONFIG)?, format!("{}{before}", printed.stdout));
        // By profile and configuration of the block alone.
        let key = fs::read_to_string(sb.dir().join("sshd-22/host_key.pub"))?;
        fs::write("/root/.ssh/known_hosts", format!("one.test {key}"))?;
        let plain = Mccli::program("ssh", ["one.test", "id -un"]).ca(road.world.ca.path()).run(sb)?;
        assert_eq!(plain.stdout, "alice\n", "{}", plain.stderr);
        assert_success(&Mccli::new(["ssh-stop"])?.run(sb)?);
        Ok(())
    }
}

sandbox_test! {
    fn a_token_does_not_go_into_the_configuration_of_ssh(sb) {
        fs::create_dir_all("/root/.ssh")?;
        for own in [&["--token", "canary"][..], &["--token-file", "canary"], &["--token-cmd", "echo canary"], &["--mc-endpoint", "https://canary"]] {
            for install in [&[][..], &["--install"]] {
                let words = [own, &["ssh-config", "--host", "a"], install].concat();
                let outcome = Mccli::new(&words)?.run(sb)?;
                assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""), "{words:?}: {}", outcome.stderr);
                assert!(outcome.stderr.contains(own[0]) && outcome.stderr.contains("config.toml"), "{}", outcome.stderr);
                assert!(!fs::exists(CONFIG)?, "{words:?}");
            }
        }
        Ok(())
    }
}
