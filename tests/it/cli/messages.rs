//! Messages about files and settings, which name the subject and say what to do.

use super::run_with;

/// Words of Rust's libraries and of the operating system.
const FOREIGN: [&str; 7] = [
    "os error",
    "invalid type",
    "unknown field",
    "missing field",
    "invalid digit",
    "invalid IP address syntax",
    "relative URL without a base",
];

/// Arguments, environment, and the words of the message.
type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a [&'a str]);

#[tokio::test]
async fn a_message_about_a_file_says_which_and_what_to_do() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path();
    let file = |name: &str, text: &[u8]| {
        let path = place.join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let a_file = file("a-file", b"x");
    let latin = file("latin.har", b"{\"log\": \"\xe9\"}");
    let prices = file("prices.json", br#"{"models": {"m": {"input": "much", "output": 1}}}"#);
    let misspelt = file("misspelt.json", br#"{"modles": {}}"#);
    let presets = file("presets.toml", b"npm = 'one'\n");
    let agent = place.join("agent");
    std::fs::create_dir(&agent).unwrap();
    std::fs::write(agent.join("AGENTS.md"), "x").unwrap();
    std::fs::write(agent.join("agent.toml"), "max_turns = 'ten'\n").unwrap();
    let below = format!("{a_file}/below");
    let cases: &[Case] = &[
        (&["tools", "from-har", "nowhere.har"], &[], &["nowhere.har", "it does not exist"]),
        (&["tools", "from-har", &latin], &[], &["latin.har", "log.entries"]),
        (&["init", "new", "--from", "nowhere"], &[], &["nowhere", "AGENTS.md"]),
        (&["init", &below, "--yes"], &[], &[&a_file, "not a directory"]),
        (&["restore", "nowhere"], &[], &["nowhere"]),
        (&["serve"], &[("MODEL_PRICES", "nowhere.json")], &["MODEL_PRICES", "nowhere.json", "it does not exist"]),
        (
            &["serve"],
            &[("MODEL_PRICES", &prices)],
            &["MODEL_PRICES", "it must be a number, not the text \"much\"", "line 1"],
        ),
        (&["serve"], &[("MODEL_PRICES", &misspelt)], &["modles: there is no such field; did you mean models?"]),
        (&["serve"], &[("DATA_DIR", &below)], &["DATA_DIR", &a_file, "not a directory"]),
        (&["serve"], &[("EGRESS_PRESETS_FILE", &presets)], &["EGRESS_PRESETS_FILE", "it must be a list, not the text"]),
        (&["serve"], &[("PORT", "abc")], &["abc", "--port", "it must be a whole number", "variable PORT"]),
        (&["serve"], &[("HOST", "localhost")], &["localhost", "it must be an IP address, like 127.0.0.1"]),
        (&["serve"], &[("GITHUB_URL", "github.com")], &["github.com", "like https://host.example"]),
        (&["serve"], &[("WEBHOOK_SECRET", "tooshort")], &["[hidden]", "WEBHOOK_SECRET"]),
        (&["serve"], &[("AGENT_DIR", agent.to_str().unwrap())], &["agent.toml:1:13", "it must be a whole number"]),
    ];
    let plain = place.join("plain");
    std::fs::create_dir(&plain).unwrap();
    std::fs::write(plain.join("AGENTS.md"), "x").unwrap();
    for (arguments, settings, expected) in cases {
        let mut variables = vec![("AGENT_DIR".to_owned(), plain.display().to_string())];
        variables.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let ran = run_with(place, arguments, &variables).await;
        assert_ne!(ran.code, 0, "{arguments:?} {settings:?}: {ran:#?}");
        for text in *expected {
            assert!(ran.err.contains(text), "{arguments:?} {settings:?} does not say {text:?}: {ran:#?}");
        }
        for foreign in FOREIGN {
            assert!(!ran.err.contains(foreign), "{arguments:?} {settings:?} says {foreign:?}: {ran:#?}");
        }
    }
}
