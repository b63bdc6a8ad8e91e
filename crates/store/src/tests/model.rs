//! Compares the store with a simple model in memory under random lists of changes.

use std::collections::BTreeMap;

use domain::event::StoredEvent;
use domain::session::SessionRecord;
use domain::task::{TaskRecord, TaskStatus};
use proptest::prelude::*;

use super::fixture::{append, at, completed, events, insert, open, session, task};
use crate::{Answers, Change, Store, TaskFilter};

/// One step. Numbers are indexes into a fixed set of sessions; tasks are numbered in order.
#[derive(Clone, Debug)]
enum Step {
    InsertSession(usize),
    UpdateSession(usize, u64),
    DeleteSession(usize),
    InsertTask(usize),
    EndTask(usize),
    Append { session: usize, task: Option<usize>, events: u64, skip: u64 },
}

#[derive(Clone, Default)]
struct Model {
    /// The existing sessions by index.
    sessions: BTreeMap<usize, SessionRecord>,
    events: BTreeMap<usize, Vec<(Option<usize>, StoredEvent)>>,
    tasks: Vec<TaskRecord>,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn reads_match_the_model(lists in prop::collection::vec(prop::collection::vec(step(), 1..5), 1..20)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(run(lists));
    }
}

fn step() -> impl Strategy<Value = Step> {
    let session = 0..3_usize;
    prop_oneof![
        3 => session.clone().prop_map(Step::InsertSession),
        1 => (session.clone(), 0..9_u64).prop_map(|(session, turns)| Step::UpdateSession(session, turns)),
        1 => session.clone().prop_map(Step::DeleteSession),
        3 => session.clone().prop_map(Step::InsertTask),
        1 => (0..6_usize).prop_map(Step::EndTask),
        // Most numbers are right. Some leave a gap, which must fail the whole list.
        5 => (session, prop::option::of(0..4_usize), 0..5_u64, prop_oneof![9 => Just(0_u64), 1 => Just(1_u64)])
            .prop_map(|(session, task, events, skip)| Step::Append { session, task, events, skip }),
    ]
}

async fn run(lists: Vec<Vec<Step>>) {
    let (_directory, store) = open();
    let names: Vec<_> = (0..3).map(|n| session(&format!("s{n}"))).collect();
    let mut model = Model::default();
    for list in lists {
        let mut next = model.clone();
        let mut changes = Vec::new();
        let mut valid = true;
        for step in &list {
            // The model decides which steps are valid; the store gets all of them, including invalid ones.
            valid &= next.apply(step, &names, &mut changes);
        }
        let result = store.commit(changes).await;
        assert_eq!(result.is_ok(), valid, "{list:?}: {result:?}");
        if valid {
            model = next;
        }
        compare(&store, &model, &names).await;
    }
}

impl Model {
    /// Applies the step. Returns true if it is valid.
    fn apply(&mut self, step: &Step, names: &[SessionRecord], changes: &mut Vec<Change>) -> bool {
        match *step {
            Step::InsertSession(n) => {
                // A deleted session that is created again is a new one with another key.
                let record = SessionRecord { key: session("x").key, ..names[n].clone() };
                changes.push(Change::InsertSession(record.clone()));
                let free = !self.sessions.contains_key(&n);
                if free {
                    self.sessions.insert(n, record);
                    self.events.insert(n, Vec::new());
                }
                free
            }
            Step::UpdateSession(n, turns) => {
                let known = self.sessions.get_mut(&n);
                let there = known.is_some();
                let record = known.map_or_else(
                    || names[n].clone(),
                    |record| {
                        record.turns = turns;
                        record.clone()
                    },
                );
                changes.push(Change::UpdateSession(record));
                there
            }
            Step::DeleteSession(n) => {
                let removed = self.sessions.remove(&n);
                self.events.remove(&n);
                changes.push(Change::DeleteSession(removed.as_ref().unwrap_or(&names[n]).key));
                if let Some(record) = &removed {
                    for task in self.tasks.iter_mut().filter(|task| task.session == record.key) {
                        forget(task);
                    }
                }
                removed.is_some()
            }
            Step::InsertTask(n) => {
                let record = task(self.sessions.get(&n).unwrap_or(&names[n]), &format!("message {}", self.tasks.len()));
                changes.push(insert(&record, None));
                self.tasks.push(record);
                self.sessions.contains_key(&n)
            }
            Step::EndTask(n) => {
                let Some(record) = self.tasks.get_mut(n) else { return true };
                // An answer that arrives after its session was deleted is stored unchanged.
                *record = completed(record, at(50));
                changes.push(Change::UpdateTask(record.clone()));
                true
            }
            Step::Append { session: n, task, events: count, skip } => {
                let record = self.sessions.get_mut(&n);
                let there = record.is_some();
                let (key, newest) = record.as_ref().map_or((names[n].key, 0), |record| (record.key, record.last_seq));
                let list = events(newest + 1 + skip, newest + count + skip);
                let of = task.and_then(|task| self.tasks.get(task));
                changes.push(append(key, of, list.clone()));
                if let Some(record) = record {
                    record.last_seq += count;
                    let of = of.and(task);
                    self.events.entry(n).or_default().extend(list.into_iter().map(|event| (of, event)));
                }
                there && (skip == 0 || count == 0)
            }
        }
    }
}

fn forget(task: &mut TaskRecord) {
    task.request.message.clear();
    task.request.context = None;
    task.request.metadata = None;
    if let Some(answer) = &mut task.answer {
        answer.output = None;
        answer.response = None;
    }
}

async fn compare(store: &Store, model: &Model, names: &[SessionRecord]) {
    for (n, name) in names.iter().enumerate() {
        let read = store.session(&name.id).await.unwrap();
        assert_eq!(format!("{read:?}"), format!("{:?}", model.sessions.get(&n)));
        let Some(record) = model.sessions.get(&n) else { continue };
        let expected: Vec<_> = model.events[&n].iter().map(|(_, event)| event.clone()).collect();
        assert_eq!(store.events(record.key, 0, usize::MAX).await.unwrap(), expected);
        let unfinished = store.unfinished_tasks(record.key).await.unwrap();
        let expected = model.tasks.iter().filter(|task| task.session == record.key && !task.status.is_final());
        let expected: Vec<_> =
            expected.map(|task| TaskRecord { request: task.request.without_texts(), ..task.clone() }).collect();
        assert!(unfinished.iter().map(|task| &task.record).eq(&expected));
    }
    let mut expected = model.tasks.clone();
    expected.reverse();
    assert_eq!(store.tasks(&TaskFilter::default(), Answers::Whole, None, 1000).await.unwrap().items, expected);
    let completed = TaskFilter { status: Some(TaskStatus::Completed), ..TaskFilter::default() };
    expected.retain(|task| task.status == TaskStatus::Completed);
    assert_eq!(store.tasks(&completed, Answers::Whole, None, 1000).await.unwrap().items, expected);
}
