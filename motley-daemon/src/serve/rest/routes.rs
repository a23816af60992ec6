//! The table of paths: which there are, where, and which of them change something.

use axum::http::Method;

/// One path of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Route {
    path: &'static str,
    mutates: bool,
    /// Old clients know this path with GET, although it changes something.
    by_get: bool,
    /// Not below `/api`, and under its one name only.
    pub(super) at_root_only: bool,
}

const fn reads(path: &'static str) -> Route {
    Route { path, mutates: false, by_get: true, at_root_only: false }
}

const fn mutates(path: &'static str) -> Route {
    Route { path, mutates: true, by_get: true, at_root_only: false }
}

/// Changes something, and no old client knows it.
const fn posts(path: &'static str) -> Route {
    Route { path, mutates: true, by_get: false, at_root_only: false }
}

const ROUTES: &[Route] = &[
    reads("/"),
    reads("/user"),
    reads("/admin"),
    reads("/info"),
    reads("/info/op"),
    reads("/info/authorisation"),
    reads("/user/get_status"),
    reads("/user/status"),
    mutates("/user/deploy"),
    mutates("/user/suspend"),
    mutates("/user/generate_otp"),
    posts("/user/otp"),
    reads("/verify_user"),
    mutates("/admin/suspend"),
    mutates("/admin/resume"),
    reads("/admin/approvals"),
    posts("/admin/approvals/accept"),
    posts("/admin/approvals/reject"),
    reads("/privacy"),
    Route { at_root_only: true, ..reads("/openapi.json") },
];

/// A page of the documentation, or what it loads; their paths are configured.
pub(super) const DOCUMENTATION: Route = Route { at_root_only: true, ..reads("") };

/// The route of a path without mount and without slash at the end.
pub(super) fn find(path: &str) -> Option<Route> {
    ROUTES.iter().find(|route| route.path == path).copied()
}

/// All routes, each under all mounts unless it is at the root only.
#[cfg(test)]
pub(super) fn all() -> impl Iterator<Item = (&'static str, Route)> {
    ROUTES.iter().map(|route| (route.path, *route))
}

impl Route {
    /// Its path, for log and metrics.
    pub(super) fn path(self) -> &'static str {
        self.path
    }

    /// True if the method may be used. GET on a path that changes something is for old clients and
    /// can be switched off; HEAD never changes anything (RFC 9110 §9.3.2).
    pub(super) fn takes(self, method: &Method, get_mutations: bool) -> bool {
        match *method {
            Method::OPTIONS => true,
            Method::GET => !self.mutates || (self.by_get && get_mutations),
            Method::HEAD => !self.mutates,
            Method::POST => self.mutates,
            _ => false,
        }
    }

    /// Value of the `allow` header (RFC 9110 §10.2.1).
    pub(super) fn allow(self, get_mutations: bool) -> &'static str {
        match (self.mutates, self.by_get && get_mutations) {
            (false, _) => "GET, HEAD, OPTIONS",
            (true, true) => "GET, POST, OPTIONS",
            (true, false) => "POST, OPTIONS",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r29_nothing_that_changes_can_be_done_with_head_or_after_get_is_switched_off() {
        for route in ROUTES.iter().filter(|route| route.mutates) {
            assert!(!route.takes(&Method::HEAD, true));
            assert!(!route.takes(&Method::GET, false));
            assert!(route.takes(&Method::POST, false));
            assert_eq!(route.takes(&Method::GET, true), route.by_get, "{}", route.path);
        }
        assert!(!find("/info").unwrap().takes(&Method::POST, true));
    }
}
