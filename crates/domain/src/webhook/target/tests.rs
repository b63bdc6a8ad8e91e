use super::{InvalidTarget, Target};

#[test]
fn a_target_is_kept_whole_and_shown_without_its_secrets() {
    let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let target = Target::new("https://A.example/hooks?token=hidden#part", Some(secret)).unwrap();
    assert_eq!((target.shown().as_str(), target.host().as_str()), ("https://a.example/hooks?…", "a.example:443"));
    assert!(!format!("{target:?}").contains("hidden"));
    let again = Target::of_text(&target.to_text()).unwrap();
    assert_eq!(again.url(), target.url());
    let key = |target: &Target| target.secret().unwrap().as_bytes().to_vec();
    assert_eq!(key(&again), key(&target));
    for bad in ["", "a.example", "/hooks", "mailto:a@b.example", "data:,x"] {
        assert_eq!(Target::new(bad, None).unwrap_err(), InvalidTarget::Url, "{bad}");
    }
    assert!(Target::new(&format!("https://a.example/{}", "x".repeat(2048)), None).is_err());
}
