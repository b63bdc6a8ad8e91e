//! Asks: stored, ended once, listed, forgotten.

use domain::ask::{AskDecision, AskEnd, AskId, AskKind, AskRecord, AskState, OnTimeout, Remembered};
use domain::task::TaskRecord;
use jiff::Timestamp;
use serde_json::json;

use super::fixture::{insert, open, session, task};
use crate::{AskFilter, Change};

fn ask(task: &TaskRecord) -> AskRecord {
    AskRecord {
        id: AskId::generate(),
        session_id: task.session_id.clone(),
        task_id: task.id.clone(),
        kind: AskKind::Permission,
        state: AskState::Open,
        tool: "Bash".to_owned(),
        tool_use_id: "toolu_1".to_owned(),
        input: json!({ "command": "ls" }),
        truncated: false,
        title: None,
        description: None,
        asked_by: None,
        rule: "Bash(ls)".parse().ok(),
        questions: Vec::new(),
        created: Timestamp::UNIX_EPOCH,
        expires_at: Timestamp::UNIX_EPOCH,
        on_timeout: OnTimeout::Deny,
        end: AskEnd::default(),
    }
}

fn ended(ask: &AskRecord, state: AskState) -> AskRecord {
    let end = AskEnd { decision: Some(AskDecision::Allow), ..AskEnd::default() };
    AskRecord { state, end, ..ask.clone() }
}

fn ids(asks: &[AskRecord]) -> Vec<&str> {
    asks.iter().map(|ask| ask.id.as_str()).collect()
}

#[tokio::test]
async fn an_ask_ends_once_and_a_task_waits_until_then() {
    let (_directory, store) = open();
    let session = session("s");
    let task = task(&session, "hello");
    let (first, second) = (ask(&task), ask(&task));
    let opened = |ask: &AskRecord| Change::InsertAsk { session: session.key, ask: Box::new(ask.clone()) };
    let changes = vec![Change::InsertSession(session.clone()), insert(&task, None), opened(&first), opened(&second)];
    store.commit(changes).await.unwrap();
    assert_eq!(store.ask(&first.id).await.unwrap(), Some(first.clone()));
    assert_eq!(ids(&store.open_asks(session.key).await.unwrap()), [first.id.as_str(), second.id.as_str()]);
    assert!(store.task(&task.id).await.unwrap().unwrap().waiting);

    let answered = ended(&first, AskState::Answered);
    store.commit(vec![Change::EndAsk(Box::new(answered.clone()))]).await.unwrap();
    store.commit(vec![Change::EndAsk(Box::new(ended(&first, AskState::Expired)))]).await.unwrap();
    assert_eq!(store.ask(&first.id).await.unwrap(), Some(answered), "the first end counts");
    assert_eq!(ids(&store.open_asks_of_task(&task.id).await.unwrap()), [second.id.as_str()]);
    assert!(store.listed_task(&task.id).await.unwrap().unwrap().waiting);
    store.commit(vec![Change::EndAsk(Box::new(ended(&second, AskState::Withdrawn)))]).await.unwrap();
    assert!(!store.task(&task.id).await.unwrap().unwrap().waiting);
}

#[tokio::test]
async fn a_list_begins_with_the_open_ones_and_goes_on_in_pages() {
    let (_directory, store) = open();
    let (one, other) = (session("one"), session("other"));
    let (here, there) = (task(&one, "a"), task(&other, "b"));
    let asks = [ask(&here), ask(&there), ask(&here), ask(&there)];
    let mut changes = vec![Change::InsertSession(one.clone()), Change::InsertSession(other.clone())];
    changes.extend([insert(&here, None), insert(&there, None)]);
    for ask in &asks {
        let session = if ask.task_id == here.id { one.key } else { other.key };
        changes.push(Change::InsertAsk { session, ask: Box::new(ask.clone()) });
    }
    changes.push(Change::EndAsk(Box::new(ended(&asks[2], AskState::Answered))));
    store.commit(changes).await.unwrap();
    let mut found = Vec::new();
    let mut cursor = None;
    loop {
        let page = store.asks(&AskFilter::default(), cursor, 3).await.unwrap();
        found.extend(page.items);
        let Some(next) = page.next else { break };
        cursor = Some(next);
    }
    let expected = [3, 1, 0, 2].map(|number: usize| asks[number].id.as_str());
    assert_eq!(ids(&found), expected);
    let only = async |filter: AskFilter| store.asks(&filter, None, 9).await.unwrap().items;
    let of_task = only(AskFilter { task: Some(here.id.clone()), ..AskFilter::default() }).await;
    assert_eq!(ids(&of_task), [asks[0].id.as_str(), asks[2].id.as_str()]);
    let answered = only(AskFilter { state: Some(AskState::Answered), ..AskFilter::default() }).await;
    assert_eq!(ids(&answered), [asks[2].id.as_str()]);
    let visible = only(AskFilter { session_prefix: Some("oth".to_owned()), ..AskFilter::default() }).await;
    assert_eq!(visible.len(), 2);

    // A deleted session takes its asks and what it remembered along.
    let remembered = Remembered { rule: "Bash(ls)".parse().unwrap(), decision: AskDecision::Deny };
    store.commit(vec![Change::RememberDecision { session: one.key, remembered: remembered.clone() }]).await.unwrap();
    assert_eq!(store.remembered_decisions(one.key).await.unwrap(), [remembered]);
    store.commit(vec![Change::DeleteSession(one.key)]).await.unwrap();
    assert_eq!(store.ask(&asks[0].id).await.unwrap(), None);
    assert_eq!(store.remembered_decisions(one.key).await.unwrap(), []);
    assert_eq!(store.asks(&AskFilter::default(), None, 9).await.unwrap().items.len(), 2);
}
