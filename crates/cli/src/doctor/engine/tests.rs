use super::super::check::Status;

#[test]
fn api_versions_are_compared_by_their_parts() {
    for new in ["1.41", "1.50", "1.100", "2.0"] {
        assert_eq!(super::api(new).status, Status::Ok, "{new}");
    }
    for old in ["1.40", "1.9", "0.99", "", "one.two"] {
        assert_eq!(super::api(old).status, Status::Fail, "{old}");
    }
}

#[test]
fn a_runtime_must_be_known() {
    let known = ["runc".to_owned(), "runsc".to_owned()];
    assert_eq!(super::oci_runtime("runsc", &known).status, Status::Ok);
    assert_eq!(super::oci_runtime("kata", &known).status, Status::Fail);
}
