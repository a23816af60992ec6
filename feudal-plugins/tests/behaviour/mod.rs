//! What every back end must do: one suite that runs against any of them.
//!
//! A test file says `#[macro_use] mod behaviour;` (with `#[path]` from another crate), implements
//! [`Rig`] for its back end and writes `behaviour_tests!(make)`, where `make` is an async function
//! that yields a rig; each case becomes a test. Where making a rig is dear, `run_all` runs all cases
//! on one: no case depends on what another one left behind.
#![allow(dead_code, missing_docs, unreachable_pub)]

mod deploying;
mod groups;
mod leaving;
mod locks;
mod looking;
mod rig;
mod strangers;

pub use deploying::*;
pub use groups::*;
pub use leaving::*;
pub use locks::*;
pub use looking::*;
pub use rig::*;
pub use strangers::*;

/// Hands the names of all cases to another macro.
#[macro_export]
macro_rules! with_behaviour_cases {
    ($then:ident, $with:expr) => {
        $then! { $with;
            the_back_end_says_that_it_works,
            nobody_has_an_account_before_the_first_deployment,
            a_deployed_account_is_found_by_identity_by_name_and_in_the_list,
            nobody_gets_an_account_who_is_not_known,
            deploying_twice_is_the_same_as_once,
            an_account_of_another_stack_is_adopted,
            r23_a_name_of_somebody_else_is_taken,
            r23_a_name_that_a_group_still_lists_goes_to_nobody_new,
            r23_a_uid_of_somebody_else_is_taken,
            r23_an_identity_has_one_account,
            r24_two_people_at_once_never_get_one_name,
            r24_one_person_at_once_gets_one_account,
            r24_many_people_at_once_get_accounts_of_their_own,
            the_shell_follows_each_deployment,
            r22_groups_follow_each_deployment,
            groups_alone_can_be_changed,
            r22_a_membership_that_a_local_admin_gave_survives,
            r22_a_primary_group_that_was_given_goes_with_the_claim,
            r22_a_primary_group_that_a_local_admin_chose_stays,
            a_suspension_shows_and_may_be_repeated_and_lifted,
            a_deployment_leaves_a_suspended_account_as_it_is,
            a_limit_shows_and_may_be_repeated_and_lifted,
            a_removed_account_is_gone_and_comes_back_for_its_owner,
            r23_a_removed_name_goes_to_nobody_else,
            rolling_back_leaves_a_complete_account,
            nothing_is_done_to_an_account_that_is_not_there,
            r21_an_account_of_a_local_person_is_never_touched,
            r21_what_belongs_to_another_identity_is_refused,
        }
    };
}

/// Makes a test of each case, on a rig of its own.
#[macro_export]
macro_rules! behaviour_tests {
    ($make:expr) => {
        $crate::with_behaviour_cases!(behaviour_test_of_each, $make);
    };
}

#[macro_export]
#[doc(hidden)]
macro_rules! behaviour_test_of_each {
    ($make:expr; $($case:ident,)*) => {
        $(
            #[tokio::test]
            async fn $case() {
                let rig = $make().await;
                behaviour::$case(&rig).await;
            }
        )*
    };
}

macro_rules! one_after_the_other {
    ($rig:expr; $($case:ident,)*) => {
        $(
            eprintln!("{}", stringify!($case));
            $case($rig).await;
        )*
    };
}

/// Runs all cases on one rig. The last line on standard error names the case that failed.
pub async fn run_all(rig: &dyn Rig) {
    crate::with_behaviour_cases!(one_after_the_other, rig);
}
