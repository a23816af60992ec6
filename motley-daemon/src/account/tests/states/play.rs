//! Plays one recorded case: set-up, action, and what is to be seen afterwards.

use super::{super::*, left::Left};
use crate::{
    chance::SystemChance,
    config::{Owners, Source, validate},
    notify::Letters,
};
use serde_json::{Map, Value};

const HOST: Suspender = Suspender::Host { uid: 0 };

/// One recorded case.
pub(super) struct Case(pub(super) Value);

/// What a case comes to. `None`: it is not said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Outcome {
    pub(super) state: Option<String>,
    pub(super) message: Option<String>,
    pub(super) verified: Option<bool>,
    pub(super) error: bool,
    pub(super) user: Option<String>,
    pub(super) state_after: Option<String>,
    pub(super) message_after: Option<String>,
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

impl Outcome {
    pub(super) fn recorded(case: &Case) -> Self {
        let expected = &case.0["expected"];
        let http = &expected["http"];
        let body = &http["body"];
        let of = |key: &str| text(&expected[key]).or_else(|| text(&body[key]));
        let refused = http["status"].as_u64().is_some_and(|status| status >= 400);
        let error = expected.get("raised").is_some()
            || expected.get("error").is_some()
            || http.get("exit").is_some()
            || expected.get("exit").is_some()
            || refused;
        Self {
            state: of("state"),
            message: of("message"),
            verified: body["verified"].as_bool(),
            error,
            user: expected["credentials"]["ssh_user"]
                .as_str()
                .or(body["credentials"]["ssh_user"].as_str())
                .map(str::to_owned),
            state_after: text(&expected["status_after"]["state"]),
            message_after: text(&expected["status_after"]["message"]),
        }
    }

    pub(super) fn message_is(&self, text: &str) -> bool {
        self.message.as_deref() == Some(text)
    }

    /// Equal in everything that both say; that it fails counts, not in which words.
    pub(super) fn agrees_with(&self, recorded: &Self) -> bool {
        fn same<T: PartialEq>(ours: &Option<T>, recorded: &Option<T>) -> bool {
            ours.is_none() || recorded.is_none() || ours == recorded
        }
        if self.error || recorded.error {
            return self.error == recorded.error;
        }
        same(&self.state, &recorded.state)
            && same(&self.message, &recorded.message)
            && same(&self.verified, &recorded.verified)
            && same(&self.user, &recorded.user)
            && same(&self.state_after, &recorded.state_after)
            && same(&self.message_after, &recorded.message_after)
    }
}

impl Case {
    pub(super) fn is_ours(&self) -> bool {
        self.0["input"]["backend"] == "local_unix"
    }

    /// True when admins are asked.
    pub(super) fn asks(&self) -> bool {
        self.0["input"].get("approval").is_some()
    }

    pub(super) fn name(&self) -> String {
        let name = self.0["name"].as_str().unwrap_or_default();
        format!("{name}: {} {}", self.action(), self.0["input"]["setup"])
    }

    pub(super) fn action(&self) -> &str {
        self.0["input"]["action"].as_str().unwrap_or_default()
    }

    pub(super) fn config(&self) -> &str {
        self.0["config"]["feudal_adapter.conf"].as_str().unwrap_or_default()
    }

    pub(super) fn setup(&self) -> impl Iterator<Item = (&str, &Value)> {
        let steps = self.0["input"]["setup"].as_array().into_iter().flatten();
        steps.map(|step| (step[0].as_str().unwrap_or_default(), &step[1]))
    }

    fn userinfo(&self) -> Map<String, Value> {
        self.0["input"]["userinfo"].as_object().cloned().unwrap_or_default()
    }

    /// Yields what is told and what is left of the account. The latter is `None` where the service does
    /// not start, and makes nothing.
    pub(super) async fn play(&self) -> (Outcome, Option<Option<Left>>) {
        let Some(stage) = Stage::build(self).await else {
            return (Outcome { error: true, ..Outcome::default() }, None);
        };
        for (step, what) in self.setup() {
            stage.set_up(step, what).await;
        }
        let mut outcome = stage.act(self).await;
        if !outcome.error {
            let after = stage.accounts.standing(&stage.identity).await.unwrap().answer();
            outcome.state_after = Some(after.state.as_str().to_owned());
            outcome.message_after = Some(after.message);
        }
        // Under another spelling of the issuer nobody may have an account; the set-up's is looked at then.
        let who = verified(self.userinfo()).map(|person| person.identity().clone());
        let left = match who {
            Some(who) => Left::found(&stage.backend, &who).await,
            None => None,
        };
        let left = match left {
            Some(left) => Some(left),
            None => Left::found(&stage.backend, &stage.identity).await,
        };
        (outcome, Some(left))
    }
}

/// The person whom all set-ups are about.
fn default_person() -> Map<String, Value> {
    let person = json!({
        "sub": "sub-1", "iss": "https://op.example/", "preferred_username": "jdoe",
        "given_name": "John", "family_name": "Doe", "email": "john@example.org", "groups": ["wlcg"],
    });
    person.as_object().unwrap().clone()
}

fn verified(claims: Map<String, Value>) -> Option<Verified> {
    let word = |key: &str| claims.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let identity = Identity::new(Issuer::new(word("iss")).ok()?, Subject::new(word("sub")).ok()?);
    let sources = ClaimSources { userinfo: Some(claims), ..ClaimSources::default() };
    Some(Verified::attest(identity, sources, None))
}

fn tier(word: Option<&str>) -> Tier {
    match word {
        Some("restricted") => Tier::Restricted,
        Some("limited") => Tier::Limited,
        _ => Tier::Full,
    }
}

struct Stage {
    accounts: Arc<Accounts>,
    /// The same without approvals.
    direct: Arc<Accounts>,
    backend: Arc<MemoryBackend>,
    identity: Identity,
    _folder: tempfile::TempDir,
}

impl Stage {
    /// The service with the options of the case; `None` where it does not start with them.
    async fn build(case: &Case) -> Option<Self> {
        let source =
            |text: &str| Source { path: "c".into(), text: text.to_owned(), is_public: false };
        let owners = Owners { service: 0 };
        let (config, _) = validate(source(""), source(case.config()), owners).ok()?;
        let approval = case.asks().then(|| ApprovalRules {
            claims: config.claims_kept(),
            expires_seconds: 30 * 24 * 3600,
            by_mail: true,
            letters: Letters::load(&config.adapter.email, "ssh.example", owners).0,
            chance: Arc::new(SystemChance),
        });
        let bench = bench_with(friendly(), Arc::new(SystemClock), approval).await;
        let Bench { mut accounts, backend, _folder, .. } = bench;
        let own = Arc::get_mut(&mut accounts)?;
        own.rules = AccountRules {
            names: config.adapter.names.clone(),
            groups: config.adapter.groups.clone(),
            deploy_keys: false,
            shells: config.adapter.shells().clone(),
            home_base: config.adapter.home_base().clone(),
            login_info: config.adapter.login_info.clone(),
            first_uid: 2000,
        };
        let direct = Arc::new(Accounts::new(AccountParts {
            store: accounts.store.clone(),
            backend: backend.clone(),
            host: backend.clone(),
            passwords: accounts.passwords.clone(),
            audit: accounts.audit.clone(),
            clock: accounts.clock.clone(),
            forget: accounts.forget.clone(),
            locks: Arc::default(),
            rules: accounts.rules.clone(),
            approval: None,
            lifecycle: Lifecycle::default(),
        }));
        let identity = verified(default_person())?.identity().clone();
        Some(Self { accounts, direct, backend, identity, _folder })
    }

    async fn set_up(&self, step: &str, what: &Value) {
        let deploy = async |claims: Map<String, Value>, tier: Tier| {
            let person = verified(claims).unwrap();
            let _ = self.accounts.deploy(&person, tier, "r").await;
        };
        match (step, what.as_str()) {
            ("do", Some("deployed")) => deploy(default_person(), Tier::Full).await,
            ("do", Some("suspended")) => {
                self.accounts.suspend(&self.identity, HOST, "r").await.unwrap();
            }
            ("do", Some("limited")) => {
                self.accounts.limit(&self.identity, HOST, "r").await.unwrap();
            }
            ("do", Some("not_deployed")) => {
                self.accounts.undeploy(&self.identity, HOST, "r").await.unwrap();
            }
            // Mails are sent later, so a mail server that fails is not noticed.
            ("do" | "fail", None) => deploy(what.as_object().unwrap().clone(), Tier::Full).await,
            ("direct", None) => {
                let person = verified(what.as_object().unwrap().clone()).unwrap();
                self.direct.deploy(&person, Tier::Full, "r").await.unwrap();
            }
            ("act", Some("suspended")) => {
                self.accounts.suspend(&self.identity, HOST, "r").await.unwrap();
            }
            ("act", Some("not_deployed")) => {
                let _ = self.accounts.undeploy(&self.identity, HOST, "r").await;
            }
            ("act", Some(word @ ("accepted" | "rejected"))) => {
                let _ = self.decide(word, &self.identity).await;
            }
            ("deploy", None) => deploy(what.as_object().unwrap().clone(), Tier::Full).await,
            ("tier", word) => deploy(default_person(), tier(word)).await,
            ("sh", Some(command)) => self.run(command).await,
            other => panic!("no such step: {other:?}"),
        }
    }

    /// Does to the account in memory what a command does to one of the host.
    async fn run(&self, command: &str) {
        let words: Vec<&str> = command.split(' ').collect();
        match words.as_slice() {
            ["useradd", "-m", "-c", comment, "-s", shell, name] => {
                let is_own = *comment == "{uid}" || *comment == self.identity.unique_id().as_str();
                self.backend.insert(Account {
                    identity: is_own.then(|| self.identity.clone()),
                    name: UserName::new(*name).unwrap(),
                    uid: Some(1500),
                    gid: Some(1500),
                    home: format!("/home/{name}"),
                    shell: (*shell).to_owned(),
                    state: AccountState::Deployed,
                    groups: Vec::new(),
                });
            }
            ["chage", "-E", date, name] => {
                if date.starts_with("20") {
                    self.edit(name, |account| account.state = AccountState::Suspended).await;
                }
            }
            ["usermod", "-s", shell, name] => {
                self.edit(name, |account| {
                    account.shell = (*shell).to_owned();
                    if shell.ends_with("/nologin") {
                        account.state = AccountState::Limited;
                    }
                })
                .await;
            }
            // The identity ends at the comma, a password was never there, and homes are not looked at.
            ["usermod", "-c", ..] | ["usermod", "-L", ..] | ["rm", ..] => {}
            other => panic!("no such command: {other:?}"),
        }
    }

    /// What an admin says about the request of a person; `None`: there is none that he could decide.
    async fn decide(&self, word: &str, who: &Identity) -> Option<AccountState> {
        let seen = self.accounts.store.approval_of(who).await.unwrap()?;
        let order = Order::from(HOST);
        let decided = match word {
            "accepted" => self.accounts.accept(&seen, Tier::Full, &order, "r").await,
            _ => self.accounts.reject(&seen, &order, "r").await,
        };
        decided.ok().map(|receipt| receipt.state)
    }

    async fn edit(&self, name: &str, change: impl FnOnce(&mut Account)) {
        let name = UserName::new(name).unwrap();
        let mut account = self.backend.by_name(&name).await.unwrap().unwrap();
        change(&mut account);
        self.backend.insert(account);
    }

    async fn act(&self, case: &Case) -> Outcome {
        let Some(person) = verified(case.userinfo()) else {
            return Outcome { error: true, ..Outcome::default() };
        };
        let who = person.identity();
        let told = |answer: StateAnswer| Outcome {
            state: Some(answer.state.as_str().to_owned()),
            message: Some(answer.message),
            ..Outcome::default()
        };
        // These verbs have receipts of their own here, so their sentences are not compared.
        let ordered = |state: AccountState| Outcome {
            state: Some(state.as_str().to_owned()),
            ..Outcome::default()
        };
        let before = self.accounts.standing(who).await.unwrap().state;
        let order = |done: Result<motley_proto::admin::Receipt, AccountError>| match done {
            Ok(receipt) => ordered(receipt.state),
            Err(AccountError::NoAccount) => ordered(before),
            Err(error) => panic!("{error}"),
        };
        let (accounts, admin) = (&self.accounts, Suspender::Oneself);
        match case.action() {
            "deployed" | "deploy" => {
                let tier = tier(case.0["input"]["shell_tier"].as_str());
                match accounts.deploy(&person, tier, "r").await {
                    Ok(done) => Outcome {
                        state: Some(done.state.as_str().to_owned()),
                        message: Some(done.message),
                        user: Some(done.name.to_string()),
                        ..Outcome::default()
                    },
                    Err(DeployError::Waits { state, message }) => Outcome {
                        state: Some(state.as_str().to_owned()),
                        message: Some(message),
                        ..Outcome::default()
                    },
                    Err(_) => Outcome { error: true, ..Outcome::default() },
                }
            }
            word @ ("accepted" | "rejected") => match self.decide(word, who).await {
                Some(state) => ordered(state),
                None => Outcome { error: true, ..Outcome::default() },
            },
            "get_status" | "full_status" => told(accounts.standing(who).await.unwrap().answer()),
            "suspended" | "suspend" | "admin_suspend" => {
                told(accounts.suspend_account(who, admin, "r").await.unwrap())
            }
            "resumed" | "admin_resume" => {
                told(accounts.resume_account(who, admin, "r").await.unwrap())
            }
            "limited" => order(accounts.limit(who, HOST, "r").await),
            "unlimit" => order(accounts.unlimit(who, HOST, "r").await),
            "not_deployed" => order(accounts.undeploy(who, HOST, "r").await),
            "verify_user" => {
                let standing = accounts.standing(who).await.unwrap();
                let asked = case.0["input"]["username"].as_str();
                let named = standing.name().map(UserName::as_str) == asked;
                Outcome {
                    state: Some(standing.state.as_str().to_owned()),
                    verified: Some(named && standing.state == AccountState::Deployed),
                    ..Outcome::default()
                }
            }
            other => panic!("no such action: {other}"),
        }
    }
}
