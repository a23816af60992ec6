//! Panics on request, in builds for the test that proves that no panic leaves a hook.

#[cfg(feature = "test-panic")]
pub(crate) use on_request::{point, take_request};

#[cfg(not(feature = "test-panic"))]
/// Where a test build may panic.
#[inline(always)]
pub(crate) fn point(_layer: &str) {}

#[cfg(feature = "test-panic")]
mod on_request {
    use std::cell::RefCell;

    thread_local! {
        static LAYER: RefCell<String> = const { RefCell::new(String::new()) };
    }

    /// Takes the argument `panic_in=LAYER` out of the list.
    pub(crate) fn take_request(args: &mut Vec<String>) {
        let mut wanted = String::new();
        args.retain(|arg| match arg.strip_prefix("panic_in=") {
            Some(layer) => {
                layer.clone_into(&mut wanted);
                false
            }
            None => true,
        });
        LAYER.set(wanted);
    }

    /// Panics if this layer was asked for.
    #[allow(clippy::panic)]
    pub(crate) fn point(layer: &str) {
        if LAYER.with_borrow(|wanted| wanted == layer) {
            panic!("requested in {layer}");
        }
    }
}
