//! Tasks in memory: those that a session works on, and a bounded number of those that changed lately.

use std::collections::{HashMap, HashSet, VecDeque};

use super::KEYS;
use crate::domain::ids::{SessionId, TaskId};
use crate::domain::task::{Attempt, Task};
use crate::store::{Db, StoreError, tasks};

/// Tasks that nobody works on and that stay in memory, because they changed lately.
const LATELY: usize = 512;

/// A task with its last attempt.
#[derive(Clone, Debug)]
pub struct Known {
    /// The task.
    pub task: Task,
    /// Its last attempt, if it was ever started.
    pub attempt: Option<Attempt>,
}

impl Known {
    /// Reads a task with its last attempt.
    pub async fn read(db: &Db, id: TaskId) -> Result<Option<Self>, StoreError> {
        let Some(task) = tasks::by_id(db, id).await? else { return Ok(None) };
        Ok(Some(Self { attempt: tasks::last_attempt(db, id).await?, task }))
    }
}

/// Tasks in memory.
#[derive(Default)]
pub struct Tasks {
    known: HashMap<TaskId, Known>,
    lately: VecDeque<TaskId>,
    last_id: i64,
    keys: VecDeque<(String, TaskId)>,
    /// Sessions that are being started again on request: their end is none.
    pub restarting: HashSet<SessionId>,
    /// Sessions whose launch was lost with an earlier server.
    pub lost: HashSet<SessionId>,
}

impl Tasks {
    pub(super) async fn load(db: &Db) -> Result<Self, StoreError> {
        let mut all = Self { last_id: tasks::last_id(db).await?, ..Self::default() };
        for task in tasks::at_work(db).await? {
            let attempt = tasks::last_attempt(db, task.id).await?;
            all.known.insert(task.id, Known { task, attempt });
        }
        Ok(all)
    }

    /// The next id. It is given once, whatever becomes of the task.
    pub fn next_id(&mut self) -> TaskId {
        self.last_id += 1;
        TaskId(self.last_id)
    }

    /// A task that is in memory.
    pub fn get(&self, id: TaskId) -> Option<&Known> {
        self.known.get(&id)
    }

    /// Takes a task into memory. What is here already stays, as it may be newer.
    pub fn admit(&mut self, known: Known) {
        if !self.known.contains_key(&known.task.id) {
            self.put(known);
        }
    }

    /// Takes over what a task has become, and forgets those whose last change is longest ago.
    pub fn put(&mut self, known: Known) {
        let id = known.task.id;
        self.lately.retain(|other| *other != id);
        if !known.task.status.is_at_work() {
            self.lately.push_back(id);
        }
        self.known.insert(id, known);
        while self.lately.len() > LATELY {
            let Some(oldest) = self.lately.pop_front() else { break };
            self.known.remove(&oldest);
        }
    }

    /// Forgets a task that was deleted.
    pub fn forget(&mut self, id: TaskId) {
        self.lately.retain(|other| *other != id);
        self.known.remove(&id);
    }

    /// Those that a session works on.
    pub fn at_work(&self) -> impl Iterator<Item = &Known> {
        self.known.values().filter(|known| known.task.status.is_at_work())
    }

    /// The task that an earlier request with this `Idempotency-Key` made.
    pub fn of_key(&self, key: &str) -> Option<TaskId> {
        self.keys.iter().find(|(k, _)| k == key).map(|(_, id)| *id)
    }

    /// Remembers which task an `Idempotency-Key` made.
    pub fn remember_key(&mut self, key: String, task: TaskId) {
        if self.keys.len() == KEYS {
            self.keys.pop_front();
        }
        self.keys.push_back((key, task));
    }
}
