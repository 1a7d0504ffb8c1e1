//! From replies and pushes to one line of JSON each, members in the order of the schema's field numbers.
//! Invariant: zero values stay out, except those that clients read without looking: they are the `_always` calls.

use super::object::{Object, object};
use crate::proto::push::{Push, Subject};
use crate::proto::reply::{
    ClientInfo, ConnectResult, Data, Failure, HistoryResult, Publication, RefreshResult, Reply,
    SubRefreshResult, SubscribeResult,
};

pub(in crate::proto) fn reply(id: u32, reply: &Reply<'_>, out: &mut Vec<u8>) {
    object(out, |message| {
        message.number("id", id);
        match reply {
            Reply::Error(reject) => message.object("error", |to| failure(&Failure::from(*reject), to)),
            Reply::Failure(custom) => message.object("error", |to| failure(custom, to)),
            Reply::Connect(result) => message.object("connect", |to| connect_result(result, to)),
            Reply::Subscribe(result) => message.object("subscribe", |to| subscribe_result(result, to)),
            Reply::Unsubscribe => message.object("unsubscribe", |_| ()),
            Reply::Publish => message.object("publish", |_| ()),
            Reply::Presence(result) => message.object("presence", |to| {
                to.object("presence", |clients| {
                    for info in result.clients {
                        object(clients.key(info.client), |to| client_info(info, to));
                    }
                });
            }),
            Reply::PresenceStats(result) => message.object("presence_stats", |to| {
                to.number_always("num_clients", result.client_count);
                to.number_always("num_users", result.user_count);
            }),
            Reply::History(result) => message.object("history", |to| history_result(result, to)),
            Reply::Rpc(result) => message.object("rpc", |to| to.raw("data", result.data)),
            Reply::Refresh(result) => message.object("refresh", |to| refresh_result(result, to)),
            Reply::SubRefresh(result) => message.object("sub_refresh", |to| sub_refresh_result(*result, to)),
        }
    });
}

pub(in crate::proto) fn push(push: &Push<'_>, is_bare: bool, out: &mut Vec<u8>) {
    object(out, |message| {
        if is_bare {
            push_body(push, message);
        } else {
            message.object("push", |to| push_body(push, to));
        }
    });
}

fn push_body(push: &Push<'_>, to: &mut Object<'_>) {
    match push {
        Push::Publication { channel, publication: body } => {
            subject(*channel, to);
            to.object("pub", |to| publication(body, to));
        }
        Push::Join { channel, info } => {
            subject(*channel, to);
            to.object("join", |to| to.object("info", |to| client_info(info, to)));
        }
        Push::Leave { channel, info } => {
            subject(*channel, to);
            to.object("leave", |to| to.object("info", |to| client_info(info, to)));
        }
        Push::Unsubscribe { channel, code, reason } => {
            to.text("channel", channel);
            to.object("unsubscribe", |to| {
                to.number("code", *code);
                to.text("reason", reason);
            });
        }
        Push::Message { data } => to.object("message", |to| to.raw("data", *data)),
        Push::Subscribe { channel, recoverable, epoch, offset, positioned, data } => {
            to.text("channel", channel);
            to.object("subscribe", |to| {
                to.flag("recoverable", *recoverable);
                to.text("epoch", epoch);
                to.number("offset", *offset);
                to.flag("positioned", *positioned);
                to.raw("data", *data);
            });
        }
        Push::Connect(result) => to.object("connect", |to| connect_result(result, to)),
        Push::Disconnect { code, reason, reconnect } => to.object("disconnect", |to| {
            to.number("code", *code);
            to.text("reason", reason);
            to.flag("reconnect", *reconnect);
        }),
        Push::Refresh { expires, ttl_seconds } => to.object("refresh", |to| {
            to.flag("expires", *expires);
            to.number("ttl", *ttl_seconds);
        }),
    }
}

fn subject(subject: Subject<'_>, to: &mut Object<'_>) {
    match subject {
        Subject::Name(name) => to.text("channel", name),
        Subject::Id(id) => to.number("id", id.get()),
    }
}

fn failure(failure: &Failure<'_>, to: &mut Object<'_>) {
    to.number("code", failure.code);
    to.text("message", failure.message);
    to.flag("temporary", failure.temporary);
}

fn connect_result(result: &ConnectResult<'_>, to: &mut Object<'_>) {
    to.text("client", result.client);
    to.text("version", result.version);
    to.flag("expires", result.expires);
    to.number("ttl", result.ttl_seconds);
    to.raw("data", result.data);
    if !result.subs.is_empty() {
        to.object("subs", |subs| {
            for (channel, result) in result.subs {
                object(subs.key(channel), |to| subscribe_result(result, to));
            }
        });
    }
    to.number("ping", result.ping_seconds);
    to.flag("pong", result.pong);
    to.text("session", result.session);
    to.text("node", result.node);
    to.number("time", result.time_ms);
}

fn subscribe_result(result: &SubscribeResult<'_>, to: &mut Object<'_>) {
    to.flag("expires", result.expires);
    to.number("ttl", result.ttl_seconds);
    to.flag("recoverable", result.recoverable);
    to.text("epoch", result.epoch);
    if !result.publications.is_empty() {
        to.objects("publications", result.publications, publication);
    }
    to.flag("recovered", result.recovered);
    to.number("offset", result.offset);
    to.flag("positioned", result.positioned);
    to.raw("data", result.data);
    to.flag("was_recovering", result.was_recovering);
    to.flag("delta", result.delta);
    if let Some(id) = result.id {
        to.number("id", id.get());
    }
}

fn history_result(result: &HistoryResult<'_>, to: &mut Object<'_>) {
    to.objects("publications", result.publications, publication);
    to.text_always("epoch", result.epoch);
    to.number_always("offset", result.offset);
}

fn refresh_result(result: &RefreshResult<'_>, to: &mut Object<'_>) {
    to.text("client", result.client);
    to.text("version", result.version);
    to.flag("expires", result.expires);
    to.number("ttl", result.ttl_seconds);
}

fn sub_refresh_result(result: SubRefreshResult, to: &mut Object<'_>) {
    to.flag("expires", result.expires);
    to.number("ttl", result.ttl_seconds);
}

fn publication(publication: &Publication<'_>, to: &mut Object<'_>) {
    match publication.data {
        Data::Embedded(raw) => to.raw("data", raw),
        Data::Text(text) => to.text("data", text),
    }
    if let Some(info) = &publication.info {
        to.object("info", |to| client_info(info, to));
    }
    to.number("offset", publication.offset);
    if !publication.tags.is_empty() {
        to.object("tags", |tags| {
            for (key, value) in publication.tags {
                tags.value(key, value);
            }
        });
    }
    to.flag("delta", publication.delta);
    to.number("time", publication.time_ms);
    to.text("channel", publication.channel);
    to.text("epoch", publication.epoch);
}

fn client_info(info: &ClientInfo<'_>, to: &mut Object<'_>) {
    to.text_always("user", info.user);
    to.text_always("client", info.client);
    to.raw("conn_info", info.conn_info);
    to.raw("chan_info", info.chan_info);
}
