//! Lets all who want the same thing at the same time wait for one piece of work.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OnceCell;

/// Work that is under way, by what it is for. Holds nothing that nobody waits for.
#[derive(Debug)]
pub(crate) struct Flights<K: Eq + Hash + Copy, V>(Mutex<HashMap<K, Arc<OnceCell<V>>>>);

impl<K: Eq + Hash + Copy, V: Clone> Flights<K, V> {
    /// Nothing is under way.
    pub(crate) fn new() -> Self {
        Self(Mutex::default())
    }

    /// Does the work, or waits for whoever does it already; says whether it was done here. When the
    /// one who does it gives up, the next one who waits does it.
    pub(crate) async fn join(&self, key: K, work: impl Future<Output = V>) -> (V, bool) {
        let seat = self.take_seat(key);
        let mut is_own = false;
        let noted = &mut is_own;
        let value = seat.cell.get_or_init(|| async move {
            *noted = true;
            work.await
        });
        let value = value.await.clone();
        (value, is_own)
    }

    fn take_seat(&self, key: K) -> Seat<'_, K, V> {
        let mut under_way = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let cell = Arc::clone(under_way.entry(key).or_default());
        Seat { flights: self, key, cell }
    }
}

/// A place at one piece of work. The first who leaves after it is done, or the last who gives up,
/// clears it away.
struct Seat<'a, K: Eq + Hash + Copy, V> {
    flights: &'a Flights<K, V>,
    key: K,
    cell: Arc<OnceCell<V>>,
}

impl<K: Eq + Hash + Copy, V> Drop for Seat<'_, K, V> {
    fn drop(&mut self) {
        let mut under_way = self.flights.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The table and this seat: nobody else waits.
        let is_last = Arc::strong_count(&self.cell) <= 2;
        let is_ours = under_way.get(&self.key).is_some_and(|cell| Arc::ptr_eq(cell, &self.cell));
        if is_ours && (is_last || self.cell.initialized()) {
            under_way.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    #[tokio::test]
    async fn all_share_one_flight_and_nothing_stays_behind() {
        let (flights, count) = (Flights::new(), AtomicUsize::new(0));
        let work = || async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            count.fetch_add(1, Ordering::SeqCst) + 1
        };
        let all = futures_util::future::join_all((0..50).map(|_| flights.join(7, work()))).await;
        assert!(all.iter().all(|(value, _)| *value == 1));
        assert_eq!(all.iter().filter(|(_, is_own)| *is_own).count(), 1);
        assert!(flights.0.lock().unwrap().is_empty());
        assert_eq!(flights.join(7, work()).await, (2, true));
    }

    #[tokio::test]
    async fn when_the_leader_gives_up_the_next_does_the_work_and_nothing_stays_behind() {
        let flights = Flights::new();
        let lost = tokio::time::timeout(
            Duration::from_millis(20),
            flights.join(1, std::future::pending::<u8>()),
        );
        let next = async {
            tokio::time::sleep(Duration::from_millis(5)).await;
            flights.join(1, async { 5 }).await
        };
        let (lost, next) = tokio::join!(lost, next);
        assert!(lost.is_err());
        assert_eq!(next, (5, true));
        let lost = flights.join(2, std::future::pending::<u8>());
        assert!(tokio::time::timeout(Duration::from_millis(5), lost).await.is_err());
        assert!(flights.0.lock().unwrap().is_empty());
    }
}
