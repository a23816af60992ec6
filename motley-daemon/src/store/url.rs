//! The URL of the database: read once, and never shown with its password.

use super::Engine;
use motley_proto::Secret;
use reqwest::Url;
use std::{fmt, path::PathBuf};

/// Why a text can't be the URL of the database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreUrlError {
    /// It begins with another word.
    #[error("names neither a SQLite nor a PostgreSQL database")]
    Scheme,
    /// It can't be read.
    #[error("is no URL")]
    NotUrl,
    /// There is no file in it.
    #[error("names no file")]
    NoFile,
    /// There is no host in it.
    #[error("names no host")]
    NoHost,
    /// There is no database in it.
    #[error("names no database")]
    NoDatabase,
    /// It has an option of another kind.
    #[error("has the option {0}, which is not known here")]
    Option(String),
    /// The TLS mode is not one.
    #[error("has an sslmode that does not exist")]
    SslMode,
    /// The password is there twice.
    #[error("has a password beside the one of password_file")]
    TwoPasswords,
}

impl StoreUrlError {
    /// What to write.
    pub fn cure(&self) -> &'static str {
        match self {
            Self::Option(_) => {
                "leave sslmode, sslrootcert, sslcert, sslkey, host, port and application_name only"
            }
            Self::SslMode => "write disable, prefer, require, verify-ca or verify-full",
            Self::TwoPasswords => "remove one of them",
            _ => {
                "write sqlite:/var/lib/motley_cue/motley.db or postgresql://USER@HOST:PORT/DATABASE"
            }
        }
    }
}

/// `sqlite:PATH` or `postgresql://USER[:PASSWORD]@HOST[:PORT]/DATABASE[?OPTIONS]`.
#[derive(Clone, PartialEq, Eq)]
pub struct StoreUrl {
    engine: Engine,
    full: Secret,
    shown: String,
}

const OPTIONS: &[&str] =
    &["sslmode", "sslrootcert", "sslcert", "sslkey", "host", "port", "application_name"];
const SSL_MODES: &[&str] = &["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];

impl StoreUrl {
    /// Reads a URL.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(text: &str) -> Result<Self, StoreUrlError> {
        match text.split_once(':') {
            Some(("sqlite", rest)) => sqlite(text, rest),
            Some(("postgres" | "postgresql", _)) => {
                postgres(&text.parse().map_err(|_| StoreUrlError::NotUrl)?)
            }
            _ => Err(StoreUrlError::Scheme),
        }
    }

    /// The same with a password.
    ///
    /// # Errors
    /// When it has one, or is of a database without passwords.
    pub fn with_password(&self, password: &Secret) -> Result<Self, StoreUrlError> {
        if self.engine == Engine::Sqlite {
            return Err(StoreUrlError::Scheme);
        }
        let mut url: Url = self.full.expose().parse().map_err(|_| StoreUrlError::NotUrl)?;
        if url.password().is_some() {
            return Err(StoreUrlError::TwoPasswords);
        }
        url.set_password(Some(password.expose())).map_err(|()| StoreUrlError::NoHost)?;
        postgres(&url)
    }

    /// Which database it is.
    pub fn engine(&self) -> Engine {
        self.engine
    }

    /// True when a password is in it.
    pub fn has_password(&self) -> bool {
        self.shown.contains(MASKED)
    }

    /// The database file, if the store is one.
    pub fn file(&self) -> Option<PathBuf> {
        let path = self.shown.strip_prefix("sqlite:")?;
        let path = path.strip_prefix("//").unwrap_or(path);
        path.split('?').next().filter(|path| path.starts_with('/')).map(PathBuf::from)
    }

    /// True when whoever stands between could pose as the server: it is on another host, and its
    /// certificate is not asked for.
    pub fn trusts_the_network(&self) -> bool {
        let Ok(url) = self.full.expose().parse::<Url>() else { return false };
        if self.engine == Engine::Sqlite {
            return false;
        }
        let option = |name: &str| {
            let pair = url.query_pairs().find(|(option, _)| option == name);
            pair.map(|(_, value)| value.into_owned())
        };
        let host = option("host").or_else(|| url.host_str().map(str::to_owned)).unwrap_or_default();
        let local = matches!(host.as_str(), "localhost" | "127.0.0.1" | "[::1]" | "::1")
            || host.starts_with('/')
            || host.to_ascii_lowercase().starts_with("%2f");
        !local && option("sslmode").as_deref() != Some("verify-full")
    }

    /// The whole URL, for the driver alone.
    pub(super) fn expose(&self) -> &str {
        self.full.expose()
    }
}

/// What stands for a password.
const MASKED: &str = ":(secret)@";

fn sqlite(text: &str, rest: &str) -> Result<StoreUrl, StoreUrlError> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if path.is_empty() || path.starts_with('?') {
        return Err(StoreUrlError::NoFile);
    }
    let joint = if text.contains('?') { '&' } else { '?' };
    // The file is made if it does not exist.
    let full = match text.contains("mode=") {
        true => text.to_owned(),
        false => format!("{text}{joint}mode=rwc"),
    };
    Ok(StoreUrl { engine: Engine::Sqlite, full: Secret::new(full), shown: text.to_owned() })
}

fn postgres(url: &Url) -> Result<StoreUrl, StoreUrlError> {
    if url.host_str().is_none_or(str::is_empty) {
        return Err(StoreUrlError::NoHost);
    }
    if url.path().trim_start_matches('/').is_empty() {
        return Err(StoreUrlError::NoDatabase);
    }
    for (option, value) in url.query_pairs() {
        if !OPTIONS.contains(&option.as_ref()) {
            return Err(StoreUrlError::Option(option.into_owned()));
        }
        if option == "sslmode" && !SSL_MODES.contains(&value.as_ref()) {
            return Err(StoreUrlError::SslMode);
        }
    }
    let full = Secret::new(url.to_string());
    let mut bare = url.clone();
    let shown = match url.password().is_some() && bare.set_password(None).is_ok() {
        false => url.to_string(),
        true => bare.to_string().replacen('@', MASKED, 1),
    };
    Ok(StoreUrl { engine: Engine::Postgres, full, shown })
}

impl fmt::Display for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StoreUrl({})", self.shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r06_a_password_in_the_url_is_never_shown() {
        let url = StoreUrl::new("postgresql://motley:canary@db.example:5432/motley").unwrap();
        assert_eq!(url.to_string(), "postgresql://motley:(secret)@db.example:5432/motley");
        assert!(!format!("{url:?}").contains("canary"));
        assert!(url.has_password() && url.expose().contains("canary"));
        let beside = StoreUrl::new("postgresql://motley@db.example/motley").unwrap();
        assert!(!beside.has_password());
        let beside = beside.with_password(&Secret::new("can@ry/:".to_owned())).unwrap();
        assert_eq!(beside.to_string(), "postgresql://motley:(secret)@db.example/motley");
        assert_eq!(
            url.with_password(&Secret::new("x".to_owned())),
            Err(StoreUrlError::TwoPasswords)
        );
    }

    #[test]
    fn only_urls_of_the_two_databases_are_taken() {
        for good in [
            "sqlite:/var/lib/x.db",
            "sqlite:x.db",
            "postgres://u@h/d",
            "postgresql://u@%2Frun%2Fpostgresql/d",
            "postgresql://u@h:5433/d?sslmode=verify-full&sslrootcert=/etc/ca.pem",
        ] {
            assert!(StoreUrl::new(good).is_ok(), "{good}");
        }
        for (bad, why) in [
            ("", StoreUrlError::Scheme),
            ("mysql://u@h/d", StoreUrlError::Scheme),
            ("sqlite:", StoreUrlError::NoFile),
            ("postgresql:///d", StoreUrlError::NoHost),
            ("postgresql://u@h", StoreUrlError::NoDatabase),
            ("postgresql://u@h/d?sslmode=maybe", StoreUrlError::SslMode),
            ("postgresql://u@h/d?password=x", StoreUrlError::Option("password".to_owned())),
        ] {
            assert_eq!(StoreUrl::new(bad), Err(why), "{bad}");
        }
        for (text, open) in [
            ("postgresql://u@db.example/d", true),
            ("postgresql://u@db.example/d?sslmode=require", true),
            ("postgresql://u@db.example/d?sslmode=verify-full", false),
            ("postgresql://u@127.0.0.1/d", false),
            ("postgresql://u@localhost/d?host=db.example", true),
            ("postgresql://u@localhost/d?host=/run/postgresql", false),
            ("postgresql://u@%2Frun%2Fpostgresql/d", false),
            ("sqlite:/x.db", false),
        ] {
            assert_eq!(StoreUrl::new(text).unwrap().trusts_the_network(), open, "{text}");
        }
        let file = StoreUrl::new("sqlite:///var/lib/x.db?cache=private").unwrap().file();
        assert_eq!(file, Some(PathBuf::from("/var/lib/x.db")));
    }
}
