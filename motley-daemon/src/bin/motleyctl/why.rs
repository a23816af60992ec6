//! `explain` and `token`: why somebody can, or can't, come in, and what a token says.

use super::{
    ask::{Daemon, Failure, unexpected},
    cli::Explain,
    people,
    show::{Output, date},
    stdin,
};
use motley_proto::{
    admin::{
        AdminAnswer, AdminRequest, EntitlementFact, PersonFact, PreviewFact, RuleFact, TokenReport,
        WhyReport,
    },
    facts::{IssuerFact, OutcomeFact, TokenFacts, TokenKind, UserinfoFact},
};
use std::process::ExitCode;

/// Why a person can, or can't, come in. Fails with 1 when it is certain that he can't.
pub(crate) fn explain(
    daemon: &Daemon,
    output: Output,
    explain: Explain,
) -> Result<ExitCode, Failure> {
    let request = match (explain.token_stdin, explain.whom.target()) {
        (true, _) => AdminRequest::WhyToken { token: stdin::token()? },
        (false, Some(target)) => AdminRequest::Why { target },
        (false, None) => {
            let usage = "name a local user, or --sub and --iss, or give --token-stdin";
            return Err(Failure::Usage(usage.to_owned()));
        }
    };
    let AdminAnswer::Why(report) = daemon.ask(&request)? else { return unexpected() };
    if output.json {
        output.write_json(&report)?;
    } else {
        write(output, &report)?;
    }
    Ok(match report.verdict.let_in {
        Some(false) => ExitCode::FAILURE,
        _ => ExitCode::SUCCESS,
    })
}

fn write(output: Output, report: &WhyReport) -> Result<(), Failure> {
    if let Some(token) = &report.token {
        output.write_facts(&outcome(&token.token))?;
    }
    let person = report.token.as_ref().and_then(|token| token.person.as_ref());
    let section = &report.section;
    output.write_facts(&[(
        "provider",
        if section.configured { "configured" } else { "NOT CONFIGURED" }.to_owned(),
    )])?;
    output.write_facts(
        &section.lets_in.iter().map(|text| ("lets in", text.clone())).collect::<Vec<_>>(),
    )?;
    match person {
        Some(person) => output.write_facts(&person_facts(person))?,
        None => output.write_facts(&rules(&section.rules))?,
    }
    if report.is_admin {
        output.write_facts(&[("admin", "one of authorised_admins".to_owned())])?;
    }
    if let Some(preview) = &report.preview {
        output.write_facts(&previewed(preview))?;
    }
    output.write_line("")?;
    match &report.account {
        Some(account) => output.write_facts(&people::facts(account))?,
        None => output.write_facts(&[("state", report.state.to_string())])?,
    }
    output.write_line("")?;
    output.write_line(&report.verdict.because)
}

/// What a token says and what it comes to. Fails with 1 when it proves nothing.
pub(crate) fn token(daemon: &Daemon, output: Output) -> Result<ExitCode, Failure> {
    let request = AdminRequest::Token { token: stdin::token()? };
    let AdminAnswer::Token(report) = daemon.ask(&request)? else { return unexpected() };
    if output.json {
        output.write_json(&report)?;
    } else {
        write_token(output, &report)?;
    }
    let good = matches!(report.token.outcome, OutcomeFact::Good { .. });
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn write_token(output: Output, report: &TokenReport) -> Result<(), Failure> {
    let token = &report.token;
    let kind = match token.kind {
        TokenKind::Signed => "signed",
        TokenKind::Opaque => "opaque: only its provider can read it",
        TokenKind::NotReadable => "no token, or a broken one",
    };
    output.write_facts(&[("kind", kind.to_owned())])?;
    output.write_facts(&outcome(token))?;
    let member = |what: &str, members: &[motley_proto::facts::MemberFact]| -> Vec<Vec<String>> {
        members
            .iter()
            .map(|member| vec![what.to_owned(), member.name.clone(), member.value.clone()])
            .collect()
    };
    let mut rows = member("header", &token.header);
    rows.extend(member("claim", &token.claims));
    output.write_line("")?;
    output.write_table(&["PART", "NAME", "VALUE"], &rows)?;
    if token.left_out > 0 {
        output.write_line(&format!("{} more are not shown", token.left_out))?;
    }
    output.write_line("")?;
    match &report.person {
        Some(person) => output.write_facts(&person_facts(person)),
        None => Ok(()),
    }
}

fn outcome(token: &TokenFacts) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    facts.push(match &token.issuer {
        IssuerFact::None => ("token's issuer", "none that can be read".to_owned()),
        IssuerFact::NotConfigured { named } => {
            ("token's issuer", format!("{named}, NOT CONFIGURED"))
        }
        IssuerFact::Configured { named, configured } => {
            ("token's issuer", format!("{named}, configured as {configured}"))
        }
    });
    if let Some(key) = &token.key {
        let name = key.kid.as_deref().unwrap_or("without kid");
        facts.push(("key", format!("{name} ({})", key.algorithms.join(" "))));
    }
    for time in &token.times {
        let when = format!("{} ({} s from now)", date(time.at), time.from_now);
        facts.push(("date", format!("{} {when}", time.claim)));
    }
    for one_of in &token.lacking {
        facts.push(("lacks", one_of.join(" or ")));
    }
    facts.push((
        "userinfo",
        match &token.userinfo {
            UserinfoFact::NotAsked { why } => format!("not asked: {why}"),
            UserinfoFact::Answered { added } if added.is_empty() => {
                "answered, nothing new".to_owned()
            }
            UserinfoFact::Answered { added } => format!("added {}", added.join(" ")),
            UserinfoFact::Nothing { why } => format!("told nothing: {why}"),
        },
    ));
    match &token.outcome {
        OutcomeFact::Good { identity, expires } => {
            let until = expires.map(|at| format!(" until {}", date(at))).unwrap_or_default();
            facts.push(("verification", format!("good{until}")));
            facts.push(("subject", identity.subject.to_string()));
            facts.push(("issuer", identity.issuer.to_string()));
        }
        OutcomeFact::Refused { kind, reason, is_transient, .. } => {
            let later = if *is_transient { "; may be good in a moment" } else { "" };
            facts.push(("verification", format!("REFUSED ({kind}): {reason}{later}")));
        }
    }
    facts
}

fn person_facts(person: &PersonFact) -> Vec<(&'static str, String)> {
    let mut facts = vec![("scopes", person.scopes.join(" "))];
    facts.extend(person.entitlements.iter().map(|it| ("entitlement", entitlement(it))));
    facts.extend(person.assurance.iter().map(|value| ("assurance", value.clone())));
    if person.left_out > 0 {
        facts.push(("not shown", person.left_out.to_string()));
    }
    facts.push(("tier", format!("{}: {}", person.tier, person.tier_because)));
    facts.extend(rules(&person.rules));
    facts.push(("authorised", if person.authorised { "yes" } else { "NO" }.to_owned()));
    facts
}

fn entitlement(fact: &EntitlementFact) -> String {
    let Some(parts) = &fact.parts else { return format!("{} (a plain text)", fact.text) };
    let role = parts.role.as_deref().map(|role| format!(", role {role}")).unwrap_or_default();
    let authority = parts.authority.as_deref().map(|it| format!(", says {it}")).unwrap_or_default();
    let group = parts.group.join(" / ");
    format!("{} (group {group} in {}{role}{authority})", fact.text, parts.namespace)
}

fn rules(rules: &[RuleFact]) -> Vec<(&'static str, String)> {
    let line = |rule: &RuleFact| {
        let met = match rule.met {
            Some(true) => "met",
            Some(false) => "NOT MET",
            None => "depends on claims",
        };
        ("rule", format!("{}: {met}: {}", rule.rule, rule.because))
    };
    rules.iter().map(line).collect()
}

fn previewed(preview: &PreviewFact) -> Vec<(&'static str, String)> {
    let mut facts = Vec::new();
    facts.push(("name here", preview.name.clone().unwrap_or_else(|| "NONE IS FREE".to_owned())));
    facts.push(("candidates", preview.candidates.join(" ")));
    facts.push(("groups here", preview.groups.join(" ")));
    facts.extend(preview.dropped.iter().map(|group| ("group left out", group.clone())));
    facts.extend(preview.problem.iter().map(|problem| ("PROBLEM", problem.clone())));
    facts
}
