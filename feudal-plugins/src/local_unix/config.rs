//! Section `[backend.local_unix]`: shells, homes and the way names are made.

use crate::{names::ShadowVariant, shells::Shells};
use motley_proto::task::{AccountPath, PathError};

/// Options of `[backend.local_unix]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalUnixConfig {
    /// Shells of the tiers.
    pub shells: Shells,
    /// Directory in which homes are made.
    pub home_base: AccountPath,
    /// Option `shadow_compatibility_function`.
    pub shadow_compatibility: ShadowVariant,
    /// Option `punch4nfdi`: groups are named by the rules of PUNCH4NFDI.
    pub punch4nfdi: bool,
}

impl LocalUnixConfig {
    /// The defaults of every option.
    ///
    /// # Errors
    /// Never, as long as the defaults are valid paths, which a test proves.
    pub fn standard() -> Result<Self, PathError> {
        Ok(Self {
            shells: Shells::standard()?,
            home_base: AccountPath::new("/home")?,
            shadow_compatibility: ShadowVariant::Default,
            punch4nfdi: false,
        })
    }

    /// How group names are made; belongs into [`crate::groups::GroupRules::shadow`].
    pub fn group_shadow(&self) -> ShadowVariant {
        if self.punch4nfdi { ShadowVariant::Punch } else { self.shadow_compatibility }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        let config = LocalUnixConfig::standard().unwrap();
        assert_eq!(config.home_base.as_str(), "/home");
        assert_eq!(config.group_shadow(), ShadowVariant::Default);
    }
}
