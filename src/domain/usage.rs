//! What sessions use: tokens, money, the model's context, and the budget that bounds it.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use super::names::names;
use super::record::Usage;
use super::time::Timestamp;

/// How much of a budget may be spent before its session is shown as close to it. Per cent.
pub const WARN_AT: i64 = 80;

/// The largest sum that is taken from outside. Dollars.
const MOST_DOLLARS: f64 = 1e9;

/// An amount of money, written as a number of US dollars.
// Nanodollars: what a token costs is a whole number of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, ToSchema)]
#[schema(value_type = f64)]
pub struct Usd(pub i64);

impl Usd {
    /// Takes a number of dollars. `None` if it is negative, no number or beyond all reason.
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
    pub fn from_dollars(dollars: f64) -> Option<Self> {
        (0.0..=MOST_DOLLARS).contains(&dollars).then(|| Self((dollars * 1e9).round() as i64))
    }

    /// The number of dollars.
    #[expect(clippy::cast_precision_loss, reason = "nanodollars matter in small sums only")]
    pub fn dollars(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Below a cent, two figures would say nothing.
        let places = if self.0 == 0 || self.0.abs() >= 10_000_000 { 2 } else { 4 };
        write!(f, "${:.places$}", self.dollars())
    }
}

impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.dollars())
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let dollars = f64::deserialize(deserializer)?;
        Self::from_dollars(dollars)
            .ok_or_else(|| serde::de::Error::custom("expected a number of US dollars, 0 or more"))
    }
}

/// What a model's tokens cost: US dollars for a million of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Price {
    /// Input that is not cached.
    pub input: f64,
    /// Output.
    pub output: f64,
    /// Input written to the cache.
    pub cache_write: f64,
    /// The same, to be kept for an hour.
    pub cache_write_1h: f64,
    /// Input read from the cache.
    pub cache_read: f64,
}

impl Price {
    /// The cost of these tokens, so many of which were cached for an hour. `None` if that is beyond all
    /// reason.
    #[expect(clippy::cast_precision_loss, reason = "there are no 2^53 tokens")]
    pub fn of(&self, usage: &Usage, for_an_hour: i64) -> Option<Usd> {
        let hour = for_an_hour.clamp(0, usage.cache_creation_input_tokens);
        let parts = [
            (usage.input_tokens, self.input),
            (usage.output_tokens, self.output),
            (usage.cache_creation_input_tokens - hour, self.cache_write),
            (hour, self.cache_write_1h),
            (usage.cache_read_input_tokens, self.cache_read),
        ];
        let dollars: f64 = parts.iter().map(|(tokens, price)| *tokens as f64 * price).sum();
        Usd::from_dollars(dollars / 1e6).filter(|usd| *usd <= MOST_FOR_A_RESPONSE)
    }
}

/// The most that one response is believed to have cost: sums stay far from overflowing.
pub const MOST_FOR_A_RESPONSE: Usd = Usd(1_000_000_000_000);

/// What a session has used so far. The store keeps it as a running sum, each response counted once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Spending {
    /// Responses of the model.
    pub responses: i64,
    /// Those among them that nobody knows the price of.
    pub unpriced: i64,
    /// What Claude Code itself says that the others cost.
    pub told: Usd,
    /// What those cost, by the list, that Claude Code has not told the cost of.
    pub estimated: Usd,
    /// Tokens.
    pub tokens: Usage,
}

impl Spending {
    /// All of it.
    pub fn total(&self) -> Usd {
        self.told.plus(self.estimated)
    }

    /// The cost, as it is shown. `None` as long as nothing is known of it.
    pub fn cost(&self) -> Option<Cost> {
        if self.responses <= self.unpriced {
            return None;
        }
        let source = match (self.told.0, self.estimated.0) {
            (_, 0) => CostSource::Claude,
            (0, _) => CostSource::Estimated,
            _ => CostSource::Mixed,
        };
        Some(Cost {
            usd: self.total(),
            source,
            estimated_usd: self.estimated,
            unpriced_responses: self.unpriced,
        })
    }
}

/// Who says what something cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CostSource {
    /// Claude Code itself, for every response with a known price.
    Claude,
    /// The tokens and the list prices.
    Estimated,
    /// Claude Code for some responses, the list for the others.
    Mixed,
}

names!(CostSource { Claude => "claude", Estimated => "estimated", Mixed => "mixed" });

/// What something cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cost {
    /// All of it, in US dollars.
    pub usd: Usd,
    /// Who says so.
    pub source: CostSource,
    /// The part of it that is estimated.
    pub estimated_usd: Usd,
    /// Responses that are not in it, because nobody knows the price of their model.
    pub unpriced_responses: i64,
}

/// How full the model's context was after the last response.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Context {
    /// The model.
    pub model: String,
    /// Tokens in it: the prompt, cached or not, and the response.
    pub used: i64,
    /// Tokens that fit into it, if the model is known.
    pub window: Option<i64>,
}

impl Context {
    /// The same with a window that somebody knows of, if that is the larger one.
    pub fn with_window(&self, told: Option<i64>) -> Self {
        Self { window: self.window.max(told), ..self.clone() }
    }

    /// How full it is, in per cent.
    pub fn percent(&self) -> Option<i64> {
        let window = self.window.filter(|window| *window > 0)?;
        Some(self.used.saturating_mul(100) / window)
    }
}

/// How much of a budget is spent.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum BudgetLevel {
    /// Not much.
    #[default]
    Within,
    /// 80 per cent or more.
    Close,
    /// All of it: the turn is interrupted, and no further prompt is taken.
    Spent,
}

names!(BudgetLevel { Within => "within", Close => "close", Spent => "spent" });

/// What a session may cost at most. Estimated cost counts as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// At most this.
    pub limit: Usd,
    /// How much of it is spent.
    #[serde(default)]
    pub level: BudgetLevel,
    /// When a turn was interrupted for it last.
    #[serde(default)]
    pub interrupted_at: Option<Timestamp>,
}

impl Budget {
    /// A budget of which nothing is spent.
    pub fn of(limit: Usd) -> Self {
        Self { limit, level: BudgetLevel::Within, interrupted_at: None }
    }

    /// How far this brings it.
    pub fn level_at(&self, spent: Usd) -> BudgetLevel {
        let (spent, limit) = (i128::from(spent.0), i128::from(self.limit.0));
        if spent >= limit {
            BudgetLevel::Spent
        } else if spent * 100 >= limit * i128::from(WARN_AT) {
            BudgetLevel::Close
        } else {
            BudgetLevel::Within
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Budget, BudgetLevel, Context, CostSource, Spending, Usd};

    #[test]
    fn money_is_dollars_outside_and_exact_inside() {
        let sum = Usd::from_dollars(0.403_212).expect("a sum");
        assert_eq!(sum, Usd(403_212_000));
        assert_eq!(serde_json::to_string(&sum).expect("JSON"), "0.403212");
        assert_eq!(serde_json::from_str::<Usd>("2").expect("a sum"), Usd(2_000_000_000));
        for bad in ["-1", "1e300", "null", "\"1\""] {
            assert!(serde_json::from_str::<Usd>(bad).is_err(), "{bad}");
        }
        assert!(Usd::from_dollars(f64::NAN).is_none());
        assert_eq!(
            (Usd(1_234_567_890).to_string(), Usd(1_200_000).to_string()),
            ("$1.23".into(), "$0.0012".into())
        );
        assert_eq!(Usd::default().to_string(), "$0.00");
    }

    #[test]
    fn a_cost_says_who_knows_it() {
        let spent = |told, estimated, responses, unpriced| {
            let spending = Spending {
                responses,
                unpriced,
                told: Usd(told),
                estimated: Usd(estimated),
                ..Spending::default()
            };
            spending.cost().map(|c| (c.usd.0, c.source))
        };
        assert_eq!(spent(0, 0, 0, 0), None);
        assert_eq!(spent(0, 0, 2, 2), None, "a model that nobody knows has no figure");
        assert_eq!(spent(5, 0, 1, 0), Some((5, CostSource::Claude)));
        assert_eq!(spent(0, 7, 1, 0), Some((7, CostSource::Estimated)));
        assert_eq!(spent(5, 7, 3, 1), Some((12, CostSource::Mixed)));
    }

    #[test]
    fn a_budget_warns_before_it_is_spent() {
        let budget = Budget::of(Usd(1_000));
        for (spent, level) in [
            (0, BudgetLevel::Within),
            (799, BudgetLevel::Within),
            (800, BudgetLevel::Close),
            (999, BudgetLevel::Close),
            (1_000, BudgetLevel::Spent),
            (i64::MAX, BudgetLevel::Spent),
        ] {
            assert_eq!(budget.level_at(Usd(spent)), level, "{spent}");
        }
        assert_eq!(Budget::of(Usd(i64::MAX)).level_at(Usd(i64::MAX - 1)), BudgetLevel::Close);
        let context = |used, window| Context { model: "m".into(), used, window }.percent();
        let of = Context { model: "m".into(), used: 1, window: Some(200) };
        let windows = [None, Some(100), Some(300)].map(|told| of.with_window(told).window);
        assert_eq!(windows, [Some(200), Some(200), Some(300)]);
        assert_eq!((context(50_000, Some(200_000)), context(1, None)), (Some(25), None));
    }
}
