//! Addresses of pages: what is looked at is in the query, so that it can be shared.

use axum::http::Uri;
use serde::de::value::StringDeserializer;
use serde::de::{DeserializeOwned, IntoDeserializer as _};
use serde::{Deserialize, Deserializer};
use sha2::{Digest as _, Sha256};

use crate::domain::hex::hex;

/// The address that a page was asked for by, with other values for some of its parameters; an empty value takes its
/// parameter away. Values have to be plain words.
pub fn with(uri: &Uri, changes: &[(&str, &str)]) -> String {
    let kept = uri.query().unwrap_or_default().split('&').filter(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        !value.is_empty() && !changes.iter().any(|(changed, _)| *changed == name)
    });
    let set = changes.iter().filter(|(_, value)| !value.is_empty());
    let pairs: Vec<String> =
        kept.map(str::to_owned).chain(set.map(|(name, value)| format!("{name}={value}"))).collect();
    if pairs.is_empty() {
        return uri.path().to_owned();
    }
    format!("{}?{}", uri.path(), pairs.join("&"))
}

/// A name for a page's element about a path below a root: it stays the same while others come and go. A path itself is none,
/// as it holds anything.
pub fn element_id(root: &str, path: &str) -> String {
    let digest = Sha256::new().chain_update(root).chain_update("\0").chain_update(path).finalize();
    hex(&digest[..8])
}

/// Reads a field of a form: one that is left empty says nothing.
pub fn filled<'de, D: Deserializer<'de>, T: DeserializeOwned>(d: D) -> Result<Option<T>, D::Error> {
    let text: Option<String> = Option::deserialize(d)?;
    match text.filter(|text| !text.trim().is_empty()) {
        Some(text) => {
            let text: StringDeserializer<D::Error> = text.into_deserializer();
            T::deserialize(text).map(Some)
        }
        None => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::with;

    #[test]
    fn an_address_keeps_what_is_not_changed() {
        let uri = "/tasks?label=a%26b&view=board&status=&cursor=3_x".parse().expect("an address");
        assert_eq!(with(&uri, &[("cursor", ""), ("view", "list")]), "/tasks?label=a%26b&view=list");
        assert_eq!(
            with(&"/tasks?view=board".parse().expect("an address"), &[("view", "")]),
            "/tasks"
        );
    }
}
