//! A number for every request, in its answer and in whatever is written down about it.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

use crate::admin::problem::Problem;

const HEADER: HeaderName = HeaderName::from_static("x-request-id");
const LENGTH_MAX: usize = 128;

/// The number of the request at hand: the client's own, if it is fit to be written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(pub String);

fn is_sane(text: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    !text.is_empty() && text.len() <= LENGTH_MAX && text.bytes().all(legal)
}

fn number_of(request: &Request) -> String {
    let given = request.headers().get(HEADER).and_then(|value| value.to_str().ok());
    given.filter(|text| is_sane(text)).map_or_else(|| Uuid::now_v7().to_string(), str::to_owned)
}

/// Gives the request its number, the answer the same, and a problem its `instance`.
pub(in crate::admin) async fn with_request_id(mut request: Request, next: Next) -> Response {
    let number = number_of(&request);
    request.extensions_mut().insert(RequestId(number.clone()));
    let mut response = next.run(request).await;
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let instance = format!("urn:spoolhook:request:{number}");
        let numbered = problem.with("instance", instance.into()).into_response();
        // Headers that others have set since are theirs to set.
        let headers = response.headers().clone();
        response = numbered;
        for (name, value) in &headers {
            if name != axum::http::header::CONTENT_LENGTH {
                response.headers_mut().insert(name.clone(), value.clone());
            }
        }
    }
    if let Ok(value) = HeaderValue::try_from(number) {
        response.headers_mut().insert(HEADER, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_number_is_kept_if_it_can_be_written_down() {
        let with = |value: &str| {
            let request = Request::builder().header("x-request-id", value).body(axum::body::Body::empty());
            number_of(&request.unwrap())
        };
        assert_eq!(with("job-7.a:b_c"), "job-7.a:b_c");
        for odd in ["", "a b", "a\"b", &"x".repeat(129)] {
            assert!(Uuid::parse_str(&with(odd)).is_ok(), "{odd}");
        }
    }
}
