//! Budgets: a session that has spent its own is stopped, until somebody raises it.

use super::{Change, Step};
use crate::domain::session::ClaudeStatus;
use crate::domain::time::Timestamp;
use crate::domain::usage::{Budget, BudgetLevel, Usd, WARN_AT};

/// An interruption takes a moment to show; only after this is a turn interrupted again. Two Escapes in a
/// row would open a menu. Milliseconds.
const STOPPED_WITHIN_MS: i64 = 5_000;

impl Step<'_> {
    pub(super) fn budget_set(&mut self, limit: Option<Usd>) {
        let was_spent = self.state.is_out_of_budget();
        let before = self.state.budget;
        self.state.budget = limit.map(|limit| {
            let budget = Budget { limit, ..before.unwrap_or(Budget::of(limit)) };
            Budget { level: budget.level_at(self.state.spending.total()), ..budget }
        });
        match (was_spent, self.state.is_out_of_budget()) {
            (true, false) => self.changes.push(Change::MaySend),
            (false, true) => self.changes.push(Change::BudgetSpent),
            _ => {}
        }
    }

    /// Sees what the spending has made of the budget, and stops a turn that goes beyond it.
    pub(super) fn look_at_budget(&mut self, now: Timestamp) {
        let spent = self.state.spending.total();
        if let Some(budget) = &mut self.state.budget {
            // Only a new limit brings it down: what was spent stays spent.
            let level = budget.level_at(spent).max(budget.level);
            if level > budget.level && level == BudgetLevel::Spent {
                self.changes.push(Change::BudgetSpent);
            }
            budget.level = level;
            let stopping =
                budget.interrupted_at.is_some_and(|at| now.ms_since(at) < STOPPED_WITHIN_MS);
            if level == BudgetLevel::Spent
                && self.state.claude_status == ClaudeStatus::Busy
                && self.state.started
                && !stopping
            {
                budget.interrupted_at = Some(now);
                self.changes.push(Change::Stop);
            }
        }
        let budget = self.state.budget;
        self.state.detail.budget = budget.and_then(|budget| match budget.level {
            BudgetLevel::Within => None,
            BudgetLevel::Close => {
                Some(format!("{WARN_AT} % of its budget of {} is spent", budget.limit))
            }
            BudgetLevel::Spent => Some(format!(
                "its budget of {} is spent: it takes no prompts until `chorus budget` raises that",
                budget.limit
            )),
        });
    }
}
