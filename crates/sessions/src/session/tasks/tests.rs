use std::collections::BTreeSet;

use domain::access::KeyLimits;
use domain::agent::AgentName;
use domain::budget::{InstallationLimits, Payer};
use domain::event::EndedBy;
use domain::repository::Checkout;
use domain::session::SessionKey;
use domain::task::{ErrorType, Failure, RepositoryProgress, Stage, TaskId, TaskRecord, TaskRequest, TaskStatus};
use domain::usage::Cost;
use gateway::UsageSnapshot;
use gateway::budget::{Budgets, Certainty};
use jiff::Timestamp;
use store::UnfinishedTask;
use tokio::time::Instant;
use uuid::Uuid;

use super::{End, Overdue, RetryReason, Tasks, WaitingTask};
use crate::session::durable::{DurableState, accept, test_durable};
use crate::session::request::{AbortScope, Submission};
use crate::session::running::Running;

/// The submission of [`test_record`]'s request.
pub(crate) fn test_submission() -> Submission {
    Submission {
        task: None,
        agent: AgentName::default(),
        request: test_record().request,
        env: [].into(),
        needs: Vec::new(),
        idempotency: None,
        webhook: None,
    }
}

/// A queued task of the session `demo`.
pub(crate) fn test_record() -> TaskRecord {
    TaskRecord {
        id: TaskId::generate(),
        session: SessionKey::generate(),
        session_id: "demo".parse().unwrap(),
        status: TaskStatus::Queued,
        request: TaskRequest {
            message: "hello".to_owned(),
            context: None,
            model: "claude-haiku-4-5".to_owned(),
            max_turns: 10,
            timeout_ms: 60_000,
            max_cost_usd: None,
            retry: 0,
            metadata: None,
            key: None,
            key_limits: KeyLimits::default(),
            repository: None,
            scripted: false,
            trace_parent: None,
            asks: None,
        },
        created: Timestamp::now(),
        started: None,
        finished: None,
        attempt: 0,
        answer: None,
        failure: None,
        repository: None,
        waiting: false,
    }
}

/// Returns an empty task list without cost limits.
pub(crate) fn test_tasks(bound: usize) -> Tasks {
    Tasks::new(bound, Budgets::in_memory(InstallationLimits::default()))
}

fn begin(tasks: &mut Tasks, durable: &mut DurableState) -> TaskId {
    let task = accept(durable);
    let id = task.record.id.clone();
    tasks.begin(Running::begin(task, false, UsageSnapshot::default()), durable);
    id
}

fn aborted() -> End {
    End::new(Failure::new(ErrorType::Aborted, "no more"), EndedBy::Request)
}

#[test]
fn a_waiting_task_holds_no_texts() {
    let texts = TaskRequest {
        message: "m".repeat(4_000_000),
        context: Some("c".repeat(4_000_000)),
        metadata: Some(serde_json::json!({ "m": "d".repeat(16_000) })),
        ..test_record().request
    };
    let record = TaskRecord { request: texts, ..test_record() };
    let waiting = WaitingTask::new(&record, Uuid::new_v4());
    assert_eq!(waiting.record, TaskRecord { request: record.request.without_texts(), ..record.clone() });
    let bytes = serde_json::to_string(&waiting.record).unwrap().len();
    assert!(bytes < 1024, "{bytes} bytes");
}

#[tokio::test]
async fn a_task_that_its_agent_never_started_on_starts_again_once() {
    let (_directory, _store, mut durable) = test_durable();
    let mut tasks = test_tasks(5);
    let id = begin(&mut tasks, &mut durable);
    assert!(tasks.restart_lost(ErrorType::ExitCode, &mut durable));
    let again = tasks.pop().unwrap();
    assert_eq!((&again.record.id, again.record.attempt, tasks.running().is_none()), (&id, 1, true));
    tasks.begin(Running::begin(again, false, UsageSnapshot::default()), &mut durable);
    assert!(!tasks.restart_lost(ErrorType::ExitCode, &mut durable), "it started twice");
}

#[tokio::test]
async fn a_task_that_its_agent_works_on_starts_again_as_often_as_its_caller_allowed() {
    let (_directory, _store, mut durable) = test_durable();
    let mut tasks = test_tasks(5);
    begin(&mut tasks, &mut durable);
    tasks.assume_active();
    assert!(!tasks.restart_not_started(RetryReason::AgentHung, &mut durable));
    assert!(!tasks.restart_lost(ErrorType::ContainerLost, &mut durable));
    tasks.running_mut().unwrap().record.request.retry = 1;
    assert!(tasks.restart_lost(ErrorType::ContainerLost, &mut durable));
}

#[tokio::test]
async fn an_abort_ends_the_tasks_in_its_scope() {
    let (_directory, _store, mut durable) = test_durable();
    let mut tasks = test_tasks(5);
    let (one, other) = (accept(&mut durable), accept(&mut durable));
    let scope = AbortScope::Task(one.record.id.clone());
    tasks.push(one.clone());
    tasks.push(other.clone());
    assert!(tasks.end_queued(&scope, &aborted(), &mut durable));
    assert!(!tasks.end_queued(&scope, &aborted(), &mut durable));
    assert!(durable.ends(&one.record.id) && !durable.ends(&other.record.id));
    assert!(tasks.end_queued(&AbortScope::Session, &aborted(), &mut durable));
    assert!(durable.ends(&other.record.id) && !tasks.is_busy());
}

#[tokio::test]
async fn a_message_is_sent_once_and_again_only_where_nobody_confirmed_it() {
    let (_directory, _store, mut durable) = test_durable();
    let mut tasks = test_tasks(5);
    begin(&mut tasks, &mut durable);
    assert!(tasks.take_pending_prompt());
    assert!(!tasks.take_pending_prompt());
    let running = tasks.running_mut().unwrap();
    running.resend_prompt();
    assert!(tasks.take_pending_prompt());
    let running = tasks.running_mut().unwrap();
    running.accept(&running.prompt().to_string());
    running.resend_prompt();
    assert!(!tasks.take_pending_prompt());
}

#[tokio::test]
async fn a_task_without_time_is_interrupted_and_then_ended() {
    let (_directory, _store, mut durable) = test_durable();
    let mut tasks = test_tasks(5);
    assert!(tasks.overdue(Instant::now(), None).is_none());
    begin(&mut tasks, &mut durable);
    let running = tasks.running_mut().unwrap();
    let (before, deadline) = (Instant::now(), running.deadline().unwrap());
    assert!(tasks.overdue(before, None).is_none());
    assert!(matches!(tasks.overdue(before, Some(before)), Some(Overdue::Stalled)));
    let Some(Overdue::TimedOut(failure)) = tasks.overdue(deadline, None) else { panic!() };
    let running = tasks.running_mut().unwrap();
    assert!(running.force_failure(failure.clone()));
    assert!(!running.force_failure(failure), "the first failure stays");
    let deadline = running.deadline().unwrap();
    assert!(matches!(tasks.overdue(deadline, None), Some(Overdue::NotInterrupted(_))));
}

#[tokio::test]
async fn the_end_of_a_task_with_work_to_hand_in_is_not_published() {
    let (_directory, _store, mut durable) = test_durable();
    let mut tasks = test_tasks(5);
    let id = begin(&mut tasks, &mut durable);
    durable.set_checkout(test_checkout(), true);
    let progress = RepositoryProgress { stage: Some(Stage::Worker), ..RepositoryProgress::default() };
    tasks.running_mut().unwrap().record.repository = Some(progress);
    tasks.end_running(aborted(), UsageSnapshot::default(), &mut durable);
    assert!(!durable.ends(&id) && tasks.running().is_none() && tasks.is_busy());
    let ending = tasks.take_ending().unwrap();
    tasks.publish_end(ending.record, ending.by, &mut durable);
    assert!(durable.ends(&id));
}

#[tokio::test]
async fn the_end_of_a_task_is_published_once_its_requests_are_charged() {
    let (_directory, _store, mut durable) = test_durable();
    let budgets = Budgets::in_memory(InstallationLimits::default());
    let mut tasks = Tasks::new(5, budgets.clone());
    let id = begin(&mut tasks, &mut durable);
    let payer = Payer { task: Some(id.clone()), ..Payer::default() };
    let request = budgets.try_reserve(&payer, "m", Cost::from_dollars(1.0), Certainty::Bounded).await.unwrap();
    assert!(request.is_some());
    tasks.end_running(aborted(), UsageSnapshot::default(), &mut durable);
    assert_eq!((tasks.unsettled(), durable.ends(&id)), (Some(&id), false));
    assert_eq!((tasks.take_unsettled(), tasks.take_unsettled()), (Some(id.clone()), None), "the worker waits once");
    assert!(tasks.is_busy() && tasks.handing_in().is_none());
    drop(request);
    budgets.settled(&id).await;
    assert!(tasks.publish_settled(&mut durable) && !tasks.publish_settled(&mut durable));
    assert!(durable.ends(&id) && !tasks.is_busy());
}

#[tokio::test]
async fn the_tasks_of_the_previous_coordinator_are_sorted() {
    let (_directory, _store, durable) = test_durable();
    let running = |stage: Option<Stage>| {
        let repository = Some(RepositoryProgress { stage, ..RepositoryProgress::default() });
        TaskRecord { status: TaskStatus::Running, repository, ..test_record() }
    };
    let (worked, prepared, queued) = (running(None), running(Some(Stage::Orchestrator)), test_record());
    let mut tasks = test_tasks(1);
    let unfinished = [&worked, &prepared, &queued]
        .map(|record| UnfinishedTask { record: record.clone(), prompt_uuid: Uuid::new_v4() });
    let begun = tasks.restore(unfinished.into(), &durable);
    assert_eq!(begun.map(|task| task.record.id), Some(worked.id));
    let waiting = [tasks.pop(), tasks.pop()].map(|task: Option<WaitingTask>| task.unwrap().record.id);
    assert_eq!(waiting, [prepared.id, queued.id], "although the queue is full");
}

/// A checkout of `acme/api`.
pub(crate) fn test_checkout() -> Checkout {
    Checkout {
        name: "acme/api".parse().unwrap(),
        base: "main".to_owned(),
        start: "a".repeat(40),
        base_commit: "a".repeat(40),
        branch: "claude/1".to_owned(),
        own_branch: true,
        made: BTreeSet::new(),
        submodules: Vec::new(),
        size: 0,
    }
}
