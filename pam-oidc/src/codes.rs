//! The one table from how a call ends to what PAM is told.

use pamsm::PamError;

/// Which of the module's doors PAM came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// `pam_sm_authenticate`.
    Auth,
    /// `pam_sm_acct_mgmt`: runs for key and certificate logins too.
    Account,
    /// `pam_sm_setcred`.
    Credentials,
    /// `pam_sm_open_session` and `pam_sm_close_session`.
    Session,
}

/// How a call ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The daemon said yes about this name, or there was nothing to decide.
    Granted,
    /// Not an account of ours: the other modules of the stack decide.
    NotOurs,
    /// No verdict in the account phase, and `account_on_error` lets the account pass.
    LetPass,
    /// The daemon or a check of this module said no.
    Denied,
    /// The identity behind the account is suspended, expired or pending.
    Suspended,
    /// Too many attempts from this source or for this name.
    TooManyTries,
    /// The name at entry can't name anybody.
    BadName,
    /// `PAM_USER` is not the name that it was at entry (CVE-2024-9313).
    UserChanged,
    /// The user could not be asked.
    NoAnswer,
    /// The daemon is down, late, gone, undecided or not the daemon.
    Unavailable,
    /// The daemon answered something that is no answer to the question.
    BadReply,
    /// An option of the PAM line or of the file is unknown or has a bad value.
    BadOptions,
    /// The module itself broke.
    Panicked,
}

/// What PAM is told; see pam_sm_authenticate(3), pam_sm_acct_mgmt(3) and pam_sm_setcred(3).
///
/// `PAM_IGNORE` from setcred makes sshd end a login that it has already announced as accepted, so
/// the credentials phase knows success and failure only.
pub(crate) fn pam_code(phase: Phase, ending: Ending) -> PamError {
    match (phase, ending) {
        (_, Ending::Granted) => PamError::SUCCESS,
        (_, Ending::Panicked) => PamError::ABORT,
        (Phase::Credentials, _) => PamError::CRED_ERR,
        (Phase::Session, _) => PamError::SESSION_ERR,
        (_, Ending::NotOurs) => PamError::IGNORE,
        (_, Ending::BadName) => PamError::USER_UNKNOWN,
        (Phase::Auth, ending) => match ending {
            Ending::TooManyTries => PamError::MAXTRIES,
            Ending::NoAnswer => PamError::CONV_ERR,
            Ending::Unavailable | Ending::BadOptions => PamError::AUTHINFO_UNAVAIL,
            Ending::BadReply => PamError::SYSTEM_ERR,
            _ => PamError::AUTH_ERR,
        },
        (Phase::Account, Ending::LetPass) => PamError::IGNORE,
        (Phase::Account, _) => PamError::PERM_DENIED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! rows {
        ($($test:ident: $phase:ident, $ending:ident => $code:ident;)*) => {
            $(#[test]
            fn $test() {
                assert_eq!(pam_code(Phase::$phase, Ending::$ending), PamError::$code);
            })*
        };
    }

    rows! {
        auth_granted_is_success: Auth, Granted => SUCCESS;
        auth_of_somebody_else_is_left_to_other_modules: Auth, NotOurs => IGNORE;
        auth_denied_is_an_authentication_error: Auth, Denied => AUTH_ERR;
        auth_of_a_suspended_identity_looks_like_any_denial: Auth, Suspended => AUTH_ERR;
        auth_with_too_many_tries_ends_the_attempts: Auth, TooManyTries => MAXTRIES;
        auth_of_a_malformed_name_is_unknown_user: Auth, BadName => USER_UNKNOWN;
        r07_auth_with_a_changed_user_is_an_authentication_error: Auth, UserChanged => AUTH_ERR;
        auth_without_an_answer_is_a_conversation_error: Auth, NoAnswer => CONV_ERR;
        auth_without_daemon_is_unavailable: Auth, Unavailable => AUTHINFO_UNAVAIL;
        auth_with_a_bad_reply_is_a_system_error: Auth, BadReply => SYSTEM_ERR;
        auth_with_bad_options_is_unavailable: Auth, BadOptions => AUTHINFO_UNAVAIL;
        r05_auth_that_panicked_aborts: Auth, Panicked => ABORT;
        auth_never_lets_pass_what_only_an_account_may: Auth, LetPass => AUTH_ERR;
        account_granted_is_success: Account, Granted => SUCCESS;
        account_of_somebody_else_is_left_to_other_modules: Account, NotOurs => IGNORE;
        account_without_verdict_may_pass: Account, LetPass => IGNORE;
        account_denied_is_permission_denied: Account, Denied => PERM_DENIED;
        r08_account_suspended_is_permission_denied: Account, Suspended => PERM_DENIED;
        account_with_too_many_tries_is_permission_denied: Account, TooManyTries => PERM_DENIED;
        account_of_a_malformed_name_is_unknown_user: Account, BadName => USER_UNKNOWN;
        r07_account_with_a_changed_user_is_permission_denied: Account, UserChanged => PERM_DENIED;
        account_without_an_answer_is_permission_denied: Account, NoAnswer => PERM_DENIED;
        account_without_daemon_is_permission_denied: Account, Unavailable => PERM_DENIED;
        account_with_a_bad_reply_is_permission_denied: Account, BadReply => PERM_DENIED;
        account_with_bad_options_is_permission_denied: Account, BadOptions => PERM_DENIED;
        r05_account_that_panicked_aborts: Account, Panicked => ABORT;
        credentials_are_always_success: Credentials, Granted => SUCCESS;
        r05_credentials_that_panicked_abort: Credentials, Panicked => ABORT;
        credentials_know_no_ignore: Credentials, NotOurs => CRED_ERR;
        sessions_are_always_success: Session, Granted => SUCCESS;
        r05_sessions_that_panicked_abort: Session, Panicked => ABORT;
        sessions_know_no_ignore: Session, NotOurs => SESSION_ERR;
    }
}
