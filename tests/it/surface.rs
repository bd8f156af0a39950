//! What Chorus shows of itself: the API's description, as a snapshot.
//!
//! `INSTA_UPDATE=always cargo test --test it surface` writes it anew.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::World;

#[tokio::test]
async fn the_api_describes_itself() {
    let world = World::with_stand_in().await;
    let doc = world.get("/api/openapi.json").await.expect(200).json();
    insta::with_settings!({ snapshot_path => "../snapshots", prepend_module_to_snapshot => false, sort_maps => true }, {
        insta::assert_json_snapshot!("openapi", doc);
    });
    let paths = doc["paths"].as_object().expect("paths");
    let mut ids = BTreeSet::new();
    for (path, operations) in paths {
        for (method, operation) in operations.as_object().expect("operations") {
            let here = format!("{method} {path}");
            let id = operation["operationId"].as_str().expect("an id");
            assert!(
                !operation["summary"].as_str().unwrap_or_default().is_empty(),
                "{here} says nothing"
            );
            ids.insert(id.to_owned());
            let responses = operation["responses"].as_object().expect("responses");
            // A WebSocket's beginning is 101.
            let well = |status: &String| status.starts_with('2') || status == "101";
            assert!(responses.keys().any(well), "{here} never goes well");
            // Whatever takes a path parameter may not find it; whatever takes a body may refuse it.
            if path.contains('{') {
                assert!(responses.contains_key("404"), "{here} always finds what it is asked for");
            }
            if operation.get("requestBody").is_some() {
                assert!(responses.contains_key("422"), "{here} takes any body");
            }
            let named: BTreeSet<&str> = path
                .split('/')
                .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
                .collect();
            let told = operation["parameters"].as_array().into_iter().flatten();
            let told: BTreeSet<&str> =
                told.filter(|p| p["in"] == "path").filter_map(|p| p["name"].as_str()).collect();
            assert_eq!(named, told, "{here}");
        }
    }
    check_references(&doc, &doc);
}

/// Every `$ref` leads somewhere.
fn check_references(doc: &Value, part: &Value) {
    match part {
        Value::Object(map) => {
            if let Some(target) = map.get("$ref").and_then(Value::as_str) {
                let pointer = target.strip_prefix('#').expect("a reference into the document");
                assert!(doc.pointer(pointer).is_some(), "{target} leads nowhere");
            }
            map.values().for_each(|v| check_references(doc, v));
        }
        Value::Array(items) => items.iter().for_each(|v| check_references(doc, v)),
        _ => {}
    }
}
