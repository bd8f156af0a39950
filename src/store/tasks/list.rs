//! Lists of tasks: named orders and filters, each pair a statement of its own, so that the database
//! reads no more rows than a page has.

use std::sync::LazyLock;

use super::super::text::containing;
use super::super::{BadCursor, Cursor, Db, Page, Result, on, text};
use super::{Row, select};
use crate::domain::ids::{ProjectId, SessionId};
use crate::domain::task::{Task, TaskStatus};

pub use crate::domain::task::TaskSort as Sort;

/// The order of statuses in a list.
const STATUSES: [TaskStatus; 6] = [
    TaskStatus::Waiting,
    TaskStatus::Running,
    TaskStatus::Assigned,
    TaskStatus::Pending,
    TaskStatus::Failed,
    TaskStatus::Completed,
];

/// Which tasks to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only with this status.
    pub status: Option<TaskStatus>,
    /// Only of this project.
    pub project: Option<ProjectId>,
    /// Only with this label.
    pub label: Option<String>,
    /// Only those that this session works on, or did last.
    pub session: Option<SessionId>,
    /// Only with this in the title, in any case.
    pub q: Option<String>,
}

/// A task in a list.
#[derive(Clone, Debug)]
pub struct Listed {
    /// The task.
    pub task: Task,
    /// Nothing that it depends on is open.
    pub ready: bool,
}

/// A filter's place in the number of a combination.
const STATUS: usize = 1;
const PROJECT: usize = 2;
const LABEL: usize = 4;
const SESSION: usize = 8;
const TITLE: usize = 16;
/// How many combinations there are.
const FILTERS: usize = 32;

static BY_RANK: LazyLock<Vec<String>> = LazyLock::new(|| {
    let tasks = ("(rank, position, id) > ($1, $2, $3)", "rank, position, id");
    let labels =
        ("(task_rank, task_position, task_id) > ($1, $2, $3)", "task_rank, task_position, task_id");
    (0..FILTERS).map(|which| statement(which, 4, tasks, labels)).collect()
});
static BY_AGE: LazyLock<Vec<String>> = LazyLock::new(|| {
    let (tasks, labels) = (("id < $1", "id DESC"), ("task_id < $1", "task_id DESC"));
    (0..FILTERS).map(|which| statement(which, 2, tasks, labels)).collect()
});

/// The statement for a combination of filters, whose parameters begin with `first`. Each begins where a
/// page does and reads in the order of an index; `tasks` and `labels` are where a page begins and the
/// order, by the columns of either table.
fn statement(which: usize, first: usize, tasks: (&str, &str), labels: (&str, &str)) -> String {
    let has = |filter: usize| which & filter != 0;
    let mut n = first;
    let mut numbered = |filters: &[(usize, &str)]| {
        let given = filters.iter().filter(|(filter, _)| has(*filter));
        let conditions = given.map(|(_, condition)| {
            n += 1;
            format!(" AND {}", condition.replace("{}", &format!("${}", n - 1)))
        });
        let conditions: String = conditions.collect();
        (conditions, n)
    };
    let columns = select!("WHERE ").trim_start_matches("SELECT ");
    let columns = columns.split(" FROM ").next().unwrap_or_default();
    // A value, and not EXISTS: PostgreSQL would look all dependencies up at once, for any page.
    let ready = "CAST(CASE WHEN (SELECT 1 FROM task_dependencies d JOIN tasks n \
        ON n.id = d.depends_on WHERE d.task_id = tasks.id AND n.status <> 'completed' LIMIT 1) \
        IS NULL THEN 1 ELSE 0 END AS BIGINT) AS ready";
    // A session leaves few rows: no other index is to be used then. Titles are in none.
    if has(LABEL) && !has(SESSION) && !has(TITLE) {
        let (after, order) = labels;
        let filters =
            [(STATUS, "task_status = {}"), (PROJECT, "task_project = {}"), (LABEL, "label = {}")];
        let (conditions, n) = numbered(&filters);
        return format!(
            "SELECT {ready}, {columns} FROM (SELECT task_id, task_rank, task_position \
             FROM task_labels WHERE {after}{conditions} ORDER BY {order} LIMIT ${n}) l \
             JOIN tasks ON tasks.id = l.task_id ORDER BY {order}"
        );
    }
    let (after, order) = tasks;
    let by_session = has(SESSION);
    let (conditions, n) = numbered(&[
        (STATUS, if by_session { "status || '' = {}" } else { "status = {}" }),
        (PROJECT, if by_session { "project_id || '' = {}" } else { "project_id = {}" }),
        (LABEL, "EXISTS (SELECT 1 FROM task_labels WHERE task_id = tasks.id AND label = {})"),
        (SESSION, "session_id = {}"),
        (TITLE, "LOWER(title) LIKE LOWER({}) ESCAPE '!'"),
    ]);
    format!(
        "SELECT {ready}, {columns} FROM tasks WHERE {after}{conditions} ORDER BY {order} LIMIT ${n}"
    )
}

#[cfg(test)]
pub(super) fn statements() -> impl Iterator<Item = &'static str> {
    BY_RANK.iter().chain(BY_AGE.iter()).map(String::as_str)
}

#[derive(sqlx_macros::FromRow)]
struct ListRow {
    ready: i64,
    #[sqlx(flatten)]
    row: Row,
}

/// Lists tasks.
pub async fn list(
    db: &Db,
    filter: &Filter,
    sort: Sort,
    after: Option<&Cursor>,
    limit: u32,
) -> Result<Result<Page<Listed>, BadCursor>> {
    let place = match after.map(|cursor| Place::of(cursor, sort)).transpose() {
        Ok(place) => place.unwrap_or_default(),
        Err(bad) => return Ok(Err(bad)),
    };
    let want = limit + 1;
    let rows = match (sort, filter.status) {
        (Sort::CreatedAt, _) => by_age(db, filter, place.id, want).await?,
        (Sort::Priority, _) | (Sort::Status, Some(_)) => by_rank(db, filter, place, want).await?,
        (Sort::Status, None) => by_status(db, filter, place, want).await?,
    };
    let listed = |row: ListRow| Ok(Listed { task: row.row.task()?, ready: row.ready != 0 });
    let listed = rows.into_iter().map(listed).collect::<Result<Vec<_>>>()?;
    Ok(Ok(Page::of(listed, limit, |l| Place::after(&l.task).cursor(sort))))
}

/// Reads tasks by their rank.
macro_rules! ranked {
    ($c:expr, $filter:expr, $from:expr, $limit:expr) => {{
        let ((which, values), from): (_, Place) = (given($filter), $from);
        let query = sqlx::query_as(BY_RANK[which].as_str());
        let query = query.bind(from.rank).bind(from.position).bind(from.id);
        let query = values.iter().fold(query, |q, v| q.bind(v.clone()));
        query.bind(i64::from($limit)).fetch_all($c).await?
    }};
}

async fn by_rank(db: &Db, filter: &Filter, from: Place, limit: u32) -> Result<Vec<ListRow>> {
    Ok(on!(read db, c => ranked!(c, filter, from, limit)))
}

/// One status after the other, all as of one moment: a task that becomes another one meanwhile comes once.
async fn by_status(db: &Db, filter: &Filter, from: Place, limit: u32) -> Result<Vec<ListRow>> {
    let mut rows: Vec<ListRow> = Vec::new();
    on!(snapshot db, c => {
        for (n, status) in STATUSES.iter().enumerate().skip(from.status) {
            let filter = Filter { status: Some(*status), ..filter.clone() };
            let from = if n == from.status { from } else { Place::default() };
            let left = limit - u32::try_from(rows.len()).unwrap_or(limit);
            rows.extend::<Vec<ListRow>>(ranked!(&mut *c, &filter, from, left));
            if rows.len() >= limit as usize {
                break;
            }
        }
    });
    Ok(rows)
}

async fn by_age(db: &Db, filter: &Filter, from: i64, limit: u32) -> Result<Vec<ListRow>> {
    let (which, values) = given(filter);
    let from = if from == 0 { i64::MAX } else { from };
    Ok(on!(read db, c => {
        let query = sqlx::query_as(BY_AGE[which].as_str()).bind(from);
        values.iter().fold(query, |q, v| q.bind(v.clone())).bind(i64::from(limit)).fetch_all(c).await?
    }))
}

/// Which filters are given, and their values.
fn given(filter: &Filter) -> (usize, Vec<String>) {
    let values = [
        filter.status.map(|s| s.to_string()),
        filter.project.map(|p| p.to_string()),
        filter.label.as_deref().map(|l| text(l).into_owned()),
        filter.session.map(|s| s.to_string()),
        filter.q.as_deref().map(containing),
    ];
    let which = values.iter().enumerate().map(|(bit, v)| usize::from(v.is_some()) << bit).sum();
    (which, values.into_iter().flatten().collect())
}

/// Where a page begins: after the task with these. The default is before all of them.
#[derive(Clone, Copy)]
struct Place {
    status: usize,
    rank: i64,
    position: i64,
    id: i64,
}

impl Default for Place {
    fn default() -> Self {
        Self { status: 0, rank: i64::MIN, position: 0, id: 0 }
    }
}

impl Place {
    fn after(task: &Task) -> Self {
        let status = STATUSES.iter().position(|s| *s == task.status).unwrap_or(0);
        Self { status, rank: -task.priority, position: task.position, id: task.id.0 }
    }

    /// A cursor's tie-breaker has letters, digits and hyphens: a negative rank begins with `m`.
    fn cursor(self, sort: Sort) -> Cursor {
        let rank = self.rank.unsigned_abs();
        let sign = if self.rank < 0 { "m" } else { "" };
        let id = format!("{sign}{rank}-{}-{}", self.position, self.id);
        let at = if sort == Sort::Status { self.status as i64 } else { 0 };
        Cursor { at, id }
    }

    fn of(cursor: &Cursor, sort: Sort) -> Result<Self, BadCursor> {
        let mut parts = cursor.id.split('-');
        let mut number = |negative: bool| {
            let part = parts.next().ok_or(BadCursor)?;
            let (sign, digits) = match part.strip_prefix('m').filter(|_| negative) {
                Some(digits) => (-1, digits),
                None => (1, part),
            };
            digits.parse::<i64>().map(|n| sign * n).map_err(|_| BadCursor)
        };
        let place = Self {
            status: usize::try_from(cursor.at).map_err(|_| BadCursor)?,
            rank: number(true)?,
            position: number(false)?,
            id: number(false)?,
        };
        let known = sort == Sort::Status && place.status < STATUSES.len() || place.status == 0;
        (known && parts.next().is_none()).then_some(place).ok_or(BadCursor)
    }
}
