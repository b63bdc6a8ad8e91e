//! Asks: listed, shown, answered.

use api_types::ask::{Ask, AskAnswer, AskDecision, AskState, Remember};
use api_types::parse_word;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use domain::ask::{AskId, AskRecord, DecidedBy};
use domain::session::SessionId;
use serde::Deserialize;
use sessions::session::{AnswerError, AnswerRequest};
use store::AskFilter;

use super::audit::Subject;
use super::body::RawBody;
use super::extract::{Path, Query};
use super::paging::Paging;
use super::session::prefix;
use super::{Api, ApiError};
use crate::access::Caller;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ListQuery {
    limit: Option<String>,
    cursor: Option<String>,
    session_id: Option<String>,
    task_id: Option<String>,
    state: Option<String>,
}

/// `GET /asks`: open ones first, then newest first, in pages like `GET /tasks`.
pub(super) async fn list(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Query(query): Query<ListQuery>,
) -> Result<Response, ApiError> {
    let paging = Paging::asked(query.limit.as_deref(), query.cursor.as_deref())?;
    let state = query.state.as_deref().map(parse_state).transpose()?;
    let session = query.session_id.as_deref().map(SessionId::existing).transpose();
    let task = query.task_id.as_deref().map(str::parse).transpose();
    let filter = AskFilter {
        state,
        session_id: session.map_err(|error| ApiError::invalid(format!("sessionId: {error}")))?,
        task: task.map_err(|error| ApiError::invalid(format!("taskId: {error}")))?,
        session_prefix: prefix(&caller).map(str::to_owned),
    };
    let page = api.store.asks(&filter, paging.cursor, paging.limit).await?;
    let filters = [("sessionId", &query.session_id), ("taskId", &query.task_id), ("state", &query.state)];
    Ok(paging.answer("/asks", &page, shown, &filters))
}

fn shown(record: &AskRecord) -> Ask {
    Ask::from(record)
}

/// `GET /ask/:id`.
pub(super) async fn show(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Ask>, ApiError> {
    Ok(Json(Ask::from(&visible_ask(&api, &caller, &id).await?)))
}

/// `POST /ask/:id/answer`: the first answer counts. A later one gets what was decided.
pub(super) async fn answer(
    State(api): State<Api>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    body: RawBody,
) -> Result<Response, ApiError> {
    let answer = checked(body.json().await?)?;
    let ask = visible_ask(&api, &caller, &id).await?;
    if ask.state != domain::ask::AskState::Open {
        return Err(ApiError::ask_ended(Ask::from(&ask)));
    }
    let by = if caller.key.is_some() { DecidedBy::Key } else { DecidedBy::Client };
    let request = AnswerRequest { ask: ask.id.clone(), answer, by };
    let answered = match api.registry.answer(&ask.session_id, request).await {
        Ok(answered) => answered,
        Err(AnswerError::NotOpen) => {
            let ended = visible_ask(&api, &caller, &id).await?;
            return Err(ApiError::ask_ended(Ask::from(&ended)));
        }
        Err(AnswerError::Invalid(sentence)) => return Err(ApiError::invalid(sentence)),
        Err(AnswerError::Store(error)) => return Err(error.as_ref().into()),
        Err(AnswerError::ShuttingDown) => return Err(ApiError::shutting_down()),
    };
    let mut response = Json(Ask::from(&answered)).into_response();
    let subject = Subject { session: Some(ask.session_id.to_string()), task: Some(ask.task_id.to_string()) };
    response.extensions_mut().insert(subject);
    Ok(response)
}

/// The words of an answer. The session checks it against the ask.
fn checked(body: AskAnswer) -> Result<domain::ask::AskAnswer, ApiError> {
    let decision = match body.decision {
        None => None,
        Some(AskDecision::Allow) => Some(domain::ask::AskDecision::Allow),
        Some(AskDecision::Deny) => Some(domain::ask::AskDecision::Deny),
        Some(AskDecision::Unknown) => return Err(ApiError::invalid("decision: it must be allow or deny")),
    };
    let remember = match body.remember {
        None => None,
        Some(Remember::Task) => Some(domain::ask::Remember::Task),
        Some(Remember::Session) => Some(domain::ask::Remember::Session),
        Some(Remember::Unknown) => return Err(ApiError::invalid("remember: it must be task or session")),
    };
    let AskAnswer { message, input, answers, .. } = body;
    Ok(domain::ask::AskAnswer { decision, message, input, answers, remember })
}

/// The ask of a path, where it exists for the caller.
async fn visible_ask(api: &Api, caller: &Caller, id: &str) -> Result<AskRecord, ApiError> {
    let ask: AskId = id.parse().map_err(|_| ApiError::unknown_ask(id))?;
    let record = api.store.ask(&ask).await?;
    record.filter(|record| caller.sees(&record.session_id)).ok_or_else(|| ApiError::unknown_ask(id))
}

fn parse_state(text: &str) -> Result<domain::ask::AskState, ApiError> {
    let refused = || ApiError::invalid("state: it must be open, answered, expired or withdrawn");
    match parse_word::<AskState>(text).ok_or_else(refused)? {
        AskState::Open => Ok(domain::ask::AskState::Open),
        AskState::Answered => Ok(domain::ask::AskState::Answered),
        AskState::Expired => Ok(domain::ask::AskState::Expired),
        AskState::Withdrawn => Ok(domain::ask::AskState::Withdrawn),
        AskState::Unknown => Err(refused()),
    }
}
