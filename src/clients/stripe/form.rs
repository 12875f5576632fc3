//! Parameters as Stripe takes them: `application/x-www-form-urlencoded` with nested names, as
//! `items[0][price_data][currency]=usd`.
//!
//! The crate `serde_qs` writes such names too, but it writes `metadata=` for what is null or empty,
//! which Stripe takes as an order to erase it. Leaving that out would take as much code as is here.

use serde_json::Value;
use url::form_urlencoded;

/// Encodes parameters. What is null or empty is left out.
pub(super) fn encode(params: &Value) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    let Value::Object(fields) = params else {
        return String::new();
    };
    for (name, value) in fields {
        append(&mut form, name, value);
    }
    form.finish()
}

fn append(form: &mut form_urlencoded::Serializer<'_, String>, name: &str, value: &Value) {
    match value {
        Value::Null => {}
        Value::Bool(flag) => {
            form.append_pair(name, if *flag { "true" } else { "false" });
        }
        Value::Number(number) => {
            form.append_pair(name, &number.to_string());
        }
        Value::String(text) => {
            form.append_pair(name, text);
        }
        Value::Array(values) => {
            for (index, value) in values.iter().enumerate() {
                append(form, &format!("{name}[{index}]"), value);
            }
        }
        Value::Object(fields) => {
            for (field, value) in fields {
                append(form, &format!("{name}[{field}]"), value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_nested() {
        let params = json!({
            "items": [{"price_data": {"currency": "usd", "unit_amount": 500}}],
            "expand": ["latest_invoice"],
            "metadata": {"a b": "&", "none": null},
            "enabled": true,
        });
        let encoded = encode(&params);
        let pairs: Vec<(String, String)> = form_urlencoded::parse(encoded.as_bytes())
            .into_owned()
            .collect();
        let expected = [
            ("enabled", "true"),
            ("expand[0]", "latest_invoice"),
            ("items[0][price_data][currency]", "usd"),
            ("items[0][price_data][unit_amount]", "500"),
            ("metadata[a b]", "&"),
        ];
        let mut pairs: Vec<(&str, &str)> = pairs
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        pairs.sort_unstable();
        assert_eq!(pairs, expected);
    }

    #[test]
    fn what_is_null_or_empty_is_not_mentioned() {
        let params = json!({"metadata": {}, "expand": [], "name": null, "a": {"b": [null, {}]}});
        assert_eq!(encode(&params), "");
        assert_eq!(encode(&json!({})), "");
        assert_eq!(encode(&json!({"name": ""})), "name=");
    }

    #[test]
    fn texts_are_encoded_as_in_forms() {
        let params = json!({"metadata": {"a[b]": "x y~*&é"}});
        assert_eq!(encode(&params), "metadata%5Ba%5Bb%5D%5D=x+y%7E*%26%C3%A9");
    }
}
