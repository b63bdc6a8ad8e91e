//! Sends a model request upstream, retries while the API is overloaded, and describes failures in a sentence.

use bytes::Bytes;
use failpoint::failpoint;
use http::{HeaderMap, Response, StatusCode};
use jiff::Timestamp;
use reqwest::header::LOCATION;
use serde::Deserialize;
use tokio::time::Instant;

use super::{Endpoint, ModelRequest};
use crate::answer::{Body, final_model_error, full, in_words, model_error, shortened};
use crate::credential::{Credential, CredentialKind, Unusable};
use crate::failure::GatewayFailure;
use crate::headers::{X_SHOULD_RETRY, strip_model_answer};
use crate::outage::Next;
use crate::retry::retry_after;
use crate::sandbox::SandboxGateway;
use crate::upstream::Upstream;

/// The API's own status for "overloaded".
const OVERLOADED: u16 = 529;

/// The answer to a request that has no successful one of the API.
pub(super) enum Unanswered {
    /// The API did not carry the request out.
    Refused(Box<Response<Body>>),
    /// The request was sent, and the connection broke before an answer began. The API may have carried it out, at its price.
    Broken(Box<Response<Body>>),
}

/// Returns the API's successful answer, or the gateway's in its place. The request is sent again only if the API refused it or was
/// not reached, and if the agent has not abandoned it.
pub(super) async fn send(
    sandbox: &SandboxGateway,
    request: &ModelRequest,
    is_abandoned: impl Fn() -> bool,
) -> Result<reqwest::Response, Unanswered> {
    let attempt = Attempt { sandbox, request, is_abandoned };
    attempt.run().await
}

struct Attempt<'a, F> {
    sandbox: &'a SandboxGateway,
    request: &'a ModelRequest,
    is_abandoned: F,
}

/// The program that retries a request which the gateway has given up.
#[derive(Clone, Copy)]
enum Retried {
    ByCli,
    Nobody,
}

/// An unsuccessful answer, read to its end.
struct Trouble {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    kind: String,
    message: String,
}

impl From<Response<Body>> for Unanswered {
    fn from(answer: Response<Body>) -> Self {
        Unanswered::Refused(Box::new(answer))
    }
}

impl<F: Fn() -> bool> Attempt<'_, F> {
    async fn run(&self) -> Result<reqwest::Response, Unanswered> {
        // An outage between two of them is no overload.
        let (mut overloads, mut overloaded_since) = (0, None);
        let mut refused: Option<Credential> = None;
        loop {
            let credential = self.sandbox.credential().map_err(|unusable| self.without_credential(unusable))?;
            failpoint!("model.asking");
            let asked = Instant::now();
            let response = match self.post(&credential).await {
                Ok(response) => response,
                Err(error) if error.is_connect() => {
                    let sentence = format!("the model API could not be reached: {}", in_words(&error));
                    self.outage(asked, sentence).await?;
                    continue;
                }
                Err(error) => return Err(Unanswered::Broken(Box::new(self.broken(asked, &error)))),
            };
            failpoint!("model.answering");
            if response.status().is_success() {
                return Ok(response);
            }
            let trouble = Trouble::read(response).await;
            if trouble.status.as_u16() < 500 || trouble.is_overload() {
                self.sandbox.outage.end();
            }
            match trouble.status.as_u16() {
                400..=499 if trouble.refuses_model(&self.request.model) => {
                    let sentence = trouble.sentence();
                    self.fail(if self.request.is_of_task {
                        GatewayFailure::ModelRefused { sentence }
                    } else {
                        GatewayFailure::BadRequest { sentence }
                    });
                    return Err(trouble.pass().into());
                }
                401 | 403 => {
                    // The login may have been renewed after the file was read.
                    if refused.is_none() && self.changed(&credential) {
                        refused = Some(credential);
                        continue;
                    }
                    return Err(self.refused(&trouble, credential.kind()).into());
                }
                _ if trouble.is_overload() => {
                    overloads += 1;
                    let since = *overloaded_since.get_or_insert(asked);
                    let wait = retry_after(&trouble.headers, Timestamp::now());
                    let jitter = rand::random_range(0.0..1.0);
                    match self.sandbox.shared.retry.delay(overloads, since.elapsed(), wait, jitter) {
                        Some(delay) if !trouble.is_final() && !(self.is_abandoned)() => {
                            tracing::info!(
                                status = trouble.status.as_u16(),
                                ?delay,
                                overloads,
                                "retrying the model API"
                            );
                            tokio::time::sleep(delay).await;
                        }
                        _ => return Err(self.overloaded(&trouble, overloads).into()),
                    }
                }
                402 => {
                    let sentence = trouble.sentence();
                    self.fail(GatewayFailure::CapacityReached { sentence });
                    return Err(trouble.pass().into());
                }
                400..=499 => {
                    let sentence = trouble.sentence();
                    let is_final = self.sandbox.repeats(&sentence) && !trouble.may_be_corrected();
                    self.fail(GatewayFailure::BadRequest { sentence });
                    return Err(if is_final { trouble.pass_as_final() } else { trouble.pass() }.into());
                }
                300..=399 => {
                    let sentence = format!(
                        "the model API redirects to {}, which is not followed; ANTHROPIC_BASE_URL should name where it \
                         really is",
                        trouble.location()
                    );
                    return Err(self.unreachable(sentence, Retried::Nobody).into());
                }
                _ => self.outage(asked, trouble.sentence()).await?,
            }
        }
    }

    async fn post(&self, credential: &Credential) -> Result<reqwest::Response, reqwest::Error> {
        let mut headers = self.request.headers.clone();
        credential.put_in(&mut headers);
        let ModelRequest { endpoint, query, body, .. } = self.request;
        self.sandbox.shared.upstream.post(endpoint.path(), query.as_deref(), headers, body.clone()).await
    }

    /// The answer for a request whose connection broke after it was sent. The gateway does not send it again, because the API may
    /// charge each try: the CLI does so with a new reservation.
    fn broken(&self, asked: Instant, error: &reqwest::Error) -> Response<Body> {
        let sentence = format!(
            "the connection to the model API broke before the answer began, and the request is charged as reserved: {}",
            in_words(error)
        );
        match self.sandbox.outage.failed(asked, Instant::now(), &self.sandbox.shared.outage) {
            Next::LeaveToCli | Next::Retry(_) => self.unreachable(sentence, Retried::ByCli),
            Next::GiveUp => self.unreachable(sentence, Retried::Nobody),
        }
    }

    /// Waits until the request may be tried again, or returns the answer in its place. The try began at `asked`.
    async fn outage(&self, asked: Instant, sentence: String) -> Result<(), Response<Body>> {
        match self.sandbox.outage.failed(asked, Instant::now(), &self.sandbox.shared.outage) {
            Next::Retry(pause) if !(self.is_abandoned)() => {
                tracing::info!(sentence, "retrying the model API");
                tokio::time::sleep(pause).await;
                Ok(())
            }
            Next::LeaveToCli | Next::Retry(_) => Err(self.unreachable(sentence, Retried::ByCli)),
            Next::GiveUp => Err(self.unreachable(sentence, Retried::Nobody)),
        }
    }

    /// Returns true if the login was renewed since `credential` was read from it.
    fn changed(&self, credential: &Credential) -> bool {
        credential.kind() == CredentialKind::Login
            && self.sandbox.credential().is_ok_and(|current| !current.is_same(credential))
    }

    fn fail(&self, failure: GatewayFailure) {
        if self.request.endpoint == Endpoint::Messages {
            self.sandbox.fail(failure);
        }
    }

    fn without_credential(&self, unusable: Unusable) -> Response<Body> {
        let (sentence, failure): (_, fn(String) -> GatewayFailure) = match unusable {
            Unusable::None(sentence) => (sentence, |sentence| GatewayFailure::NoCredential { sentence }),
            Unusable::Expired(sentence) => (sentence, |sentence| GatewayFailure::AuthExpired { sentence }),
        };
        let answer = final_model_error(StatusCode::UNAUTHORIZED, "authentication_error", &sentence);
        self.fail(failure(sentence));
        answer
    }

    fn refused(&self, trouble: &Trouble, kind: CredentialKind) -> Response<Body> {
        let remedy = match kind {
            CredentialKind::ApiKey => "check ANTHROPIC_API_KEY",
            CredentialKind::OAuthToken => "check CLAUDE_CODE_OAUTH_TOKEN; `claude setup-token` makes a new one",
            CredentialKind::Login => "run `claude` on the host to log in again",
            CredentialKind::Scripted => "the scripted model was told to answer this",
        };
        let sentence = format!("{}; {remedy}", trouble.sentence());
        let answer = final_model_error(StatusCode::UNAUTHORIZED, "authentication_error", &sentence);
        self.fail(GatewayFailure::AuthExpired { sentence });
        answer
    }

    fn overloaded(&self, trouble: &Trouble, tries: u32) -> Response<Body> {
        let sentence = format!("{}, asked {tries} times", trouble.sentence());
        // All of these get the same status and type: 429 is the status for which every version of the CLI obeys the header.
        let mut answer = final_model_error(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", &sentence);
        let about_limits = |name: &str| name.starts_with("anthropic-ratelimit-") || name == "request-id";
        let mut headers = trouble.headers.clone();
        strip_model_answer(&mut headers);
        for (name, value) in headers.iter().filter(|(name, _)| about_limits(name.as_str())) {
            answer.headers_mut().insert(name.clone(), value.clone());
        }
        self.fail(GatewayFailure::CapacityReached { sentence });
        answer
    }

    /// The answer for an outage.
    fn unreachable(&self, sentence: String, retried: Retried) -> Response<Body> {
        let answer = match retried {
            Retried::ByCli => model_error(StatusCode::BAD_GATEWAY, "api_error", &sentence),
            // The status is one with which each version of the CLI obeys `x-should-retry`.
            Retried::Nobody => final_model_error(StatusCode::TOO_MANY_REQUESTS, "rate_limit_error", &sentence),
        };
        self.fail(GatewayFailure::Unreachable { sentence });
        answer
    }
}

#[derive(Default, Deserialize)]
struct ErrorBody {
    #[serde(default)]
    error: ErrorDetail,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ErrorDetail {
    r#type: String,
    message: String,
}

impl Trouble {
    async fn read(response: reqwest::Response) -> Trouble {
        let (status, headers) = (response.status(), response.headers().clone());
        let body = Upstream::error_body(response).await;
        let ErrorDetail { r#type: kind, message } =
            serde_json::from_slice::<ErrorBody>(&body).unwrap_or_default().error;
        let kind = if kind.is_empty() { "api_error".to_owned() } else { shortened(&kind) };
        Trouble { status, headers, body, kind, message: shortened(&message) }
    }

    fn is_overload(&self) -> bool {
        match self.status.as_u16() {
            429 | OVERLOADED => true,
            503 => self.kind == "overloaded_error",
            _ => false,
        }
    }

    /// Returns true if the API, or a gateway in front of it, does not have this model.
    fn refuses_model(&self, model: &str) -> bool {
        const REFUSALS: [&str; 6] = [
            "invalid model",
            "model identifier",
            "model not found",
            "model_not_found",
            "no such model",
            "unknown model",
        ];
        const OF_MODEL: [&str; 8] = [
            "access",
            "deprecated",
            "end-of-life",
            "not a valid",
            "not available",
            "not exist",
            "not found",
            "retired",
        ];
        let message = self.message.to_ascii_lowercase();
        let says = |words: &[&str]| words.iter().any(|words| message.contains(words));
        match self.status.as_u16() {
            400 | 403 | 404 | 422 => {
                message.starts_with("model:")
                    || self.kind == "model_not_found"
                    || says(&REFUSALS)
                    || (says(&[&model.to_ascii_lowercase()]) && says(&OF_MODEL))
            }
            _ => false,
        }
    }

    /// Returns true if the CLI may correct the request by itself: it leaves out features that the API does not take, and shortens a
    /// conversation that is too long.
    fn may_be_corrected(&self) -> bool {
        const WORDS: [&str; 20] = [
            "beta",
            "cache",
            "context",
            "defer",
            "display",
            "document",
            "extra",
            "field",
            "header",
            "image",
            "long",
            "max_tokens",
            "media",
            "output_config",
            "pdf",
            "schema",
            "support",
            "thinking",
            "tool",
            "unknown",
        ];
        let message = self.message.to_ascii_lowercase();
        WORDS.iter().any(|word| message.contains(word))
    }

    /// Returns true if the API itself marks a retry as useless.
    fn is_final(&self) -> bool {
        self.headers.get(X_SHOULD_RETRY).is_some_and(|value| value == "false")
    }

    fn sentence(&self) -> String {
        let status = self.status.as_u16();
        if self.message.is_empty() {
            format!("the model API answered {status}")
        } else {
            format!("the model API answered {status} ({}: {})", self.kind, self.message)
        }
    }

    fn location(&self) -> String {
        let location = self.headers.get(LOCATION).and_then(|value| value.to_str().ok());
        location.map_or_else(|| "elsewhere".to_owned(), shortened)
    }

    /// Returns the answer with a status after which the CLI does not try again. Version 2.1.332 repeats a request that got 400 or
    /// 422 five times, each time with fewer features, and ignores `x-should-retry`.
    fn pass_as_final(self) -> Response<Body> {
        final_model_error(StatusCode::PAYMENT_REQUIRED, &self.kind, &self.message)
    }

    /// Returns the answer unchanged.
    fn pass(self) -> Response<Body> {
        let mut answer = full(self.status, self.body);
        let mut headers = self.headers;
        strip_model_answer(&mut headers);
        *answer.headers_mut() = headers;
        answer
    }
}
