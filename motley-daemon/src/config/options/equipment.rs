//! Options that sections of several back ends share: shells of the tiers, homes, the script for new accounts.

use super::{Kind, OptionSpec};

pub(super) const SHELL: OptionSpec =
    OptionSpec::new("shell", Kind::Text, "/bin/sh", "Login shell of tier full.");
pub(super) const SHELL_LIMITED: OptionSpec =
    OptionSpec::new("shell_limited", Kind::Text, "/sbin/nologin", "Login shell of tier limited.");
pub(super) const SHELL_RESTRICTED: OptionSpec = OptionSpec::new(
    "shell_restricted",
    Kind::Text,
    "/sbin/nologin",
    "Login shell of tier restricted.",
);
pub(super) const HOME_BASE: OptionSpec =
    OptionSpec::new("home_base", Kind::Text, "/home", "Directory in which homes are made.");
pub(super) const HOOK: OptionSpec = OptionSpec::unset(
    "post_create_script",
    Kind::OptionalText,
    "Absolute path of a script that motley-root runs as root once for each new account, with the \
     name of the account as its only argument. It must belong to root, as must every directory \
     above it, and be writable by nobody else. Files ending in .sh or .py may lack the right to be \
     executed. It has 25 seconds; if it fails, the account stays. It is not run for an account whose \
     home came back or was there before. For accounts that a directory \
     keeps it is run only with directory_hooks = yes in motley-root.conf. Read by motley-root when \
     that starts.",
);
