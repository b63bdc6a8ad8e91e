//! The warm sandbox that a new session begins with.

use std::sync::Arc;

use domain::session::SessionKey;
use failpoint::failpoint;
use sandbox::Warm;

use crate::session::context::SessionContext;
use crate::session::durable::DurableState;
use crate::session::request::Submission;
use crate::session::state::State;

/// Takes a warm sandbox if the submission begins a new session. The session takes its key and must be committed with it.
pub(crate) async fn take_warm(
    submission: &Submission,
    state: State,
    context: &SessionContext,
    durable: &mut DurableState,
) -> Option<Box<Warm>> {
    // Warm sandboxes have the agent image, which a repository task does not use.
    let begins = durable.record().is_none() && submission.request.repository.is_none();
    if !begins || state != State::Cold || context.draining.is_cancelled() {
        return None;
    }
    let warm = context.warm.take(&submission.agent).await;
    if context.warm.is_on() {
        context.metrics.warm_claimed(warm.is_some());
    }
    let warm = warm?;
    durable.rename(warm.session);
    failpoint!("warm.taken");
    Some(warm)
}

/// Discards a warm sandbox whose session could not be committed.
pub(crate) fn discard_warm(warm: Box<Warm>, context: &Arc<SessionContext>, durable: &mut DurableState) {
    durable.rename(SessionKey::generate());
    let context = Arc::clone(context);
    context.tracker.clone().spawn(async move { warm.discard(&context.sandboxes).await });
}
