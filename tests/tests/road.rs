//! The whole road on real parts: a pasted token, sshd, PAM, the daemon, the root helper, a shell.

use motley_tests::sandbox::World;
use motley_tests::sandbox_test;

sandbox_test! {
    fn a_pasted_token_logs_in_on_a_terminal(sb) {
        let world = World::start(sb)?;
        let token = world.op.token("alice").sign();
        let name = world.deploy(&token)?;
        let outcome = world.paste(sb, &name, &token)?;
        assert!(outcome.is_success(), "{}\n{}", outcome.stdout, outcome.stderr);
        Ok(())
    }
}
