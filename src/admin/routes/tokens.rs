//! `/v1/tokens`: who may come in over TCP.

use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use axum::{Extension, Json};
use serde_json::json;

use super::super::api::{NewToken, Token, TokenAnswer};
use super::super::caller::Caller;
use super::super::changes::Changed;
use super::super::extract::{Body, NoParams, PageParams, Params};
use super::super::problem::Problem;
use super::{Shared, blocking, page};

pub async fn list(
    State(shared): State<Shared>,
    caller: Caller,
    uri: Uri,
    params: Params<PageParams>,
) -> Result<Response, Problem> {
    let request = params.0.read()?;
    let found = shared.door.tokens.list(&caller, &request)?;
    Ok(page(&uri, found))
}

/// What the log of changes says of a token.
fn change(token: &Token) -> (Changed, serde_json::Value) {
    let changed = Changed::of(format!("token {}", token.name));
    let changed = match &token.tenant {
        Some(tenant) => changed.tenant(tenant),
        None => changed,
    };
    (changed, json!(token))
}

pub async fn create(
    State(shared): State<Shared>,
    caller: Caller,
    _: Params<NoParams>,
    body: Body,
) -> Result<(StatusCode, Extension<Changed>, Json<TokenAnswer>), Problem> {
    let new: NewToken = body.json()?;
    let door = shared.door.clone();
    let (about, token) = blocking(move || door.tokens.create(&caller, new)).await?;
    let (changed, after) = change(&about);
    let answer = TokenAnswer {
        result: "success".to_owned(),
        message: "Token created. It is shown this once.".to_owned(),
        token: Some(token.expose().to_owned()),
        about,
    };
    Ok((StatusCode::CREATED, Extension(changed.after(after)), Json(answer)))
}

pub async fn revoke(
    State(shared): State<Shared>,
    caller: Caller,
    Path(key): Path<String>,
    _: Params<NoParams>,
) -> Result<(Extension<Changed>, Json<TokenAnswer>), Problem> {
    let door = shared.door.clone();
    let about = blocking(move || door.tokens.revoke(&caller, &key)).await?;
    let (changed, before) = change(&about);
    let message = "Token revoked: nobody comes in with it any more.".to_owned();
    let answer = TokenAnswer { result: "success".to_owned(), message, token: None, about };
    Ok((Extension(changed.before(before)), Json(answer)))
}
