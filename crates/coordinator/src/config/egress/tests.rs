use std::io::Write as _;

use super::{EgressList, PresetError, parse};

fn rules(list: &str) -> Vec<domain::egress::EgressRule> {
    list.parse::<EgressList>().unwrap().rules(None).unwrap()
}

#[test]
fn a_preset_stands_for_the_hosts_of_the_file() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "# Ours\nnpm = [\"https://packages.example\", 'files.example:8443']\nempty = []").unwrap();
    let list: EgressList = "api.example, preset:npm,preset:empty".parse().unwrap();
    let found = list.rules(Some(file.path())).unwrap();
    assert_eq!(found, rules("api.example,https://packages.example,files.example:8443"));

    let unknown = "preset:pypi".parse::<EgressList>().unwrap().rules(Some(file.path())).unwrap_err();
    assert!(matches!(&unknown, PresetError::Unknown { known, .. } if known == "empty, npm"), "{unknown}");
    let no_file = list.rules(None).unwrap_err();
    assert!(no_file.to_string().contains("EGRESS_PRESETS_FILE"), "{no_file}");
    let gone = list.rules(Some(std::path::Path::new("/no/such/file"))).unwrap_err();
    assert!(matches!(gone, PresetError::Read { .. }), "{gone}");
}

#[test]
fn what_is_no_list_of_hosts_is_refused() {
    for bad in ["preset:", "preset:a b", "preset:*", "preset:a:b", "ftp://a.example"] {
        assert!(bad.parse::<EgressList>().is_err(), "{bad}");
    }
    for bad in
        ["npm = 'packages.example'", "npm = ['a b']", "npm = ['preset:other']", "'a b' = []", "[npm]\na = 1", "npm"]
    {
        assert!(parse(bad).is_err(), "{bad}");
    }
}
