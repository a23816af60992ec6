//! Paths as clients may write them: three mounts of one interface, and a slash more or less.

use hyper::Uri;

/// Where the interface is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mount {
    /// At the root.
    Root,
    /// At `/api` or `/api/v1`.
    Api,
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// To the route of a path.
    Route {
        /// The path without mount and slash at the end.
        path: String,
        /// Under which mount it was asked for.
        mount: Mount,
        /// It was asked for with a slash at the end.
        has_slash: bool,
    },
    /// Elsewhere: the path to name in the `location` header.
    Redirect(String),
}

/// Reads percent-encoding; anything malformed stays as it is and will match no route.
fn decode(path: &str) -> String {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let pair = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, pair.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                out.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(out).unwrap_or_else(|_| path.to_owned())
}

/// Strips the mount (`/api/v1`, `/api`) and one slash at the end.
///
/// `/api` itself goes to `/api/`, and two slashes at the end go to none.
pub fn destination(uri: &Uri) -> Destination {
    // A target in authority form (RFC 9112 §3.2.3) has no path at all.
    let path = match decode(uri.path()) {
        path if path.is_empty() => "/".to_owned(),
        path => path,
    };
    if path == "/api" || path == "/api/v1" {
        return Destination::Redirect(format!("{path}/"));
    }
    if let Some(shorter) = path.strip_suffix('/').filter(|shorter| shorter.ends_with('/')) {
        let target = shorter.trim_end_matches('/');
        return match target {
            "" => Destination::Redirect("/".to_owned()),
            _ if leads_elsewhere(target) => {
                Destination::Route { path, mount: Mount::Root, has_slash: true }
            }
            _ => Destination::Redirect(target.to_owned()),
        };
    }
    let inner = ["/api/v1/", "/api/"].into_iter().find_map(|mount| path.strip_prefix(mount));
    let (inner, mount) = match inner {
        Some(rest) => (format!("/{rest}"), Mount::Api),
        None => (path, Mount::Root),
    };
    match inner.strip_suffix('/') {
        None => Destination::Route { path: inner, mount, has_slash: false },
        Some("") => Destination::Route { path: "/".to_owned(), mount, has_slash: false },
        Some(bare) => Destination::Route { path: bare.to_owned(), mount, has_slash: true },
    }
}

/// True for what a browser could take for another host (`//host`, `/\host`) or another header. Such
/// paths match no route, and nobody is sent there.
fn leads_elsewhere(target: &str) -> bool {
    let authority = target.strip_prefix('/').is_none_or(|rest| rest.starts_with(['/', '\\']));
    authority || target.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn to(path: &str) -> Destination {
        destination(&path.parse().unwrap())
    }

    fn route(path: &str, mount: Mount, has_slash: bool) -> Destination {
        Destination::Route { path: path.to_owned(), mount, has_slash }
    }

    #[test]
    fn the_three_mounts_and_a_trailing_slash_lead_to_one_route() {
        assert_eq!(to("/info"), route("/info", Mount::Root, false));
        assert_eq!(to("/info/"), route("/info", Mount::Root, true));
        assert_eq!(to("/api/info"), route("/info", Mount::Api, false));
        assert_eq!(to("/api/v1/info/"), route("/info", Mount::Api, true));
        assert_eq!(to("/api%2Fv1/info"), route("/info", Mount::Api, false));
        assert_eq!(to("/"), route("/", Mount::Root, false));
        for path in ["/api/", "/api/v1/"] {
            assert_eq!(to(path), route("/", Mount::Api, false), "{path}");
        }
    }

    #[test]
    fn r45_a_target_without_a_path_is_the_root() {
        for target in [":", "example.org:443"] {
            assert_eq!(to(target), to("/"), "{target}");
        }
    }

    #[test]
    fn a_mount_without_slash_and_two_slashes_at_the_end_are_redirected() {
        assert_eq!(to("/api"), Destination::Redirect("/api/".to_owned()));
        assert_eq!(to("/info//"), Destination::Redirect("/info".to_owned()));
    }

    #[test]
    fn r45_nobody_is_redirected_to_another_host() {
        for path in ["//evil.example//", "/%5cevil.example//", "/%2fevil.example//", "/a%0d%0ab//"]
        {
            assert!(matches!(to(path), Destination::Route { .. }), "{path}: {:?}", to(path));
        }
    }

    proptest! {
        #[test]
        fn r45_any_path_is_a_route_or_a_redirect_within_this_host(path in "(/|//|%2[fF]|%5c|%0a|api|v1|info|[a-z%.]{0,3}){0,8}") {
            let Ok(uri) = path.parse::<Uri>() else { return Ok(()) };
            if let Destination::Redirect(target) = destination(&uri) {
                prop_assert!(target.starts_with('/') && !target.contains(char::is_control));
                prop_assert!(!target.starts_with("//") && !target.starts_with("/\\"), "{}", target);
            }
        }
    }

    #[test]
    fn other_spellings_are_other_paths() {
        for path in ["//info", "/INFO", "/a/../info", "/api/v2/info", "/info%zz"] {
            let goes = to(path);
            assert!(!matches!(goes, Destination::Route { path, .. } if path == "/info"), "{path}");
        }
    }
}
