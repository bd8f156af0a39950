//! What is the same in the description of every operation: its problems.

use utoipa::openapi::path::Operation;
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder};

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";

/// Says of every operation that its errors are problems, also those that any operation may answer
/// with: a body that is no JSON (400) or says to be something else (415), a caller who may not
/// (403, 421), a store that does not answer (503).
pub(super) fn describe_problems(doc: &mut OpenApi) {
    for item in doc.paths.paths.values_mut() {
        let operations =
            [&mut item.get, &mut item.put, &mut item.post, &mut item.patch, &mut item.delete];
        operations.into_iter().flatten().for_each(describe);
    }
}

fn describe(operation: &mut Operation) {
    let responses = &mut operation.responses.responses;
    for (status, response) in &mut *responses {
        if let RefOr::T(Response { content, .. }) = response
            && status.starts_with(['4', '5'])
            && let Some(problem) = content.shift_remove(JSON)
        {
            content.insert(PROBLEM.to_owned(), problem);
        }
    }
    let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let other = ResponseBuilder::new()
        .description("Any other problem: its status and detail say which")
        .content(PROBLEM, problem)
        .build();
    responses.insert("default".to_owned(), RefOr::T(other));
}
