"""Steers what Schemathesis sends: every new session is a container, and a live stream has no end."""

import schemathesis

# All tasks go to these; whatever Schemathesis thinks of in place of a string stays as it is.
SESSIONS = ["schemathesis-a", "schemathesis-b"]


@schemathesis.hook
def before_call(context, case, kwargs):
    path, method = case.operation.path, case.operation.method.upper()
    if case.method.upper() != method:
        return  # Another method on purpose.
    parameters = case.path_parameters or {}
    if path.startswith("/session/") and isinstance(parameters.get("id"), str) and len(parameters["id"]) % 2:
        # Half of them meet a session that is there.
        parameters["id"] = SESSIONS[len(parameters["id"]) // 2 % 2]
    if path == "/session/{id}/events":
        # Without it, and with `follow`, the answer is a stream that stays open.
        case.headers["Accept"] = "application/x-ndjson"
        if case.query:
            case.query.pop("follow", None)
    if path == "/task" and isinstance(case.body, dict):
        body = case.body
        session = body.get("sessionId")
        if isinstance(session, str) and 0 < len(session) <= 128 and session.isprintable() and "/" not in session:
            body["sessionId"] = SESSIONS[len(session) % 2]
        # One of a long list that only the server knows; every other value is refused, as it should be.
        if isinstance(body.get("model"), str) and len(body["model"]) % 2 == 0:
            body["model"] = "claude-sonnet-4-6"
        # So is an agent that is not there.
        if isinstance(body.get("agent"), str) and len(body["agent"]) % 2 == 0:
            body["agent"] = "default"
        # Long enough for the scripted model, short enough for the run.
        timeout = body.get("timeoutMs")
        if isinstance(timeout, int) and not isinstance(timeout, bool) and 10_000 < timeout <= 86_400_000:
            body["timeoutMs"] = 10_000
