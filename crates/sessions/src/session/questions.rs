//! Questions to a worker: the message, and the way its answer comes back.

use std::sync::Arc;

use domain::task::{TaskId, TaskRecord};
use store::StoreError;
use tokio::sync::oneshot;

use super::message::{
    AbortMode, AbortScope, Accepted, Message, OwnCredential, SessionView, Submission, SubmitError, Subscription,
};

type Question<T> = (Message, oneshot::Receiver<T>);

fn question<T>(message: impl FnOnce(oneshot::Sender<T>) -> Message) -> Question<T> {
    let (reply, answer) = oneshot::channel();
    (message(reply), answer)
}

pub(crate) fn submit(submission: Box<Submission>) -> Question<Result<Accepted, SubmitError>> {
    question(|reply| Message::Submit(submission, reply))
}

pub(crate) fn wait(task: TaskId) -> Question<Option<TaskRecord>> {
    question(|reply| Message::Wait(task, reply))
}

pub(crate) fn abort(scope: AbortScope, mode: AbortMode) -> Question<bool> {
    question(|reply| Message::Abort(scope, mode, reply))
}

pub(crate) fn reset() -> Question<Result<bool, Arc<StoreError>>> {
    question(Message::Reset)
}

pub(crate) fn set_credential(credential: Option<OwnCredential>) -> Question<Result<bool, Arc<StoreError>>> {
    question(|reply| Message::SetCredential(credential, reply))
}

pub(crate) fn delete() -> Question<Result<(), Arc<StoreError>>> {
    question(Message::Delete)
}

pub(crate) fn subscribe() -> Question<Subscription> {
    question(Message::Subscribe)
}

pub(crate) fn describe() -> Question<Option<SessionView>> {
    question(Message::Describe)
}
