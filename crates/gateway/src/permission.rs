//! Enforces a key's models and its limit on the length of answers.

use std::borrow::Cow;

use bytes::Bytes;
use domain::access::KeyLimits;
use domain::model::is_same_model;
use serde::Deserialize;
use serde_json::value::RawValue;

/// A request that may be sent.
#[derive(Debug)]
pub(super) struct Permitted {
    /// The body, with a lower `max_tokens` if the key requires it.
    pub(super) body: Bytes,
    pub(super) model: String,
    /// The answer's maximum according to the request. `None`: the request does not state it.
    pub(super) output_tokens: Option<u64>,
    /// The answer is streamed, so it begins at once.
    pub(super) is_streamed: bool,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Denied {
    #[error("the request is not one of the Messages API: {0}")]
    Malformed(#[source] serde_json::Error),
    #[error("the model {model} is not one of those that the task's API key may use: {allowed}")]
    Model { model: String, allowed: String },
    /// The API requires more tokens for thinking.
    #[error(
        "an answer with the task's API key may have {limit} tokens, which is too few for one with thinking; turn thinking off"
    )]
    Thinking { limit: u32 },
}

/// The part of a request's body that the gateway reads. A duplicate field is an error, so that the API cannot read another value.
#[derive(Deserialize)]
struct Ask<'a> {
    #[serde(borrow)]
    model: Cow<'a, str>,
    #[serde(borrow)]
    max_tokens: Option<&'a RawValue>,
    #[serde(borrow)]
    thinking: Option<Thinking<'a>>,
    #[serde(borrow)]
    stream: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Thinking<'a> {
    #[serde(borrow)]
    budget_tokens: Option<&'a RawValue>,
}

/// The smallest `budget_tokens` that the API accepts.
const LEAST_THINKING: u64 = 1024;

pub(super) fn check(body: Bytes, limits: &KeyLimits) -> Result<Permitted, Denied> {
    let ask: Ask<'_> = serde_json::from_slice(&body).map_err(Denied::Malformed)?;
    if let Some(models) = &limits.models
        && !models.iter().any(|allowed| is_same_model(&ask.model, allowed))
    {
        return Err(Denied::Model { model: ask.model.chars().take(100).collect(), allowed: models.join(", ") });
    }
    let max_tokens: Option<u64> =
        ask.max_tokens.map(|raw| serde_json::from_str(raw.get())).transpose().map_err(Denied::Malformed)?;
    let thinking_budget = ask.thinking.and_then(|thinking| thinking.budget_tokens);
    // The API refuses a budget that is not a number.
    let thinking_tokens: Option<u64> = thinking_budget.and_then(|raw| serde_json::from_str(raw.get()).ok());
    let mut replaced: Vec<(&RawValue, u64)> = Vec::new();
    let mut sent_tokens = max_tokens;
    if let (Some(limit), Some(asked), Some(raw)) = (limits.max_output_tokens, max_tokens, ask.max_tokens)
        && asked > u64::from(limit)
    {
        replaced.push((raw, limit.into()));
        sent_tokens = Some(limit.into());
        // Thinking is part of the answer, and the API requires it to be the smaller number.
        if let Some(raw) = thinking_budget {
            let budget: u64 = serde_json::from_str(raw.get()).map_err(Denied::Malformed)?;
            match u64::from(limit).saturating_sub(1) {
                most if budget <= most => {}
                most if most < LEAST_THINKING => return Err(Denied::Thinking { limit }),
                most => replaced.push((raw, most)),
            }
        }
    }
    // With thinking between tool calls, `budget_tokens` may be larger than `max_tokens`.
    let thinking = if replaced.is_empty() { thinking_tokens } else { None };
    let output_tokens = sent_tokens.map(|tokens| tokens.max(thinking.unwrap_or_default()));
    let is_streamed = ask.stream.is_some_and(|raw| raw.get() == "true");
    let model = ask.model.into_owned();
    let body = if replaced.is_empty() { body } else { with_replaced(&body, replaced) };
    Ok(Permitted { body, model, output_tokens, is_streamed })
}

/// The values are slices of the body, so everything else stays unchanged, byte for byte.
fn with_replaced(body: &Bytes, values: Vec<(&RawValue, u64)>) -> Bytes {
    let start_of = |value: &RawValue| value.get().as_ptr() as usize - body.as_ptr() as usize;
    let mut values: Vec<_> = values.into_iter().map(|(value, new)| (start_of(value), value.get().len(), new)).collect();
    values.sort_unstable();
    let (mut changed, mut copied) = (Vec::with_capacity(body.len() + 8), 0);
    for (start, length, new) in values {
        changed.extend_from_slice(&body[copied..start]);
        changed.extend_from_slice(new.to_string().as_bytes());
        copied = start + length;
    }
    changed.extend_from_slice(&body[copied..]);
    changed.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(models: &[&str], max_output_tokens: Option<u32>) -> KeyLimits {
        let models = (!models.is_empty()).then(|| models.iter().map(|model| (*model).to_owned()).collect());
        KeyLimits { models, max_output_tokens, ..KeyLimits::default() }
    }

    fn sent(body: &'static str, limits: &KeyLimits) -> Result<String, String> {
        let permitted = check(Bytes::from_static(body.as_bytes()), limits).map_err(|denied| denied.to_string())?;
        Ok(String::from_utf8(permitted.body.to_vec()).unwrap())
    }

    #[test]
    fn nothing_but_the_number_changes() {
        let body =
            r#"{ "model":"claude-sonnet-4-6", "z": 1.50,"max_tokens" : 32000 ,"a":"\u00e9","max_tokens_":32000}"#;
        assert_eq!(sent(body, &limits(&[], None)).unwrap(), body);
        assert_eq!(sent(body, &limits(&[], Some(32_000))).unwrap(), body);
        assert_eq!(sent(body, &limits(&[], Some(800))).unwrap(), body.replacen("32000", "800", 1));
    }

    #[test]
    fn thinking_stays_below_the_answer() {
        let body = r#"{"model":"m","thinking":{"type":"enabled","budget_tokens":4000},"max_tokens":32000}"#;
        assert_eq!(sent(body, &limits(&[], Some(4001))).unwrap(), body.replace("32000", "4001"));
        assert_eq!(
            sent(body, &limits(&[], Some(4000))).unwrap(),
            body.replace(":4000}", ":3999}").replace("32000", "4000")
        );
        let turned = r#"{"max_tokens":32000,"thinking":{"budget_tokens":31999,"type":"enabled"},"model":"m"}"#;
        assert_eq!(
            sent(turned, &limits(&[], Some(9000))).unwrap(),
            turned.replace("32000", "9000").replace("31999", "8999")
        );
        let denied = sent(body, &limits(&[], Some(1024))).unwrap_err();
        assert!(denied.contains("1024"), "{denied}");
        assert!(sent(body, &limits(&[], Some(1025))).is_ok());
        // An answer within the limit needs no change.
        assert!(sent(body, &limits(&[], Some(32_000))).is_ok());
    }

    #[test]
    fn a_model_is_the_same_with_its_date() {
        let ask = r#"{"model":"claude-sonnet-4-5-20250929","max_tokens":1}"#;
        for allowed in ["claude-sonnet-4-5", "claude-sonnet-4-5-20250929", "claude-sonnet-4-5[1m]", "sonnet"] {
            assert!(sent(ask, &limits(&["claude-haiku-4-5", allowed], None)).is_ok(), "{allowed}");
        }
        for other in ["claude-sonnet-4", "claude-haiku-4-5", "haiku", "claude", ""] {
            let denied = sent(ask, &limits(&[other], None)).unwrap_err();
            assert!(denied.contains("claude-sonnet-4-5-20250929"), "{denied}");
        }
    }

    #[test]
    fn a_field_that_is_there_twice_is_no_way_round() {
        for body in [
            r#"{"model":"claude-haiku-4-5","model":"claude-opus-4-6","max_tokens":1}"#,
            r#"{"model":"claude-haiku-4-5","max_tokens":1,"max_tokens":99999}"#,
            r#"{"model":"claude-haiku-4-5","max_tokens":"99999"}"#,
        ] {
            let denied = sent(body, &limits(&["claude-haiku-4-5"], Some(10)));
            assert!(denied.is_err(), "{denied:?}");
        }
    }
}
