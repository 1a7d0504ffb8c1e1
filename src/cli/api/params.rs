//! The parameters of a call, from flags for what is typed often and from JSON for the rest.
//! Invariant: the body is one JSON object; a flag wins over the same field of the JSON.

use serde_json::{Map, Value};

#[derive(Debug, Default, clap::Args)]
pub struct Params {
    /// Parameters as one JSON object
    #[arg(value_name = "JSON")]
    json: Option<String>,
    /// A channel; several for broadcast
    #[arg(long)]
    channel: Vec<String>,
    /// Data to publish: JSON, and any other text as a JSON string
    #[arg(long, value_name = "JSON", allow_hyphen_values = true)]
    data: Option<String>,
    /// The user whose connections are meant
    #[arg(long)]
    user: Option<String>,
    /// The client whose connection is meant
    #[arg(long, value_name = "ID")]
    client: Option<String>,
    /// Publications to show; 0 for the position alone, -1 for all
    #[arg(long, allow_hyphen_values = true)]
    limit: Option<i32>,
    /// Names of channels, with * for any characters
    #[arg(long, value_name = "GLOB")]
    pattern: Option<String>,
    /// Publications up to here are acknowledged
    #[arg(long)]
    offset: Option<u64>,
    /// Type of an event, such as order.paid
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// Who says an event
    #[arg(long)]
    source: Option<String>,
}

impl Params {
    pub fn body(&self) -> Result<String, String> {
        let mut body = match &self.json {
            None => Map::new(),
            Some(text) => match serde_json::from_str(text) {
                Ok(Value::Object(body)) => body,
                Ok(_) => {
                    return Err(String::from(
                        "the parameters are no JSON object, such as {\"channel\":\"news\"}",
                    ));
                }
                Err(error) => return Err(format!("the parameters are no JSON: {error}")),
            },
        };
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                body.insert(name.to_owned(), value);
            }
        };
        let text = |text: &Option<String>| text.clone().map(Value::from);
        match self.channel.as_slice() {
            [] => {}
            [channel] => {
                put("channel", Some(Value::from(channel.clone())));
                put("channels", Some(Value::from(self.channel.clone())));
            }
            channels => put("channels", Some(Value::from(channels))),
        }
        let data = |text: &String| serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.clone()));
        put("data", self.data.as_ref().map(data));
        put("user", text(&self.user));
        put("client", text(&self.client));
        put("limit", self.limit.map(Value::from));
        put("pattern", text(&self.pattern));
        put("offset", self.offset.map(Value::from));
        put("type", text(&self.kind));
        put("source", text(&self.source));
        Ok(Value::Object(body).to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(params: &Params) -> Value {
        serde_json::from_str(&params.body().unwrap()).unwrap()
    }

    #[test]
    fn flags_win_over_the_json() {
        let params = Params {
            json: Some(String::from(r#"{"channel":"a","tags":{"x":"y"}}"#)),
            channel: vec![String::from("b")],
            limit: Some(-1),
            ..Params::default()
        };
        let expected = serde_json::json!({"channel":"b","channels":["b"],"tags":{"x":"y"},"limit":-1});
        assert_eq!(body(&params), expected);
    }

    #[test]
    fn data_is_json_or_a_string() {
        let data =
            |text: &str| body(&Params { data: Some(text.to_owned()), ..Params::default() })["data"].clone();
        assert_eq!(data(r#"{"n":1}"#), serde_json::json!({"n":1}));
        assert_eq!(data("7"), serde_json::json!(7));
        assert_eq!(data("hello there"), serde_json::json!("hello there"));
    }

    #[test]
    fn parameters_that_are_no_object_are_refused() {
        for json in ["[]", "1", "{", ""] {
            let params = Params { json: Some(json.to_owned()), ..Params::default() };
            assert!(params.body().is_err(), "{json}");
        }
    }
}
