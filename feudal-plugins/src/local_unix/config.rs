//! Section `[backend.local_unix]`: shells, homes and the way names are made.

use crate::{backend::Tier, names::ShadowVariant};
use motley_proto::task::{AccountPath, PathError};

/// Options of `[backend.local_unix]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalUnixConfig {
    /// Shell of tier full.
    pub shell: AccountPath,
    /// Shell of tier limited.
    pub shell_limited: AccountPath,
    /// Shell of tier restricted.
    pub shell_restricted: AccountPath,
    /// Shell of limited accounts.
    pub nologin: AccountPath,
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
        let nologin = AccountPath::new("/sbin/nologin")?;
        Ok(Self {
            shell: AccountPath::new("/bin/sh")?,
            shell_limited: nologin.clone(),
            shell_restricted: nologin.clone(),
            nologin,
            home_base: AccountPath::new("/home")?,
            shadow_compatibility: ShadowVariant::Default,
            punch4nfdi: false,
        })
    }

    /// The shell that a tier earns.
    pub fn shell_for(&self, tier: Tier) -> &AccountPath {
        match tier {
            Tier::Full => &self.shell,
            Tier::Limited => &self.shell_limited,
            Tier::Restricted => &self.shell_restricted,
        }
    }

    /// How group names are made; belongs into [`crate::groups::GroupRules::shadow`].
    pub fn group_shadow(&self) -> ShadowVariant {
        if self.punch4nfdi { ShadowVariant::Punch } else { self.shadow_compatibility }
    }

    /// True for the shell of a tier. Another shell was set by the operator, and stays.
    pub fn is_tier_shell(&self, shell: &str) -> bool {
        [&self.shell, &self.shell_limited, &self.shell_restricted]
            .iter()
            .any(|tier| tier.as_str() == shell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_give_each_tier_its_shell() {
        let config = LocalUnixConfig::standard().unwrap();
        assert_eq!(config.shell_for(Tier::Full).as_str(), "/bin/sh");
        assert_eq!(config.shell_for(Tier::Limited).as_str(), "/sbin/nologin");
        assert_eq!(config.shell_for(Tier::Restricted).as_str(), "/sbin/nologin");
        assert_eq!(config.group_shadow(), ShadowVariant::Default);
    }
}
