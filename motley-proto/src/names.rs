//! Names and numbers of local accounts that can't hold a protected or malformed value.

use serde::{Deserialize, Serialize};

/// Longest user or group name that shadow-utils and utmp handle, in bytes.
pub const MAX_NAME_BYTES: usize = 32;

/// Longest name that sshd may hand over at login, in bytes. Longer ones are no account of ours.
pub const MAX_LOGIN_NAME_BYTES: usize = 256;

/// Names that belong to the system, whether or not they exist on this host.
///
/// Membership in most of the groups of this list is root by another road (docker, disk, shadow).
const PROTECTED: &[&str] = &[
    "_apt",
    "_chrony",
    "_ssh",
    "adm",
    "admin",
    "audio",
    "avahi",
    "backup",
    "bin",
    "cdrom",
    "crontab",
    "daemon",
    "dialout",
    "dip",
    "disk",
    "docker",
    "fax",
    "floppy",
    "ftp",
    "games",
    "gnats",
    "halt",
    "incus",
    "incus-admin",
    "input",
    "irc",
    "kmem",
    "kvm",
    "libvirt",
    "libvirt-qemu",
    "list",
    "lp",
    "lpadmin",
    "lxd",
    "mail",
    "man",
    "messagebus",
    "motley",
    "motley-admin",
    "mysql",
    "netdev",
    "news",
    "nobody",
    "ntp",
    "operator",
    "plugdev",
    "polkitd",
    "postfix",
    "postgres",
    "proxy",
    "render",
    "root",
    "sasl",
    "sddm",
    "sgx",
    "shadow",
    "shutdown",
    "src",
    "ssh",
    "sshd",
    "ssl-cert",
    "staff",
    "sudo",
    "sync",
    "sys",
    "syslog",
    "systemd-coredump",
    "systemd-journal",
    "systemd-network",
    "systemd-oom",
    "systemd-resolve",
    "systemd-timesync",
    "tape",
    "toor",
    "tss",
    "tty",
    "utmp",
    "uucp",
    "uuidd",
    "video",
    "voice",
    "wheel",
    "www-data",
];

/// Why a text or number can't be the name or id of an account that motley handles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The text is empty.
    #[error("is empty")]
    Empty,
    /// The text has more bytes than the system allows.
    #[error("is longer than {0} bytes")]
    TooLong(usize),
    /// A byte stands where the grammar `[a-z_][a-z0-9_.-]*` does not allow it.
    #[error(
        "has a character that is not allowed at byte {0} (allowed: a-z 0-9 _ . -, first a-z or _)"
    )]
    BadCharacter(usize),
    /// The name belongs to the system.
    #[error("is a protected name of the system")]
    Protected,
    /// The number lies in a range that belongs to the system.
    #[error("is a protected id of the system")]
    ProtectedId,
}

fn check_grammar(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > MAX_NAME_BYTES {
        return Err(NameError::TooLong(MAX_NAME_BYTES));
    }
    for (at, byte) in text.bytes().enumerate() {
        let fits = match byte {
            b'a'..=b'z' | b'_' => true,
            b'0'..=b'9' | b'.' | b'-' => at > 0,
            _ => false,
        };
        if !fits {
            return Err(NameError::BadCharacter(at));
        }
    }
    Ok(())
}

fn check_name(text: &str) -> Result<(), NameError> {
    check_grammar(text)?;
    if PROTECTED.contains(&text) { Err(NameError::Protected) } else { Ok(()) }
}

macro_rules! text_type {
    ($(#[$doc:meta])* $name:ident, $check:path, $error:ty) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Takes the text if it is valid for this type.
            ///
            /// # Errors
            /// Says which rule the text breaks.
            pub fn new(text: impl Into<String>) -> Result<Self, $error> {
                let text = text.into();
                $check(&text)?;
                Ok(Self(text))
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;
            fn try_from(text: String) -> Result<Self, $error> {
                Self::new(text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $error;
            fn from_str(text: &str) -> Result<Self, $error> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                value.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}
pub(crate) use text_type;

text_type! {
    /// Name of a local account: 1 to 32 bytes, `[a-z_][a-z0-9_.-]*`, never a protected name.
    UserName, check_name, NameError
}

text_type! {
    /// Name of a local group: the grammar of [`UserName`], never a protected name.
    ///
    /// `nogroup` is a valid group name: sites configure it as fallback group, and it grants nothing.
    GroupName, check_name, NameError
}

fn check_login_name(text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > MAX_LOGIN_NAME_BYTES {
        return Err(NameError::TooLong(MAX_LOGIN_NAME_BYTES));
    }
    match text.char_indices().find(|(_, c)| c.is_control()) {
        Some((at, _)) => Err(NameError::BadCharacter(at)),
        None => Ok(()),
    }
}

text_type! {
    /// Name that somebody typed at an ssh login: any text without control characters, 1 to 256 bytes.
    ///
    /// It may name nobody, or root; only a [`UserName`] can be an account of ours.
    LoginName, check_login_name, NameError
}

impl LoginName {
    /// The name as one that an account of ours can have.
    ///
    /// # Errors
    /// When it is protected or malformed.
    pub fn to_user_name(&self) -> Result<UserName, NameError> {
        UserName::new(self.as_str())
    }
}

/// First id that may belong to a person (Debian policy §9.2.2).
pub const FIRST_PERSON_ID: u32 = 1000;

/// True for ids of the system: 0–999, systemd's dynamic and container ranges, nobody, and the
/// two values that mean "no id" in 16 and 32 bits.
pub const fn is_protected_id(id: u32) -> bool {
    matches!(id, 0..=999 | 61184..=65519 | 65534 | 65535 | u32::MAX)
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "u32", into = "u32")]
        pub struct $name(u32);

        impl $name {
            /// Takes the number if it is not a protected id.
            ///
            /// # Errors
            /// [`NameError::ProtectedId`].
            pub fn new(id: u32) -> Result<Self, NameError> {
                if is_protected_id(id) { Err(NameError::ProtectedId) } else { Ok(Self(id)) }
            }

            /// The number itself.
            pub fn get(self) -> u32 {
                self.0
            }
        }

        impl TryFrom<u32> for $name {
            type Error = NameError;
            fn try_from(id: u32) -> Result<Self, NameError> {
                Self::new(id)
            }
        }

        impl From<$name> for u32 {
            fn from(id: $name) -> u32 {
                id.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id_type! {
    /// Uid of a person's account; can't hold an id of the system.
    Uid
}
id_type! {
    /// Gid of a group that motley made; can't hold an id of the system.
    Gid
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn r20_nasty_names_are_refused_by_every_constructor() {
        let nasty = [
            "",
            "-rf",
            ".ssh",
            "1234",
            "0",
            "9lives",
            "a:b",
            "a/b",
            "../etc",
            "a b",
            "a\n",
            "\n",
            "a\0b",
            "A",
            "ab\u{e4}",
            "root",
            "sudo",
            "docker",
            "shadow",
            "daemon",
            "nobody",
            "motley-admin",
            "a\u{202e}b",
            "a\tb",
            "a,b",
            "a=b",
            "$(id)",
            "a;b",
            "x2345678901234567890123456789012y",
        ];
        for name in nasty {
            assert!(UserName::new(name).is_err(), "{name:?} as user name");
            assert!(GroupName::new(name).is_err(), "{name:?} as group name");
            let json = serde_json::to_string(name).unwrap();
            assert!(serde_json::from_str::<UserName>(&json).is_err(), "{name:?} from the wire");
        }
    }

    #[test]
    fn ordinary_names_are_taken_and_nogroup_is_a_group() {
        for name in
            ["jdoe", "_x", "a", "john.doe", "egi-0001", "u_1", "x2345678901234567890123456789012"]
        {
            assert_eq!(UserName::new(name).unwrap().as_str(), name);
        }
        assert!(GroupName::new("nogroup").is_ok());
    }

    #[test]
    fn r21_ids_of_the_system_are_refused_in_a_full_sweep() {
        for id in 0..=70_000u32 {
            let system =
                id < 1000 || (61_184..=65_519).contains(&id) || id == 65_534 || id == 65_535;
            assert_eq!(Uid::new(id).is_err(), system, "uid {id}");
            assert_eq!(serde_json::from_str::<Gid>(&id.to_string()).is_err(), system, "gid {id}");
        }
        assert!(Uid::new(u32::MAX).is_err());
        assert!(Uid::new(u32::MAX - 1).is_ok());
    }

    proptest! {
        #[test]
        fn r20_a_name_that_is_taken_matches_the_grammar(text in "\\PC{0,40}|[a-z_.0-9-]{0,40}") {
            if let Ok(name) = UserName::new(text.clone()) {
                let name = name.as_str();
                prop_assert_eq!(name, text.as_str());
                prop_assert!(!name.is_empty() && name.len() <= 32);
                prop_assert!(name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_'));
                prop_assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.-".contains(c)));
            }
        }
    }
}
