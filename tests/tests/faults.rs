//! What must never happen with accounts, groups and states: each fault with the tests that show it absent.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A fault, and the functions that test for it.
const FAULTS: &[(&str, &[&str])] = &[
    (
        "a provider asserts a group of the system, and the person becomes its member",
        &[
            "r22_groups_of_the_system_are_out_of_reach_for_a_provider",
            "r22_an_entitlement_made_to_end_as_a_system_group_is_dropped",
            "r22_a_claim_can_not_become_membership_of_a_local_group",
        ],
    ),
    (
        "a deployment takes memberships away that a local admin gave",
        &["r22_a_membership_that_a_local_admin_gave_survives"],
    ),
    (
        "one provider speaks for the people of another",
        &[
            "r17_userinfo_about_somebody_else_is_refused",
            "r17_two_people_are_never_mixed_up_by_what_is_remembered",
        ],
    ),
    (
        "an issuer that nobody configured causes requests",
        &["r10_r11_issuers_that_are_not_configured_cause_no_request_at_all"],
    ),
    (
        "opaque tokens and one-time passwords are shown to providers that did not issue them",
        &[
            "r16_without_a_named_provider_nobody_is_asked",
            "r16_a_one_time_password_is_never_an_opaque_token",
        ],
    ),
    (
        "the audience of a token is not looked at",
        &["r17_whoever_is_let_in_has_a_token_for_one_of_the_audiences"],
    ),
    (
        "a revoked token works until its end",
        &["a_revoked_token_dies_when_it_is_not_remembered_any_more"],
    ),
    (
        "a lasting refusal after a provider was down for a moment",
        &[
            "userinfo_that_fails_refuses_an_opaque_token_for_a_moment_only",
            "a_provider_that_is_slow_is_refused_in_time_and_forgiven",
        ],
    ),
    (
        "one slow provider holds up everybody",
        &["a_slow_provider_does_not_slow_the_users_of_another"],
    ),
    (
        "a shell tier acts when the account is made and never again",
        &[
            "the_shell_follows_each_deployment",
            "the_shell_follows_the_tier_but_not_when_an_admin_set_another",
        ],
    ),
    (
        "a suspended account is said to be deployed, or verified",
        &[
            "a_deployment_leaves_a_suspended_account_as_it_is",
            "states_and_messages_are_the_recorded_ones_but_for_those_with_a_reason",
        ],
    ),
    (
        "a suspension leaves sessions running, or logins by key possible",
        &["r08_a_suspended_identity_is_out_by_token_password_and_key_and_its_session_ends"],
    ),
    (
        "a suspension is reported that a back end did not carry out",
        &[
            "a_suspension_shows_and_may_be_repeated_and_lifted",
            "r28_the_mark_alone_suspends_where_the_account_can_not_be_locked_and_the_receipt_says_so",
            "r28_what_would_have_to_be_written_is_refused_and_not_claimed",
        ],
    ),
    (
        "a suspension finds nobody because the issuer is spelled with a slash",
        &["r28_a_suspension_holds_whether_or_not_the_issuer_is_written_with_a_slash"],
    ),
    (
        "a resumption takes back a date of expiry that an admin of the host had set",
        &["an_admins_own_date_of_expiry_survives"],
    ),
    (
        "a name in a sentence is taken for the name of an account",
        &["states_and_messages_are_the_recorded_ones_but_for_those_with_a_reason"],
    ),
    (
        "a name is made anew at each request, so that an account is missed or another one is hit",
        &[
            "states_and_messages_are_the_recorded_ones_but_for_those_with_a_reason",
            "r28_an_account_that_was_renamed_on_the_host_is_locked_and_its_sessions_end",
        ],
    ),
    (
        "a room number in the comment field detaches the account from its owner",
        &["other_fields_of_gecos_do_not_detach_an_account"],
    ),
    (
        "two first deployments at once make two accounts, or none",
        &[
            "r24_one_person_at_once_gets_one_account",
            "r24_two_people_at_once_never_get_one_name",
            "r24_many_people_at_once_get_accounts_of_their_own",
            "r23_20_first_logins_of_one_person_give_one_account",
            "r24_first_logins_of_20_people_at_once_give_20_names_and_uids",
        ],
    ),
    (
        "a lock that another program holds ends a deployment, or is ignored",
        &["a_lock_held_by_another_program_is_busy_in_bounded_time"],
    ),
    (
        "the name, uid or home of a removed account goes to the next person",
        &[
            "r23_a_removed_name_goes_to_nobody_else",
            "r23_name_and_uid_of_a_removed_account_go_to_nobody_else_and_back_to_their_owner",
            "r23_an_account_that_was_once_somebodys_is_not_given_to_another",
            "r25_a_removed_account_leaves_its_home_aside_where_root_alone_can_look",
        ],
    ),
    (
        "root follows links that a person made in the home",
        &["r25_hard_links_and_links_in_the_skeleton_lead_nowhere_else"],
    ),
    (
        "people of a directory look free, as only the files are read",
        &["names_and_uids_of_other_sources_are_taken"],
    ),
    (
        "one malformed line of the account files breaks every request",
        &["a_malformed_line_hides_no_other_and_keeps_its_name"],
    ),
    (
        // Kept on purpose: a name that was not asked for would be a surprise, and pooled names are there.
        "who gets no name is not told that this does not end, and what helps",
        &["who_gets_no_name_is_told_for_ever_the_same_and_what_helps"],
    ),
    (
        "an order in which the service dies stays half done",
        &[
            "r24_a_suspension_in_which_the_daemon_is_killed_is_complete_or_has_not_begun",
            "r24_a_removal_in_which_the_daemon_is_killed_is_complete_or_has_not_begun",
            "r24_an_acceptance_in_which_the_daemon_is_killed_is_complete_or_waits_again",
        ],
    ),
    (
        "a suspension over REST says that it is done while locking or ending sessions failed",
        &["r28_a_suspension_that_is_not_complete_says_so_over_rest_and_is_retried"],
    ),
    (
        "one group or name that can't be made ends the whole deployment",
        &[
            "one_group_without_a_name_is_left_out_and_ends_nothing",
            "a_text_that_makes_no_name_is_passed_over_for_the_next",
        ],
    ),
    (
        "shortening makes two groups one, or a name of 33 characters",
        &[
            "groups_that_shortening_makes_one_are_told",
            "a_group_name_that_shortening_would_leave_a_character_too_long_is_no_group",
        ],
    ),
    (
        "groups of different people become one local group, by masking or shortening",
        &[
            "r22_texts_that_become_one_name_are_told_apart",
            "r22_another_group_of_the_same_local_name_does_not_let_in_among_its_people",
            "r22_of_two_groups_that_are_made_at_once_one_gets_the_name",
            "r22_a_login_leaves_a_group_that_is_made_from_another_text",
            "r22_a_request_keeps_no_group_from_others_until_it_is_accepted",
            "r22_a_group_that_becomes_the_name_of_another_lets_in_once_the_admin_has_released_it",
        ],
    ),
    (
        "people of whom no entitlement is listed bring any plain group in, and nobody is told",
        &["where_a_list_of_groups_is_open_at_one_end_the_site_is_told"],
    ),
    (
        "a long sub-group becomes membership in its parent",
        &["a_group_of_punch_that_does_not_fit_is_not_its_parent"],
    ),
    (
        "two authorities share a group and nobody is told",
        &[
            "r22_authorities_share_a_group_unless_the_site_tells_them_apart",
            "where_several_providers_can_share_groups_the_site_is_told",
        ],
    ),
    (
        "whoever comes first with a matching name owns an account that was made for another",
        &[
            "nobody_gets_an_account_who_is_not_known",
            "who_is_in_the_map_has_the_account_and_nobody_else_gets_one",
        ],
    ),
    (
        "an error of a directory or service counts as success, or as `nobody`",
        &[
            "a_server_that_hangs_costs_the_time_limit_and_no_guess_is_made",
            "a_service_that_fails_is_unavailable_and_nobody_is_taken_for_absent",
            "a_program_that_fails_or_is_not_there_is_unavailable",
        ],
    ),
    (
        "a directory gives one uid to two people",
        &["r24_two_services_that_make_20_accounts_at_once_give_20_uids"],
    ),
    (
        "a registration is waited for without end",
        &["a_registration_is_waited_for_but_not_for_ever"],
    ),
    (
        "a subject with a line feed forges a line of the log",
        &["r31_text_from_outside_can_neither_break_a_line_nor_act_on_a_terminal"],
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// Names of all test functions of the workspace, the cases of the suite for back ends included.
fn tests() -> BTreeSet<String> {
    let crates =
        ["motley-proto", "pam-oidc", "motley-root", "feudal-plugins", "motley-daemon", "tests"];
    let mut found = BTreeSet::new();
    let mut todo: Vec<PathBuf> = crates.iter().map(|name| root().join(name)).collect();
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(&dir).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|ext| ext == "rs") {
                found.extend(tests_in(&path));
            }
        }
    }
    found
}

fn tests_in(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let in_suite = path.components().any(|part| part.as_os_str() == "behaviour");
    let is_test = |at: usize| {
        let before = &lines[at.saturating_sub(4)..at];
        let marks = ["#[test]", "::test]", "::test(", "_test! {"];
        in_suite || before.iter().any(|line| marks.iter().any(|mark| line.contains(mark)))
    };
    let heads = ["fn ", "async fn ", "pub async fn "];
    let named = lines.iter().enumerate().filter_map(|(at, line)| {
        let rest = heads.iter().find_map(|head| line.strip_prefix(head))?;
        is_test(at).then(|| rest.split(['(', '<']).next().unwrap_or_default().to_owned())
    });
    named.collect()
}

#[test]
fn every_fault_of_accounts_has_a_test_that_is_there() {
    let tests = tests();
    assert!(tests.len() > 500, "the tests were not found");
    for (fault, named) in FAULTS {
        assert!(!named.is_empty(), "no test shows this absent: {fault}");
        for test in *named {
            assert!(tests.contains(*test), "{fault}: there is no test {test}");
        }
    }
}
