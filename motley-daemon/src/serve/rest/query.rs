//! Query parameters: required ones are named when they lack, the last of several counts.

use super::answer;
use axum::{
    body::Body,
    http::{Response, StatusCode, Uri},
};

/// The parameters of one request.
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads the query of a request; parameters that can't be read are none.
    pub(super) fn read(uri: &Uri) -> Self {
        let read = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri);
        Self(read.map(|query| query.0).unwrap_or_default())
    }

    /// The last value of a parameter; an empty text is a value.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The values of all these parameters, or the 400 that names those that lack.
    #[allow(clippy::result_large_err)]
    pub(super) fn require<const N: usize>(
        &self,
        names: [&str; N],
    ) -> Result<[&str; N], Response<Body>> {
        let missing: Vec<String> = names
            .iter()
            .filter(|name| self.get(name).is_none())
            .map(|name| format!("Field required (query -> {name})"))
            .collect();
        if missing.is_empty() {
            return Ok(names.map(|name| self.get(name).unwrap_or_default()));
        }
        let plural = if missing.len() == 1 { "" } else { "s" };
        let text =
            format!("{} request validation error{plural}: {}", missing.len(), missing.join("; "));
        Err(answer::detail(StatusCode::BAD_REQUEST, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_last_of_several_values_counts_and_an_empty_one_is_a_value() {
        let uri: Uri = "/verify_user?username=a&username=&x=%20y".parse().unwrap();
        let parameters = Parameters::read(&uri);
        assert_eq!(parameters.get("username"), Some(""));
        assert_eq!(parameters.get("x"), Some(" y"));
        assert_eq!(parameters.get("Username"), None);
        assert!(parameters.require(["username", "sub"]).is_err());
    }

    proptest! {
        #[test]
        fn r45_of_any_query_a_required_parameter_is_there_or_named(query in "([a-z%=&+]{0,6}|sub=|iss=|%[0-9a-f]{2}){0,8}") {
            let Ok(uri) = format!("/verify_user?{query}").parse::<Uri>() else { return Ok(()) };
            let parameters = Parameters::read(&uri);
            let both = parameters.get("sub").is_some() && parameters.get("iss").is_some();
            match parameters.require(["sub", "iss"]) {
                Ok([sub, iss]) => {
                    prop_assert!(both);
                    prop_assert_eq!([Some(sub), Some(iss)], ["sub", "iss"].map(|name| parameters.get(name)));
                }
                Err(answer) => prop_assert!(!both && answer.status() == StatusCode::BAD_REQUEST),
            }
        }
    }
}
