//! What all lists have in common: `limit`, `cursor`, and the way to the next page.

use axum::Json;
use axum::http::{HeaderValue, Uri, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::problem::Problem;
use crate::store::{Cursor, Order, Page};

/// Rows on a page, unless asked otherwise.
const DEFAULT: u32 = 50;
/// Rows on a page at most.
const MOST: u32 = 500;

/// Which page.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Paging {
    /// Rows on a page: 1 to 500; 50 unless given.
    pub limit: Option<u32>,
    /// Where the page begins: taken from the `Link` header of the page before.
    pub cursor: Option<String>,
}

impl Paging {
    /// Checks what was asked for.
    pub fn check(&self) -> Result<(u32, Option<Cursor>), Problem> {
        let limit = self.limit.unwrap_or(DEFAULT);
        if !(1..=MOST).contains(&limit) {
            return Err(Problem::field("limit", format!("expected 1 to {MOST}")));
        }
        let cursor = self.cursor.as_deref().map(str::parse::<Cursor>).transpose();
        Ok((limit, cursor.map_err(|e| Problem::field("cursor", e.to_string()))?))
    }
}

/// In which order.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Sorting {
    /// Which end of the list comes first; `oldest` unless given.
    #[param(inline)]
    pub sort: Option<Order>,
}

impl Sorting {
    /// What was asked for.
    pub fn order(&self) -> Order {
        self.sort.unwrap_or_default()
    }
}

/// A page as an answer: a bare array, and a `Link` header if there is more.
pub fn answer<T, V: Serialize>(uri: &Uri, page: Page<T>, view: impl Fn(T) -> V) -> Response {
    let next = page.next.map(|cursor| link(uri, &cursor));
    let items: Vec<V> = page.items.into_iter().map(view).collect();
    let mut response = Json(items).into_response();
    if let Some(Ok(value)) = next.map(|l| HeaderValue::from_str(&l)) {
        response.headers_mut().insert(header::LINK, value);
    }
    response
}

fn link(uri: &Uri, cursor: &Cursor) -> String {
    let kept = uri.query().unwrap_or_default().split('&');
    let mut query: Vec<String> =
        kept.filter(|p| !p.is_empty() && !p.starts_with("cursor=")).map(str::to_owned).collect();
    query.push(format!("cursor={cursor}"));
    format!("<{}?{}>; rel=\"next\"", uri.path(), query.join("&"))
}
