//! Sends a model request upstream, retries while the API is overloaded, and describes failures in a sentence.

use failpoint::failpoint;
use http::{Response, StatusCode};
use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use super::sentences::{CHARGED, End, foreign_sentence, is_html, silence};
use super::trouble::Trouble;
use super::unprocessed::is_unprocessed;
use super::{Endpoint, ModelRequest};
use crate::answer::{Body, final_model_error, in_words, model_error};
use crate::credential::{Credential, CredentialKind, Unusable};
use crate::failure::GatewayFailure;
use crate::headers::strip_model_answer;
use crate::meter::MeteredRequest;
use crate::outage::Next;
use crate::retry::retry_after;
use crate::sandbox::SandboxGateway;
use crate::upstream::Unreached;

/// An answer of the API whose head has arrived.
pub(super) struct Answered {
    pub(super) response: reqwest::Response,
    /// The time at which the request was sent.
    pub(super) asked: Instant,
    /// The time at which the answer must have begun, or must be complete if it is one document.
    pub(super) deadline: Instant,
}

/// Returns the API's successful answer, or the gateway's in its place. The request is sent again only if the API refused it or was
/// not reached, and if the agent has not abandoned it. The entry is marked as refused unless the API may have carried the request
/// out, at its price.
pub(super) async fn send(
    sandbox: &SandboxGateway,
    request: &ModelRequest,
    entry: Option<&mut MeteredRequest>,
    is_abandoned: impl Fn() -> bool,
) -> Result<Answered, Box<Response<Body>>> {
    let attempt = Attempt { sandbox, request, entry, is_abandoned };
    attempt.run().await
}

struct Attempt<'a, F> {
    sandbox: &'a SandboxGateway,
    request: &'a ModelRequest,
    /// It is marked as sent while the API may carry the request out, and as refused in each pause between two tries. `None`: the
    /// request costs nothing.
    entry: Option<&'a mut MeteredRequest>,
    is_abandoned: F,
}

/// The program that retries a request which the gateway has given up.
#[derive(Clone, Copy)]
enum Retried {
    ByCli,
    Nobody,
}

/// Returns true for a status with which a server in front of the API tells that it got no answer. It may have passed the request on.
/// 520 and 524 are Cloudflare's.
fn is_of_intermediary(status: StatusCode) -> bool {
    matches!(status.as_u16(), 502 | 504 | 520 | 524)
}

impl<F: Fn() -> bool> Attempt<'_, F> {
    async fn run(mut self) -> Result<Answered, Box<Response<Body>>> {
        // An outage between two of them is no overload.
        let (mut overloads, mut overloaded_since) = (0, None);
        let mut refused: Option<Credential> = None;
        loop {
            let credential = match self.sandbox.credential() {
                Ok(credential) => credential,
                Err(unusable) => return Err(self.without_credential(unusable).into()),
            };
            failpoint!("model.asking");
            let asked = Instant::now();
            let deadline =
                asked + self.sandbox.outage.time_to_answer(asked, &self.sandbox.shared.outage) + self.request.allowance;
            let response = match timeout_at(deadline, self.post(&credential)).await {
                Ok(Ok(response)) => response,
                Ok(Err(error)) if is_unprocessed(&error) => {
                    self.was_refused(StatusCode::BAD_GATEWAY);
                    let unreached = self.sandbox.shared.upstream.unreached(&error).await;
                    self.not_reached(asked, unreached).await?;
                    continue;
                }
                Ok(Err(error)) => {
                    let how =
                        format!("the connection to the model API broke before the answer began: {}", in_words(&error));
                    return Err(self.broken(asked, &how).into());
                }
                Err(_) => return Err(self.broken(asked, &silence(asked, None)).into()),
            };
            failpoint!("model.answering");
            if response.status().is_success() {
                return Ok(Answered { response, asked, deadline });
            }
            if !is_of_intermediary(response.status()) {
                self.was_refused(response.status());
            }
            let trouble = Trouble::read(response, deadline).await;
            if let Some(unreached) = self.sandbox.shared.upstream.refusal_of_proxy(trouble.status, &trouble.headers) {
                if is_of_intermediary(trouble.status) {
                    // The proxy may have passed the request on, and the API may have carried it out.
                    return Err(self.broken(asked, &unreached.why).into());
                }
                self.was_refused(trouble.status);
                self.not_reached(asked, unreached).await?;
                continue;
            }
            if trouble.status == StatusCode::FORBIDDEN && is_html(&trouble.headers) {
                // The API's own refusal of a credential is JSON.
                let sentence = foreign_sentence(&trouble.headers, &trouble.body, End::Whole);
                return Err(self.unreachable(sentence, Retried::Nobody).into());
            }
            if is_of_intermediary(trouble.status) && !trouble.is_of_api {
                return Err(self.broken(asked, &trouble.sentence()).into());
            }
            self.was_refused(trouble.status);
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

    async fn post(&mut self, credential: &Credential) -> Result<reqwest::Response, reqwest::Error> {
        let mut headers = self.request.headers.clone();
        credential.put_in(&mut headers);
        let ModelRequest { endpoint, query, body, .. } = self.request;
        if let Some(entry) = &mut self.entry {
            entry.sent();
        }
        self.sandbox.shared.upstream.post(endpoint.path(), query.as_deref(), headers, body.clone()).await
    }

    fn was_refused(&mut self, status: StatusCode) {
        if let Some(entry) = &mut self.entry {
            entry.refused(status);
        }
    }

    /// The answer for a request that was sent and has no answer. The gateway does not send it again, because the API may charge each
    /// try: the CLI does so with a new reservation.
    fn broken(&self, asked: Instant, how: &str) -> Response<Body> {
        let charge = if self.entry.is_some() { CHARGED } else { "" };
        let sentence = format!("{how}{charge}");
        let in_time = self.sandbox.outage.leaves_time_to_cli(asked, Instant::now(), &self.sandbox.shared.outage);
        self.unreachable(sentence, if in_time { Retried::ByCli } else { Retried::Nobody })
    }

    /// Like [`Attempt::outage`], for an API that the request did not reach.
    async fn not_reached(&self, asked: Instant, unreached: Unreached) -> Result<(), Response<Body>> {
        let Unreached { why, is_lasting } = unreached;
        let sentence = format!("the model API could not be reached: {why}");
        if is_lasting {
            return Err(self.unreachable(sentence, Retried::Nobody));
        }
        self.outage(asked, sentence).await
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

    fn without_credential(&mut self, unusable: Unusable) -> Response<Body> {
        let (sentence, failure): (_, fn(String) -> GatewayFailure) = match unusable {
            Unusable::None(sentence) => (sentence, |sentence| GatewayFailure::NoCredential { sentence }),
            Unusable::Expired(sentence) => (sentence, |sentence| GatewayFailure::AuthExpired { sentence }),
        };
        let answer = final_model_error(StatusCode::UNAUTHORIZED, "authentication_error", &sentence);
        self.was_refused(StatusCode::UNAUTHORIZED);
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
