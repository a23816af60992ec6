//! Decides what a prompt gets: a fixed row of expected prompts, each answered once, in order.

use super::wire::{Ask, Order};
use crate::credential::{Way, pieces};
use motley_proto::{
    Secret,
    login::{TOKEN_PROMPT, chunk_prompt},
};

/// What a prompt gets.
pub(super) enum Verdict {
    /// This.
    Answer(Secret),
    /// It was answered before.
    Spent,
    /// It is none of ours.
    Foreign,
}

/// The expected prompts and their answers.
pub(super) struct Script {
    steps: Vec<(String, Option<Secret>)>,
    only: Option<i32>,
}

impl Script {
    /// The row for an order.
    ///
    /// The text behind `(user@host) ` comes from the server, the rest from ssh itself. Comparing
    /// the whole prompt is what keeps a jump host, or a server that imitates the prompt of another
    /// one, from getting the token.
    pub(super) fn new(order: &Order) -> Self {
        let answers = match order.way {
            Way::Whole => vec![order.token.clone()],
            Way::OneTimePassword => order.password.iter().cloned().collect(),
            Way::Chunks => pieces(&order.token),
        };
        let prefix = match order.prefixed {
            true => format!("({}@{}) ", order.user, order.host),
            false => String::new(),
        };
        let texts = std::iter::once(TOKEN_PROMPT.to_owned()).chain((2..).map(chunk_prompt));
        let steps = texts
            .zip(answers)
            .map(|(text, answer)| (format!("{prefix}{text}"), Some(answer)))
            .collect();
        Self { steps, only: order.jumps.then_some(order.ssh_pid) }
    }

    /// What this question gets; an answer is given away, so that it can't be given twice.
    pub(super) fn judge(&mut self, ask: &Ask) -> Verdict {
        if self.only.is_some_and(|ssh| ssh != ask.parent) {
            return Verdict::Foreign;
        }
        let next = self.steps.iter().position(|(_, answer)| answer.is_some());
        match self.steps.iter().position(|(prompt, _)| *prompt == ask.prompt) {
            None => Verdict::Foreign,
            Some(at) if Some(at) == next => {
                let answer = self.steps.get_mut(at).and_then(|(_, answer)| answer.take());
                answer.map_or(Verdict::Spent, Verdict::Answer)
            }
            Some(_) => {
                // Out of order: the login has failed, the rest of the token has nowhere to go.
                self.steps.iter_mut().for_each(|(_, answer)| *answer = None);
                Verdict::Spent
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Trust;
    use motley_proto::UserName;

    fn order(token: &str, way: Way) -> Order {
        Order {
            ssh_pid: 7,
            token: Secret::new(token.to_owned()),
            password: Some(Secret::new("otp".to_owned())),
            way,
            user: UserName::new("alice").unwrap(),
            host: "cue.example.org".to_owned(),
            prefixed: true,
            jumps: false,
            terminal: true,
            endpoint: String::new(),
            trust: Trust { ca_file: None, any_certificate: false, allow_http: false, timeout_s: 1 },
        }
    }

    fn said(script: &mut Script, prompt: &str, parent: i32) -> String {
        match script.judge(&Ask { prompt: prompt.to_owned(), parent }) {
            Verdict::Answer(secret) => secret.expose().to_owned(),
            Verdict::Spent => "spent".to_owned(),
            Verdict::Foreign => "foreign".to_owned(),
        }
    }

    const OURS: &str = "(alice@cue.example.org) Access Token:";

    #[test]
    fn r38_the_token_goes_to_the_exact_prompt_once_and_to_no_imitation() {
        let mut script = Script::new(&order("secret", Way::Whole));
        for imitation in [
            "(alice@jump.example.org) Access Token:",
            "(bob@cue.example.org) Access Token:",
            "Access Token:",
            "(alice@cue.example.org) Access Token: ",
            " (alice@cue.example.org) Access Token:",
            "(alice@cue.example.org) access token:",
            "(alice@cue.example.org) Password:",
            "(alice@jump) (alice@cue.example.org) Access Token:",
            "(alice@cue.example.org) Hello\r\n(alice@cue.example.org) Access Token:",
            "(alice@cue.example.org) Access Token (part 2):",
            "alice@cue.example.org's password: ",
            "",
        ] {
            assert_eq!(said(&mut script, imitation, 7), "foreign", "{imitation}");
        }
        assert_eq!(said(&mut script, OURS, 7), "secret");
        assert_eq!(said(&mut script, OURS, 7), "spent");
        assert_eq!(said(&mut script, OURS, 7), "spent");
    }

    #[test]
    fn r38_with_a_jump_host_only_the_ssh_at_the_end_is_answered() {
        let mut script = Script::new(&Order { jumps: true, ..order("secret", Way::Whole) });
        assert_eq!(said(&mut script, OURS, 8), "foreign");
        assert_eq!(said(&mut script, OURS, 7), "secret");
    }

    #[test]
    fn a_long_token_goes_out_in_pieces_and_in_order_only() {
        let token = "t".repeat(2289);
        let part = |n: u16| format!("(alice@cue.example.org) {}", chunk_prompt(n));
        let mut script = Script::new(&order(&token, Way::Chunks));
        assert!(said(&mut script, OURS, 7).starts_with("oidc-chunk:1/3:"));
        assert!(said(&mut script, &part(2), 7).starts_with("oidc-chunk:2/3:"));
        assert!(said(&mut script, &part(3), 7).starts_with("oidc-chunk:3/3:"));
        assert_eq!(said(&mut script, &part(4), 7), "foreign");
        assert_eq!(said(&mut script, &part(3), 7), "spent");

        let mut script = Script::new(&order(&token, Way::Chunks));
        assert!(said(&mut script, OURS, 7).starts_with("oidc-chunk:1/3:"));
        assert_eq!(said(&mut script, &part(3), 7), "spent");
        assert_eq!(said(&mut script, &part(2), 7), "spent");
    }

    #[test]
    fn old_ssh_without_prefix_and_one_time_passwords_are_served() {
        let bare = Order { prefixed: false, ..order("secret", Way::OneTimePassword) };
        assert_eq!(said(&mut Script::new(&bare), "Access Token:", 1), "otp");
    }
}
