//! Makes rules out of the configuration texts of the cases, as the daemon does with real files.

use super::ini::Ini;
use feudal_plugins::{
    groups::{GroupRules, Mapping, Method, Policy, SubGroups},
    names::ShadowVariant,
    pattern::Pattern,
};

/// The variant that a word names.
pub fn variant(word: &str) -> Option<ShadowVariant> {
    match word {
        "default" => Some(ShadowVariant::Default),
        "v044" => Some(ShadowVariant::V044),
        "punch" => Some(ShadowVariant::Punch),
        _ => None,
    }
}

/// Option `shadow_compatibility_function`.
pub fn user_variant(ini: &Ini) -> Option<ShadowVariant> {
    variant(ini.or("backend.local_unix", "shadow_compatibility_function", "default"))
}

fn patterns(text: &str) -> Result<Vec<Pattern>, String> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    lines.map(|line| Pattern::new(line).map_err(|e| e.to_string())).collect()
}

fn set(text: Option<&str>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Group rules, or why the configuration is refused.
pub fn group_rules(ini: &Ini) -> Result<GroupRules, String> {
    let policy = match ini.or("groups", "policy", "all") {
        "all" => Policy::All,
        "listed" => Policy::Listed {
            entitlements: patterns(ini.or("groups", "supported_entitlements", ""))?,
            groups: patterns(ini.or("groups", "supported_groups", ""))?,
        },
        other => return Err(format!("policy = {other}")),
    };
    let method = match ini.or("groups", "method", "classic") {
        "classic" => Method::Classic,
        "regex" => {
            let mapping = Mapping::parse(ini.or("groups", "mapping", ""));
            Method::Regex(mapping.map_err(|e| e.to_string())?)
        }
        other => return Err(format!("method = {other}")),
    };
    let strips = ini.is_on("username_generator", "strip_sub_groups");
    let punch = ini.is_on("backend.local_unix", "punch4nfdi");
    let user = user_variant(ini).ok_or("shadow_compatibility_function")?;
    Ok(GroupRules {
        policy,
        method,
        sub_groups: if strips { SubGroups::Strip } else { SubGroups::Keep },
        primary_group: set(ini.get("ldf_adapter", "primary_group")),
        fallback_group: set(Some(ini.or("ldf_adapter", "fallback_group", "nogroup"))),
        additional_groups: ini
            .or("ldf_adapter", "additional_groups", "")
            .split_whitespace()
            .map(str::to_owned)
            .collect(),
        shadow: if punch { ShadowVariant::Punch } else { user },
    })
}
