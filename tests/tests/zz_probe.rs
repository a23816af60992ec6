//! probe
use motley_tests::sandbox::{Mccli, World};
use motley_tests::sandbox_test;
sandbox_test! {
    fn probe_world(sb) {
        let world = World::start(sb)?;
        let token = world.op.token("alice").sign();
        let name = world.deploy(&token)?;
        eprintln!("name {name}");
        let outcome = world.paste(sb, &name, &token)?;
        eprintln!("{outcome:?}");
        assert!(outcome.is_success());
        let mut words = vec!["--token".to_owned(), token, "--mc-endpoint".into(), world.daemon.url().into(), "ssh".into()];
        words.extend(sb.host_key_options());
        words.extend(["127.0.0.1".into(), "id -un; exit 5".into()]);
        let outcome = Mccli::new(&words)?.run(sb)?;
        eprintln!("{outcome:?}");
        assert_eq!(outcome.code, Some(5));
        Ok(())
    }
}
