use serde_json::json;

use super::value;

#[test]
fn what_is_nearly_yaml_is_read() {
    for (text, read) in [
        ("a: 1\na: 2\n", json!({ "a": 2 })),
        ("a: .inf\nb: -.inf\nc: .nan\nd: 1e999\n", json!({ "a": null, "b": null, "c": null, "d": null })),
        ("a: \"\\ud83d\\ude00 \\ud83d\"\n", json!({ "a": "😀 \u{fffd}" })),
        ("---\na: no\n200: x\nnull: y\n", json!({ "a": "no", "200": "x", "null": "y" })),
        ("a: 1\n...\n", json!({ "a": 1 })),
        ("a:\n\tb: 1\n", json!({ "a": { "b": 1 } })),
    ] {
        assert_eq!(value(text).unwrap(), read, "{text}");
    }
    for number in ["18446744073709551616", "123456789012345678901234567890", "-99999999999999999999"] {
        let read = value(&format!("a: 1\nb: {number}\n"));
        assert_eq!(read.unwrap()["a"], 1, "{number}");
    }
}
