use std::sync::Arc;

use proptest::prelude::*;

use super::{MASK, Redactor, SessionRedactor};

const KEY: &str = "sk-ant-api03/ab\"ab\\ab";

fn redactor(secrets: &[&str]) -> SessionRedactor {
    let shared = Arc::<Redactor>::default();
    for secret in secrets {
        shared.learn(secret);
    }
    SessionRedactor::new(shared)
}

fn pass(redactor: &SessionRedactor, pieces: &[&str]) -> String {
    let mut held = String::new();
    let said: String = pieces.iter().map(|piece| redactor.pass(&mut held, piece)).collect();
    said + &held
}

#[test]
fn a_line_is_masked_in_every_spelling_of_json() {
    let redactor = redactor(&[KEY]);
    let all = KEY.bytes().fold(String::new(), |all, byte| all + &format!("\\u{byte:04X}"));
    let slash = serde_json::to_string(KEY).unwrap().trim_matches('"').replace('/', "\\/");
    for spelled in [all, slash, serde_json::to_string(KEY).unwrap().trim_matches('"').to_owned()] {
        let line = format!(r#"{{"a":"é\n\\u0041 {spelled}","b":[1.50,"\u00e9"]}}"#);
        let masked = redactor.line(&line).unwrap();
        assert_eq!(masked, format!(r#"{{"a":"é\n\\u0041 {MASK}","b":[1.50,"\u00e9"]}}"#));
    }
    assert_eq!(redactor.line(r#"{"a":"\u0041\/"}"#), None, "a line without a secret is unchanged");
}

#[test]
fn a_session_has_secrets_of_its_own_and_the_longer_goes_first() {
    let mut redactor = redactor(&["swordfish"]);
    redactor.replace(["short", "swordfish-long"]);
    redactor.shared.learn("learnt-later");
    assert_eq!(redactor.text("short swordfish learnt-later").unwrap(), format!("short {MASK} {MASK}"));
    assert_eq!(redactor.text("short"), None);
    assert_eq!(pass(&redactor, &["swordfish", "-long"]), format!("{MASK}-long"));
    assert_eq!(redactor.text("a swordfish-long").unwrap(), format!("a {MASK}"));
    redactor.replace([]);
    assert_eq!(
        redactor.text("a swordfish-long").unwrap(),
        format!("a {MASK}-long"),
        "a session's secret was not forgotten"
    );
}

proptest! {
    #[test]
    fn no_split_lets_a_secret_through(
        before in "[a-c]{0,12}", after in "[a-c]{0,12}", secret in "[a-c]{8,14}",
        cuts in prop::collection::vec(0usize..40, 0..6),
    ) {
        let mut redactor = redactor(&[&secret]);
        redactor.replace((0..1000).map(|number| format!("{number:08}")).collect::<Vec<_>>().iter().map(String::as_str));
        let text = format!("{before}{secret}{after}");
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&str> = cuts.windows(2).map(|cut| &text[cut[0]..cut[1]]).collect();
        let said = pass(&redactor, &pieces);
        prop_assert!(!said.contains(&secret), "{said}");
        prop_assert_eq!(said, text.replace(&secret, MASK));
    }

    #[test]
    fn a_text_without_a_secret_is_not_changed(pieces in prop::collection::vec("[skant\\-é]{0,6}", 0..12)) {
        let redactor = redactor(&["sk-ant-12345678", "tank-12345"]);
        let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
        prop_assert_eq!(pass(&redactor, &pieces), pieces.concat());
    }
}
