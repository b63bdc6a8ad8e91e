use super::super::check::Status;

#[test]
fn each_line_has_its_own_first_fixed_version() {
    for fixed in ["1.2.8", "1.2.9", "1.3.3", "v1.3.4", "1.4.0-rc.3", "1.4.0", "1.5", "2.0.0", "1.3.3+ds1-2"] {
        assert_eq!(super::look(Some(fixed), None).status, Status::Ok, "{fixed}");
    }
    for lacking in
        ["1.1.5+ds1", "1.1.15", "1.2.7", "1.3.0", "1.3.2-1", "1.3.3-rc.1", "1.4.0-rc.2", "1.4.0~rc1-1", "1.0.0-rc93"]
    {
        let check = super::look(Some(lacking), None);
        assert_eq!(check.status, Status::Warn, "{lacking}");
        assert!(check.detail.contains("unless your distribution has patched it"), "{}", check.detail);
    }
}

#[test]
fn what_cannot_be_told_is_a_warning() {
    for version in [None, Some(""), Some("unknown"), Some("1"), Some("1.x.3")] {
        assert_eq!(super::look(version, None).status, Status::Warn, "{version:?}");
    }
}
