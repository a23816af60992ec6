//! No panic leaves a hook: a build that panics on request, called through real libpam.

mod support;

use support::{
    GOOD, Machine,
    daemon::Daemon,
    ffi::{ABORT, SUCCESS},
    library,
};

fn stack_with_panic<'a>(
    machine: &'a Machine,
    module: &std::path::Path,
    layer: &str,
) -> support::Stack<'a> {
    let ours = format!(
        "{} socket={} fail_floor_ms=0 panic_in={layer}",
        module.display(),
        machine.socket().display()
    );
    // "required" and nothing else: PAM_IGNORE would become PAM_PERM_DENIED.
    let phases = ["auth", "account", "session"];
    let lines: String = phases.iter().map(|phase| format!("{phase} required {ours}\n")).collect();
    machine.stack_of(&lines)
}

#[test]
fn r05_a_panic_in_any_layer_becomes_a_failure_code_and_the_process_lives() {
    let module = library::panicking_module();
    let machine = Machine::enter();
    let _daemon = Daemon::honest(&machine);
    for layer in ["options", "flow", "conversation", "daemon", "names"] {
        let (code, seen) =
            stack_with_panic(&machine, &module, layer).authenticate("alice", &[GOOD]);
        assert_eq!(code, ABORT, "{layer}");
        assert!(seen.iter().all(|it| it.is_prompt()), "{layer}: nothing is shown: {seen:?}");
        assert!(machine.log().contains("internal error, refused"), "{layer}");
    }
    for layer in ["options", "account", "daemon", "names"] {
        let stack = stack_with_panic(&machine, &module, layer);
        assert_eq!(stack.check_account("alice").0, ABORT, "{layer}");
    }
    let stack = stack_with_panic(&machine, &module, "session");
    assert_eq!(stack.start("alice", &[]).open_session(), ABORT);
    assert_eq!(stack.start("alice", &[]).close_session(), ABORT);
    let stack = stack_with_panic(&machine, &module, "setcred");
    assert_eq!(stack.start("alice", &[]).set_credentials(), ABORT);
    let stack = stack_with_panic(&machine, &module, "nowhere");
    assert_eq!(stack.authenticate("alice", &[GOOD]).0, SUCCESS, "and the next login works");
}

#[test]
fn r05_after_a_panic_the_next_module_of_the_stack_is_asked() {
    let module = library::panicking_module();
    let machine = Machine::enter();
    let lines = format!(
        "auth [success=done new_authtok_reqd=done maxtries=die default=ignore] {} panic_in=flow\n\
         auth required pam_permit.so\n",
        module.display()
    );
    assert_eq!(machine.stack_of(&lines).authenticate("alice", &[]).0, SUCCESS);
}
