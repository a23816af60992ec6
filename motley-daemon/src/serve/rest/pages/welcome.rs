//! The page for people who open the service in a browser: how to log in here, and what if not.

use super::html::{Html, shell_word};
use crate::{
    config::{Config, OpConfig},
    policy::VoMatch,
};
use motley_proto::{login::TOKEN_PROMPT, rest::SshHostKey};

/// What the page tells.
pub(super) struct Welcome<'a> {
    /// The configuration.
    pub(super) config: &'a Config,
    /// Keys of sshd.
    pub(super) host_keys: &'a [SshHostKey],
    /// Whom people turn to.
    pub(super) contact: Option<&'a str>,
    /// True when there is a privacy statement.
    pub(super) has_privacy: bool,
}

impl Welcome<'_> {
    pub(super) fn title(&self) -> String {
        format!("Log in to {}", self.host())
    }

    /// The main part of the page.
    pub(super) fn main(&self) -> Html {
        let mut html = Html::default();
        html.element("h1", &self.title());
        let description = self.text("description");
        if !description.is_empty() {
            html.tag("<p class=\"lead\">").text(description).tag("</p>\n");
        }
        html.piece(&self.organisations());
        html.piece(&self.steps());
        if !self.host_keys.is_empty() {
            html.piece(&host_keys(self.host_keys));
        }
        html.piece(&self.refused());
        html
    }

    /// What stands at the end.
    pub(super) fn footer(&self) -> Html {
        let mut html = Html::default();
        html.tag("<nav aria-label=\"More about this service\"><ul>\n");
        if self.has_privacy {
            html.tag("<li>").link("privacy", "Privacy statement").tag("</li>\n");
        }
        html.tag("<li>").link("info", "What programs are told (JSON)").tag("</li>\n");
        let pages = [
            (&self.config.mapper.docs_url, "Description of the REST interface"),
            (&self.config.mapper.redoc_url, "The same for reading"),
        ];
        for (url, label) in pages {
            if let Some(url) = url {
                html.tag("<li>").link(url.trim_matches('/'), label).tag("</li>\n");
            }
        }
        html.tag("</ul></nav>\n");
        html
    }

    fn text(&self, option: &str) -> &str {
        let texts = self.config.adapter.login_info.texts();
        texts.get(option).and_then(|text| text.as_str()).unwrap_or_default()
    }

    fn host(&self) -> &str {
        self.config.adapter.login_info.ssh_host()
    }

    fn organisations(&self) -> Html {
        let mut html = Html::default();
        html.tag("<section aria-labelledby=\"who\"><h2 id=\"who\">Who can log in</h2>\n");
        match self.config.ops.as_slice() {
            [] => html.tag("<p>Nobody yet: no home organisation is set up.</p>\n"),
            [_] => html.tag("<p>You log in with your account at this home organisation:</p>\n"),
            _ => html
                .tag("<p>You log in with your account at one of these home organisations:</p>\n"),
        };
        for op in &self.config.ops {
            html.piece(&organisation(op));
        }
        html.tag("</section>\n");
        html
    }

    fn steps(&self) -> Html {
        let host = shell_word(self.host());
        let mut html = Html::default();
        html.tag("<section aria-labelledby=\"how\"><h2 id=\"how\">How to log in</h2>\n")
            .tag("<h3>With mccli</h3>\n<p>It gets a token, makes your account at the first login and ")
            .tag("becomes ssh:</p>\n")
            .command(&format!("mccli ssh {host}"))
            .tag("<h3>With ssh alone</h3>\n<ol>\n<li>Make your account once, and learn its name:")
            .command(&format!("mccli deploy {host}"))
            .tag("</li>\n<li>Get a token, here with oidc-agent:");
        for op in &self.config.ops {
            html.command(&token_command(op));
        }
        html.tag(
            "</li>\n<li>Log in under the name of your account, and paste the token at the prompt ",
        )
        .element("code", TOKEN_PROMPT)
        .tag(". It stays invisible.")
        .command(&format!("ssh NAME@{host}"));
        if self.config.otp.enabled {
            html.tag(
                "<p>A token of more than 1023 characters does not fit into the prompt of ssh. ",
            )
            .tag("Paste a one-time password in its place:</p>")
            .command(&format!("mccli otp {host}"));
        }
        html.tag("</li>\n</ol>\n");
        let help = self.text("login_help").replace("{ssh_host}", self.host());
        if !help.is_empty() {
            html.tag("<p>From the people who run this host: ").prose(&help).tag("</p>\n");
        }
        html.tag("</section>\n");
        html
    }

    fn refused(&self) -> Html {
        let host = shell_word(self.host());
        let mut html = Html::default();
        html.tag(
            "<section aria-labelledby=\"refused\"><h2 id=\"refused\">If you are refused</h2>\n",
        )
        .tag("<p>Ask what the service makes of you. It says what is missing, and in which state ")
        .tag("your account is:</p>\n")
        .command(&format!("mccli info {host}"))
        .tag("<ul>\n<li>Your token may be too old, or meant for another service: get a new one, ")
        .tag("with the audience and scopes that are named above.</li>\n")
        .tag("<li>You may lack a membership: ask those who manage the group to add you, then get ")
        .tag("a new token.</li>\n")
        .tag("<li>Your account may be suspended: then only the people who run this host can let ")
        .tag("you in again.</li>\n</ul>\n");
        match self.contact {
            Some(contact) => {
                html.tag("<p>If that does not help, turn to ").contact(contact).tag(".</p>\n")
            }
            None => {
                html.tag("<p>If that does not help, turn to the people who run this host.</p>\n")
            }
        };
        html.tag("</section>\n");
        html
    }
}

fn organisation(op: &OpConfig) -> Html {
    let issuer = op.issuer.trimmed();
    let name = issuer.split_once("://").map_or(issuer, |(_, rest)| rest);
    let mut html = Html::default();
    html.tag("<article class=\"card\">").element("h3", name).element("p", &who_is_let_in(op));
    html.tag("<dl>\n<dt>Issuer</dt><dd>").element("code", issuer).tag("</dd>\n");
    let policy = &op.policy;
    if let Some(vos) = policy.vos.as_ref().filter(|_| !policy.authorise_all) {
        html.tag("<dt>Groups</dt><dd><ul>");
        for vo in vos.required() {
            html.tag("<li>").element("code", vo).tag("</li>");
        }
        html.tag("</ul></dd>\n");
    }
    if let [first, rest @ ..] = policy.audience.accepted.as_slice() {
        html.tag("<dt>Audience</dt><dd>").element("code", first.as_str());
        for audience in rest {
            html.tag(" or ").element("code", audience.as_str());
        }
        html.tag("</dd>\n");
    }
    if !op.scopes.is_empty() {
        html.tag("<dt>Scopes</dt><dd>").element("code", &op.scopes.join(" ")).tag("</dd>\n");
    }
    html.tag("</dl></article>\n");
    html
}

fn who_is_let_in(op: &OpConfig) -> String {
    let policy = &op.policy;
    if policy.authorise_all {
        return "Everybody of this organisation is let in.".to_owned();
    }
    let by_name = if policy.users.is_empty() { "" } else { " Others are let in by name." };
    let by_group = policy.vos.as_ref().map(|vos| match vos.matching() {
        _ if vos.required().count() == 1 => "Members of this group are let in.".to_owned(),
        VoMatch::All => "Members of all of these groups are let in.".to_owned(),
        VoMatch::ONE => "Members of one of these groups are let in.".to_owned(),
        VoMatch::AtLeast(count) => format!("Members of {count} of these groups are let in."),
    });
    match by_group {
        Some(by_group) => by_group + by_name,
        None if !policy.users.is_empty() => {
            "People are let in by name; ask to be added.".to_owned()
        }
        None => "Nobody of this organisation is let in so far.".to_owned(),
    }
}

/// How oidc-agent gets a token for this service.
fn token_command(op: &OpConfig) -> String {
    let mut command = "oidc-token".to_owned();
    if let Some(audience) = op.policy.audience.accepted.first() {
        command += &format!(" --aud {}", shell_word(audience.as_str()));
    }
    if !op.scopes.is_empty() {
        command += &format!(" --scope {}", shell_word(&op.scopes.join(" ")));
    }
    command + " " + &shell_word(op.issuer.as_str())
}

fn host_keys(keys: &[SshHostKey]) -> Html {
    let mut html = Html::default();
    html.tag("<section aria-labelledby=\"keys\"><h2 id=\"keys\">Is it the right host?</h2>\n")
        .tag("<p>At your first login ssh shows the fingerprint of the host's key. Go on only if it is ")
        .tag("one of these:</p>\n<table>\n<thead><tr><th scope=\"col\">Key</th>")
        .tag("<th scope=\"col\">Fingerprint</th></tr></thead>\n<tbody>\n");
    for key in keys {
        html.tag("<tr><th scope=\"row\">").text(&key.kind).tag("</th><td>");
        html.element("code", &key.fingerprint).tag("</td></tr>\n");
    }
    html.tag("</tbody></table></section>\n");
    html
}
