use domain::task::ErrorType;
use http::StatusCode;

/// The status and the code for each way in which a task fails.
pub(super) const fn status_of(error_type: ErrorType) -> (StatusCode, &'static str) {
    match error_type {
        ErrorType::Aborted => (StatusCode::CONFLICT, "aborted"),
        ErrorType::Deleted => (StatusCode::CONFLICT, "deleted"),
        ErrorType::Timeout => (StatusCode::GATEWAY_TIMEOUT, "timeout"),
        ErrorType::Stalled => (StatusCode::GATEWAY_TIMEOUT, "stalled"),
        ErrorType::AskExpired => (StatusCode::GATEWAY_TIMEOUT, "ask_expired"),
        ErrorType::AuthExpired => (StatusCode::SERVICE_UNAVAILABLE, "auth_expired"),
        ErrorType::NoCredential => (StatusCode::SERVICE_UNAVAILABLE, "no_credential"),
        ErrorType::CapacityReached => (StatusCode::SERVICE_UNAVAILABLE, "capacity_reached"),
        ErrorType::ModelUnreachable => (StatusCode::SERVICE_UNAVAILABLE, "model_unreachable"),
        ErrorType::EngineUnavailable => (StatusCode::SERVICE_UNAVAILABLE, "engine_unavailable"),
        ErrorType::MaxTurns => (StatusCode::BAD_GATEWAY, "max_turns"),
        ErrorType::BudgetExceeded => (StatusCode::BAD_GATEWAY, "budget_exceeded"),
        ErrorType::InvalidOutput => (StatusCode::BAD_GATEWAY, "invalid_output"),
        ErrorType::ModelRefused => (StatusCode::BAD_GATEWAY, "model_refused"),
        ErrorType::McpServerFailed => (StatusCode::BAD_GATEWAY, "mcp_server_failed"),
        ErrorType::ExitCode => (StatusCode::BAD_GATEWAY, "exit_code"),
        ErrorType::OomKilled => (StatusCode::BAD_GATEWAY, "oom_killed"),
        ErrorType::ContainerLost => (StatusCode::BAD_GATEWAY, "container_lost"),
        ErrorType::RepoNotFound => (StatusCode::BAD_GATEWAY, "repo_not_found"),
        ErrorType::RepoAmbiguous => (StatusCode::BAD_GATEWAY, "repo_ambiguous"),
        ErrorType::CloneFailed => (StatusCode::BAD_GATEWAY, "clone_failed"),
        ErrorType::PushRejected => (StatusCode::BAD_GATEWAY, "push_rejected"),
        ErrorType::NothingToDo => (StatusCode::BAD_GATEWAY, "nothing_to_do"),
    }
}
