//! The order of the sources, as a table of all pairs.

use super::{Supports, two_issuers};
use crate::{
    cli::Options,
    config::Profile,
    source::{Origins, ProfileChoice, Requirements, in_order},
};
use motley_proto::{Secret, rest::OpInfo};

/// One way to name a source.
enum Way {
    /// An option.
    Line(fn(&mut Options)),
    /// A variable.
    Variable(&'static str, &'static str),
    /// A profile of the configuration.
    Chosen(fn(String, Profile) -> ProfileChoice),
    /// The service itself, which supports only one provider.
    OneProvider,
}

use Way::{Chosen, Line, OneProvider, Variable};

/// The ways in their order, with the name that the source has in messages.
const ORDER: [(&str, Way); 18] = [
    ("--token", Line(|options| options.token = Some(secret("t")))),
    ("--token-file f", Line(|options| options.token_file = Some("f".into()))),
    ("--token-cmd", Line(|options| options.token_cmd = Some("c".into()))),
    ("--mytoken", Line(|options| options.mytoken = Some(secret("m")))),
    ("WLCG bearer token discovery", Line(|options| options.wlcg = true)),
    ("--oidc work", Line(|options| options.oa_account = Some("work".into()))),
    ("--iss https://op", Line(|options| options.iss = Some("op".into()))),
    ("profile p, oidc of-profile", Chosen(ProfileChoice::Option)),
    ("OIDC", Variable("OIDC", "t")),
    ("MCCLI_TOKEN_FILE f", Variable("MCCLI_TOKEN_FILE", "f")),
    ("MCCLI_TOKEN_CMD", Variable("MCCLI_TOKEN_CMD", "c")),
    ("OIDC_AGENT_ACCOUNT private", Variable("OIDC_AGENT_ACCOUNT", "private")),
    ("OIDC_ISSUER https://op", Variable("OIDC_ISSUER", "op")),
    ("profile p, oidc of-profile", Chosen(ProfileChoice::Standing)),
    ("the service's only provider https://op", OneProvider),
    ("MYTOKEN", Variable("MYTOKEN", "m")),
    ("WLCG bearer token discovery", Variable("BEARER_TOKEN", "t")),
    ("oidc-agent", Variable("OIDC_SOCK", "/run/agent.sock")),
];
/// From here on mccli looks by itself, where nothing is named that is meant.
const BY_ITSELF: usize = 14;

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

/// The sources for some of the ways, and more variables.
fn names(ways: &[&Way], more: &[(&str, &str)]) -> Vec<String> {
    let mut options = Options::default();
    let mut variables = more.to_vec();
    // A place of nobody's, where no token of the tester's is found.
    variables.push(("XDG_RUNTIME_DIR", "/nonexistent"));
    let mut profile = None;
    let mut needs = two_issuers();
    for way in ways {
        match way {
            Line(set) => set(&mut options),
            Variable(name, value) => variables.push((name, value)),
            Chosen(choose) => {
                let table = Profile { oidc: Some("of-profile".into()), ..Profile::default() };
                profile = Some(choose("p".into(), table));
            }
            OneProvider => needs = Supports(vec!["https://op"], OpInfo::default()),
        }
    }
    row(&options, &variables, &needs, profile)
}

fn row(
    options: &Options,
    variables: &[(&str, &str)],
    needs: &dyn Requirements,
    profile: Option<ProfileChoice>,
) -> Vec<String> {
    let lookup = |name: &str| -> Option<String> {
        let value = variables.iter().find(|(n, _)| *n == name)?.1;
        (!value.is_empty()).then(|| value.to_owned())
    };
    let origins = Origins { options, lookup: &lookup, needs, profile };
    in_order(&origins).map(|candidate| candidate.source.name()).collect()
}

#[test]
fn of_every_two_sources_the_earlier_one_in_the_table_is_tried_first() {
    for (first, (one, a)) in ORDER.iter().enumerate() {
        for (second, (other, b)) in ORDER.iter().enumerate().skip(first + 1) {
            // There is one profile at a time, and oidc-agent is asked for any provider only where
            // the service supports several.
            let exclusive = (first, second) == (7, 13) || (first, second) == (14, 17);
            if exclusive {
                continue;
            }
            let is_meant = matches!(a, Line(_) | Chosen(_));
            let expected = match is_meant && second >= BY_ITSELF {
                true => vec![*one],
                false => vec![*one, *other],
            };
            assert_eq!(names(&[a, b], &[]), expected, "{one} before {other}");
        }
    }
}

#[test]
fn with_compat_0_7_kinds_are_ordered_and_an_option_replaces_its_variable() {
    let compat = [("MCCLI_COMPAT", "0.7")];
    let way = |at: usize| &ORDER[at].1;
    for (ways, expected) in [
        // A token in the environment beats an account on the command line.
        (vec![way(5), way(8)], vec!["OIDC", "--oidc work"]),
        (vec![way(6), way(8)], vec!["OIDC", "--iss https://op"]),
        (vec![way(6), way(11)], vec!["OIDC_AGENT_ACCOUNT private", "--iss https://op"]),
        (vec![way(0), way(8)], vec!["--token"]),
        (vec![way(5), way(11)], vec!["--oidc work"]),
        (vec![way(6), way(12)], vec!["--iss https://op"]),
        (vec![way(0), way(14)], vec!["--token", "the service's only provider https://op"]),
        (vec![way(5), way(8), way(12)], vec!["OIDC", "--oidc work", "OIDC_ISSUER https://op"]),
    ] {
        assert_eq!(names(&ways, &compat), expected);
    }
}

#[test]
fn of_several_variables_for_one_kind_the_first_that_is_not_empty_counts() {
    for (variables, expected) in [
        (vec![("ACCESS_TOKEN", ""), ("OIDC", "t"), ("WATTSON_TOKEN", "u")], "OIDC"),
        (vec![("WATTSON_TOKEN", "u"), ("OS_ACCESS_TOKEN", "t")], "OS_ACCESS_TOKEN"),
        (vec![("OIDC_ISS", ""), ("OIDC_ISSUER", "op")], "OIDC_ISSUER https://op"),
        (vec![("OIDC_ISSUER", "other"), ("OIDC_ISS", "http://op")], "OIDC_ISS http://op"),
    ] {
        assert_eq!(names(&[], &variables), [expected], "{variables:?}");
    }
}

#[test]
fn a_profile_may_name_several_sources() {
    let table = Profile {
        token_file: Some("f".into()),
        token_cmd: Some("c".into()),
        mytoken_file: Some("m".into()),
        oidc: Some("work".into()),
        iss: Some("op".into()),
        mytoken_server: None,
    };
    let profile = Some(ProfileChoice::Standing("p".into(), table));
    assert_eq!(
        row(&Options::default(), &[("BEARER_TOKEN", "t")], &two_issuers(), profile),
        [
            "profile p, token_file f",
            "profile p, token_cmd",
            "profile p, mytoken_file @m",
            "profile p, oidc work",
            "profile p, iss https://op",
        ]
    );
}

#[test]
fn nobody_is_told_of_sources_that_are_not_there() {
    assert_eq!(names(&[], &[]), Vec::<String>::new());
}
