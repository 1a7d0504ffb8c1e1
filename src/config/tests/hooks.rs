//! Back ends: where they may be configured, and who may count on which.

use super::*;

#[test]
fn a_namespace_chooses_a_back_end_by_name() {
    let config = accepted(
        "[channel.proxy.subscribe]\nendpoint = \"http://127.0.0.1:1/s\"\nhttp_headers = [\"Cookie\", \"X-Id\"]\n\
         static_http_headers = \"X-Node: a; X-Zone: b c\"\n\
         status_transforms = \"403 error 403 not for you; 401 disconnect 4401 log in; 503 temporary 100\"\n\
         [[proxies]]\nname = \"rooms\"\nendpoint = \"https://rooms.example.com\"\nfallback = \"deny\"\n\
         [[channel.namespaces]]\nname = \"chat\"\nsubscribe_proxy_enabled = true\n\
         publish_proxy_enabled = true\npublish_proxy_name = \"rooms\"\n\
         [[rpc.namespaces]]\nname = \"rooms\"\nproxy_enabled = true\nproxy_name = \"rooms\"\n",
    );
    let subscribe = config.hooks.backend("subscribe_proxy", "default").unwrap();
    assert_eq!(subscribe.http_headers, ["Cookie", "X-Id"]);
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(subscribe.headers(), [pair("X-Node", "a"), pair("X-Zone", "b c")]);
    let transforms = subscribe.transforms();
    let read: Vec<_> = transforms.iter().map(|t| (t.status, t.to, t.code, t.text.as_str())).collect();
    assert_eq!(
        read,
        [
            (403, TransformTo::Error, 403, "not for you"),
            (401, TransformTo::Disconnect, 4401, "log in"),
            (503, TransformTo::Temporary, 100, ""),
        ]
    );
    assert_eq!(config.hooks.backend("publish_proxy", "rooms").unwrap().fallback, "deny");
    assert!(config.hooks.backend("publish_proxy", "default").is_none());
    assert_eq!(subscribe.timeout, Duration::from_millis(800));
}

#[test]
fn whoever_counts_on_a_back_end_that_is_not_there_must_not_start() {
    for (text, problem) in [
        ("[client.proxy.connect]\nenabled = true\n", "`client.proxy.connect.enabled`"),
        ("[events.proxy]\nenabled = true\nendpoint = \"http://a\"\n", "`events.of` says"),
        ("[rpc.without_namespace]\nproxy_enabled = true\n", "`rpc.without_namespace.proxy_name`"),
        ("[[rpc.namespaces]]\nname = \"ab\"\nproxy_enabled = true\n", "`rpc.namespaces.ab.proxy_name`"),
        (
            "[[channel.namespaces]]\nname = \"ab\"\npublish_proxy_enabled = true\npublish_proxy_name = \"cd\"\n",
            "`channel.namespaces.ab.publish_proxy_name` is cd",
        ),
        ("[rpc.proxy]\nendpoint = \"http://a\"\ntimeout = \"5s\"\n", "`rpc.proxy.timeout`"),
        (
            "[rpc.proxy]\nendpoint = \"http://a\"\nhttp_headers = [\"X-User\"]\n\
             [channel.proxy.publish]\nendpoint = \"http://a\"\nemulated_headers = [\"x-user\"]\n",
            "`rpc.proxy.http_headers` is X-User",
        ),
    ] {
        let problems = refused(text);
        assert!(problems.len() == 1 && problems[0].contains(problem), "{text}: {problems:?}");
    }
}

#[test]
fn addresses_headers_and_statuses_are_checked() {
    for line in [
        "endpoint = \"app.example.com\"",
        "endpoint = \"ftp://a\"",
        "endpoint = \"http://\"",
        "endpoint = \"http://user@a\"",
        "endpoint = \"http://a b\"",
        "http_headers = [\"Host\"]",
        "http_headers = [\"a:b\"]",
        "emulated_headers = [\"content-length\"]",
        "static_http_headers = \"X-Node\"",
        "static_http_headers = \"Connection: close\"",
        "status_transforms = \"200 error 1 no\"",
        "status_transforms = \"403 error 0 no\"",
        "status_transforms = \"403 disconnect 1000 no\"",
        "status_transforms = \"403 allow 1\"",
        "fallback = \"guess\"",
    ] {
        let problems = refused(&format!("[rpc.proxy]\n{line}\n"));
        assert!(problems.len() == 1 && problems[0].contains("`rpc.proxy."), "{line}: {problems:?}");
    }
}

#[test]
fn the_authorization_of_a_back_end_is_never_shown() {
    let config = accepted("[rpc.proxy]\nendpoint = \"http://a\"\nauthorization = \"Bearer hunter2\"\n");
    assert!(!format!("{config:?}").contains("hunter2"));
    assert!(!format!("{:?}", config.differences()).contains("hunter2"));
}

#[test]
fn shards_are_told_whom_to_ask_and_which_headers_to_keep() {
    let config = accepted(
        "[client.proxy.connect]\nenabled = true\nendpoint = \"http://a\"\nhttp_headers = [\"Cookie\"]\n\
         emulated_headers = [\"Authorization\"]\n[rpc.proxy]\nendpoint = \"http://a\"\nhttp_headers = [\"cookie\", \"X-Id\"]\n\
         [rpc.without_namespace]\nproxy_enabled = true\n[[rpc.namespaces]]\nname = \"off\"\n\
         [events]\nof = [\"disconnect\"]\n[events.proxy]\nenabled = true\nendpoint = \"http://a\"\n",
    );
    let told = config.settings().unwrap().hooks;
    assert!(told.connect && !told.refresh && told.disconnect);
    assert_eq!(told.rpc.as_deref(), Some("default"));
    assert_eq!(told.rpc_namespaces, [(Box::from("off"), None)]);
    assert_eq!(told.headers, [Box::from("cookie"), Box::from("x-id")]);
    assert_eq!(told.emulated_headers, [Box::from("authorization")]);
}
