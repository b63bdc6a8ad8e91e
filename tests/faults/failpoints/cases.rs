//! The cases: the place where the server dies, and the callers' actions meanwhile.

/// The action of the callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doing {
    /// Posts a task for a session that does not exist yet, and a second task behind it.
    Post,
    /// Posts a task for a session that does not exist yet, once a warm sandbox is ready.
    Warm,
    /// Posts a task for a session whose agent is idle.
    Again,
    /// Aborts the first task while its agent answers.
    Abort,
    Reset,
    Delete,
    /// Kills the container while the agent answers.
    Lose,
    /// Does nothing after a task, so that the idle container is removed.
    Rest,
    /// Sends SIGTERM to the server while the agent answers.
    Finish,
    HandOff,
}

/// The servers of a case die one after another, each at its place. Places with a `>` between them are reached in this order.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) doing: Doing,
    pub(super) deaths: &'static [&'static str],
}

const fn case(doing: Doing, deaths: &'static [&'static str]) -> Case {
    Case { doing, deaths }
}

impl Doing {
    pub(super) fn settings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Doing::Post | Doing::Again | Doing::Abort | Doing::Reset | Doing::Delete | Doing::Lose | Doing::Finish => {
                &[]
            }
            // The limit is small, so that a loaded machine has enough memory for a sandbox that is not in use yet.
            Doing::Warm => &[("SANDBOX_MEMORY", "512m")],
            Doing::Rest => &[("IDLE_TIMEOUT_MS", "300")],
            Doing::HandOff => &[("DRAIN", "handoff")],
        }
    }
}

pub(super) const ON_THE_WAY: &[Case] = &[
    // The task is accepted.
    case(Doing::Post, &["task.writing"]),
    case(Doing::Post, &["task.writing>commit.applied"]),
    case(Doing::Post, &["task.writing>commit.durable"]),
    case(Doing::Post, &["task.written"]),
    case(Doing::Post, &["task.accepted"]),
    // The sandbox is created.
    case(Doing::Post, &["link.bound"]),
    case(Doing::Post, &["volume.created"]),
    case(Doing::Post, &["container.created"]),
    case(Doing::Post, &["container.started"]),
    case(Doing::Post, &["template.unpacked"]),
    case(Doing::Post, &["agent.started"]),
    case(Doing::Post, &["agent.asked"]),
    case(Doing::Post, &["agent.initialised"]),
    case(Doing::Post, &["sandbox.ready"]),
    case(Doing::Post, &["sandbox.written"]),
    // The agent receives the task.
    case(Doing::Post, &["task.started"]),
    case(Doing::Post, &["message.sent"]),
    case(Doing::Post, &["task.started>link.sent"]),
    case(Doing::Post, &["message.sent>link.sent"]),
    case(Doing::Post, &["message.sent>link.acknowledged"]),
    case(Doing::Post, &["message.sent>model.asking"]),
    case(Doing::Post, &["message.sent>model.answering"]),
    // The agent confirms the message.
    case(Doing::Post, &["message.accepted"]),
    case(Doing::Post, &["message.accepted>output.received"]),
    case(Doing::Post, &["message.accepted>events.committed"]),
    case(Doing::Post, &["message.accepted>events.published"]),
    // The task ends.
    case(Doing::Post, &["result.received"]),
    case(Doing::Post, &["result.received>commit.applied"]),
    case(Doing::Post, &["result.received>events.committed"]),
    case(Doing::Post, &["end.written"]),
    case(Doing::Post, &["end.published"]),
    case(Doing::Post, &["end.published>task.started"]),
    case(Doing::Post, &["answer.ready"]),
    // The task starts in a warm sandbox.
    case(Doing::Warm, &["warm.ready"]),
    case(Doing::Warm, &["warm.taken"]),
    case(Doing::Warm, &["warm.taken>commit.applied"]),
    case(Doing::Warm, &["warm.taken>commit.durable"]),
    case(Doing::Warm, &["warm.claimed"]),
    case(Doing::Warm, &["warm.given"]),
    case(Doing::Warm, &["warm.given>sandbox.ready"]),
    case(Doing::Warm, &["warm.given>task.started"]),
    case(Doing::Warm, &["warm.given>message.sent"]),
    case(Doing::Warm, &["warm.claimed", "takeover.connected"]),
    // The task is accepted and started in one commit.
    case(Doing::Again, &["end.published>task.writing"]),
    case(Doing::Again, &["end.published>task.writing>commit.applied"]),
    case(Doing::Again, &["end.published>task.writing>commit.durable"]),
    case(Doing::Again, &["end.published>task.writing>task.started"]),
    case(Doing::Again, &["end.published>task.writing>message.sent"]),
    case(Doing::Again, &["end.published>task.written"]),
    // The task starts again.
    case(Doing::Lose, &["task.taken_back"]),
    // The next server takes the task over and dies as well.
    case(Doing::Post, &["container.started", "restore.read"]),
    case(Doing::Post, &["container.started", "orphan.removed"]),
    case(Doing::Post, &["message.sent", "takeover.bound"]),
    case(Doing::Post, &["message.sent", "takeover.resumed"]),
    case(Doing::Post, &["message.accepted", "takeover.connected"]),
    case(Doing::Post, &["message.accepted>events.committed", "takeover.ready"]),
    case(Doing::Post, &["result.received", "takeover.resumed", "result.received", "end.written"]),
];

pub(super) const AT_THE_END: &[Case] = &[
    case(Doing::Abort, &["abort.written"]),
    case(Doing::Abort, &["stop.begun"]),
    case(Doing::Abort, &["container.removed"]),
    case(Doing::Abort, &["sandbox.gone"]),
    case(Doing::Abort, &["sandbox.forgotten"]),
    case(Doing::Reset, &["stop.begun"]),
    case(Doing::Reset, &["container.removed"]),
    case(Doing::Reset, &["volume.removed"]),
    case(Doing::Reset, &["session.wiped"]),
    case(Doing::Reset, &["stop.written"]),
    case(Doing::Delete, &["stop.begun"]),
    case(Doing::Delete, &["container.removed"]),
    case(Doing::Delete, &["sandbox.forgotten"]),
    case(Doing::Delete, &["volume.removed"]),
    case(Doing::Delete, &["session.wiped>commit.applied"]),
    case(Doing::Delete, &["stop.written"]),
    case(Doing::Rest, &["session.idle"]),
    case(Doing::Rest, &["session.idle>container.removed"]),
    case(Doing::Rest, &["sandbox.forgotten"]),
    case(Doing::Finish, &["drain.begun"]),
    case(Doing::Finish, &["drain.finished"]),
    case(Doing::Finish, &["session.ended"]),
    case(Doing::Finish, &["session.ended>container.removed"]),
    case(Doing::Finish, &["drain.orphans_removed"]),
    case(Doing::Finish, &["store.closed"]),
    case(Doing::HandOff, &["drain.begun"]),
    case(Doing::HandOff, &["session.left"]),
    case(Doing::HandOff, &["session.left", "takeover.connected"]),
    case(Doing::HandOff, &["store.closed"]),
];
