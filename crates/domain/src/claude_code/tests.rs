use super::*;

#[test]
fn a_version_is_three_numbers() {
    assert_eq!("2.1.332".parse(), Ok(Version::new(2, 1, 332)));
    assert_eq!(Version::new(2, 1, 332).to_string(), "2.1.332");
    for wrong in
        ["", "2", "2.1", "2.1.332.1", "v2.1.332", "2.1.x", "2.01.3", "2.+1.3", " 2.1.3", "2.1.3-beta", "latest"]
    {
        assert_eq!(wrong.parse::<Version>(), Err(InvalidVersion), "{wrong:?}");
    }
}

#[test]
fn versions_are_ordered_by_their_numbers() {
    let ordered = ["1.99.99", "2.0.300", "2.1.9", "2.1.10", "2.1.197", "2.10.0"].map(str::parse::<Version>);
    assert!(ordered.is_sorted_by(|one, other| one.unwrap() < other.unwrap()));
}

#[test]
fn the_output_of_the_program_names_it() {
    assert_eq!(Version::from_output("2.1.332 (Claude Code)\n"), Ok(Version::new(2, 1, 332)));
    assert_eq!(Version::from_output("\n"), Err(InvalidVersion));
    assert_eq!(Version::from_output("claude: not found"), Err(InvalidVersion));
}

#[test]
fn a_version_is_a_string_in_json() {
    let version = Version::new(2, 1, 332);
    assert_eq!(serde_json::to_string(&version).unwrap(), r#""2.1.332""#);
    assert_eq!(serde_json::from_str::<Version>(r#""2.1.332""#).unwrap(), version);
    assert!(serde_json::from_str::<Version>(r#""2.1""#).is_err());
}
