//! Login shells of the assurance tiers and of limited accounts.

use crate::backend::Tier;
use motley_proto::task::{AccountPath, PathError};

/// Options `shell`, `shell_limited` and `shell_restricted` of a back end's section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shells {
    /// Shell of tier full.
    pub full: AccountPath,
    /// Shell of tier limited, and of accounts that an admin limits.
    pub limited: AccountPath,
    /// Shell of tier restricted.
    pub restricted: AccountPath,
}

impl Shells {
    /// The defaults of every option.
    ///
    /// # Errors
    /// Never, as long as the defaults are valid paths, which a test proves.
    pub fn standard() -> Result<Self, PathError> {
        let nologin = AccountPath::new("/sbin/nologin")?;
        Ok(Self {
            full: AccountPath::new("/bin/sh")?,
            limited: nologin.clone(),
            restricted: nologin,
        })
    }

    /// The shell that a tier earns.
    pub fn of(&self, tier: Tier) -> &AccountPath {
        match tier {
            Tier::Full => &self.full,
            Tier::Limited => &self.limited,
            Tier::Restricted => &self.restricted,
        }
    }

    /// True for the shell of a lower tier, in which one may do less than in that of tier full.
    pub fn is_lower(&self, shell: &str) -> bool {
        shell != self.full.as_str()
            && (shell == self.limited.as_str() || shell == self.restricted.as_str())
    }

    /// True for the shell of a tier. Another shell was set by the operator, and stays.
    pub fn is_of_a_tier(&self, shell: &str) -> bool {
        [&self.full, &self.limited, &self.restricted].iter().any(|tier| tier.as_str() == shell)
    }
}

/// True for a shell in which nobody can work: an account that has it is limited.
pub fn is_nologin(shell: &str) -> bool {
    matches!(shell, "/sbin/nologin" | "/usr/sbin/nologin" | "/usr/bin/nologin" | "/bin/nologin")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_give_each_tier_its_shell() {
        let shells = Shells::standard().unwrap();
        assert_eq!(shells.of(Tier::Full).as_str(), "/bin/sh");
        assert_eq!(shells.of(Tier::Limited).as_str(), "/sbin/nologin");
        assert_eq!(shells.of(Tier::Restricted).as_str(), "/sbin/nologin");
        assert!(shells.is_of_a_tier("/bin/sh") && !shells.is_of_a_tier("/bin/zsh"));
        assert!(shells.is_lower("/sbin/nologin") && !shells.is_lower("/bin/zsh"));
    }

    #[test]
    fn a_tier_whose_shell_is_that_of_tier_full_is_not_lower() {
        let mut shells = Shells::standard().unwrap();
        shells.limited = shells.full.clone();
        assert!(!shells.is_lower("/bin/sh") && shells.is_lower("/sbin/nologin"));
    }
}
