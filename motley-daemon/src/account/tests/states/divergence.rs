//! Where we differ from the recorded cases on purpose, and why.

use super::{
    left::Left,
    play::{Case, Outcome},
};

const NO_VERB: &str =
    "approvals are decided by motleyctl, and words that mean nothing are no verbs";
const TWO_ACCOUNTS: &str = "of two accounts of one identity local_unix takes the last line, as recorded; the stand-in has no lines";
const NOT_DEPLOYED: &str = "a suspended or limited account is not said to be deployed";
const NOT_VERIFIED: &str = "nobody is verified who is suspended or limited";
const STAYS_SUSPENDED: &str = "a removal does not lift a suspension";
const TIER: &str = "the shell follows the tier at each deployment";
const OWN_NAME: &str =
    "an account is addressed by the name that it has, not by what that name would be made into";
const COMMENT: &str = "the identity in the comment field ends at the first comma";
const NOLOGIN: &str = "nologin limits an account wherever it lies";
const SSH_KEYS: &str = "keys come with verified claims, where they are switched on, and no sentence says that they came";
const GROUP: &str = "a group that can't be named is left out and keeps nobody out";
const EMPTY_NAME: &str = "a name of which nothing is left is passed over for the next";
const QUESTIONS: &str = "nobody is asked for a name";

const MAIL: &str = "a mail server that fails, or a script for new accounts, fails no request";
const NO_REQUEST: &str = "a decision about a request that is not there, or not open, is refused";
const WAITS: &str = "nobody is verified who waits for an account";
const AGAIN: &str = "who was refused groups asks again only for others";
const LEFT_AT_ONCE: &str = "groups that are not claimed any more are left without asking";
const KEEPS: &str = "who is refused further groups keeps the account that there is";
const NOTHING_ASKED: &str = "nothing is asked for somebody who is suspended";
const REQUEST_ENDS: &str = "a removal ends the request too";
const GOES: &str = "a primary group that came with a claim goes with it";
const TAKEN_OVER: &str = "an account that was made by hand meanwhile is taken over, not doubled";

/// Reasons, and how many of the recorded cases diverge for each.
pub(super) const REASONS: &[(&str, usize)] = &[
    (NO_VERB, 10),
    (TWO_ACCOUNTS, 10),
    (NOT_DEPLOYED, 7),
    (NOT_VERIFIED, 3),
    (STAYS_SUSPENDED, 2),
    (TIER, 3),
    (OWN_NAME, 22),
    (COMMENT, 9),
    (NOLOGIN, 7),
    (SSH_KEYS, 4),
    (GROUP, 3),
    (EMPTY_NAME, 1),
    (QUESTIONS, 1),
    (MAIL, 17),
    (NO_REQUEST, 15),
    (WAITS, 1),
    (AGAIN, 2),
    (LEFT_AT_ONCE, 2),
    (KEEPS, 2),
    (NOTHING_ASKED, 6),
    (REQUEST_ENDS, 1),
    (GOES, 4),
    (TAKEN_OVER, 1),
];

/// Why a case can't be played at all.
pub(super) fn not_played(case: &Case) -> Option<&'static str> {
    match case.action() {
        "accepted" | "rejected" if case.asks() => {}
        "test" | "accepted" | "rejected" | "bogus" | "" | "pending" => return Some(NO_VERB),
        _ => {}
    }
    let own = case.setup().filter(|(step, what)| {
        let made = what.as_str().unwrap_or_default();
        *step == "sh" && made.starts_with("useradd -m -c sub-1@")
    });
    (own.count() > 1).then_some(TWO_ACCOUNTS)
}

/// The same where admins are asked.
fn reason_of_approval(case: &Case, ours: &Outcome, recorded: &Outcome) -> Option<&'static str> {
    let is = |state: &Option<String>, word: &str| state.as_deref() == Some(word);
    let name = case.name();
    let deploys = matches!(case.action(), "deploy" | "deployed");
    let decides = matches!(case.action(), "accepted" | "rejected");
    let by_hand = name.contains("then account created by hand");
    if deploys && is(&ours.state, "suspended") {
        return Some(NOTHING_ASKED);
    }
    if deploys
        && name.contains("membership change rejected")
        && ours.message_is("User already existed.")
    {
        return Some(AGAIN);
    }
    let leaves = ours.message.as_deref().is_some_and(|it| it.contains("was removed from groups"));
    if deploys && leaves && name.contains("membership change accepted") {
        return Some(LEFT_AT_ONCE);
    }
    if deploys && recorded.error && !ours.error {
        return Some(MAIL);
    }
    if decides && ours.error && !recorded.error {
        return Some(NO_REQUEST);
    }
    match case.action() {
        "verify_user" if is(&ours.state, "pending") || is(&ours.state, "rejected") => {
            (ours.verified == Some(false)).then_some(WAITS)
        }
        "rejected" if is(&ours.state, "deployed") => Some(KEEPS),
        "accepted" if by_hand && is(&ours.state, "deployed") => Some(TAKEN_OVER),
        "not_deployed" if by_hand && is(&ours.state_after, "not_deployed") => Some(REQUEST_ENDS),
        _ => None,
    }
}

/// Why the outcome may differ from the recorded one.
pub(super) fn reason(case: &Case, ours: &Outcome, recorded: &Outcome) -> Option<&'static str> {
    let ran = |text: &str| {
        case.setup().any(|(_, what)| what.as_str().is_some_and(|command| command.contains(text)))
    };
    if case.asks()
        && let Some(reason) = reason_of_approval(case, ours, recorded)
    {
        return Some(reason);
    }
    let is = |state: &Option<String>, word: &str| state.as_deref() == Some(word);
    let locked = is(&ours.state, "suspended") || is(&ours.state, "limited");
    let deploys = matches!(case.action(), "deploy" | "deployed");
    let name = case.name();
    if case.0["input"].get("credentials").is_some() {
        return is(&ours.state, "deployed").then_some(SSH_KEYS);
    }
    if case.config().contains("interactive = yes") {
        return is(&ours.state, "deployed").then_some(QUESTIONS);
    }
    if ran("usermod -c") {
        return ours
            .message_after
            .as_deref()
            .is_some_and(|it| it == "username jdoe")
            .then_some(COMMENT);
    }
    if ran("john.doe") || (name.contains("two dots") && is(&recorded.state_after, "unknown")) {
        return (!ours.error).then_some(OWN_NAME);
    }
    if ran("/usr/sbin/nologin") || case.config().contains("/usr/sbin/nologin") {
        return is(&ours.state_after, "limited").then_some(NOLOGIN);
    }
    if deploys && locked && is(&recorded.state, "deployed") && ours.message == recorded.message {
        return Some(NOT_DEPLOYED);
    }
    if ours.verified == Some(false) && recorded.verified == Some(true) && locked {
        return Some(NOT_VERIFIED);
    }
    if case.action() == "not_deployed" && is(&ours.state, "suspended") {
        return Some(STAYS_SUSPENDED);
    }
    if deploys && case.setup().any(|(step, _)| step == "tier") {
        return is(&ours.state_after, "deployed").then_some(TIER);
    }
    if name.contains("group name") && recorded.error {
        return is(&ours.state, "deployed").then_some(GROUP);
    }
    let leaves = |it: &Outcome| {
        it.message.as_deref().is_some_and(|it| it.contains("was removed from groups"))
    };
    if deploys && leaves(ours) && !leaves(recorded) {
        return Some(GOES);
    }
    let other_name = ours.user.is_some() && recorded.user.as_deref() == Some("_");
    other_name.then_some(EMPTY_NAME)
}

const SYSTEM_GROUP: &str = "groups of the system are out of reach for a provider";
const LIMITS: &str = "a limit is given and lifted whatever else the account is";

pub(super) const ACCOUNT_REASONS: &[&str] = &[
    COMMENT,
    OWN_NAME,
    TIER,
    LIMITS,
    NOLOGIN,
    SSH_KEYS,
    GROUP,
    SYSTEM_GROUP,
    EMPTY_NAME,
    QUESTIONS,
    LEFT_AT_ONCE,
    GOES,
    TAKEN_OVER,
];

/// Why what is left of the account may differ from what was recorded.
pub(super) fn reason_of_account(
    case: &Case,
    ours: &Option<Left>,
    recorded: &Option<Left>,
) -> Option<&'static str> {
    let ran = |text: &str| {
        case.setup().any(|(_, what)| what.as_str().is_some_and(|command| command.contains(text)))
    };
    let name = case.name();
    if ran("usermod -c") {
        return ours.as_ref().is_some_and(|it| it.name == "jdoe").then_some(COMMENT);
    }
    if case.0["input"].get("credentials").is_some() {
        return ours.is_some().then_some(SSH_KEYS);
    }
    if case.config().contains("interactive = yes") {
        return ours.is_some().then_some(QUESTIONS);
    }
    let (Some(ours), Some(recorded)) = (ours, recorded) else {
        let is_left_out = ours.as_ref().is_some_and(|it| it.groups.contains("nogroup"));
        return (name.contains("group name") && is_left_out).then_some(GROUP);
    };
    let same_but_for = |change: fn(&mut Left, &Left)| {
        let mut same = ours.clone();
        change(&mut same, recorded);
        same == *recorded
    };
    let shell = same_but_for(|ours, recorded| ours.shell.clone_from(&recorded.shell));
    let groups = same_but_for(|ours, recorded| ours.groups.clone_from(&recorded.groups));
    if ran("john.doe") || name.contains("two dots") {
        return (ours.name == recorded.name).then_some(OWN_NAME);
    }
    match case.action() {
        "deploy" | "deployed" if recorded.name == "_" => Some(EMPTY_NAME),
        "deploy" | "deployed" if shell && ran_tier(case) => Some(TIER),
        "limited" if shell && ours.shell.ends_with("/nologin") => Some(LIMITS),
        "unlimit" if shell && ran("/usr/sbin/nologin") => Some(NOLOGIN),
        "unlimit" if shell => Some(LIMITS),
        "deploy" | "deployed" if groups && name.contains("group is") => {
            ["sudo", "root"].iter().all(|it| !ours.groups.contains(*it)).then_some(SYSTEM_GROUP)
        }
        "deploy" | "deployed" if groups && name.contains("membership change accepted") => {
            ours.groups.is_subset(&recorded.groups).then_some(LEFT_AT_ONCE)
        }
        "deploy" | "deployed" if groups && loses_the_primary_group(&name) => {
            (!ours.groups.contains("wlcg")).then_some(GOES)
        }
        "accepted" if groups && name.contains("account created by hand") => {
            ours.groups.is_superset(&recorded.groups).then_some(TAKEN_OVER)
        }
        _ => None,
    }
}

/// True for cases in which the claims have all groups but the one that became the primary group.
fn loses_the_primary_group(name: &str) -> bool {
    ["with another group", "other group only", "no groups any more"]
        .iter()
        .any(|it| name.contains(it))
}

fn ran_tier(case: &Case) -> bool {
    case.setup().any(|(step, _)| step == "tier")
}
