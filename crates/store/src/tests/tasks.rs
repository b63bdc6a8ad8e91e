//! Lists, cursors, idempotency, and the remains of a deleted session.

use domain::session::SessionRecord;
use domain::task::{Answer, ErrorType, Failure, RepositoryProgress, TaskRecord, TaskRequest, TaskStatus};

use super::fixture::{append, at, completed, events, insert, lines, numbers, open, sandbox, session, task};
use crate::{Answers, Change, Cursor, IdempotencyKey, LISTED_CHARS, StoreError, TaskFilter};

fn key(key: &str, body: u8) -> IdempotencyKey {
    IdempotencyKey { key: key.to_owned(), scope: String::new(), body_sha256: [body; 32] }
}

#[tokio::test]
async fn an_idempotency_key_makes_one_task_for_a_day() {
    let (_directory, store) = open();
    let a = session("a");
    store.commit(vec![Change::InsertSession(a.clone())]).await.unwrap();
    let first = task(&a, "m");
    // A list that failed for another reason does not use up the key.
    let failed = store.commit(vec![insert(&first, Some(key("k", 1))), Change::InsertSession(a.clone())]).await;
    assert!(matches!(failed, Err(StoreError::Duplicate(_))), "{failed:?}");
    store.commit(vec![insert(&first, Some(key("k", 1)))]).await.unwrap();

    let second = task(&a, "m");
    for (body, same) in [(1, true), (2, false)] {
        // The error of the idempotency key comes first, whatever else is wrong with the list.
        let list = vec![Change::InsertSession(a.clone()), insert(&second, Some(key("k", body)))];
        match store.commit(list).await {
            Err(StoreError::IdempotencyKeyUsed { task, same_body }) => {
                assert_eq!((task, same_body), (first.id.clone(), same));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(store.task(&second.id).await.unwrap(), None);
    let other_scope = IdempotencyKey { scope: "someone".into(), ..key("k", 1) };
    store.commit(vec![insert(&task(&a, "m"), Some(other_scope))]).await.unwrap();
    let next_day = TaskRecord { created: at(2 + 24 * 3600), ..task(&a, "m") };
    store.commit(vec![insert(&next_day, Some(key("k", 2)))]).await.unwrap();
    let third = TaskRecord { created: next_day.created, ..task(&a, "m") };
    let used = store.commit(vec![insert(&third, Some(key("k", 2)))]).await;
    assert!(matches!(used, Err(StoreError::IdempotencyKeyUsed { task, same_body: true }) if task == next_day.id));
}

#[tokio::test]
async fn pages_hold_while_the_list_grows() {
    let (_directory, store) = open();
    let a = session("a");
    store.commit(vec![Change::InsertSession(a.clone())]).await.unwrap();
    let old: Vec<_> = (0..5).map(|n| task(&a, &format!("old {n}"))).collect();
    store.commit(old.iter().map(|task| insert(task, None)).collect()).await.unwrap();
    let (mut seen, mut cursor) = (Vec::new(), None);
    loop {
        let page = store.tasks(&TaskFilter::default(), Answers::Short, cursor, 2).await.unwrap();
        seen.extend(page.items.into_iter().map(|task| task.request.message));
        store.commit(vec![insert(&task(&a, "new"), None)]).await.unwrap();
        // Parse the cursor's text, as a client returns it.
        cursor = page.next.map(|next| next.to_string().parse::<Cursor>().unwrap());
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, ["old 4", "old 3", "old 2", "old 1", "old 0"]);
    for wrong in ["", "-1", "xyz", "99999999999999999999"] {
        assert!(wrong.parse::<Cursor>().is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn lists_are_filtered() {
    let (_directory, store) = open();
    let (a, b) = (session("a"), session("b"));
    let tasks = [task(&a, "Refund 100%"), task(&a, "refund 100 now"), task(&b, "a_b"), task(&b, "aXb")];
    let mut list: Vec<_> = [&a, &b].map(|record| Change::InsertSession(record.clone())).into();
    list.extend(tasks.iter().map(|task| insert(task, None)));
    list.push(Change::UpdateTask(completed(&tasks[0], at(9))));
    store.commit(list).await.unwrap();
    let find = async |filter: TaskFilter| {
        let page = store.tasks(&filter, Answers::Short, None, 10).await.unwrap();
        page.items.into_iter().map(|task| task.request.message).collect::<Vec<_>>()
    };
    let text = |text: &str| TaskFilter { text: Some(text.to_owned()), ..TaskFilter::default() };
    assert_eq!(find(text("REFUND")).await, ["refund 100 now", "Refund 100%"]);
    assert_eq!(find(text("100%")).await, ["Refund 100%"]);
    assert_eq!(find(text("a_b")).await, ["a_b"]);
    let of_b = TaskFilter { session_id: Some(b.id.clone()), ..TaskFilter::default() };
    assert_eq!(find(of_b).await, ["aXb", "a_b"]);
    let done = TaskFilter { status: Some(TaskStatus::Completed), session_id: Some(a.id.clone()), ..text("fund") };
    assert_eq!(find(done).await, ["Refund 100%"]);
}

#[tokio::test]
async fn a_restart_finds_what_it_must_look_at() {
    let (_directory, store) = open();
    let with_sandbox = SessionRecord { sandbox: Some(sandbox("one", 1)), ..session("sandbox") };
    let (idle, waiting) = (session("idle"), session("waiting"));
    let tasks = [task(&waiting, "1"), task(&waiting, "2"), task(&waiting, "3"), task(&idle, "done")];
    let mut list: Vec<_> = [&idle, &waiting, &with_sandbox].map(|record| Change::InsertSession(record.clone())).into();
    list.extend(tasks.iter().map(|task| insert(task, None)));
    list.push(Change::UpdateTask(completed(&tasks[0], at(9))));
    list.push(Change::UpdateTask(completed(&tasks[3], at(9))));
    list.push(Change::UpdateTask(TaskRecord { status: TaskStatus::Running, ..tasks[1].clone() }));
    store.commit(list).await.unwrap();
    let live: Vec<_> = store.live_sessions().await.unwrap().into_iter().map(|record| record.key).collect();
    assert_eq!(live, [waiting.key, with_sandbox.key]);
    let unfinished = store.unfinished_tasks(waiting.key).await.unwrap();
    for (read, written) in unfinished.iter().zip([&tasks[1], &tasks[2]]) {
        assert_eq!(read.record.request, written.request.without_texts(), "a restart must not load all messages");
    }
    let unfinished: Vec<_> = unfinished.into_iter().map(|task| (task.record.id, task.prompt_uuid.as_u128())).collect();
    assert_eq!(unfinished, [(tasks[1].id.clone(), 7), (tasks[2].id.clone(), 7)]);
    let first = store.sessions(None, None, 2).await.unwrap();
    let second = store.sessions(None, first.next, 2).await.unwrap();
    let ids: Vec<_> = first.items.iter().chain(&second.items).map(|record| record.id.to_string()).collect();
    assert_eq!((ids, second.next), (["idle", "waiting", "sandbox"].map(str::to_owned).into(), None));
}

#[tokio::test]
async fn events_and_lines_of_one_task() {
    let (_directory, store) = open();
    let a = session("a");
    let (first, second) = (task(&a, "1"), task(&a, "2"));
    let list = vec![
        Change::InsertSession(a.clone()),
        insert(&first, None),
        insert(&second, None),
        append(a.key, Some(&first), events(1, 3)),
        append(a.key, Some(&second), events(4, 4)),
        append(a.key, None, events(5, 5)),
        append(a.key, Some(&first), events(6, 7)),
        lines(&first, &["one", "two"]),
        lines(&second, &["other"]),
        lines(&first, &["three"]),
    ];
    store.commit(list).await.unwrap();
    assert_eq!(store.task_events(&first.id, 0, 9).await.unwrap(), [events(1, 3), events(6, 7)].concat());
    assert_eq!(store.task_events(&first.id, 2, 2).await.unwrap(), [events(3, 3), events(6, 6)].concat());
    assert_eq!(store.task_events(&second.id, u64::MAX, 9).await.unwrap(), []);
    let page = store.task_lines(&first.id, 0, 2).await.unwrap();
    let rest = store.task_lines(&first.id, page[1].number, 9).await.unwrap();
    let text: Vec<_> = page.iter().chain(&rest).map(|line| line.line.as_ref()).collect();
    assert_eq!(text, [b"one".as_slice(), b"two", b"three"]);
}

#[tokio::test]
async fn a_deleted_session_leaves_its_tasks_without_what_was_said() {
    let (directory, store) = open();
    let a = session("a");
    let first = task(&a, "my private message");
    let list = vec![
        Change::InsertSession(a.clone()),
        insert(&first, None),
        append(a.key, Some(&first), events(1, 3)),
        lines(&first, &["line"]),
    ];
    store.commit(list).await.unwrap();
    let ended = completed(&first, at(9));
    store.commit(vec![Change::UpdateTask(ended.clone()), Change::DeleteSession(a.key)]).await.unwrap();

    assert!(store.session(&a.id).await.unwrap().is_none());
    assert!(numbers(&store, a.key).await.is_empty());
    assert_eq!(store.task_events(&first.id, 0, 9).await.unwrap(), []);
    assert_eq!(store.task_lines(&first.id, 0, 9).await.unwrap(), []);
    let request = TaskRequest { message: String::new(), context: None, metadata: None, ..ended.request };
    let answer = ended.answer.map(|answer| Answer { output: None, response: None, ..answer });
    assert_eq!(
        store.task(&first.id).await.unwrap(),
        Some(TaskRecord { request, answer, ..first_without_answer(&first) })
    );

    // The caller's id is free again and names another session.
    let again = session("a");
    store.commit(vec![Change::InsertSession(again.clone())]).await.unwrap();
    assert!(numbers(&store, again.key).await.is_empty());
    store.close().await;
    let database = rusqlite::Connection::open(directory.path().join("claude-runner.db")).unwrap();
    let left: i64 = database.query_row("SELECT count(*) FROM session_env", [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
}

fn first_without_answer(task: &TaskRecord) -> TaskRecord {
    TaskRecord { answer: None, ..completed(task, at(9)) }
}

#[tokio::test]
async fn a_list_reads_the_beginning_of_whatever_is_long() {
    let (_directory, store) = open();
    let a = session("a");
    let first = task(&a, "m");
    store.commit(vec![Change::InsertSession(a), insert(&first, None)]).await.unwrap();
    let mut ended = completed(&first, at(9));
    for long in ["é".repeat(100_000), "\0".repeat(100_000)] {
        ended.failure = Some(Failure::new(ErrorType::ExitCode, long.clone()));
        ended.repository = Some(RepositoryProgress { summary: Some(long), ..RepositoryProgress::default() });
        ended.answer = ended.answer.map(|answer| Answer { tools: vec!["Bash".to_owned(); 100_000], ..answer });
        store.commit(vec![Change::UpdateTask(ended.clone())]).await.unwrap();
        let listed = store.listed_task(&first.id).await.unwrap().unwrap();
        let place = store.task_place(&first.id).await.unwrap().unwrap();
        assert_eq!((&place.session_id, place.status), (&listed.session_id, listed.status));
        assert_eq!(listed.failure.unwrap().error.chars().count(), LISTED_CHARS + 1);
        assert_eq!(listed.repository.unwrap().summary.unwrap().chars().count(), LISTED_CHARS + 1);
        assert_eq!(listed.answer.unwrap().tools, vec!["Bash"; LISTED_CHARS]);
        assert_eq!(store.task(&first.id).await.unwrap(), Some(ended.clone()), "a record is whole");
    }
}
