//! Compares the command line with its reference.

use clap::Command;
use cli::{self, Exit};

use super::sources::read;
use super::tables::{code, rows_below};

const PAGE: &str = "docs/reference/command-line.md";

/// Returns `tasks`, `tasks show`, …: every command except those that only have subcommands.
fn commands(command: &Command, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    for below in command.get_subcommands().filter(|command| command.get_name() != "help") {
        assert!(below.get_about().is_some(), "{path} {} says nothing about itself", below.get_name());
        let path = format!("{path} {}", below.get_name()).trim().to_owned();
        if !below.is_subcommand_required_set() {
            found.push(path.clone());
        }
        found.extend(commands(below, &path));
    }
    found
}

#[test]
fn the_reference_has_every_command() {
    let command = coordinator::commands::command();
    let mut expected = commands(&command, "");
    let mut shown: Vec<String> = rows_below(&read(PAGE), "## Commands")
        .iter()
        .map(|row| {
            let words = code(&row[0]);
            // The name ends before the first argument.
            let is_name = |word: &&str| {
                !word.starts_with('-') && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
            };
            words.split(' ').take_while(is_name).collect::<Vec<_>>().join(" ")
        })
        .collect();
    expected.sort();
    shown.sort();
    assert_eq!(shown, expected);
}

#[test]
fn the_reference_has_every_exit_status() {
    let shown: Vec<u8> = rows_below(&read(PAGE), "## Exit status").iter().map(|row| row[0].parse().unwrap()).collect();
    assert_eq!(shown, Exit::ALL.map(Exit::status));
}
