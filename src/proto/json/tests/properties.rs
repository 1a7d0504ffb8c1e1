//! What holds for any bytes, and for any JSON.

use super::*;

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        // Eighths survive printing and parsing; serde_json rounds other fractions.
        any::<i32>().prop_map(|eighths| Value::from(f64::from(eighths) / 8.0)),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 32, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map(any::<String>(), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// The meaning of one encoded line.
fn meaning(line: &str) -> Value {
    assert!(!line.contains('\n'), "{line}");
    serde_json::from_str(line).expect(line)
}

proptest! {
    #[test]
    fn arbitrary_bytes_decode_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let results = Codec::Json.decode(&bytes).collect::<Vec<_>>();
        prop_assert!(!results.is_empty());
        let errors = results.iter().filter(|result| result.is_err()).count();
        prop_assert!(errors == 0 || (errors == 1 && results[results.len() - 1].is_err()));
    }

    #[test]
    fn nearly_json_decodes_or_is_refused(text in r#"[\[\]{}":,\\ \n0-9a-c]{0,60}"#) {
        let _ = Codec::Json.decode(text.as_bytes()).count();
        let line = format!(r#"{{"id":1,"rpc":{{"data":{text}}}}}"#);
        if let Ok(Command { request: Request::Rpc(rpc), .. }) = one_of(&line) {
            prop_assert!(rpc.data.is_empty() || Raw::json(rpc.data.bytes()).is_ok());
        }
    }

    #[test]
    fn a_truncated_command_is_refused(data in any_json(), cut in any::<prop::sample::Index>()) {
        let line = json!({"id": 1, "publish": {"channel": "c", "data": data}}).to_string();
        let cut = cut.index(line.len());
        prop_assert!(Codec::Json.decode(&line.as_bytes()[..cut]).any(|result| result.is_err()));
    }

    #[test]
    fn a_publish_keeps_its_meaning(id in 1_u32.., channel: String, data in any_json()) {
        let line = json!({"id": id, "publish": {"channel": channel, "data": data}}).to_string();
        let command = one(&line).unwrap();
        let Request::Publish(publish) = command.request else { panic!("{line}") };
        prop_assert_eq!(command.id, id);
        prop_assert_eq!(publish.channel, channel);
        if data.is_null() {
            prop_assert!(publish.data.is_empty());
        } else {
            prop_assert_eq!(serde_json::from_slice::<Value>(publish.data.bytes()).unwrap(), data);
        }
    }

    #[test]
    fn a_publication_push_is_one_line_with_the_same_meaning(
        channel in ".+", data in any_json(), offset: u64, user: String, client: String, key: String, pretty: bool,
    ) {
        let text = if pretty { serde_json::to_string_pretty(&data) } else { serde_json::to_string(&data) }.unwrap();
        let info = ClientInfo { user: &user, client: &client, ..ClientInfo::default() };
        let tags = [(key.as_str(), user.as_str())];
        let publication =
            Publication { data: raw(&text).into(), offset, info: Some(info), tags: &tags, ..Publication::default() };
        let line = push(&Push::Publication { channel: channel.as_str().into(), publication });
        let mut expected = json!({"data": data, "info": {"user": user, "client": client}, "tags": {key: user}});
        if offset != 0 {
            expected["offset"] = offset.into();
        }
        prop_assert_eq!(meaning(&line), json!({"push": {"channel": channel, "pub": expected}}));
    }

    #[test]
    fn replies_are_one_line_with_the_same_meaning(
        id in 1_u32.., text in ".+", ttl in 1_u32.., offset in 1_u64.., data in any_json(), expires: bool,
    ) {
        let embedded = data.to_string();
        let result = ConnectResult {
            client: &text, version: &text, expires, ttl_seconds: ttl, data: raw(&embedded), time_ms: offset,
            ..ConnectResult::default()
        };
        let mut expected = json!({"client": text, "version": text, "ttl": ttl, "data": data, "time": offset});
        if expires {
            expected["expires"] = true.into();
        }
        prop_assert_eq!(meaning(&reply(id, &Reply::Connect(result))), json!({"id": id, "connect": expected}));

        let clients = [ClientInfo { user: &text, client: &text, conn_info: raw(&embedded), chan_info: raw(&embedded) }];
        let line = reply(id, &Reply::Presence(PresenceResult { clients: &clients }));
        let info = json!({"user": text, "client": text, "conn_info": data, "chan_info": data});
        prop_assert_eq!(meaning(&line), json!({"id": id, "presence": {"presence": {text: info}}}));
    }
}
