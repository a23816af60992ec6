//! What the configuration means for the verification of tokens: providers, times and the way there.

use super::{Config, OpConfig, TokensConfig};
use crate::identity::{Freshness, HttpSettings, OpaqueOffer, Provider, VerifierSettings};
use crate::policy;
use feudal_plugins::{AnyOf, groups, person};
use std::collections::BTreeSet;
use std::time::Duration;

impl Config {
    /// The providers, with the claims that policy, names and groups read.
    pub fn providers(&self) -> Vec<Provider> {
        let keys = self.adapter.deploys_keys().then(person::key_claims_read);
        let names = self.adapter.names.claims_read();
        let accounts: Vec<AnyOf> =
            names.into_iter().chain([groups::claims_read()]).chain(keys).collect();
        self.ops.iter().map(|op| provider(op, &accounts)).collect()
    }

    /// How tokens are verified.
    pub fn verifier_settings(&self) -> VerifierSettings {
        settings(&self.tokens)
    }

    /// Names of all claims that may count when somebody's request for an account is decided later.
    pub fn claims_kept(&self) -> BTreeSet<String> {
        let policies = self.ops.iter().flat_map(|op| policy::claims_read(&op.policy));
        let names = self.adapter.names.claims_read();
        let read = policies.chain(names).chain([groups::claims_read()]);
        // What rules of a configuration to come are likely to read, and what admins are shown.
        let always = ["sub", "iss", "aud", "name", "given_name", "family_name", "sn", "email"];
        let always = always.into_iter().chain(["email_verified", "preferred_username"]);
        let read: Vec<String> = read.flat_map(|any| any.names().to_vec()).collect();
        always.map(str::to_owned).chain(read).collect()
    }

    /// How providers are reached.
    pub fn http_settings(&self) -> HttpSettings {
        HttpSettings { ca_file: self.mapper.ca_file.clone(), proxy: self.tokens.proxy.clone() }
    }
}

fn provider(op: &OpConfig, accounts: &[AnyOf]) -> Provider {
    let needs = policy::claims_read(&op.policy).into_iter().chain(accounts.iter().cloned());
    Provider {
        issuer: op.issuer.clone(),
        opaque_tokens: op.opaque_tokens,
        userinfo: op.userinfo,
        needs: needs.collect(),
        audience_configured: !op.policy.audience.accepted.is_empty(),
        introspection: op.introspection.clone(),
        timeout: op.timeout,
        allow_http: op.allow_http_loopback,
    }
}

fn settings(tokens: &TokensConfig) -> VerifierSettings {
    let opaque = if tokens.offer_opaque_tokens_to_all {
        OpaqueOffer::AllMarked
    } else {
        OpaqueOffer::NamedOnly
    };
    let freshness = Freshness {
        max_age: tokens.keys_max_age,
        // Keys that are not old enough to be fetched anew are never too old to serve.
        stale_bound: tokens.keys_stale.max(tokens.keys_max_age + SLACK),
        ..Freshness::default()
    };
    VerifierSettings {
        skew: tokens.skew,
        max_age: tokens.max_age,
        remember_verified: tokens.remember,
        opaque,
        freshness,
        ..VerifierSettings::default()
    }
}

/// Time for the fetch that follows when keys come of age.
const SLACK: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::super::{Owners, Source, validate};
    use super::*;
    use crate::identity::UserinfoMode;

    fn config(motley: &str, adapter: &str) -> Config {
        let source = |name: &str, text: &str| Source {
            path: name.into(),
            text: text.to_owned(),
            is_public: false,
        };
        let files = (source("motley_cue.conf", motley), source("feudal_adapter.conf", adapter));
        validate(files.0, files.1, Owners { service: 0 }).unwrap().0
    }

    #[test]
    fn every_option_of_the_tokens_section_arrives_where_it_acts() {
        let config = config(
            "[mapper]\nca_file = /etc/ca.pem\n[tokens]\nremember = 7\nskew = 8\nmax_age = 9\n\
             offer_opaque_tokens_to_all = yes\nproxy = http://proxy.example:3128\n\
             keys_max_age = 100\nkeys_stale = 1000\n",
            "",
        );
        let settings = config.verifier_settings();
        assert_eq!(settings.remember_verified, Duration::from_secs(7));
        assert_eq!(settings.skew, 8);
        assert_eq!(settings.max_age, Some(Duration::from_secs(9)));
        assert_eq!(settings.opaque, OpaqueOffer::AllMarked);
        assert_eq!(settings.freshness.max_age, Duration::from_secs(100));
        assert_eq!(settings.freshness.stale_bound, Duration::from_secs(1000));
        let http = config.http_settings();
        assert_eq!(http.ca_file, Some("/etc/ca.pem".into()));
        assert_eq!(format!("{:?}", http.proxy.unwrap()), "ProxyUrl(proxy.example)");
    }

    #[test]
    fn without_the_section_the_defaults_of_the_option_table_hold() {
        let settings = config("", "").verifier_settings();
        let built_in = VerifierSettings::default();
        assert_eq!(settings.remember_verified, built_in.remember_verified);
        assert_eq!((settings.skew, settings.max_age), (built_in.skew, None));
        assert_eq!(settings.opaque, OpaqueOffer::NamedOnly);
        assert_eq!(settings.freshness, Freshness::default());
    }

    fn needs(motley: &str, adapter: &str) -> Vec<Vec<String>> {
        let head = "[authorisation.a]\nop_url = https://op.example\nuserinfo = when_needed\n";
        let providers = config(&format!("{head}{motley}"), adapter).providers();
        assert_eq!(providers[0].userinfo, UserinfoMode::WhenNeeded);
        providers[0].needs.iter().map(|choice| choice.names().to_vec()).collect()
    }

    #[test]
    fn a_provider_needs_the_claims_of_its_policy_and_of_names_and_groups() {
        let pooled = "[ldf_adapter]\nfallback_group = nogroup\n[username_generator]\nmode = pooled\npool_prefix = p\n";
        let groups = ["entitlements", "eduperson_entitlement", "wlcg.groups", "groups"];
        assert_eq!(needs("authorise_all = yes\n", pooled), [groups]);
        let names = ["preferred_username", "given_name", "family_name", "sn", "name", "email"];
        let friendly = "[username_generator]\nmode = friendly\n";
        let both = needs("authorise_all = yes\n", friendly);
        assert_eq!(both, [names.as_slice(), groups.as_slice()]);
        let strict = "authorised_vos = [a]\nvo_claim = vos\naudience = here\n\
             assurance_based_shell_tier_full = x\nassurance_claims = [acr, loa]\n";
        let all = needs(strict, pooled);
        assert_eq!(all[..3], [vec!["vos"], vec!["aud"], vec!["acr", "loa"]]);
        // Everybody is let in, so nobody's memberships are read.
        assert_eq!(needs("authorise_all = yes\nauthorised_vos = [a]\n", pooled), [groups]);
    }
}
