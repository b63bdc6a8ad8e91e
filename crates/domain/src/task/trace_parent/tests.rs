use super::TraceParent;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

fn parse(text: &str) -> Option<TraceParent> {
    text.parse().ok()
}

#[test]
fn only_what_the_standard_calls_valid_is_taken() {
    let expected =
        TraceParent { trace: 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c, span: 0xb7ad_6b71_6920_3331, sampled: true };
    let text = format!("00-{TRACE}-{SPAN}-01");
    assert_eq!(parse(&text), Some(expected));
    assert_eq!(expected.to_string(), text);
    assert_eq!(parse(&format!("00-{TRACE}-{SPAN}-00")), Some(TraceParent { sampled: false, ..expected }));
    // Unknown flags, and fields that a later version appends.
    assert_eq!(parse(&format!("00-{TRACE}-{SPAN}-03")), Some(expected));
    assert_eq!(parse(&format!("cc-{TRACE}-{SPAN}-01-what-comes")), Some(expected));
    for refused in [
        String::new(),
        format!("00-{TRACE}-{SPAN}"),
        format!("00-{TRACE}-{SPAN}-1"),
        format!("00-{TRACE}-{SPAN}-01-more"),
        format!("00-{TRACE}-{SPAN}-01-"),
        format!("ff-{TRACE}-{SPAN}-01"),
        format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
        format!("00-{}-{SPAN}-01", "0".repeat(32)),
        format!("00-{TRACE}-{}-01", "0".repeat(16)),
        format!("00-{TRACE}-+7ad6b7169203331-01"),
    ] {
        assert_eq!(parse(&refused), None, "{refused}");
    }
}
