//! The REST request that is being worked on: its id and whence it came, for log lines and audit events.

use rand::RngExt;
use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

tokio::task_local! {
    static CURRENT: Request;
}

#[derive(Clone)]
struct Request {
    id: String,
    source: String,
    granted: Arc<AtomicBool>,
}

/// A short random text that ties log lines, audit events and answers of one request together.
pub fn new_id() -> String {
    format!("{:012x}", rand::rng().random::<u64>() >> 16)
}

/// The id of the request that this task works on; a new one where it works on none.
pub fn id() -> String {
    CURRENT.try_with(|request| request.id.clone()).unwrap_or_else(|_| new_id())
}

/// Whence the request came that this task works on, if it works on one.
pub(crate) fn source() -> Option<String> {
    CURRENT.try_with(|request| request.source.clone()).ok()
}

/// Notes that who sent the request that this task works on may use the service.
pub(crate) fn note_granted() {
    // Outside of a request nobody wants to know.
    let _ = CURRENT.try_with(|request| request.granted.store(true, Ordering::Relaxed));
}

/// True when that was noted.
pub(crate) fn is_granted() -> bool {
    CURRENT.try_with(|request| request.granted.load(Ordering::Relaxed)).unwrap_or(false)
}

/// Works on a request.
pub(crate) async fn work<F: Future>(id: String, source: String, work: F) -> F::Output {
    CURRENT.scope(Request { id, source, granted: Arc::default() }, work).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_request_has_one_id_wherever_it_is_asked_for() {
        let ids = work("abc".to_owned(), "192.0.2.1".to_owned(), async {
            let first = id();
            tokio::task::yield_now().await;
            assert!(!is_granted());
            note_granted();
            assert!(is_granted());
            (first, id(), source())
        });
        let (first, second, from) = ids.await;
        assert_eq!((first.as_str(), second.as_str()), ("abc", "abc"));
        assert_eq!(from.as_deref(), Some("192.0.2.1"));
        assert_ne!(id(), id());
        assert_eq!(source(), None);
        note_granted();
        assert!(!is_granted());
    }
}
