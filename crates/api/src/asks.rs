//! The field `asks` of a task, which narrows the table `[asks]` of its agent.

use api_types::ask::{OnTimeout, Stance, TaskAsks};
use domain::ask::{AskPolicy, MAX_HOLD_MS, MAX_RULES, MAX_TIMEOUT_MS, Narrowing, Rule};
use domain::plain::of_serde;
use serde_json::value::RawValue;

use super::ApiError;

/// The policy of a task. `None`: nothing is asked.
pub(super) fn policy(asks: Option<&RawValue>, table: Option<AskPolicy>) -> Result<Option<AskPolicy>, ApiError> {
    let Some(asks) = asks.filter(|asks| asks.get() != "null") else { return Ok(table) };
    // A sentence about the whole field has no name in front.
    let field = |sentence: String| {
        let separator = if sentence.starts_with("it ") { ": " } else { "." };
        ApiError::invalid(format!("asks{separator}{sentence}"))
    };
    let narrowing = read(asks.get()).map_err(field)?;
    let narrowed = table.unwrap_or_else(AskPolicy::without_table).narrowed(narrowing);
    narrowed.map(Some).map_err(|problem| field(problem.to_string()))
}

fn read(json: &str) -> Result<Narrowing, String> {
    let mut members: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(json).map_err(|_| "it must be an object".to_owned())?;
    if members.remove("allow").is_some() {
        return Err("allow: a task can only make its agent's table [asks] stricter".to_owned());
    }
    let asks: TaskAsks =
        serde_json::from_value(members.into()).map_err(|error| of_serde("field", &error.to_string()))?;
    let stance = |stance| match stance {
        Stance::Allow => domain::ask::Stance::Allow,
        Stance::Ask => domain::ask::Stance::Ask,
        Stance::Deny => domain::ask::Stance::Deny,
    };
    let on_timeout = match asks.on_timeout {
        None => None,
        Some(OnTimeout::Allow) => Some(domain::ask::OnTimeout::Allow),
        Some(OnTimeout::Deny) => Some(domain::ask::OnTimeout::Deny),
        Some(OnTimeout::Fail) => Some(domain::ask::OnTimeout::Fail),
        Some(OnTimeout::Unknown) => return Err("onTimeout: it must be allow, deny or fail".to_owned()),
    };
    Ok(Narrowing {
        tools: asks.tools.map(stance),
        ask: rules("ask", &asks.ask)?,
        deny: rules("deny", &asks.deny)?,
        questions: asks.questions,
        plans: asks.plans.map(stance),
        timeout_ms: within("timeoutMs", asks.timeout_ms, 1, MAX_TIMEOUT_MS)?,
        on_timeout,
        hold_ms: within("holdMs", asks.hold_ms, 0, MAX_HOLD_MS)?,
    })
}

fn rules(name: &str, texts: &[String]) -> Result<Vec<Rule>, String> {
    if texts.len() > MAX_RULES {
        return Err(format!("{name}: it must have at most {MAX_RULES} rules"));
    }
    let parse = |text: &String| text.parse().map_err(|error| format!("{name}: {text:?}: {error}"));
    texts.iter().map(parse).collect()
}

fn within(name: &str, value: Option<u64>, least: u64, most: u64) -> Result<Option<u64>, String> {
    match value {
        Some(value) if value < least || value > most => Err(format!("{name}: it must be from {least} to {most}")),
        value => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use domain::ask::AskPolicy;
    use serde_json::value::RawValue;

    use super::policy;

    #[test]
    fn an_error_names_the_member() {
        for (json, expected) in [
            (r#"{"allow": []}"#, "asks.allow: a task can only"),
            (r#"{"dney": []}"#, "asks.dney: there is no such field; did you mean deny?"),
            (r#"{"deny": ["Bsh"]}"#, "asks.deny: \"Bsh\": there is no tool Bsh; did you mean Bash?"),
            (r#"{"tools": "allow"}"#, "asks.tools: a task can only"),
            (r#"{"timeoutMs": 0}"#, "asks.timeoutMs: it must be from 1"),
            (r#"{"onTimeout": "x"}"#, "asks.onTimeout: it must be"),
            ("[]", "asks: it must be an object"),
        ] {
            let table = AskPolicy { tools: domain::ask::Stance::Ask, ..AskPolicy::default() };
            let error = policy(Some(&RawValue::from_string(json.to_owned()).unwrap()), Some(table)).unwrap_err();
            assert!(error.sentence().starts_with(expected), "{json}: {}", error.sentence());
        }
        let closed = policy(Some(&RawValue::from_string(r#"{"ask": ["Bash"]}"#.to_owned()).unwrap()), None);
        let closed = closed.unwrap().unwrap();
        assert!(!closed.questions && closed.ask.len() == 1);
        assert_eq!(policy(None, None).unwrap(), None);
    }
}
