//! The models: what they cost and how much fits into them, and what a response says that it used.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::domain::record::{Response, Total, Usage};
use crate::domain::time::Timestamp;
use crate::domain::usage::{Context, MOST_FOR_A_RESPONSE, Price, Usd};

/// The most tokens that one response is believed to have used: its sums stay far from overflowing.
const MOST_TOKENS: i64 = 1_000_000_000;

/// The same for all responses of a conversation.
const MOST_IN_ALL: i64 = 1_000 * MOST_TOKENS;
/// The most that all of them are believed to have cost.
const MOST_MONEY: Usd = Usd(100 * MOST_FOR_A_RESPONSE.0);

/// A model that is known.
struct Model {
    /// Its name, without a date and without the names that cloud providers put around it.
    name: &'static str,
    /// Tokens that fit into its context.
    window: i64,
    /// What it costs.
    price: Price,
    /// What it costs if the prompt has more tokens than this.
    long: Option<(i64, Price)>,
}

const fn price(input: f64, output: f64, write: f64, write_hour: f64, read: f64) -> Price {
    Price { input, output, cache_write: write, cache_write_1h: write_hour, cache_read: read }
}

const fn model(name: &'static str, window: i64, price: Price) -> Model {
    Model { name, window, price, long: None }
}

const SMALL: i64 = 200_000;
const LARGE: i64 = 1_000_000;

const P_2_10: Price = price(2.0, 10.0, 2.5, 4.0, 0.2);
const P_3_15: Price = price(3.0, 15.0, 3.75, 6.0, 0.3);
const P_5_25: Price = price(5.0, 25.0, 6.25, 10.0, 0.5);
const P_10_50: Price = price(10.0, 50.0, 12.5, 20.0, 1.0);
const P_15_75: Price = price(15.0, 75.0, 18.75, 30.0, 1.5);

/// Anthropic's list prices and context windows, as Claude Code 2.1.329 (November 2026) has them. They
/// serve where Claude Code does not tell the cost itself; `prices` in the configuration goes before.
/// See <https://platform.claude.com/docs/en/about-claude/pricing>.
const MODELS: &[Model] = &[
    model("claude-3-5-haiku", SMALL, price(0.8, 4.0, 1.0, 1.6, 0.08)),
    model("claude-haiku-4-5", SMALL, price(1.0, 5.0, 1.25, 2.0, 0.1)),
    Model {
        name: "claude-haiku-5-5",
        window: LARGE,
        price: price(0.1, 0.5, 0.125, 0.2, 0.01),
        long: Some((100_000, price(0.5, 2.5, 0.625, 1.0, 0.05))),
    },
    model("claude-3-5-sonnet", SMALL, P_3_15),
    model("claude-3-7-sonnet", SMALL, P_3_15),
    model("claude-sonnet-4", SMALL, P_3_15),
    model("claude-sonnet-4-0", SMALL, P_3_15),
    model("claude-sonnet-4-5", SMALL, P_3_15),
    model("claude-sonnet-4-6", SMALL, P_3_15),
    model("claude-sonnet-5", LARGE, P_2_10),
    model("claude-sonnet-5-5", LARGE, price(2.0, 10.0, 2.5, 4.0, 0.1)),
    model("claude-opus-4", SMALL, P_15_75),
    model("claude-opus-4-0", SMALL, P_15_75),
    model("claude-opus-4-1", SMALL, P_15_75),
    model("claude-opus-4-5", SMALL, P_5_25),
    model("claude-opus-4-6", SMALL, P_5_25),
    model("claude-opus-4-7", LARGE, P_5_25),
    model("claude-opus-4-8", LARGE, P_5_25),
    model("claude-opus-5", LARGE, P_5_25),
    model("claude-opus-5-5", LARGE, price(4.0, 20.0, 5.0, 8.0, 0.2)),
    model("claude-fable-5", LARGE, P_10_50),
    model("claude-fable-5-1", LARGE, price(10.0, 50.0, 12.5, 20.0, 0.25)),
    model("claude-fable-5-2", LARGE, price(8.0, 40.0, 10.0, 16.0, 0.2)),
    model("claude-mythos-5", LARGE, P_10_50),
    model("claude-mythos-5-1", LARGE, price(10.0, 50.0, 12.5, 20.0, 0.25)),
    model("claude-mythos-5-2", LARGE, price(8.0, 40.0, 10.0, 16.0, 0.2)),
];

/// What marks a name whose context holds a million tokens.
const MILLION: &str = "[1m]";

/// The longest name of a model that is kept. Bytes.
const LONGEST_NAME: usize = 128;

/// A model's name without the mark of its large context: as the price list and the sums have it.
pub fn plain(name: &str) -> &str {
    let name = name.strip_suffix(MILLION).unwrap_or(name);
    &name[..name.floor_char_boundary(LONGEST_NAME)]
}

/// Finds a model by its name, however a provider writes it (`us.anthropic.claude-opus-4-1-20250805-v1:0`,
/// `claude-opus-4-1@20250805`). One that is only similar is not it.
fn find(name: &str) -> Option<&'static Model> {
    let name = plain(name);
    let name = name.rsplit_once("anthropic.").map_or(name, |(_, name)| name);
    let is_suffix = |rest: &str| {
        let dated =
            |date: &str| date.len() >= 8 && date.bytes().take(8).all(|b| b.is_ascii_digit());
        let after = |mark: &str| rest.strip_prefix(mark);
        rest.is_empty()
            || rest == "-latest"
            || after("@").is_some()
            || after("-v").is_some_and(|v| v.starts_with(|c: char| c.is_ascii_digit()))
            || after("-").is_some_and(dated)
    };
    MODELS.iter().find(|m| name.strip_prefix(m.name).is_some_and(is_suffix))
}

/// How many tokens fit into a model's context. `None` if it is not known.
fn window(name: &str) -> Option<i64> {
    marked_window(name).or_else(|| find(name).map(|m| m.window))
}

/// How full a model's context was after a response.
pub fn context(model: &str, usage: &Usage) -> Context {
    let used = [
        usage.input_tokens,
        usage.cache_creation_input_tokens,
        usage.cache_read_input_tokens,
        usage.output_tokens,
    ];
    let used: i64 = used.iter().sum();
    // More than fits is in a larger window than the name tells of.
    let window = window(model).map(|window| if used > window { LARGE.max(used) } else { window });
    Context { model: plain(model).to_owned(), used, window }
}

/// The window that a name is marked with: Claude Code names a model so to its hooks and takes it so at its
/// launch, and the model itself does not repeat it.
pub fn marked_window(name: &str) -> Option<i64> {
    name.ends_with(MILLION).then_some(LARGE)
}

/// Reads what the model's API says that a response used (`usage` in
/// <https://platform.claude.com/docs/en/api/messages>).
pub fn response(model: &str, usage: &Map<String, Value>, at: Timestamp) -> Response {
    let count = |map: &Map<String, Value>, key: &str| {
        map.get(key).and_then(Value::as_i64).unwrap_or_default().clamp(0, MOST_TOKENS)
    };
    let hour = usage.get("cache_creation").and_then(Value::as_object);
    let word = |key: &str| usage.get(key).and_then(Value::as_str).unwrap_or_default();
    Response {
        message_id: None,
        request_id: None,
        model: plain(model).to_owned(),
        usage: Usage {
            input_tokens: count(usage, "input_tokens"),
            output_tokens: count(usage, "output_tokens"),
            cache_creation_input_tokens: count(usage, "cache_creation_input_tokens"),
            cache_read_input_tokens: count(usage, "cache_read_input_tokens"),
        },
        cached_for_an_hour: hour.map_or(0, |map| count(map, "ephemeral_1h_input_tokens")),
        // Both cost more than the list says.
        off_list: word("speed") == "fast" || word("inference_geo") == "us",
        told: None,
        estimated: None,
        at,
    }
}

/// Reads what Claude Code says that all responses of a model used (`modelUsage` of its `cost-state`).
pub(super) fn total(model: &str, sum: &Map<String, Value>) -> Option<Total> {
    let count = |key: &str| sum.get(key)?.as_i64().filter(|n| (0..=MOST_IN_ALL).contains(n));
    Some(Total {
        model: plain(model).to_owned(),
        usage: Usage {
            input_tokens: count("inputTokens")?,
            output_tokens: count("outputTokens")?,
            cache_creation_input_tokens: count("cacheCreationInputTokens")?,
            cache_read_input_tokens: count("cacheReadInputTokens")?,
        },
        cost: Usd::from_dollars(sum.get("costUSD")?.as_f64()?).filter(|usd| *usd <= MOST_MONEY)?,
    })
}

/// A tokens' count as Claude Code's log has it, within reason.
pub(super) fn tokens(count: i64) -> i64 {
    count.clamp(0, MOST_TOKENS)
}

/// Estimates what a response cost. `None` if its model's price is not known: no figure is better than
/// a wrong one. `own` are prices by model that go before the list.
pub fn estimate(own: &BTreeMap<String, Price>, r: &Response) -> Option<Usd> {
    let usage = &r.usage;
    let prompt =
        usage.input_tokens + usage.cache_creation_input_tokens + usage.cache_read_input_tokens;
    let listed = || {
        let model = find(&r.model)?;
        match &model.long {
            Some((above, price)) if prompt > *above => Some(price),
            _ => Some(&model.price),
        }
    };
    let price = own.get(&r.model).or_else(|| listed().filter(|_| !r.off_list))?;
    price.of(usage, r.cached_for_an_hour)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::{MODELS, context, estimate, find, response};
    use crate::domain::record::{Response, Usage};
    use crate::domain::time::Timestamp;
    use crate::domain::usage::{Price, Usd};

    fn used(model: &str, usage: &serde_json::Value) -> Response {
        response(model, usage.as_object().expect("an object"), Timestamp(0))
    }

    #[test]
    fn estimates_are_what_claude_code_bills() {
        // From its own sums: `cost-state` lines of recorded sessions.
        for (input, output, cost) in
            [(294_636, 400, 1.186_544), (99_768, 207, 0.403_212), (129_795, 288, 0.524_94)]
        {
            let r =
                used("claude-opus-5-5", &json!({"input_tokens": input, "output_tokens": output}));
            assert_eq!(estimate(&BTreeMap::new(), &r), Usd::from_dollars(cost));
        }
        let cached = json!({"input_tokens": 10, "output_tokens": 100, "cache_read_input_tokens": 1_000,
            "cache_creation_input_tokens": 500, "cache_creation": {"ephemeral_1h_input_tokens": 200}});
        // 10 × 5 + 100 × 25 + 1000 × 0.5 + 300 × 6.25 + 200 × 10, for a million each.
        assert_eq!(
            estimate(&BTreeMap::new(), &used("claude-opus-4-8[1m]", &cached)),
            Some(Usd(6_925_000))
        );
        let long = |tokens: i64| used("claude-haiku-5-5", &json!({"input_tokens": tokens}));
        let cost = |tokens| estimate(&BTreeMap::new(), &long(tokens));
        assert_eq!((cost(100_000), cost(100_001)), (Some(Usd(10_000_000)), Some(Usd(50_000_500))));
    }

    #[test]
    fn a_model_that_is_not_known_has_no_price_but_ones_own() {
        let usage = json!({"input_tokens": 1_000_000});
        for name in ["gpt-5", "claude-opus-5-6", "claude-opus-55", "claude", ""] {
            assert_eq!(estimate(&BTreeMap::new(), &used(name, &usage)), None, "{name}");
        }
        let fast = json!({"input_tokens": 1_000_000, "speed": "fast"});
        assert_eq!(estimate(&BTreeMap::new(), &used("claude-opus-5-5", &fast)), None);
        let own = Price { input: 7.0, ..Price::default() };
        let own: BTreeMap<_, _> = [("gpt-5".to_owned(), own)].into();
        assert_eq!(estimate(&own, &used("gpt-5", &usage)), Some(Usd(7_000_000_000)));
    }

    #[test]
    fn models_are_known_by_all_their_names() {
        for (name, known) in [
            ("claude-opus-4-1-20250805", "claude-opus-4-1"),
            ("us.anthropic.claude-opus-4-1-20250805-v1:0", "claude-opus-4-1"),
            ("anthropic.claude-haiku-4-5", "claude-haiku-4-5"),
            ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
            ("claude-sonnet-4-20250514", "claude-sonnet-4"),
            ("claude-opus-5[1m]", "claude-opus-5"),
        ] {
            assert_eq!(find(name).map(|m| m.name), Some(known), "{name}");
        }
        for m in MODELS {
            assert_eq!(find(m.name).map(|m| m.name), Some(m.name), "two rows are one model's");
        }
    }

    #[test]
    fn the_context_is_what_the_last_response_saw_and_said() {
        let usage = Usage {
            input_tokens: 10,
            output_tokens: 20,
            cache_creation_input_tokens: 30_000,
            cache_read_input_tokens: 69_970,
        };
        let of = |model: &str| {
            let c = context(model, &usage);
            (c.used, c.window, c.percent())
        };
        assert_eq!(of("claude-sonnet-4-5"), (100_000, Some(200_000), Some(50)));
        assert_eq!(of("claude-sonnet-4-5[1m]"), (100_000, Some(1_000_000), Some(10)));
        assert_eq!(of("gpt-5"), (100_000, None, None));
        let more = Usage { cache_read_input_tokens: 250_000, ..usage };
        assert_eq!(context("claude-sonnet-4-5", &more).window, Some(1_000_000));
    }

    #[test]
    fn hostile_counts_are_kept_within_reason() {
        let r = used(
            "m",
            &json!({"input_tokens": i64::MAX, "output_tokens": -5, "cache_read_input_tokens": "x"}),
        );
        assert_eq!((r.usage.input_tokens, r.usage.output_tokens), (1_000_000_000, 0));
        assert_eq!(r.usage.cache_read_input_tokens, 0);
    }
}
