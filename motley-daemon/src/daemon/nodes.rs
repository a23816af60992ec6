//! Tells other nodes that this one lives, and carries out what was ordered on them.

use super::parts::Parts;
use crate::{
    clock::Clock,
    serve::live::Live,
    store::{Engine, Store},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::watch, task::JoinSet};

/// How often it is looked whether marks have changed.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How often this node says that it lives. Others give it up after several times that.
const BEAT_EVERY: Duration = Duration::from_secs(3);
/// How many looks may be at work at a time: sessions that do not end must not hold up other marks.
const AT_WORK: usize = 4;

/// A node's sign of life.
pub(super) struct Beat {
    pub(super) store: Store,
    pub(super) clock: Arc<dyn Clock>,
    /// Name of this process, never the same twice.
    pub(super) instance: String,
}

impl Beat {
    async fn beat(&self, first: bool) {
        self.say_alive(first).await;
        if let Some(ahead) = self.store.clock_off() {
            tracing::error!(
                node = %self.store.node(),
                seconds_ahead = ahead,
                "THE CLOCK OF THIS HOST IS OFF from the database's, so this node neither drops what has ended nor looks for idle accounts: set the clock (chrony, systemd-timesyncd)"
            );
        }
    }

    async fn say_alive(&self, first: bool) {
        match self.store.beat(&self.instance, self.clock.now()).await {
            Ok(true) => {}
            // An earlier process of this node.
            Ok(false) if first => {}
            Ok(false) => tracing::error!(
                node = %self.store.node(),
                "ANOTHER PROCESS USES THE NAME OF THIS NODE, so neither learns of all suspensions: give each host its own [store] node"
            ),
            Err(error) => tracing::warn!(%error, "this node can't tell the others that it lives"),
        }
    }
}

/// Looks and beats until told to stop. The only node at a file has nobody to tell; what it left undone
/// is tried again from time to time anyway.
pub(super) async fn keep_in_step(parts: Live<Parts>, beat: Beat, mut stop: watch::Receiver<bool>) {
    beat.beat(true).await;
    if beat.store.engine() == Engine::Sqlite {
        return;
    }
    let mut last_beat = Instant::now();
    let mut seen = None;
    let mut at_work = JoinSet::new();
    let mut timer = tokio::time::interval(LOOK_EVERY);
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = timer.tick() => {}
            _ = stop.changed() => return,
        }
        if last_beat.elapsed() >= BEAT_EVERY {
            beat.beat(false).await;
            last_beat = Instant::now();
        }
        while at_work.try_join_next().is_some() {}
        // While the database is away the look fails; the beat tells of that.
        let Ok(latest) = beat.store.latest_mark().await else { continue };
        if seen == Some(latest) || at_work.len() >= AT_WORK {
            continue;
        }
        seen = Some(latest);
        beat.store.expire_answers();
        let accounts = parts.get().accounts.clone();
        at_work.spawn(async move {
            if let Err(error) = accounts.carry_out_marks().await {
                tracing::error!(%error, "marks could not be carried out yet");
            }
        });
    }
}
