//! JSON for people: what fits a line is on one.

use std::fmt::Write as _;

use serde_json::Value;

const WIDTH: usize = 128;

pub(crate) fn text(value: &Value) -> String {
    let mut text = String::new();
    put(&mut text, value, 0, 0);
    text.push('\n');
    text
}

/// `before`: characters on the line already, without the indentation. A comma may follow.
fn put(text: &mut String, value: &Value, indent: usize, before: usize) {
    let line = in_line(value);
    if indent + before + line.chars().count() < WIDTH {
        text.push_str(&line);
        return;
    }
    match value {
        Value::Array(items) => put_each(text, indent, ['[', ']'], items.iter().map(|item| (String::new(), item))),
        Value::Object(members) => {
            let members = members.iter().map(|(name, member)| (format!("{}: ", Value::from(name.as_str())), member));
            put_each(text, indent, ['{', '}'], members);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => text.push_str(&line),
    }
}

fn put_each<'a>(
    text: &mut String,
    indent: usize,
    [open, close]: [char; 2],
    items: impl Iterator<Item = (String, &'a Value)>,
) {
    text.push(open);
    for (number, (name, item)) in items.enumerate() {
        text.push_str(if number == 0 { "\n" } else { ",\n" });
        let _ = write!(text, "{:1$}{name}", "", indent + 2);
        put(text, item, indent + 2, name.chars().count());
    }
    let _ = write!(text, "\n{:1$}{close}", "", indent);
}

fn in_line(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(in_line).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(members) => {
            let member =
                |(name, member): (&String, &Value)| format!("{}: {}", Value::from(name.as_str()), in_line(member));
            format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(", "))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn what_does_not_fit_is_broken_from_outside() {
        let long = "x".repeat(100);
        assert_eq!(super::text(&json!({ "a": [1, null], "b": {} })), "{\"a\": [1, null], \"b\": {}}\n");
        assert_eq!(
            super::text(&json!({ "a": { "b": long, "c": [1, 2], "d": "eeeeeeeeeeeeee" } })),
            format!(
                "{{\n  \"a\": {{\n    \"b\": \"{long}\",\n    \"c\": [1, 2],\n    \"d\": \"eeeeeeeeeeeeee\"\n  }}\n}}\n"
            )
        );
    }
}
