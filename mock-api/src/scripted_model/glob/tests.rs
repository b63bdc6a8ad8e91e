use super::{Captures, Pattern, PatternError};

fn captures(pattern: &str, text: &str) -> Option<Captures> {
    Pattern::parse(pattern).unwrap().matches(text)
}

fn captured(pattern: &str, text: &str) -> Vec<(String, String)> {
    captures(pattern, text).unwrap().into_iter().collect()
}

#[test]
fn stands_for_the_whole_text_in_either_case() {
    assert!(captures("which word*", "Which word was it?").is_some());
    assert!(captures("which word", "Which word was it?").is_none());
    assert!(captures("*word*", "Which Word was it?").is_some());
    assert!(captures("", "x").is_none());
}

#[test]
fn captures_words_without_the_punctuation_around_them() {
    let pattern = "*calls*{user}@{domain}*";
    let expected = vec![("domain".to_owned(), "acme.test".to_owned()), ("user".to_owned(), "alice".to_owned())];
    assert_eq!(captured(pattern, "How many API calls has Alice (alice@acme.test) left?"), expected);
    assert_eq!(captured(pattern, "calls left for alice@acme.test."), expected);
    assert!(captures(pattern, "How many API calls are left?").is_none());
}

#[test]
fn says_what_is_wrong_with_a_pattern() {
    assert_eq!(Pattern::parse("a {b"), Err(PatternError::Unclosed("a {b".to_owned())));
    assert_eq!(Pattern::parse("a {b c}"), Err(PatternError::BadName("a {b c}".to_owned())));
}
