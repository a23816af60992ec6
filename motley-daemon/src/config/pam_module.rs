//! Whether the PAM module can tell which accounts are ours while the daemon is away.
//!
//! By `account_on_error = deny_managed` it goes by the comment of an account. Where that does not name
//! the person, a suspended one would come in by key as long as nobody answers.

use super::{
    adapter::BackendConfig,
    finding::{Finding, FindingKind, Findings},
    options::FEUDAL_ADAPTER,
};
use std::path::Path;

/// Where the packages put the module's options.
pub(super) const OPTIONS: &str = "/etc/pam_oidc.toml";

/// Attribute of a directory that a host shows as comment (RFC 2307 §5.3).
const COMMENT: &str = "gecos";

pub(super) fn warn_about_untold_accounts(
    backend: &BackendConfig,
    options: &Path,
    found: &mut Findings,
) {
    let Some(word) = without_comments(backend) else { return };
    if refuses_all(&std::fs::read_to_string(options).unwrap_or_default()) {
        return;
    }
    let what = format!(
        "the comments of accounts of backend = {word} don't name people, so while the daemon is away \
         suspended ones come in by key"
    );
    let cure = format!(
        "write account_on_error = deny into {}, with the accounts of local people in skip_users",
        options.display()
    );
    let finding = Finding::new(FindingKind::Doubtful, FEUDAL_ADAPTER.name, what, cure);
    found.warn(finding.section("ldf_adapter").option("backend"));
}

fn without_comments(backend: &BackendConfig) -> Option<&'static str> {
    match backend {
        BackendConfig::LocalUnix(_) => None,
        BackendConfig::Ldap(ldap) => {
            (!ldap.attributes.identity.eq_ignore_ascii_case(COMMENT)).then_some(ldap.backend)
        }
        BackendConfig::BwIdm(_) => Some("bwidm"),
        BackendConfig::External(_) => Some("external"),
        BackendConfig::Map(_) => Some("map"),
    }
}

fn refuses_all(options: &str) -> bool {
    options.lines().any(|line| {
        let line = line.split('#').next().unwrap_or_default();
        line.split_once('=').is_some_and(|(option, value)| {
            option.trim() == "account_on_error" && value.trim().trim_matches(['"', '\'']) == "deny"
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use feudal_plugins::local_unix::LocalUnixConfig;

    #[test]
    fn r08_options_that_refuse_all_are_told_from_others() {
        for (options, refuses) in [
            ("account_on_error = deny\n", true),
            ("# x\ntimeout = 9\naccount_on_error=\"deny\" # all\n", true),
            ("account_on_error = deny_managed\n", false),
            ("# account_on_error = deny\n", false),
            ("", false),
        ] {
            assert_eq!(refuses_all(options), refuses, "{options}");
        }
    }

    #[test]
    fn accounts_of_this_host_tell_whose_they_are() {
        let local = BackendConfig::LocalUnix(LocalUnixConfig::standard().unwrap());
        assert_eq!(without_comments(&local), None);
    }
}
