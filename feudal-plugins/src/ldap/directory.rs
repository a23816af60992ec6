//! The directory as a few operations: each bounded in time, its result checked, its connection renewed.

use super::{
    Depth, LdapConfig,
    connect::open,
    entry::Entry,
    fault::{Fault, code},
};
use ldap3::{
    Ldap, LdapResult, Mod, ResultEntry, Scope, SearchEntry, SearchResult,
    adapters::{Adapter, EntriesOnly, PagedResults},
    controls::{Assertion, MakeCritical, RawControl},
    dn_escape, parse_filter,
};
use std::{
    collections::HashSet,
    future::Future,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::OnceCell,
    time::{Instant, timeout_at},
};

/// Entries asked for at once where all are wanted (RFC 2696).
const PAGE: i32 = 500;
/// A connection that was not used for so long may have been forgotten by what lies between.
const IDLE: Duration = Duration::from_secs(60);
/// OID of the assertion control (RFC 4528).
const ASSERTION: &str = "1.3.6.1.1.12";

/// One change of one attribute.
pub(super) type Change = Mod<String>;

/// Attributes of a new entry, each with its values.
pub(super) type NewEntry = Vec<(String, HashSet<String>)>;

/// A question for entries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Query<'a> {
    pub(super) base: &'a str,
    pub(super) scope: Scope,
    pub(super) filter: &'a str,
    pub(super) attributes: &'a [&'a str],
}

/// The server behind its pool of connections.
pub(super) struct Directory {
    config: LdapConfig,
    slots: Vec<Slot>,
    next: AtomicUsize,
    asserts: OnceCell<bool>,
}

impl Directory {
    pub(super) fn new(config: LdapConfig) -> Self {
        let slots = (0..config.connections.max(1)).map(|_| Slot::default()).collect();
        Self { config, slots, next: AtomicUsize::default(), asserts: OnceCell::new() }
    }

    pub(super) fn config(&self) -> &LdapConfig {
        &self.config
    }

    /// How far below the bases the configuration asks for.
    pub(super) fn scope(&self) -> Scope {
        match self.config.depth {
            Depth::Subtree => Scope::Subtree,
            Depth::OneLevel => Scope::OneLevel,
        }
    }

    /// Entries that a filter finds; none where the base does not exist. Asked again when the
    /// connection is lost on the way.
    pub(super) async fn search(&self, query: Query<'_>) -> Result<Vec<Entry>, Fault> {
        let deadline = self.deadline();
        match self.search_once(query, deadline).await {
            Err(Fault::Lost(_)) => self.search_once(query, deadline).await,
            done => done,
        }
    }

    async fn search_once(&self, query: Query<'_>, deadline: Instant) -> Result<Vec<Entry>, Fault> {
        let slot = self.slot()?;
        self.within(slot, deadline, async {
            let mut ldap = slot.connected(&self.config).await?;
            let Query { base, scope, filter, attributes } = query;
            let found = ldap.search(base, scope, filter, attributes).await;
            let SearchResult(found, result) = found.map_err(|error| Fault::of(&error))?;
            entries(found, &result)
        })
        .await
    }

    /// All entries that a filter finds, page by page. The time limit is one for each entry.
    pub(super) async fn search_all(&self, query: Query<'_>) -> Result<Vec<Entry>, Fault> {
        let slot = self.slot()?;
        let opening = async {
            let mut ldap = slot.connected(&self.config).await?;
            let adapters: Vec<Box<dyn Adapter<'_, _, _>>> =
                vec![Box::new(EntriesOnly::new()), Box::new(PagedResults::new(PAGE))];
            let Query { base, scope, filter, attributes } = query;
            let attributes = attributes.to_vec();
            let opened = ldap.streaming_search_with(adapters, base, scope, filter, attributes);
            opened.await.map_err(|error| Fault::of(&error))
        };
        let mut stream = self.within(slot, self.deadline(), opening).await?;
        let mut found = Vec::new();
        loop {
            let next = async { stream.next().await.map_err(|error| Fault::of(&error)) };
            match self.within(slot, self.deadline(), next).await? {
                Some(entry) => found.push(entry),
                None => break,
            }
        }
        let end = self.within(slot, self.deadline(), async { Ok(stream.finish().await) });
        entries(found, &end.await?)
    }

    /// Makes an entry. [`Fault::Lost`] and [`Fault::Slow`] leave open whether it was made.
    pub(super) async fn add(&self, dn: &str, entry: NewEntry) -> Result<(), Fault> {
        let slot = self.slot()?;
        self.within(slot, self.deadline(), async {
            let mut ldap = slot.connected(&self.config).await?;
            checked(ldap.add(dn, entry).await)
        })
        .await
    }

    /// Changes an entry in one step: all changes or none. Where the server can (RFC 4528), it does so
    /// only if `condition`, a filter, still holds.
    pub(super) async fn modify(
        &self,
        dn: &str,
        changes: Vec<Change>,
        condition: &str,
    ) -> Result<(), Fault> {
        if changes.is_empty() {
            return Ok(());
        }
        let control = if self.asserts().await? { Some(assertion(condition)?) } else { None };
        let slot = self.slot()?;
        self.within(slot, self.deadline(), async {
            let mut ldap = slot.connected(&self.config).await?;
            if let Some(control) = control {
                ldap.with_controls(vec![control]);
            }
            checked(ldap.modify(dn, changes).await)
        })
        .await
    }

    /// Gives an entry another name below the same parent.
    pub(super) async fn rename(&self, dn: &str, attribute: &str, name: &str) -> Result<(), Fault> {
        let slot = self.slot()?;
        self.within(slot, self.deadline(), async {
            let mut ldap = slot.connected(&self.config).await?;
            let name = format!("{attribute}={}", dn_escape(name));
            checked(ldap.modifydn(dn, &name, true, None).await)
        })
        .await
    }

    /// Deletes an entry; one that is gone already is no error.
    pub(super) async fn delete(&self, dn: &str) -> Result<(), Fault> {
        let deadline = self.deadline();
        let done = match self.delete_once(dn, deadline).await {
            Err(Fault::Lost(_)) => self.delete_once(dn, deadline).await,
            done => done,
        };
        done.or_else(|fault| if fault.is(code::NO_SUCH_OBJECT) { Ok(()) } else { Err(fault) })
    }

    async fn delete_once(&self, dn: &str, deadline: Instant) -> Result<(), Fault> {
        let slot = self.slot()?;
        self.within(slot, deadline, async {
            let mut ldap = slot.connected(&self.config).await?;
            checked(ldap.delete(dn).await)
        })
        .await
    }

    /// True when the server evaluates conditions on changes.
    async fn asserts(&self) -> Result<bool, Fault> {
        let asked = self.asserts.get_or_try_init(|| async {
            let query = Query {
                base: "",
                scope: Scope::Base,
                filter: "(objectClass=*)",
                attributes: &["supportedControl"],
            };
            let roots = self.search(query).await?;
            let offered = roots.iter().flat_map(|root| root.all("supportedControl"));
            Ok(offered.into_iter().any(|oid| oid == ASSERTION))
        });
        asked.await.copied()
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.config.limit
    }

    fn slot(&self) -> Result<&Slot, Fault> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let slot = turn.checked_rem(self.slots.len()).and_then(|index| self.slots.get(index));
        slot.ok_or_else(|| Fault::Lost("there is no connection to use".to_owned()))
    }

    /// Bounds the work, and throws a connection away that does not answer.
    async fn within<T>(
        &self,
        slot: &Slot,
        deadline: Instant,
        work: impl Future<Output = Result<T, Fault>>,
    ) -> Result<T, Fault> {
        let done = match timeout_at(deadline, work).await {
            Ok(done) => done,
            Err(_) => Err(Fault::Slow(self.config.limit)),
        };
        if done.as_ref().is_err_and(Fault::ends_connection) {
            slot.forget();
        }
        done
    }
}

/// Place of one connection, which many operations share.
#[derive(Default)]
struct Slot {
    kept: Mutex<Option<Kept>>,
    opening: tokio::sync::Mutex<()>,
}

/// A connection, and when it was last asked for.
struct Kept {
    ldap: Ldap,
    used: Instant,
}

impl Slot {
    async fn connected(&self, config: &LdapConfig) -> Result<Ldap, Fault> {
        if let Some(ldap) = self.living() {
            return Ok(ldap);
        }
        let _alone = self.opening.lock().await;
        if let Some(ldap) = self.living() {
            return Ok(ldap);
        }
        let ldap = open(config).await?;
        *self.lock() = Some(Kept { ldap: ldap.clone(), used: Instant::now() });
        Ok(ldap)
    }

    fn living(&self) -> Option<Ldap> {
        let mut kept = self.lock();
        kept.take_if(|kept| kept.ldap.is_closed() || kept.used.elapsed() > IDLE);
        kept.as_mut().map(|kept| {
            kept.used = Instant::now();
            kept.ldap.clone()
        })
    }

    fn forget(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn checked(done: ldap3::result::Result<LdapResult>) -> Result<(), Fault> {
    let result = done.map_err(|error| Fault::of(&error))?;
    if result.rc == code::SUCCESS { Ok(()) } else { Err(Fault::of_result(&result)) }
}

fn entries(found: Vec<ResultEntry>, result: &LdapResult) -> Result<Vec<Entry>, Fault> {
    match result.rc {
        code::SUCCESS => {
            Ok(found.into_iter().map(SearchEntry::construct).map(Entry::new).collect())
        }
        code::NO_SUCH_OBJECT => Ok(Vec::new()),
        _ => Err(Fault::of_result(result)),
    }
}

/// Critical: a server that does not know the control must not ignore it.
fn assertion(filter: &str) -> Result<RawControl, Fault> {
    // The control's own constructor takes no wrong filter for an answer.
    if parse_filter(filter).is_err() {
        let text = "the condition of a change is no filter".to_owned();
        return Err(Fault::Refused { code: code::ASSERTION_FAILED, text });
    }
    Ok(RawControl::from(Assertion { filter }.critical()))
}
