//! Errors as answers: RFC 9457 problem details.

use std::fmt;
use std::marker::PhantomData;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection};
use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::services::error::Error;

/// An error, in the `application/problem+json` format of RFC 9457.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// What kind of problem; `about:blank`, as the status says it all.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong, and what to do about it.
    pub detail: String,
    /// Which fields are to blame.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// Seconds after which it may work: the `Retry-After` header.
    #[serde(skip)]
    pub retry_after: Option<u64>,
}

/// What is wrong with one field of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// The field: a path into the body, or the name of a query parameter or header.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

impl Problem {
    /// Makes a problem with this status.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: "about:blank".into(),
            title: status.canonical_reason().unwrap_or("Error").into(),
            status: status.as_u16(),
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
        }
    }

    /// A field that cannot be used: 422.
    pub fn field(field: impl Into<String>, problem: impl Into<String>) -> Self {
        let (field, problem) = (field.into(), problem.into());
        let mut p = Self::new(StatusCode::UNPROCESSABLE_ENTITY, format!("{field}: {problem}"));
        p.errors.push(FieldError { field, problem });
        p
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        let retry = self.retry_after.map(|s| [(header::RETRY_AFTER, s.to_string())]);
        (status, kind, retry.map(AppendHeaders), Json(self)).into_response()
    }
}

impl From<Error> for Problem {
    fn from(e: Error) -> Self {
        let text = e.to_string();
        match e {
            Error::NotFound { .. } => Self::new(StatusCode::NOT_FOUND, text),
            Error::Invalid { field, problem } => Self::field(field, problem),
            Error::Conflict { .. } => Self::new(StatusCode::CONFLICT, text),
            Error::Unauthorised(_) => Self::new(StatusCode::UNAUTHORIZED, text),
            Error::Forbidden(_) => Self::new(StatusCode::FORBIDDEN, text),
            Error::TooMany { wait } => Self {
                retry_after: Some(wait.as_secs() + 1),
                ..Self::new(StatusCode::TOO_MANY_REQUESTS, text)
            },
            Error::Unavailable { .. } => {
                // Logged here, where it is handled; the caller hears the same words.
                tracing::error!(error = %text, "a request could not be served");
                Self::new(StatusCode::SERVICE_UNAVAILABLE, text)
            }
        }
    }
}

/// A JSON object as the body, whose errors are problems that name the field.
pub struct Body<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        // First as JSON of any kind: serde takes a list for the fields of an object, and calls a
        // value of the wrong kind a syntax error at times.
        let Json(raw) = Json::<Box<RawValue>>::from_request(request, state).await?;
        if !raw.get().starts_with('{') {
            return Err(Problem::field("body", "expected an object"));
        }
        let Json(value) = Json::from_bytes(raw.get().as_bytes()).map_err(unusable_field)?;
        Ok(Self(value))
    }
}

/// The same where a request may have no body at all, which says nothing special.
pub struct OptionalBody<T>(pub T);

impl<T: DeserializeOwned + Default, S: Send + Sync> FromRequest<S> for OptionalBody<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if request.headers().contains_key(header::CONTENT_TYPE) {
            return Ok(Self(Body::from_request(request, state).await?.0));
        }
        let bytes = Bytes::from_request(request, state).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        let why = "expected `Content-Type: application/json` with a body";
        Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, why))
    }
}

fn unusable_field(e: JsonRejection) -> Problem {
    // serde_path_to_error puts the path before the first ": ".
    let (field, problem) = split_path(&innermost(&e));
    if problem.starts_with("expected value at") {
        return Problem::field(field, "not a value of this field's");
    }
    Problem::field(field, problem)
}

impl From<JsonRejection> for Problem {
    fn from(e: JsonRejection) -> Self {
        Self::new(e.status(), innermost(&e))
    }
}

impl From<BytesRejection> for Problem {
    fn from(e: BytesRejection) -> Self {
        Self::new(e.status(), innermost(&e))
    }
}

/// Tells `null` in a field from none at all.
pub(super) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    d: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(d).map(Some)
}

/// Reads an object and nothing else: serde takes a list for an object's fields, in their order.
pub(super) fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    value: D,
) -> Result<T, D::Error> {
    struct Object<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Object<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }

    value.deserialize_map(Object(PhantomData))
}

/// The same for a field that need not be there.
pub(super) fn some_object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    value: D,
) -> Result<Option<T>, D::Error> {
    object(value).map(Some)
}

/// Query parameters whose errors are problems.
#[derive(axum::extract::FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub struct Query<T>(pub T);

impl From<QueryRejection> for Problem {
    fn from(e: QueryRejection) -> Self {
        let text = innermost(&e);
        let (field, problem) = split_path(&text);
        Self::field(field, problem)
    }
}

/// Path parameters whose errors are problems.
#[derive(axum::extract::FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub struct Path<T>(pub T);

impl From<PathRejection> for Problem {
    fn from(e: PathRejection) -> Self {
        Self::new(StatusCode::NOT_FOUND, innermost(&e))
    }
}

/// The cause that a person can use: the wrappers around it repeat what the status says.
fn innermost(e: &dyn std::error::Error) -> String {
    let mut e = e;
    while let Some(source) = e.source() {
        e = source;
    }
    e.to_string()
}

fn split_path(text: &str) -> (String, String) {
    match text.split_once(": ") {
        Some((path, problem)) if !path.contains(' ') => (path.into(), problem.into()),
        _ => {
            // "missing field `name`" and "unknown field `nmae`, …" name the field themselves.
            let named = text.split('`').nth(1).filter(|_| text.contains(" field `"));
            (named.unwrap_or("body").into(), text.into())
        }
    }
}
