use super::{Directive, Kind};

fn find(prompt: &str) -> Option<(&'static str, &str)> {
    Directive::find(prompt).map(|directive| (directive.name(), directive.argument))
}

#[test]
fn the_last_line_that_begins_with_one_counts() {
    assert_eq!(find("say:hello"), Some(("say", "hello")));
    assert_eq!(find("## Context\n\nsay:no\n\n---\n\nbash:echo hi\necho ho"), Some(("bash", "echo hi\necho ho")));
    assert_eq!(find("status-once:529"), Some(("status-once", "529")));
    assert_eq!(find("loop:"), Some(("loop", "")));
}

#[test]
fn other_messages_have_none() {
    for prompt in ["", "Please say: hello", "sayhello", "say hello", "essay:x"] {
        assert_eq!(find(prompt), None, "{prompt}");
    }
}

#[test]
fn the_readme_has_every_directive() {
    let readme = include_str!("../../../README.md");
    for (name, _) in super::KINDS {
        assert!(readme.contains(&format!("\n| `{name}:")), "{name}");
    }
}

#[test]
fn every_kind_has_its_name() {
    assert_eq!(Directive { kind: Kind::Model, argument: "" }.name(), "model");
    for (name, kind) in super::KINDS {
        assert_eq!(Directive::find(&format!("{name}:x")), Some(Directive { kind, argument: "x" }));
    }
}
