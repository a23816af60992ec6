//! Sends a case as it was recorded: accounts into their state, credential, what came before, request.

use std::time::Duration;

use anyhow::{Context, Result};
use motley_proto::approval::ApprovalDecision;
use motley_tests::op::{Minted, TokenKind, one_time_password};
use motley_tests::sandbox::{Reply, until};

use super::accounts::Accounts;
use super::approvals;
use super::case::{Case, Configuration, State};
use super::contract::Contract;
use super::divergence::Mend;
use super::matching::body_of;
use super::setup::Setup;
use super::story::{Form, Misuse, Story};
use super::wire::Sent;

/// Names the issuer of an opaque token.
const ISSUER_HEADER: &str = "oidc-issuer";

/// Sends cases to one daemon, one after the other.
pub(crate) struct Replay<'a> {
    setup: &'a Setup,
    accounts: Accounts,
    contract: Option<Contract>,
}

impl<'a> Replay<'a> {
    /// For the daemon at the set-up's base.
    ///
    /// # Errors
    /// When the host's accounts cannot be prepared.
    pub(crate) fn new(setup: &'a Setup) -> Result<Self> {
        Ok(Self { setup, accounts: Accounts::new()?, contract: None })
    }

    /// Prepares and sends a case, by its own method or another, mended if asked to.
    ///
    /// # Errors
    /// When something on the way fails that is not the answer itself.
    pub(crate) fn run(&mut self, case: &Case, method: &str, mend: Option<Mend>) -> Result<Reply> {
        let minted = self.mint(case, mend)?;
        let password = self.make_password(case, &minted)?;
        self.prepare(case)?;
        let mut headers: Vec<(String, String)> =
            case.request.headers.iter().map(|(n, v)| (n.to_lowercase(), v.clone())).collect();
        if Story::of(case).has_two_headers() {
            headers.push(bearer("not-a-token"));
        }
        if let Some(value) = &minted.authorization {
            headers.push(("authorization".to_owned(), value.clone()));
        }
        if mend == Some(Mend::NameIssuer) {
            headers.push(self.issuer_header(&case.request.user)?);
        }
        let sent = Sent { method: method.to_owned(), target: self.target_of(case), headers };
        let reply = self.send(&sent)?;
        self.contract()?.check(method, case.route(), &reply)?;
        self.note(case, &reply);
        if body_of(&reply)["successful"] == true || password {
            self.use_up(&minted)?;
        }
        Ok(reply)
    }

    fn send(&self, sent: &Sent) -> Result<Reply> {
        sent.send(self.setup.base.trim_start_matches("http://"))
    }

    /// What the daemon says of its answers.
    fn contract(&mut self) -> Result<&Contract> {
        if self.contract.is_none() {
            let target = "/openapi.json".to_owned();
            let sent = Sent { method: "GET".to_owned(), target, headers: Vec::new() };
            self.contract = Some(Contract::new(&self.send(&sent)?)?);
        }
        self.contract.as_ref().context("no document")
    }

    /// `GET` with a bearer token.
    fn get(&self, target: &str, token: &str) -> Result<Reply> {
        let headers = vec![bearer(token)];
        self.send(&Sent { method: "GET".to_owned(), target: target.to_owned(), headers })
    }

    fn target_of(&self, case: &Case) -> String {
        let request = &case.request;
        let query = self.setup.resolve(&request.query).replace("<token>", "e30.e30.e30");
        match query.as_str() {
            "" => request.path.clone(),
            query => format!("{}?{query}", request.path),
        }
    }

    fn issuer_header(&self, user: &str) -> Result<(String, String)> {
        let issuer = self.setup.federation.op_of(user)?.issuer();
        Ok((ISSUER_HEADER.to_owned(), issuer.to_owned()))
    }

    /// A good token of a user.
    fn good_token(&self, user: &str) -> Result<String> {
        Ok(self.setup.federation.op_of(user)?.token(user).sign())
    }

    fn mint(&self, case: &Case, mend: Option<Mend>) -> Result<Minted> {
        let kind: TokenKind = case.request.token_kind.parse()?;
        let (story, user) = (Story::of(case), case.request.user.as_str());
        let federation = &self.setup.federation;
        let op = federation.op_of(user)?;
        let mut good = op.token(user);
        if let Some(size) = story.token_size() {
            good = good.size(size);
        }
        if story.token_expires() {
            good = good.lifetime(2);
        }
        if story.userinfo_fails() {
            good = good.userinfo_status(500);
        }
        if story.userinfo_names_another_user() {
            let other = federation.subject("listed").context("no user listed")?;
            let issuer = federation.op("listed")?.issuer();
            good = good.userinfo_claim("iss", issuer).userinfo_claim("sub", other);
        }
        if case.name.contains("with another group") {
            good = good.userinfo_claim("groups", serde_json::json!(["approval-other"]));
            for claim in ["eduperson_entitlement", "entitlements"] {
                good = good.userinfo_claim(claim, serde_json::json!([]));
            }
        }
        if mend == Some(Mend::NameAudience) {
            good = good.claim("aud", self.setup.audiences(user, case.request.config));
        }
        let token = match kind {
            TokenKind::OtpUnused | TokenKind::OtpUsed if story.has_opaque_token() => good.opaque(),
            TokenKind::OtpUnused | TokenKind::OtpUsed | TokenKind::Jwt | TokenKind::JwtRs256 => {
                good.sign()
            }
            TokenKind::JwtIssTrailingSlash => {
                let issuer = format!("{}/", op.issuer());
                good.claim("iss", issuer).sign()
            }
            // Each provider of the recorder had key ids of its own.
            TokenKind::JwtIssOfOtherOp => {
                let own = self.setup.op_name(user) == "listed";
                let other = federation.op(if own { "all" } else { "listed" })?.issuer();
                good.claim("iss", other).header("kid", "key-of-another-provider").sign()
            }
            TokenKind::Opaque => good.opaque(),
            _ => return federation.mint(kind, user),
        };
        let credential = match kind {
            TokenKind::OtpUnused | TokenKind::OtpUsed => one_time_password(&token),
            _ => token.clone(),
        };
        let authorization = Some(match story.form() {
            Form::Plain => format!("Bearer {credential}"),
            Form::LowerCaseScheme => format!("bearer {credential}"),
            Form::UpperCase => format!("Bearer {}", credential.to_uppercase()),
        });
        Ok(Minted { token: Some(token), credential, authorization })
    }

    /// Makes the one-time password of a case, and does with it what was done before the request.
    /// Says whether there is one that may still be unused.
    fn make_password(&mut self, case: &Case, minted: &Minted) -> Result<bool> {
        let kind: TokenKind = case.request.token_kind.parse()?;
        if !matches!(kind, TokenKind::OtpUnused | TokenKind::OtpUsed) {
            return Ok(false);
        }
        let (story, user) = (Story::of(case), case.request.user.as_str());
        let token = minted.token.as_deref().context("no token behind the password")?;
        self.accounts.put(self.setup, user, State::Deployed)?;
        let headers = vec![bearer(token), self.issuer_header(user)?];
        let target = "/user/generate_otp".to_owned();
        self.send(&Sent { method: "GET".to_owned(), target, headers })?;
        if story.token_expires() {
            until("the end of the token", Duration::from_secs(10), || {
                let reply = self.get("/user/get_status", token).ok()?;
                (reply.status == 401).then_some(())
            })?;
        }
        let name = self.setup.username(user).unwrap_or_default();
        let (password, verify) = (&minted.credential, format!("/verify_user?username={name}"));
        match story.misuse() {
            Some(Misuse::OnPath(path)) => drop(self.get(path, password)?),
            Some(Misuse::NoUsername) => drop(self.get("/verify_user", password)?),
            Some(Misuse::InForm(Form::UpperCase)) => {
                self.get(&verify, &password.to_uppercase())?;
            }
            Some(Misuse::InForm(_)) => {
                let headers = vec![("authorization".to_owned(), format!("bearer {password}"))];
                self.send(&Sent { method: "GET".to_owned(), target: verify.clone(), headers })?;
            }
            None => {}
        }
        if kind == TokenKind::OtpUsed {
            let other = story.was_used_with_other_name();
            self.get(if other { "/verify_user?username=root" } else { &verify }, password)?;
        }
        Ok(true)
    }

    /// Nobody hoards passwords: a person may hold a few only.
    fn use_up(&self, minted: &Minted) -> Result<()> {
        let Some(token) = &minted.token else { return Ok(()) };
        self.get("/verify_user?username=nobody", &one_time_password(token)).map(drop)
    }

    /// Puts a person into the state of a case with approvals, as people and admins get there.
    fn prepare_request(&mut self, case: &Case) -> Result<()> {
        let user = case.target().unwrap_or(&case.request.user).to_owned();
        let state = case.target().map_or_else(|| case.state(), |_| Some(case.target_state()));
        self.accounts.lift(self.setup, &case.request.user)?;
        self.accounts.lift(self.setup, &user)?;
        self.accounts.put(self.setup, &user, State::NotDeployed)?;
        let identity = self.setup.identity(&user)?;
        approvals::forget(&identity)?;
        let state = state.unwrap_or(State::NotDeployed);
        if state == State::NotDeployed {
            return Ok(());
        }
        self.get("/user/deploy", &self.good_token(&user)?)?;
        match state {
            State::Pending => Ok(()),
            State::Rejected => approvals::decide(&identity, ApprovalDecision::Reject),
            _ => {
                approvals::decide(&identity, ApprovalDecision::Accept)?;
                self.accounts.note_deployed(self.setup, &user);
                if state == State::Suspended {
                    self.accounts.suspend(self.setup, &user)?;
                }
                Ok(())
            }
        }
    }

    fn prepare(&mut self, case: &Case) -> Result<()> {
        if case.request.config == Configuration::Approval {
            return self.prepare_request(case);
        }
        if case.target().is_some_and(|target| target != case.request.user) {
            self.accounts.lift(self.setup, &case.request.user)?;
        }
        for need in case.needs() {
            if case.route() == "/user/deploy" && need.state != State::NotDeployed {
                self.prepare_groups(case, &need.user)?;
            }
            match (case.target(), need.state) {
                (Some(target), State::Suspended) if target == need.user => {
                    self.accounts.suspend(self.setup, target)?;
                }
                _ => self.accounts.put(self.setup, &need.user, need.state)?,
            }
        }
        let user = case.request.user.as_str();
        if case.is_repetition() {
            let headers = vec![
                bearer(&self.setup.federation.op_of(user)?.token(user).opaque()),
                self.issuer_header(user)?,
            ];
            let sent = Sent { method: "GET".to_owned(), target: self.target_of(case), headers };
            let reply = self.send(&sent)?;
            self.note(case, &reply);
        }
        if let Some(path) = case.asked_before() {
            let name = self.setup.username(user).unwrap_or_default();
            let query =
                if path == "/verify_user" { format!("?username={name}") } else { String::new() };
            let reply = self.get(&format!("{path}{query}"), &self.good_token(user)?)?;
            self.note(case, &reply);
        }
        Ok(())
    }

    /// Which groups an account is in before a deployment depends on all cases before, of which some
    /// may be left out; the recorded message tells.
    fn prepare_groups(&mut self, case: &Case, user: &str) -> Result<()> {
        let message = case.response.body["message"].as_str().unwrap_or_default();
        if !message.starts_with("User already existed") {
            return Ok(());
        }
        self.accounts.put(self.setup, user, State::Deployed)?;
        if message.contains("was added to groups") {
            return self.accounts.leave_groups(self.setup, user);
        }
        if self.accounts.is_bare(self.setup, user) {
            self.get("/user/deploy", &self.good_token(user)?)?;
            self.accounts.note_deployed(self.setup, user);
        }
        Ok(())
    }

    /// Remembers what an answer says about accounts.
    fn note(&mut self, case: &Case, reply: &Reply) {
        if reply.status != 200 {
            return;
        }
        let user = case.target().unwrap_or(&case.request.user);
        if reply.text.contains("was suspended") {
            self.accounts.note_suspended(user);
        }
        if reply.text.contains("was resumed") {
            self.accounts.note_adopted(user);
        }
        if reply.text.contains("User was created") || reply.text.contains("User already existed") {
            self.accounts.note_deployed(self.setup, user);
        }
    }
}

fn bearer(credential: &str) -> (String, String) {
    ("authorization".to_owned(), format!("Bearer {credential}"))
}
