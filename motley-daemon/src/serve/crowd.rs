//! Who is connected: bounds in all and by source, and whose connection goes when there are too many.
//!
//! A bound alone would let whoever opens connections and says nothing keep everybody else out. So a
//! newcomer takes the place of a connection on which no request is being worked on: one of its own
//! source where that has too many, else one of the source that has the most. The oldest goes, if it
//! was silent for a while: whoever is slow on purpose displaces himself. In a course of new ones,
//! where even the oldest is young, chance decides, so that a person behind the address of whoever
//! floods has some.

use super::source::SourceKey;
use rand::RngExt;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// From which age on an idle connection is silent, and not just about to ask.
const SILENT: Duration = Duration::from_secs(1);

/// For whom a place is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Guest {
    /// A source of which there may be so many.
    Counted(SourceKey),
    /// This host or a trusted proxy: bounded in all only.
    Uncounted,
}

/// Bounds of a [`Crowd`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrowdLimits {
    /// Connections in all.
    pub connections: usize,
    /// Connections of one source.
    pub per_source: usize,
}

/// All connections of the listeners that share it.
pub struct Crowd {
    limits: CrowdLimits,
    silence: Duration,
    table: Mutex<Table>,
    /// Told when a place becomes free.
    left: Notify,
}

#[derive(Default)]
struct Table {
    next: u64,
    places: HashMap<u64, Arc<Place>>,
    counts: HashMap<Guest, usize>,
}

/// What is known about one connection.
struct Place {
    guest: Guest,
    since: Instant,
    /// Requests under way, which is one or none.
    busy: AtomicUsize,
    go: Notify,
}

impl Place {
    fn is_idle(&self) -> bool {
        self.busy.load(Ordering::Relaxed) == 0
    }
}

/// What a newcomer gets.
pub enum Entry {
    /// A place.
    Admitted(Ticket),
    /// None: its own source has too many, and works on all of them.
    Refused,
    /// None now: everybody is being served.
    Full,
}

/// A place in the crowd; dropping it gives it back.
pub struct Ticket {
    crowd: Arc<Crowd>,
    number: u64,
    place: Arc<Place>,
}

impl Crowd {
    /// Nobody is there yet.
    pub fn new(limits: CrowdLimits) -> Arc<Self> {
        Self::with_silence(limits, SILENT)
    }

    fn with_silence(limits: CrowdLimits, silence: Duration) -> Arc<Self> {
        Arc::new(Self { limits, silence, table: Mutex::default(), left: Notify::new() })
    }

    /// Gives a newcomer a place, if need be that of somebody who does nothing.
    pub fn admit(self: &Arc<Self>, guest: Guest) -> Entry {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let own = table.counts.get(&guest).copied().unwrap_or(0);
        if matches!(guest, Guest::Counted(_)) && own >= self.limits.per_source {
            if !table.displace(guest, self.silence) {
                return Entry::Refused;
            }
        } else if table.places.len() >= self.limits.connections
            && !table.displace_one_of_most(self.silence)
        {
            return Entry::Full;
        }
        let place = Arc::new(Place {
            guest,
            since: Instant::now(),
            busy: AtomicUsize::new(0),
            go: Notify::new(),
        });
        let number = table.next;
        table.next += 1;
        table.places.insert(number, place.clone());
        *table.counts.entry(guest).or_default() += 1;
        drop(table);
        metrics::gauge!("motley_http_connections").increment(1.0);
        Entry::Admitted(Ticket { crowd: self.clone(), number, place })
    }

    /// Waits until somebody leaves or ends a request.
    pub async fn change(&self) {
        self.left.notified().await;
    }

    /// How many are there.
    pub fn len(&self) -> usize {
        self.table.lock().unwrap_or_else(PoisonError::into_inner).places.len()
    }

    /// True when nobody is there.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Table {
    /// Sends an idle connection of this guest away.
    fn displace(&mut self, guest: Guest, silence: Duration) -> bool {
        let own = |place: &Place| place.guest == guest && place.is_idle();
        let mut idle: Vec<u64> =
            self.places.iter().filter(|(_, it)| own(it)).map(|(n, _)| *n).collect();
        idle.sort_unstable();
        let oldest = idle.first().copied();
        let is_silent = oldest
            .and_then(|number| self.places.get(&number))
            .is_some_and(|place| place.since.elapsed() >= silence);
        let chosen = match idle.len() {
            0 => None,
            _ if is_silent => oldest,
            count => idle.get(rand::rng().random_range(0..count)).copied(),
        };
        self.send_away(chosen)
    }

    /// The same for the guest who has the most of those with idle ones.
    fn displace_one_of_most(&mut self, silence: Duration) -> bool {
        let idle = self.places.values().filter(|place| place.is_idle());
        let most = idle.max_by_key(|place| self.counts.get(&place.guest).copied().unwrap_or(0));
        let most = most.map(|place| place.guest);
        most.is_some_and(|guest| self.displace(guest, silence))
    }

    fn send_away(&mut self, number: Option<u64>) -> bool {
        let Some(place) = number.and_then(|number| self.remove(number)) else { return false };
        place.go.notify_one();
        metrics::counter!("motley_http_connections_cut_total").increment(1);
        true
    }

    fn remove(&mut self, number: u64) -> Option<Arc<Place>> {
        let place = self.places.remove(&number)?;
        if let Some(count) = self.counts.get_mut(&place.guest) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&place.guest);
            }
        }
        Some(place)
    }
}

impl Ticket {
    /// Waits until the place is given to somebody else.
    pub async fn displaced(&self) {
        self.place.go.notified().await;
    }

    /// Begins a request: until the returned guard is dropped, the connection keeps its place.
    pub(super) fn work(&self) -> Work {
        self.place.busy.fetch_add(1, Ordering::Relaxed);
        Work { crowd: self.crowd.clone(), place: self.place.clone() }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.crowd.table.lock().unwrap_or_else(PoisonError::into_inner).remove(self.number);
        self.crowd.left.notify_one();
        metrics::gauge!("motley_http_connections").decrement(1.0);
    }
}

/// A request under way.
pub(super) struct Work {
    crowd: Arc<Crowd>,
    place: Arc<Place>,
}

impl Drop for Work {
    fn drop(&mut self) {
        self.place.busy.fetch_sub(1, Ordering::Relaxed);
        self.crowd.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guest(address: &str) -> Guest {
        Guest::Counted(SourceKey::of(address.parse().unwrap()))
    }

    fn ticket(entry: Entry) -> Ticket {
        match entry {
            Entry::Admitted(ticket) => ticket,
            Entry::Refused => panic!("refused"),
            Entry::Full => panic!("full"),
        }
    }

    fn crowd(connections: usize, per_source: usize) -> Arc<Crowd> {
        Crowd::with_silence(CrowdLimits { connections, per_source }, Duration::ZERO)
    }

    async fn is_displaced(ticket: &Ticket) -> bool {
        tokio::time::timeout(std::time::Duration::from_millis(20), ticket.displaced()).await.is_ok()
    }

    #[tokio::test]
    async fn r30_who_has_too_many_connections_loses_the_oldest_idle_one() {
        let crowd = crowd(100, 2);
        let one = guest("192.0.2.1");
        let first = ticket(crowd.admit(one));
        let _work = first.work();
        let second = ticket(crowd.admit(one));
        let third = ticket(crowd.admit(one));
        assert!(is_displaced(&second).await && !is_displaced(&first).await);
        let _work = third.work();
        assert!(matches!(crowd.admit(one), Entry::Refused), "both are being served");
        assert!(matches!(crowd.admit(guest("192.0.2.2")), Entry::Admitted(_)));
        drop(second);
        assert!(matches!(crowd.admit(Guest::Uncounted), Entry::Admitted(_)));
    }

    #[tokio::test]
    async fn r30_when_all_places_are_taken_the_source_with_the_most_gives_one_up() {
        let crowd = crowd(10, 8);
        let many: Vec<_> = (0..8).map(|_| ticket(crowd.admit(guest("192.0.2.1")))).collect();
        let few: Vec<_> = (0..2).map(|_| ticket(crowd.admit(guest("192.0.2.2")))).collect();
        let new = ticket(crowd.admit(guest("192.0.2.3")));
        assert!(is_displaced(&many[0]).await && !is_displaced(&few[0]).await);
        assert_eq!(crowd.len(), 10);
        let _host = ticket(crowd.admit(Guest::Uncounted));
        assert!(is_displaced(&many[1]).await && !is_displaced(&new).await);
        drop(many);
        assert_eq!(crowd.len(), 4);
    }

    #[tokio::test]
    async fn who_finds_everybody_being_served_waits_until_one_is_done() {
        let crowd = crowd(1, 1);
        let only = ticket(crowd.admit(guest("192.0.2.1")));
        let work = only.work();
        assert!(matches!(crowd.admit(guest("192.0.2.2")), Entry::Full));
        drop(work);
        crowd.change().await;
        assert!(matches!(crowd.admit(guest("192.0.2.2")), Entry::Admitted(_)));
    }

    #[tokio::test]
    async fn r30_in_a_course_of_new_connections_chance_decides_who_stays() {
        let crowd = Crowd::new(CrowdLimits { connections: 1000, per_source: 64 });
        let one = guest("192.0.2.1");
        let mut stayed = 0;
        for _ in 0..64 {
            let good = ticket(crowd.admit(one));
            let flood: Vec<_> = (0..128).map(|_| ticket(crowd.admit(one))).collect();
            stayed += usize::from(!is_displaced(&good).await);
            drop(flood);
        }
        assert!((1..64).contains(&stayed), "{stayed} of 64");
    }
}
