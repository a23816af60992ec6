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
            "r22_a_provider_that_names_groups_of_the_system_makes_nobody_their_member",
        ],
    ),
    (
        "a deployment takes memberships away that a local admin gave",
        &[
            "r22_a_membership_that_a_local_admin_gave_survives",
            "r22_a_primary_group_that_a_local_admin_chose_stays",
        ],
    ),
    (
        "a primary group that came with a claim outlasts it",
        &[
            "r22_a_primary_group_that_was_given_goes_with_the_claim",
            "a_primary_group_from_claims_is_taken_away_with_the_claim",
        ],
    ),
    (
        "whoever loses all groups keeps all, for no group stands in for them",
        &["r34_whoever_loses_all_groups_leaves_all_where_no_group_stands_in_for_them"],
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
        "a provider's metadata leads to requests anywhere",
        &[
            "r15_endpoints_are_https_or_the_loopback_issuers_own_origin",
            "r15_keys_are_never_fetched_through_redirects_or_without_bound",
        ],
    ),
    (
        "keys are fetched anew for each token",
        &[
            "r15_all_callers_share_one_fetch",
            "r15_a_thousand_tokens_with_unknown_keys_cause_one_fetch",
        ],
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
        "the audience of an admin's token is not looked at, and a list of audiences is one text",
        &["r17_the_token_of_an_admin_must_be_meant_for_this_service_too"],
    ),
    (
        "a number as vo_match fails every request",
        &[
            "people_are_let_in_as_by_the_python_stack",
            "whoever_lacks_a_membership_learns_which_and_whom_to_ask",
        ],
    ),
    (
        "an unknown word for mode, policy or method silently means the laxer choice",
        &["files_mean_what_they_mean_to_the_python_stack"],
    ),
    ("a token without an end works for ever", &["r13_exp_must_be_there_and_be_a_date"]),
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
            "an_account_in_the_directory_is_logged_in_to_suspended_and_resumed",
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
        &[
            "an_admins_own_date_of_expiry_survives",
            "r21_a_contract_end_that_any_task_saw_ahead_is_never_lifted",
            "r21_a_contract_end_that_was_there_at_the_adoption_is_never_lifted",
            "r21_an_account_whose_day_is_not_on_record_keeps_every_date_but_ours",
        ],
    ),
    (
        "a suspension or removal leaves crontab, jobs of at and lingering services to run",
        &[
            "r28_jobs_and_lingering_services_are_held_and_put_back_also_after_a_restart",
            "r28_when_an_account_is_taken_away_nothing_waits_any_more_when_its_sessions_are_told_to_end",
        ],
    ),
    (
        "what is remembered of people and tokens grows without bound",
        &[
            "r30_the_tables_stay_as_small_as_they_are_meant_to_be",
            "r30_the_memory_of_used_tokens_is_bounded_for_each_identity_and_in_all",
        ],
    ),
    ("a claim of another type ends the request", &["groups_are_made_as_sites_are_used_to"]),
    (
        "a lock is looked for in the words of a program, which are others in another language",
        &["expiry_is_read_from_the_eighth_field_of_the_first_line"],
    ),
    (
        "a name in a sentence is taken for the name of an account",
        &[
            "states_and_messages_are_the_recorded_ones_but_for_those_with_a_reason",
            "r40_no_word_of_a_sentence_is_taken_for_the_name_of_who_waits_or_was_rejected",
        ],
    ),
    ("a limit can't be lifted", &["a_limit_shows_and_may_be_repeated_and_lifted"]),
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
        "of two accounts of one identity the last one counts and nobody is told",
        &[
            "two_accounts_of_one_identity_are_told_to_the_admin",
            "an_identity_in_two_entries_is_nobody_until_the_site_decides",
        ],
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
        "root writes keys through links that a person made in the home",
        &[
            "r25_what_could_lead_elsewhere_or_is_not_the_owners_is_refused",
            "r25_an_owner_who_swaps_links_all_the_time_leads_nothing_out_of_the_home",
        ],
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
            "a_group_whose_name_the_host_does_not_take_is_refused_alone",
            "a_text_that_makes_no_name_is_passed_over_for_the_next",
        ],
    ),
    (
        "all texts without a usable letter are one name",
        &["names_are_made_as_sites_are_used_to", "groups_are_made_as_sites_are_used_to"],
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
            "states_of_accounts_that_the_site_makes_are_the_recorded_ones",
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
        &[
            "r24_two_services_that_make_20_accounts_at_once_give_20_uids",
            "r24_searches_of_one_level_give_20_uids_to_20_accounts_with_and_without_counters",
        ],
    ),
    (
        "counters of a directory stand still where searches go one level deep",
        &["searches_of_one_level_move_the_counters_on"],
    ),
    (
        "a directory without private object classes can't have new accounts",
        &["r24_the_same_holds_where_there_can_be_no_counters"],
    ),
    (
        "an entry that the directory refused is told as an account",
        &[
            "a_refused_add_is_an_error_and_not_an_account",
            "what_the_schema_asks_for_is_there_also_for_a_person_of_whom_nothing_is_told",
        ],
    ),
    (
        "memberships of a removed entry stay for the next one of that name",
        &[
            "removal_takes_entry_and_memberships_and_the_same_person_gets_the_same_uid_again",
            "r23_a_name_that_a_group_still_lists_goes_to_nobody_new_and_back_to_its_owner",
        ],
    ),
    (
        "a registration is waited for without end",
        &["a_registration_is_waited_for_but_not_for_ever"],
    ),
    (
        "a mail has the admin paste what a person chose, or a claim forges its commands",
        &[
            "r31_no_claim_forges_a_command_or_a_line_of_the_mail",
            "r40_an_account_comes_about_by_the_command_of_the_mail_and_opens_to_its_owner",
            "what_the_python_stack_wrote_is_read_as_requests_and_no_command_of_it_is_sent",
        ],
    ),
    (
        "two requests share one row for a group, and rejecting one breaks the other",
        &["r40_rejecting_one_of_two_requests_for_the_same_group_leaves_the_other_whole"],
    ),
    (
        "an account that was made by hand meanwhile is doubled by the acceptance",
        &["an_account_that_was_made_by_hand_meanwhile_is_taken_over"],
    ),
    (
        "the person's copy of a mail goes to the admins",
        &["a_person_is_written_to_only_at_one_verified_address"],
    ),
    (
        "a mail server that fails breaks the request",
        &[
            "r40_a_mail_server_that_is_down_loses_no_mail_and_fails_no_request",
            "r40_an_account_comes_about_by_the_command_of_the_mail_and_opens_to_its_owner",
        ],
    ),
    (
        "an acceptance that breaks off leaves half of what was asked for",
        &[
            "r40_a_back_end_that_fails_leaves_the_request_waiting",
            "r40_an_acceptance_that_a_crash_cut_off_waits_again",
        ],
    ),
    (
        "a request for an account in a directory waits for ever",
        &[
            "r40_an_account_in_the_directory_waits_for_an_admin_and_is_made_and_greeted_when_accepted",
        ],
    ),
    (
        "an acceptance does not run the script for new accounts, or the script breaks the first request",
        &["r40_the_script_greets_an_account_that_an_admin_has_accepted_and_not_before"],
    ),
    (
        "a script for new accounts runs without a limit of time",
        &[
            "r26_the_script_is_run_once_for_each_creation_with_the_name_and_nothing_else",
            "r26_a_child_that_takes_too_long_is_killed_with_its_children",
        ],
    ),
    (
        "a test mail shows the password of the mail server",
        &["r06_the_test_mail_masks_the_password"],
    ),
    (
        "each look at an account costs as much as there are accounts",
        &["looking_at_an_account_is_quick_among_fifty_thousand"],
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
    if path.components().any(|part| part.as_os_str() == "behaviour") {
        return cases_of_the_suite(&text);
    }
    tests_of(&text)
}

/// The cases that the suite for back ends hands out; other functions beside them are no tests.
fn cases_of_the_suite(text: &str) -> Vec<String> {
    let Some((_, rest)) = text.split_once("$then! { $with;\n") else { return Vec::new() };
    let (listed, _) = rest.split_once('}').unwrap();
    listed.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

/// Functions with the mark of a test directly above, with attributes and comments at most in between.
fn tests_of(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let marks = ["#[test]", "::test]", "::test(", "_test! {"];
    let is_between = |line: &&&str| {
        ["#[", "//"].iter().any(|it| line.starts_with(it)) || line.ends_with("_test! {")
    };
    let is_test = |at: usize| {
        let above = lines[..at].iter().rev().take_while(is_between);
        above.into_iter().any(|line| marks.iter().any(|mark| line.contains(mark)))
    };
    let heads = ["fn ", "async fn "];
    let named = lines.iter().enumerate().filter_map(|(at, line)| {
        let rest = heads.iter().find_map(|head| line.strip_prefix(head))?;
        is_test(at).then(|| rest.split(['(', '<']).next().unwrap_or_default().to_owned())
    });
    named.collect()
}

#[test]
fn only_what_is_run_as_a_test_counts_as_one() {
    let text = "#[test]\nfn one() {}\nfn helper() {}\n#[tokio::test]\n/// Says.\n#[cfg(unix)]\nasync fn two() {}\n\
                sandbox_test! {\n    fn three(sb) {}\n}\n#[test]\nconst X: u8 = 0;\nfn no() {}\n";
    assert_eq!(tests_of(text), ["one", "two", "three"]);
    let suite = fs::read_to_string(root().join("feudal-plugins/tests/behaviour/mod.rs")).unwrap();
    let cases = cases_of_the_suite(&suite);
    assert!(
        cases.len() > 20 && cases.iter().any(|name| name == "r22_groups_follow_each_deployment")
    );
    assert!(!tests().contains("run_all"), "a helper of the suite is no test");
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
