use super::*;

fn of(text: &str) -> (BTreeMap<String, String>, EnvFile) {
    read(text, |name| name == "HOME").unwrap()
}

fn line(number: usize, name: &str) -> UnreadableLine {
    UnreadableLine { number, name: Some(name.to_owned()).filter(|name| !name.is_empty()) }
}

#[test]
fn a_line_that_cannot_be_read_is_left_out() {
    let (values, file) = of("A=1\nX=\"hello world\"\nGREETING=hello world\nB=\"two words\"\nC='open\nD=4\n");
    assert_eq!(values.into_iter().collect::<Vec<_>>().len(), 4);
    assert_eq!(file.variables, ["A", "B", "D", "X"].map(str::to_owned).into());
    assert_eq!(file.unreadable, [line(3, "GREETING"), line(5, "C")]);
    assert_eq!(of(""), (BTreeMap::new(), EnvFile::default()));
}

#[test]
fn no_part_of_a_value_is_shown() {
    let secret = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj";
    let pem = format!("KEY=-----BEGIN PRIVATE KEY-----\n{secret}\n{secret}==\n-----END PRIVATE KEY-----\n");
    for text in
        [&*pem, "ANTHROPIC_API_KEY:sk-ant-secret\n", "sk-ant-secret\n", "A='sk-ant-secret\n", "sk_ant_secret =\n x\n"]
    {
        let (_, file) = of(text);
        let shown = file.unreadable.iter().map(UnreadableLine::to_string).collect::<Vec<_>>().join("; ");
        assert!(!file.unreadable.is_empty(), "{text}");
        assert!(!shown.contains("secret") && !shown.contains("MIIE") && !shown.contains("PRIVATE"), "{shown}");
    }
    assert_eq!(of("ANTHROPIC_API_KEY:sk-ant-secret\n").1.unreadable, [line(1, "ANTHROPIC_API_KEY")]);
    assert_eq!(of(&pem).1.unreadable[1], line(2, ""));
}

#[test]
fn the_last_of_several_lines_counts() {
    let (values, _) = of("A=first\nB=b\nA=last\n");
    assert_eq!(values["A"], "last");
}

#[test]
fn a_value_that_refers_to_nothing_is_named_without_any_of_it() {
    let (values, file) = of("A=pa$word\nB='pa$word'\nC=pa\\$word\nD=$HOME\nE=${A}x\nF=5$\n");
    assert_eq!((&*values["B"], &*values["C"], &*values["F"]), ("pa$word", "pa$word", "5"));
    assert_eq!(file.incomplete, ["A", "F"].map(str::to_owned).into());
}

#[test]
fn references_are_found_by_the_rules_of_the_library() {
    for (text, incomplete) in [
        ("A=x # costs $5\n", ""),
        ("A=x#$y\n", "A"),
        ("A=\"x # $y z\"\n", "A"),
        ("A=x'$y'z\n", ""),
        ("A='x'$y\n", "A"),
        // The unbraced name ends at the underscore, and there is no HO.
        ("A=$HO_ME\n", "A"),
        ("A=${HOME}\n", ""),
        ("A=$B\nB=later\n", "A"),
        ("B=earlier\nA=$B\n", ""),
        ("A=$B\nA=x\n", ""),
        ("A=\"two\nlines $y z\"\nC=1\n", "A"),
        ("A='two\nB=$y'\nC=$y\n", "C"),
    ] {
        let names: Vec<_> = of(text).1.incomplete.into_iter().collect();
        assert_eq!(names.join(" "), incomplete, "{text}");
    }
}

#[test]
fn values_are_read_again_as_they_were() {
    let odd = ["", " a b ", "a\"b", "a\\b", "$HOME", "${HOME}", "two\nlines", "#", "'", "ä=b"];
    let values: BTreeMap<String, String> =
        odd.iter().enumerate().map(|(number, value)| (format!("V{number}"), (*value).to_owned())).collect();
    let again: BTreeMap<_, _> = dotenvy::from_read_iter(written(&values).as_bytes()).map(Result::unwrap).collect();
    assert_eq!(again, values);
}
