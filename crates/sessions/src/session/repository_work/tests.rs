use domain::event::EndedBy;
use domain::repository::Pull;
use domain::task::{Answer, ErrorType, Failure, Stage, TaskRecord, TaskStatus};
use gateway::UsageSnapshot;

use super::stages::{enter_worker_stage, on_pull_opened};
use super::{WoundUp, conclude};
use crate::session::durable::{DurableState, accept, test_durable};
use crate::session::running::Running;
use crate::session::tasks::{Tasks, test_checkout, test_tasks};

const URL: &str = "https://forge.example/acme/api/pull/1";

fn pull() -> Pull {
    let (node_id, html_url, state) = ("PR_1".to_owned(), URL.to_owned(), "open".to_owned());
    Pull { number: 1, node_id, html_url, draft: true, state }
}

fn working(durable: &mut DurableState) -> Tasks {
    let mut tasks = test_tasks(5);
    let task = accept(durable);
    durable.set_checkout(test_checkout(), true);
    tasks.begin(Running::begin(task, false, UsageSnapshot::default()), durable);
    enter_worker_stage(&mut tasks, durable);
    tasks
}

/// Ends the running task with a report, which has blockers if the agent could not finish.
fn end(tasks: &mut Tasks, durable: &mut DurableState, blockers: Option<&str>) {
    let running = tasks.running_mut().unwrap();
    running.accept(&running.prompt().to_string());
    let output = serde_json::json!({ "title": "t", "summary": "s", "checks": [], "blockers": blockers });
    let record = tasks.take_accepted().unwrap().complete(UsageSnapshot::default(), Some(output), None);
    tasks.write_end(record, EndedBy::Request, durable);
}

/// The record of the task that ended.
async fn concluded(wound_up: WoundUp, tasks: &mut Tasks, durable: &mut DurableState) -> TaskRecord {
    assert!(conclude(Some(wound_up), tasks, durable));
    durable.flush().await.unwrap().ended.remove(0)
}

#[tokio::test]
async fn a_task_shows_its_repository_and_the_pull_request_once_that_is_open() {
    let (_directory, _store, mut durable) = test_durable();
    let mut tasks = working(&mut durable);
    let progress = |tasks: &Tasks| tasks.running().unwrap().record.repository.clone().unwrap();
    assert_eq!((progress(&tasks).stage, progress(&tasks).pull_url), (Some(Stage::Worker), None));
    assert_eq!(progress(&tasks).branch.as_deref(), Some("claude/1"));
    on_pull_opened(pull(), &mut tasks, &mut durable);
    assert_eq!(progress(&tasks).pull_url.as_deref(), Some(URL));
    assert_eq!(durable.repository().unwrap().pull, Some(pull()));
}

#[tokio::test]
async fn a_task_is_completed_once_its_work_is_handed_in() {
    let (_directory, _store, mut durable) = test_durable();
    let mut tasks = working(&mut durable);
    assert!(!conclude(None, &mut tasks, &mut durable), "no task has ended");
    end(&mut tasks, &mut durable, None);
    let record = concluded(WoundUp { pull: Some(pull()), failure: None }, &mut tasks, &mut durable).await;
    let progress = record.repository.unwrap();
    assert_eq!((record.status, progress.summary.as_deref()), (TaskStatus::Completed, Some("s")));
    assert_eq!(progress.pull_url.as_deref(), Some(URL));
}

#[tokio::test]
async fn a_task_whose_work_cannot_be_handed_in_fails_before_its_blockers_do() {
    let (_directory, _store, mut durable) = test_durable();
    for (failure, expected) in
        [(None, ErrorType::ExitCode), (Some(Failure::new(ErrorType::PushRejected, "refused")), ErrorType::PushRejected)]
    {
        let mut tasks = working(&mut durable);
        end(&mut tasks, &mut durable, Some("no access"));
        let record = concluded(WoundUp { pull: None, failure }, &mut tasks, &mut durable).await;
        assert_eq!(record.failure.unwrap().error_type, expected);
        let Answer { status, .. } = record.answer.unwrap();
        assert_eq!((record.status, status), (TaskStatus::Failed, TaskStatus::Failed));
    }
}

#[tokio::test]
async fn a_task_that_failed_by_itself_names_the_work_that_was_not_handed_in() {
    let (_directory, _store, mut durable) = test_durable();
    let mut tasks = working(&mut durable);
    let running = tasks.running_mut().unwrap();
    running.accept(&running.prompt().to_string());
    let mut record = tasks.take_accepted().unwrap().complete(UsageSnapshot::default(), None, None);
    record.status = TaskStatus::Failed;
    record.failure = Some(Failure::new(ErrorType::Timeout, "it took too long"));
    tasks.write_end(record, EndedBy::Request, &mut durable);
    let pushed = Failure::new(ErrorType::CapacityReached, "what was pushed is on the branch claude/1");
    let record = concluded(WoundUp { pull: None, failure: Some(pushed) }, &mut tasks, &mut durable).await;
    let failure = record.failure.unwrap();
    assert_eq!(failure.error_type, ErrorType::Timeout);
    assert_eq!(failure.error, "it took too long; what was pushed is on the branch claude/1");
}
