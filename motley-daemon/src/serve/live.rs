//! The thing that serves now: each request takes the one that is current when it begins.

use std::sync::{Arc, PoisonError, RwLock};

/// A part of the service that a reload replaces while requests run.
///
/// A request that has begun goes on with what it took; the old one ends with its last request.
pub struct Live<T>(Arc<RwLock<Arc<T>>>);

impl<T> Clone for Live<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Live<T> {
    /// Begins with this one.
    pub fn new(first: T) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(first))))
    }

    /// The current one.
    pub fn get(&self) -> Arc<T> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets another one serve from now on.
    pub fn replace(&self, next: T) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
    }
}
