use super::Progress;

/// Another version of the coordinator reads these names.
#[test]
fn the_stored_names_of_the_progress_stay() {
    let stored = serde_json::to_value(Progress::default()).unwrap();
    let names: Vec<&String> = stored.as_object().unwrap().keys().collect();
    let mut expected = [
        "since",
        "accepted",
        "heard",
        "complaint",
        "turns",
        "tools",
        "calls",
        "delegates",
        "resumed",
        "used",
        "cli_cost",
        "verdict",
        "waited_ms",
        "waits_since",
        "remembered",
    ];
    expected.sort_unstable();
    let mut names: Vec<&str> = names.into_iter().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, expected);
}
