//! Decides what the prompts of one ssh get: a fixed row of expected prompts, each answered once, in order.

use super::wire::Login;
use crate::credential::{Way, pieces};
use motley_proto::{
    Secret,
    login::{TOKEN_PROMPT, chunk_prompt},
};

/// What a prompt gets.
pub(super) enum Verdict {
    /// This.
    Answer(Secret),
    /// A one-time password, to be made now.
    OneTimePassword,
    /// It was answered before.
    Spent,
    /// It is none of ours.
    Foreign,
}

/// One prompt that is expected.
struct Step {
    expected: Expected,
    answer: Option<Given>,
}

/// What is given to a prompt.
enum Given {
    /// The token or a piece of it.
    Piece(Secret),
    /// What does not exist yet.
    OneTimePassword,
}

/// How a prompt is recognised.
enum Expected {
    /// By every byte.
    Exactly(String),
    /// By its beginning, which ssh itself writes, and by its naming a token: sites word the rest.
    BeginsWith(String),
}

impl Expected {
    fn is(&self, prompt: &str) -> bool {
        match self {
            Self::Exactly(text) => prompt == text,
            Self::BeginsWith(prefix) => prompt
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.contains(TOKEN_WORDS) && !rest.starts_with(PART_WORDS)),
        }
    }
}

/// What every prompt for a token has in it, however a site words it.
const TOKEN_WORDS: &str = "Access Token";
/// Beginning of the prompts for further pieces.
const PART_WORDS: &str = "Access Token (part ";

/// The expected prompts and their answers.
pub(super) struct Script {
    steps: Vec<Step>,
    told: bool,
}

impl Script {
    /// The row for a login.
    ///
    /// `(user@host) ` is written by ssh itself, what follows by the server it names. Comparing the
    /// whole prefix is what keeps a jump host that imitates the prompt from getting the token. An
    /// ssh that writes no prefix gets an answer for the plain prompt only.
    pub(super) fn new(login: &Login) -> Self {
        let answers = match login.way {
            Way::Whole => vec![Given::Piece(login.token.clone())],
            Way::OneTimePassword => vec![Given::OneTimePassword],
            Way::Chunks => pieces(&login.token).into_iter().map(Given::Piece).collect(),
        };
        let prefix = format!("({}@{}) ", login.user, login.host);
        let first = match login.prefixed {
            true => Expected::BeginsWith(prefix.clone()),
            false => Expected::Exactly(TOKEN_PROMPT.to_owned()),
        };
        let more = (2..).map(|n| Expected::Exactly(format!("{prefix}{}", chunk_prompt(n))));
        let steps = std::iter::once(first)
            .chain(more)
            .zip(answers)
            .map(|(expected, answer)| Step { expected, answer: Some(answer) })
            .collect();
        Self { steps, told: false }
    }

    /// True from the second call on: the user has been told that the login failed.
    pub(super) fn is_told(&mut self) -> bool {
        std::mem::replace(&mut self.told, true)
    }

    /// What this prompt gets; an answer is given away, so that it can't be given twice.
    pub(super) fn judge(&mut self, prompt: &str) -> Verdict {
        let next = self.steps.iter().position(|step| step.answer.is_some());
        match self.steps.iter().position(|step| step.expected.is(prompt)) {
            None => Verdict::Foreign,
            Some(at) if Some(at) == next => {
                match self.steps.get_mut(at).and_then(|step| step.answer.take()) {
                    Some(Given::Piece(secret)) => Verdict::Answer(secret),
                    Some(Given::OneTimePassword) => Verdict::OneTimePassword,
                    None => Verdict::Spent,
                }
            }
            Some(_) => {
                // Out of order: the login has failed, the rest of the token has nowhere to go.
                self.steps.iter_mut().for_each(|step| step.answer = None);
                Verdict::Spent
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::http::Trust;
    use motley_proto::UserName;

    pub(in crate::broker) fn login(token: &str, way: Way) -> Login {
        Login {
            hostname: "cue.example.org".to_owned(),
            port: 22,
            host: "cue.example.org".to_owned(),
            prefixed: true,
            user: UserName::new("alice").unwrap(),
            token: Secret::new(token.to_owned()),
            way,
            endpoint: String::new(),
            trust: Trust { ca_file: None, any_certificate: false, allow_http: false, timeout_s: 1 },
        }
    }

    fn said(script: &mut Script, prompt: &str) -> String {
        match script.judge(prompt) {
            Verdict::Answer(secret) => secret.expose().to_owned(),
            Verdict::OneTimePassword => "otp".to_owned(),
            Verdict::Spent => "spent".to_owned(),
            Verdict::Foreign => "foreign".to_owned(),
        }
    }

    const OURS: &str = "(alice@cue.example.org) Access Token:";

    #[test]
    fn r38_the_token_goes_to_the_expected_prompt_once_and_to_no_imitation() {
        let mut script = Script::new(&login("secret", Way::Whole));
        for imitation in [
            "(alice@jump.example.org) Access Token:",
            "(bob@cue.example.org) Access Token:",
            "Access Token:",
            " (alice@cue.example.org) Access Token:",
            "(alice@cue.example.org) access token:",
            "(alice@cue.example.org) Password:",
            "(alice@jump) (alice@cue.example.org) Access Token:",
            "(alice@cue.example.org)Access Token:",
            "(alice@cue.example.org) Access Token (part 2):",
            "alice@cue.example.org's password: ",
            "",
        ] {
            assert_eq!(said(&mut script, imitation), "foreign", "{imitation}");
        }
        assert_eq!(said(&mut script, OURS), "secret");
        assert_eq!(said(&mut script, OURS), "spent");
        assert_eq!(said(&mut script, OURS), "spent");
    }

    #[test]
    fn sites_may_word_their_prompt_and_greet() {
        for text in [
            "Access Token: ",
            "(OTP or) Access Token:",
            "Paste OIDC Access Token:",
            "Welcome.\r\nAccess Token:",
        ] {
            let mut script = Script::new(&login("secret", Way::Whole));
            assert_eq!(said(&mut script, &format!("(alice@cue.example.org) {text}")), "secret");
            let mut old = Script::new(&Login { prefixed: false, ..login("secret", Way::Whole) });
            assert_eq!(said(&mut old, text), "foreign");
        }
    }

    #[test]
    fn a_long_token_goes_out_in_pieces_and_in_order_only() {
        let token = "t".repeat(2289);
        let part = |n: u16| format!("(alice@cue.example.org) {}", chunk_prompt(n));
        let mut script = Script::new(&login(&token, Way::Chunks));
        assert!(said(&mut script, OURS).starts_with("oidc-chunk:1/3:"));
        assert!(said(&mut script, &part(2)).starts_with("oidc-chunk:2/3:"));
        assert!(said(&mut script, &part(3)).starts_with("oidc-chunk:3/3:"));
        assert_eq!(said(&mut script, &part(4)), "foreign");
        assert_eq!(said(&mut script, &part(3)), "spent");

        let mut script = Script::new(&login(&token, Way::Chunks));
        assert!(said(&mut script, OURS).starts_with("oidc-chunk:1/3:"));
        assert_eq!(said(&mut script, &part(3)), "spent");
        assert_eq!(said(&mut script, &part(2)), "spent");
    }

    #[test]
    fn old_ssh_without_prefix_and_one_time_passwords_are_served() {
        let bare = Login { prefixed: false, ..login("secret", Way::OneTimePassword) };
        assert_eq!(said(&mut Script::new(&bare), "Access Token:"), "otp");
    }
}
