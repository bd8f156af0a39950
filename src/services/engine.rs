//! The engine: the one place where the state of live sessions changes.
//!
//! Every change is a job: a closure that looks at the [`Live`] state, changes it, and notes what
//! is to be written ([`Unit`]). Jobs run one after another; those that wait while a commit is
//! under way form the next group and share its commit. A caller hears back when its change is
//! durable, never before; listeners hear of it after that; and what follows outside of the
//! database (answering a hook, waking a courier) happens last.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tracing::{error, info, warn};

use super::live::Live;
use crate::bus::Hub;
use crate::domain::event::{Event, EventKind, NewEvent};
use crate::domain::ids::{PermissionId, SessionId, TaskId};
use crate::domain::permission::Decision;
use crate::domain::time::Timestamp;
use crate::store::{Db, StoreError, Write, events};

/// Jobs that may wait. Callers beyond that wait to be let in, which is the back-pressure.
const QUEUE: usize = 4_096;
/// Jobs that share one commit at most. Not all that wait: while one group is committed, those of the one
/// before hear of it and come again, so that neither the database nor they stand still in turn.
const GROUP: usize = 32;
/// How long the store may take for one commit, or to be read again.
const PATIENCE: Duration = Duration::from_secs(30);
/// Events that are read at once after the store was away.
const MISSED: u32 = 1_000;

/// What a job leaves behind besides the changed state.
pub struct Unit {
    /// The time at which the group runs.
    pub now: Timestamp,
    writes: Vec<Write>,
    touched: BTreeSet<SessionId>,
    effects: Vec<Effect>,
}

/// What happens outside of the database once the change is durable.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Answer the hook that waits for this request.
    Answer(PermissionId, Decision),
    /// Let the waiting hook go without an answer: the question is settled.
    Release(PermissionId),
    /// The session may be able to take its next prompt, or a prompt's delivery was settled.
    WakeCourier(SessionId),
    /// The session's process, conversation or transcript changed: watch accordingly.
    Rewatch(SessionId),
    /// The session used something: sum it up.
    Account(SessionId),
    /// The session has no budget left: interrupt its turn.
    Interrupt(SessionId),
    /// A session edits this file, as its call names it.
    Edited(SessionId, String),
    /// A turn of this task's has ended: commit what it has left.
    Commit(TaskId),
    /// The queue may be able to start its next task.
    WakeQueue,
    /// A task's turn has ended: see whether it is the last one.
    Settle(TaskId),
    /// A session was made for a task, and nothing can come of it: end it.
    EndSession(SessionId),
    /// A task's attempt has ended: see to what it leaves behind.
    Finish(TaskId),
}

impl Unit {
    /// Notes a row to write.
    pub fn write(&mut self, write: Write) {
        self.writes.push(write);
    }

    /// Notes an event of a session.
    pub fn event(
        &mut self,
        kind: EventKind,
        session: SessionId,
        at: Timestamp,
        data: &serde_json::Value,
    ) {
        self.writes.push(Write::Event(NewEvent::new(kind, session, at, data)));
    }

    /// Notes that a session's row has changed. However often that is within a group, it is written
    /// once.
    pub fn touch(&mut self, session: SessionId) {
        self.touched.insert(session);
    }

    /// Notes what is to happen after the commit.
    pub fn then(&mut self, effect: Effect) {
        self.effects.push(effect);
    }
}

/// The store did not take the change. Nothing has changed.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the store did not take the change: {0}")]
pub struct Refused(pub String);

/// Hears back about a job: whether it was committed.
type Ack = Box<dyn FnOnce(Result<(), Refused>) + Send>;
/// Gets to work on the state, or hears why there is none to work on.
type Job = Box<dyn FnOnce(Result<(&mut Live, &mut Unit), Refused>) -> Ack + Send>;

/// A handle on the engine. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    jobs: mpsc::Sender<Job>,
}

impl Engine {
    /// Starts the engine. It ends, with everything committed, when all its handles are gone.
    /// `committed` hears of every event that it made.
    pub fn start(
        db: Db,
        live: Live,
        hub: Arc<Hub>,
        clock: fn() -> Timestamp,
        committed: impl Fn(&[Event]) + Send + 'static,
        effects: impl Fn(Effect) + Send + 'static,
    ) -> (Self, tokio::task::JoinHandle<()>) {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let run = Runner { db, live, hub, clock, committed, effects, queue, stale: false }.run();
        (Self { jobs }, tokio::spawn(run))
    }

    /// Runs a job and waits until what it changed is durable. A job that returns an error must
    /// have changed nothing.
    pub async fn run<T, E>(
        &self,
        job: impl FnOnce(&mut Live, &mut Unit) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Refused> + Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        let job: Job = Box::new(move |state| {
            let result = match state {
                Ok((live, unit)) => job(live, unit),
                Err(refused) => Err(E::from(refused)),
            };
            Box::new(move |committed| {
                // The caller may have gone; the change stands all the same.
                let _ = tell.send(match (result, committed) {
                    (Ok(value), Ok(())) => Ok(value),
                    (Ok(_), Err(refused)) => Err(E::from(refused)),
                    (Err(e), _) => Err(e),
                });
            })
        });
        let stopped = || E::from(Refused("Chorus is shutting down".into()));
        self.jobs.send(job).await.map_err(|_| stopped())?;
        told.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Looks at the live state.
    pub async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Live) -> T + Send + 'static,
    ) -> Result<T, Refused> {
        self.run(move |live, _| Ok::<_, Refused>(look(live))).await
    }
}

struct Runner<C, F> {
    db: Db,
    live: Live,
    hub: Arc<Hub>,
    clock: fn() -> Timestamp,
    committed: C,
    effects: F,
    queue: mpsc::Receiver<Job>,
    /// The live state is not what the store knows: nothing may be made of it.
    stale: bool,
}

impl<C: Fn(&[Event]), F: Fn(Effect)> Runner<C, F> {
    async fn run(mut self) {
        let mut jobs = Vec::with_capacity(GROUP);
        while self.queue.recv_many(&mut jobs, GROUP).await > 0 {
            self.group(&mut jobs).await;
        }
    }

    async fn group(&mut self, jobs: &mut Vec<Job>) {
        self.stale |= self.db.was_away();
        if self.stale
            && let Err(refused) = self.reload().await
        {
            for job in jobs.drain(..) {
                job(Err(refused.clone()))(Err(refused.clone()));
            }
            return;
        }
        let mut unit = Unit {
            now: (self.clock)(),
            writes: Vec::new(),
            touched: BTreeSet::new(),
            effects: Vec::new(),
        };
        let acks: Vec<Ack> =
            jobs.drain(..).map(|job| job(Ok((&mut self.live, &mut unit)))).collect();
        let committed = self.commit(&mut unit).await;
        match &committed {
            Ok(()) => unit.effects.drain(..).for_each(|e| (self.effects)(e)),
            Err(refused) => {
                error!(error = %refused, "a group of changes was not committed");
                // Memory is ahead of the store; or behind it, if only the answer was lost.
                self.stale = true;
            }
        }
        for ack in acks {
            ack(committed.clone());
        }
    }

    async fn commit(&mut self, unit: &mut Unit) -> Result<(), Refused> {
        let mut writes = std::mem::take(&mut unit.writes);
        for id in std::mem::take(&mut unit.touched) {
            if let Some(session) = self.live.session_mut(id) {
                session.updated_at = unit.now;
                writes.push(Write::SaveSession(Box::new(session.clone())));
            }
        }
        if writes.is_empty() {
            return Ok(());
        }
        let write = async {
            let mut tx = self.db.begin().await?;
            let events = tx.apply(writes).await?;
            tx.commit().await?;
            Ok::<_, StoreError>(events)
        };
        let written = timeout(PATIENCE, write).await;
        let written = written.map_err(|_| Refused("it did not answer in time".into()))?;
        let events = written.map_err(|e| Refused(e.to_string()))?;
        self.hub.publish(&events);
        (self.committed)(&events);
        Ok(())
    }

    /// Goes back to what the store knows. What it took without our hearing of it is told now, and
    /// what follows from it happens.
    async fn reload(&mut self) -> Result<(), Refused> {
        let read = async {
            // Of a commit that was given up the database may still be at work.
            self.db.settle().await?;
            let live = Live::load(&self.db).await?;
            loop {
                let missed = events::after(&self.db, self.hub.last_id(), MISSED).await?;
                self.hub.publish(&missed);
                if missed.len() < MISSED as usize {
                    return Ok::<_, StoreError>(live);
                }
            }
        };
        let read = timeout(PATIENCE, read).await;
        let read = read.map_err(|_| Refused("it did not answer in time".into()))?;
        self.live = read.map_err(|e| {
            warn!(error = %e, "the live state cannot be read from the store");
            Refused(e.to_string())
        })?;
        self.stale = false;
        info!("the live state was read from the store again");
        for open in self.live.open.values() {
            if let Some(decision) = &open.decision {
                (self.effects)(Effect::Answer(open.request.id, decision.clone()));
            }
        }
        (self.effects)(Effect::WakeQueue);
        for session in self.live.sessions() {
            (self.effects)(Effect::WakeCourier(session.id));
            (self.effects)(Effect::Rewatch(session.id));
            (self.effects)(Effect::Account(session.id));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
