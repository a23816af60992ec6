//! The options of the module, from the PAM line and from a file that only root can write.

use crate::trusted_file::FileError;
use motley_proto::login::TOKEN_PROMPT;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

mod file;

/// What the account phase does with an account when there is no verdict about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnError {
    /// Leave it to the other modules, where an expired account is still refused.
    Ignore,
    /// Refuse it.
    Deny,
    /// Refuse it if its comment field holds an identity, so that it is one of ours.
    DenyManaged,
}

/// What to do with the password that an earlier module of the stack has asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EarlierPassword {
    /// Nothing: ask.
    Leave,
    /// Take it as the answer if there is one, else ask.
    Try,
    /// Take it as the answer; never ask.
    Use,
}

/// The options, valid and complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Options {
    /// Where the daemon listens.
    pub(crate) socket: PathBuf,
    /// User of the daemon: its socket must be served by this user or root.
    pub(crate) daemon_user: String,
    /// Shown in place of the daemon's token prompt.
    pub(crate) prompt: String,
    /// How long one call waits for the daemon in total.
    pub(crate) timeout: Duration,
    /// How long every failure takes from the answer on, at least.
    pub(crate) fail_floor: Duration,
    /// First uid that may log in with a token.
    pub(crate) min_uid: u32,
    /// Only accounts whose comment field holds an identity may be opened with a token.
    pub(crate) require_identity: bool,
    /// Names that are left to the other modules without a question.
    pub(crate) skip_users: Vec<String>,
    /// For the account phase.
    pub(crate) account_on_error: OnError,
    /// Hand answers that are no tokens to the next modules as password.
    pub(crate) pass_non_token: bool,
    /// For stacks that have asked before.
    pub(crate) earlier_password: EarlierPassword,
    /// Where users find help, shown with a failure.
    pub(crate) contact: Option<String>,
    /// Say more in the log.
    pub(crate) debug: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            socket: PathBuf::from(DEFAULT_SOCKET),
            daemon_user: "motley".to_owned(),
            prompt: TOKEN_PROMPT.to_owned(),
            timeout: Duration::from_secs(15),
            fail_floor: Duration::from_secs(2),
            min_uid: 1000,
            require_identity: false,
            skip_users: vec!["root".to_owned()],
            account_on_error: OnError::DenyManaged,
            pass_non_token: false,
            earlier_password: EarlierPassword::Leave,
            contact: None,
            debug: false,
        }
    }
}

/// Where the daemon listens unless told otherwise.
const DEFAULT_SOCKET: &str = "/run/motley_cue/login.sock";
/// Longest path that a Unix socket address holds, in bytes (unix(7)).
const MAX_SOCKET_BYTES: usize = 107;
/// All options, for the message about an unknown one.
const NAMES: &str = "account_on_error, config, contact, daemon_user, debug, fail_floor_ms, min_uid, \
    pass_non_token, prompt, require_identity, skip_users, socket, timeout, try_first_pass, use_first_pass";

/// What is wrong with the options, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OptionProblem {
    /// Nobody knows this option.
    #[error("{place}: unknown option {name:?}; known are {NAMES}")]
    Unknown {
        /// Which argument, or which line of which file.
        place: String,
        /// The option.
        name: String,
    },
    /// The value does not fit.
    #[error("{place}: {name}={value:?} is not valid: {cure}")]
    Value {
        /// Which argument, or which line of which file.
        place: String,
        /// The option.
        name: String,
        /// The value.
        value: String,
        /// What would fit.
        cure: &'static str,
    },
    /// The option is there twice, and nobody can say which one is meant.
    #[error("{place}: {name} is set a second time; keep one of the two")]
    Twice {
        /// Which argument, or which line of which file.
        place: String,
        /// The option.
        name: String,
    },
    /// The line is no option.
    #[error("{place}: {cure}")]
    Line {
        /// Which line of which file.
        place: String,
        /// What a line looks like.
        cure: &'static str,
    },
    /// The file can't be trusted or read.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Options that are not usable, with the one that still counts.
#[derive(Debug)]
pub(crate) struct BadOptions {
    /// The first thing that is wrong.
    pub(crate) problem: OptionProblem,
    /// What the account phase shall do, as far as that can be read.
    pub(crate) account_on_error: OnError,
}

/// Usable options.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The options.
    pub(crate) options: Options,
    /// What the administrator should know.
    pub(crate) warnings: Vec<String>,
}

/// One setting with the place where it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Setting {
    place: String,
    name: String,
    value: String,
}

/// Reads the options: defaults, then the file named by `config=`, then the other arguments.
///
/// # Errors
/// Unknown option, bad value, the same option twice in one place, or a file that others can write.
pub(crate) fn load(
    args: &[String],
    read_file: impl Fn(&Path) -> Result<String, FileError>,
) -> Result<Loaded, BadOptions> {
    crate::panics::point("options");
    let settings: Vec<Setting> =
        args.iter().zip(1u32..).map(|(arg, number)| split_argument(arg, number)).collect();
    let mut loaded = Loaded { options: Options::default(), warnings: Vec::new() };
    // Arguments are read even when the file is bad: account_on_error shall hold all the same.
    let from_file = read_config(&settings, read_file, &mut loaded);
    let from_arguments = loaded.options.set_all(&settings);
    match from_file.and(from_arguments) {
        Ok(()) => Ok(loaded),
        Err(problem) => {
            Err(BadOptions { problem, account_on_error: loaded.options.account_on_error })
        }
    }
}

fn split_argument(arg: &str, number: u32) -> Setting {
    let (name, value) = arg.split_once('=').unwrap_or((arg, ""));
    let flag = !arg.contains('=') && FLAGS.contains(&name);
    Setting {
        place: format!("PAM argument {number}"),
        name: name.to_owned(),
        value: if flag { "yes" } else { value }.to_owned(),
    }
}

fn read_config(
    settings: &[Setting],
    read_file: impl Fn(&Path) -> Result<String, FileError>,
    loaded: &mut Loaded,
) -> Result<(), OptionProblem> {
    let Some(config) = settings.iter().find(|it| it.name == "config") else { return Ok(()) };
    let text = read_file(Path::new(&config.value))?;
    match file::parse(&config.value, &text)? {
        file::Content::Settings(settings) => loaded.options.set_all(&settings),
        file::Content::Old(warning) => {
            loaded.warnings.push(warning);
            Ok(())
        }
    }
}

/// Options that may stand alone, meaning yes.
const FLAGS: &[&str] =
    &["debug", "pass_non_token", "require_identity", "try_first_pass", "use_first_pass"];

impl Options {
    /// True if this name is left to the other modules.
    pub(crate) fn skips(&self, user: &str) -> bool {
        self.skip_users.iter().any(|it| it == user)
    }

    /// Sets all that can be set, and returns the first problem.
    fn set_all(&mut self, settings: &[Setting]) -> Result<(), OptionProblem> {
        let mut outcome = Ok(());
        for (index, setting) in settings.iter().enumerate() {
            let twice = settings.iter().take(index).any(|it| it.name == setting.name);
            let Setting { place, name, .. } = setting.clone();
            let set =
                if twice { Err(OptionProblem::Twice { place, name }) } else { self.set(setting) };
            outcome = outcome.and(set);
        }
        outcome
    }

    fn set(&mut self, setting: &Setting) -> Result<(), OptionProblem> {
        let value = setting.value.as_str();
        let outcome = match setting.name.as_str() {
            "config" if setting.place.starts_with("PAM argument") => Ok(()),
            "socket" => parse_socket(value).map(|it| self.socket = it),
            "daemon_user" => parse_user(value).map(|it| self.daemon_user = it),
            "prompt" => parse_prompt(value).map(|it| self.prompt = it),
            "timeout" => parse_timeout(value).map(|it| self.timeout = it),
            "fail_floor_ms" => parse_floor(value).map(|it| self.fail_floor = it),
            "min_uid" => parse_uid(value).map(|it| self.min_uid = it),
            "require_identity" => parse_flag(value).map(|it| self.require_identity = it),
            "skip_users" => parse_users(value).map(|it| self.skip_users = it),
            "account_on_error" => parse_on_error(value).map(|it| self.account_on_error = it),
            "pass_non_token" => parse_flag(value).map(|it| self.pass_non_token = it),
            "try_first_pass" => {
                parse_flag(value).map(|it| self.set_earlier(it, EarlierPassword::Try))
            }
            "use_first_pass" => {
                parse_flag(value).map(|it| self.set_earlier(it, EarlierPassword::Use))
            }
            "contact" => parse_contact(value).map(|it| self.contact = Some(it)),
            "debug" => parse_flag(value).map(|it| self.debug = it),
            _ => {
                let Setting { place, name, .. } = setting.clone();
                return Err(OptionProblem::Unknown { place, name });
            }
        };
        outcome.map_err(|cure| {
            let Setting { place, name, value } = setting.clone();
            OptionProblem::Value { place, name, value, cure }
        })
    }

    fn set_earlier(&mut self, flag: bool, meaning: EarlierPassword) {
        match flag {
            true => self.earlier_password = meaning,
            false if self.earlier_password == meaning => {
                self.earlier_password = EarlierPassword::Leave;
            }
            false => {}
        }
    }
}

type Parsed<T> = Result<T, &'static str>;

fn parse_socket(text: &str) -> Parsed<PathBuf> {
    let fits = text.starts_with('/') && text.len() <= MAX_SOCKET_BYTES && !text.contains('\0');
    if fits { Ok(PathBuf::from(text)) } else { Err("give an absolute path of at most 107 bytes") }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_control() || c.is_whitespace())
}

fn parse_user(text: &str) -> Parsed<String> {
    if is_name(text) { Ok(text.to_owned()) } else { Err("give the name of a user") }
}

fn parse_users(text: &str) -> Parsed<Vec<String>> {
    let names: Vec<String> =
        text.split(',').map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect();
    let fits = names.iter().all(|name| is_name(name));
    if fits { Ok(names) } else { Err("give names with commas between them") }
}

/// Clients look for a line that ends in these words; with anything else they wait for ever.
fn parse_prompt(text: &str) -> Parsed<String> {
    let one_line = text.len() <= 200 && !text.contains(char::is_control);
    if one_line && text.ends_with(TOKEN_PROMPT) {
        Ok(text.to_owned())
    } else {
        Err("give one line that ends in exactly \"Access Token:\", without a blank behind it")
    }
}

fn parse_number(text: &str, range: std::ops::RangeInclusive<u32>) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|number| digits && range.contains(number))
}

fn parse_timeout(text: &str) -> Parsed<Duration> {
    let seconds = parse_number(text, 1..=100);
    // sshd's LoginGraceTime is 120 s.
    seconds.map(|it| Duration::from_secs(it.into())).ok_or("give seconds, 1 to 100")
}

fn parse_floor(text: &str) -> Parsed<Duration> {
    let millis = parse_number(text, 0..=10_000);
    millis.map(|it| Duration::from_millis(it.into())).ok_or("give milliseconds, 0 to 10000")
}

fn parse_uid(text: &str) -> Parsed<u32> {
    // uid 0 and "no uid" are refused whatever is set here.
    parse_number(text, 1..=u32::MAX).ok_or("give a uid, 1 or more")
}

fn parse_on_error(text: &str) -> Parsed<OnError> {
    match text {
        "ignore" => Ok(OnError::Ignore),
        "deny" => Ok(OnError::Deny),
        "deny_managed" => Ok(OnError::DenyManaged),
        _ => Err("give ignore, deny or deny_managed"),
    }
}

fn parse_flag(text: &str) -> Parsed<bool> {
    match text {
        "yes" | "true" | "on" | "1" => Ok(true),
        "no" | "false" | "off" | "0" => Ok(false),
        _ => Err("give yes or no"),
    }
}

fn parse_contact(text: &str) -> Parsed<String> {
    let url = text.starts_with("https://") || text.starts_with("http://");
    let address = url || text.starts_with("mailto:");
    let plain = text.len() <= 256 && text.bytes().all(|b| b.is_ascii_graphic());
    if address && plain { Ok(text.to_owned()) } else { Err("give a URL (https://…, mailto:…)") }
}

#[cfg(test)]
mod tests;
