//! What an error of the API means to whoever made the call, and what to do about it.

use serde_json::Value;

/// `reason` is what the node says beyond the code, if anything.
pub fn of_error(error: &Value, reason: Option<&str>) -> String {
    let code = error.get("code").and_then(Value::as_u64).unwrap_or_default();
    let message = error.get("message").and_then(Value::as_str).unwrap_or_default();
    let meaning = match code {
        100 => "a core or an engine did not answer in time; try again",
        102 => "the namespace of the channel is not configured",
        104 => "there is no such procedure",
        107 => "a parameter is missing or malformed",
        108 => "the channel's namespace has this switched off",
        111 => "publications of this channel come too fast; try again later",
        112 => "the history does not reach back to this position",
        _ => return format!("{code} {message}"),
    };
    format!("{code} {message}: {}", reason.unwrap_or(meaning))
}

pub fn of_status(status: u16, body: &str) -> String {
    let body = body.trim();
    match status {
        401 => String::from(
            "401: the node does not know this key; set RINGWAY_HTTP_API_KEY to its http_api.key, or use --key-file",
        ),
        _ => format!("{status}: {body}"),
    }
}

/// Whether one of the answers of a batch or a broadcast is an error.
pub fn has_failed_part(shown: &Value) -> bool {
    let parts = shown.get("replies").or_else(|| shown.get("responses")).and_then(Value::as_array);
    parts.is_some_and(|parts| parts.iter().any(|part| part.get("error").is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_error_says_its_code_its_message_and_its_meaning() {
        let error = json!({"code": 102, "message": "unknown channel"});
        assert_eq!(
            of_error(&error, None),
            "102 unknown channel: the namespace of the channel is not configured"
        );
        assert_eq!(of_error(&json!({"code": 107, "message": "bad"}), Some("why")), "107 bad: why");
        assert_eq!(of_error(&json!({"code": 400, "message": "mine"}), None), "400 mine");
        assert!(of_status(401, "").contains("RINGWAY_HTTP_API_KEY"));
    }

    #[test]
    fn a_part_that_failed_is_noticed() {
        assert!(has_failed_part(&json!({"replies": [{"publish": {}}, {"error": {}}]})));
        assert!(!has_failed_part(&json!({"responses": [{"result": {}}]})));
        assert!(!has_failed_part(&json!({"error": 1})));
    }
}
