//! `/v1/changes`: who changed what.

use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;

use super::super::caller::Caller;
use super::super::extract::{PageParams, Params};
use super::super::problem::Problem;
use super::{Shared, blocking, page};

pub async fn list(
    State(shared): State<Shared>,
    caller: Caller,
    uri: Uri,
    params: Params<PageParams>,
) -> Result<Response, Problem> {
    let request = params.0.read()?;
    let door = shared.door.clone();
    let found = blocking(move || door.changes.list(&caller, &request)).await?;
    Ok(page(&uri, found))
}
