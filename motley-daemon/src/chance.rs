//! Chance as a parameter, so that what is drawn can be known in tests.

use aws_lc_rs::rand;

/// The system's generator gave nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system's random number generator failed")]
pub struct NoChance;

/// Draws random bytes that nobody can foresee.
pub trait Chance: Send + Sync + 'static {
    /// Fills the bytes.
    ///
    /// # Errors
    /// When there is no randomness; never weaker bytes instead.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoChance>;
}

/// The generator of the system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemChance;

impl Chance for SystemChance {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoChance> {
        rand::fill(bytes).map_err(|_| NoChance)
    }
}
