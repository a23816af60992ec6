//! The host's sources of names: one that nobody set up, and one that does not run.

use std::fs;

use anyhow::ensure;
use motley_tests::op::Alg;
use motley_tests::sandbox::World;
use motley_tests::sandbox_test;

/// Files, and a source whose library is there (libnss-ldapd) while its process is not.
const WITH_LDAP: &str = "passwd: files ldap\ngroup: files ldap\nshadow: files\nhosts: files\n";

/// Files of directory clients that the host of the tests may have.
const CLIENTS: [&str; 2] = ["/etc/nslcd.conf", "/etc/sssd/sssd.conf"];

sandbox_test! {
    fn a_source_that_is_listed_and_not_set_up_keeps_nobody_out(sb) {
        let world = World::start(sb)?;
        fs::write("/etc/nsswitch.conf", WITH_LDAP)?;
        CLIENTS.iter().for_each(|file| drop(fs::remove_file(file)));
        let token = world.op.token("alice").alg(Alg::Es256).sign();
        let alice = world.deploy(&token)?;
        let run = world.paste(sb, &alice, &token)?;
        ensure!(run.is_success(), "{run:?}");
        Ok(())
    }
}

sandbox_test! {
    fn r23_while_a_directory_is_configured_and_does_not_run_nobody_gets_a_new_name(sb) {
        let world = World::start(sb)?;
        fs::write("/etc/nsswitch.conf", WITH_LDAP)?;
        fs::write("/etc/nslcd.conf", "uri ldap://127.0.0.1/\n")?;
        let token = world.op.token("alice").sign();
        let reply = world.daemon.rest()?.get("/user/deploy", Some(&token))?;
        ensure!(reply.status == 500, "{reply:?}");
        let log = world.daemon.log(sb);
        ensure!(log.contains("the directory of /etc/nslcd.conf does not answer"), "{log}");
        CLIENTS.iter().for_each(|file| drop(fs::remove_file(file)));
        world.deploy(&token).map(|_| ())
    }
}
