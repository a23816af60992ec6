//! The sentences that tell a person what was done to the account, in the established wording.

use motley_proto::{GroupName, Identity, UserName, rest::AccountState};

/// A change of state that somebody asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Lock the account.
    Suspend,
    /// Take the lock back.
    Resume,
    /// Leave the account a shell in which nobody can work.
    Limit,
    /// Give the shell back.
    Unlimit,
}

impl Change {
    fn ongoing(self) -> &'static str {
        match self {
            Self::Suspend => "Suspending",
            // The wording of the Python stack has no word of its own for this.
            Self::Resume | Self::Unlimit => "Resuming",
            Self::Limit => "Limiting",
        }
    }

    fn done(self) -> &'static str {
        match self {
            Self::Suspend => "suspended",
            Self::Resume => "resumed",
            Self::Limit => "limited",
            Self::Unlimit => "unlimited",
        }
    }
}

fn list(groups: &[GroupName]) -> String {
    let mut names: Vec<&str> = groups.iter().map(GroupName::as_str).collect();
    names.sort_unstable();
    names.dedup();
    names.join(",")
}

/// Says what a deployment did: `User was created and was added to groups a,b.`
pub fn deployed(created: bool, joined: &[GroupName], left: &[GroupName]) -> String {
    let mut text = if created { "User was created" } else { "User already existed" }.to_owned();
    if !joined.is_empty() {
        text.push_str(&format!(" and was added to groups {}", list(joined)));
    }
    if !left.is_empty() {
        text.push_str(&format!(" and was removed from groups {}", list(left)));
    }
    text.push('.');
    text
}

/// Says that a change of state was made.
pub fn changed(change: Change, identity: &Identity) -> String {
    format!("User '{}' was {}.", identity.unique_id(), change.done())
}

/// Says that a change of state does not apply to the state the account is in.
pub fn not_possible(change: Change, identity: &Identity, state: AccountState) -> String {
    format!(
        "{} user '{}' was not possible from the '{state}' state. User was not changed.",
        change.ongoing(),
        identity.unique_id(),
    )
}

/// Message of a status: the name, or that there is nothing to say.
pub fn status(name: Option<&UserName>) -> String {
    match name {
        Some(name) => format!("username {name}"),
        None => "No message".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use motley_proto::{Issuer, Subject};

    fn groups(names: &[&str]) -> Vec<GroupName> {
        names.iter().map(|name| GroupName::new(*name).unwrap()).collect()
    }

    #[test]
    fn a_deployment_is_told_in_the_established_words() {
        let (none, two, one) = (groups(&[]), groups(&["b", "a"]), groups(&["old"]));
        assert_eq!(deployed(true, &none, &none), "User was created.");
        assert_eq!(deployed(true, &two, &none), "User was created and was added to groups a,b.");
        assert_eq!(deployed(false, &none, &none), "User already existed.");
        assert_eq!(
            deployed(false, &two, &one),
            "User already existed and was added to groups a,b and was removed from groups old."
        );
    }

    #[test]
    fn a_change_of_state_names_the_unique_id() {
        let identity = Identity::new(
            Issuer::new("https://op.example/").unwrap(),
            Subject::new("sub-1").unwrap(),
        );
        assert_eq!(
            changed(Change::Suspend, &identity),
            "User 'sub-1@https%3A%2F%2Fop.example%2F' was suspended."
        );
        assert_eq!(
            not_possible(Change::Resume, &identity, AccountState::Deployed),
            "Resuming user 'sub-1@https%3A%2F%2Fop.example%2F' was not possible from the 'deployed' state. User was not changed."
        );
        assert_eq!(status(None), "No message");
        assert_eq!(status(Some(&UserName::new("jdoe").unwrap())), "username jdoe");
    }
}
