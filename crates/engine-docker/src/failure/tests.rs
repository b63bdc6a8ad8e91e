use super::*;

fn context() -> CallContext {
    CallContext { operation: Operation::Start, name: "box".to_owned(), address: "unix:///engine.sock".to_owned() }
}

fn answered(status_code: u16, message: &str) -> EngineError {
    context().error(Error::DockerResponseServerError { status_code, message: message.to_owned() })
}

#[test]
fn statuses_become_kinds() {
    let (operation, name, reason) = (Operation::Start, "box".to_owned(), "why".to_owned());

    assert_eq!(answered(404, "why"), EngineError::NotFound { operation, name: name.clone(), reason: reason.clone() });
    assert_eq!(answered(409, "why"), EngineError::Conflict { operation, name: name.clone(), reason: reason.clone() });
    assert_eq!(answered(500, "why"), EngineError::Other { operation, name, reason });
}

#[test]
fn a_full_disk_is_told_by_its_words() {
    let error = answered(500, "mkdir /var/lib/docker/x: no space left on device");

    assert!(matches!(error, EngineError::NoSpace { .. }), "{error}");
}

#[test]
fn a_socket_that_cannot_be_used_is_told_with_what_to_do() {
    for (kind, words) in [
        (io::ErrorKind::PermissionDenied, "usermod -aG docker USER"),
        (io::ErrorKind::ConnectionRefused, "nothing listens there (start the engine"),
        (io::ErrorKind::NotFound, "there is no such socket"),
    ] {
        let error = context().error(Error::IOError { err: kind.into() });
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn nobody_there_is_unreachable() {
    let error = context().error(Error::SocketNotFoundError("/engine.sock".to_owned()));

    assert_eq!(
        error.to_string(),
        "could not start container: the container engine at unix:///engine.sock is unreachable: \
         there is no such socket (start the engine, or set DOCKER_HOST to where it listens)"
    );
}

#[test]
fn a_message_that_repeats_the_request_is_cut() {
    let profile = include_str!("../seccomp.json").trim();
    let error =
        answered(500, &format!("container create: opening seccomp profile failed: open {profile}: file name too long"));

    assert_eq!(
        error.to_string(),
        "could not start container box: container create: opening seccomp profile failed: open {…}: file name too long"
    );
}

#[test]
fn a_long_message_keeps_its_beginning_and_its_end() {
    let error =
        answered(500, &format!("first\n\u{1b}[31m {} {{\"unbalanced\" {} the cause", "x ".repeat(5000), "é".repeat(9)));
    let EngineError::Other { reason, .. } = error else { panic!("{error}") };

    assert!(reason.starts_with("first [31m x x"), "{reason}");
    assert!(reason.ends_with("ééé the cause") && reason.contains(" … "), "{reason}");
    assert_eq!(reason.chars().count(), MAX_REASON);
    assert_eq!(clean("short {\"a\": 1} } {"), "short {\"a\": 1} } {");
}
