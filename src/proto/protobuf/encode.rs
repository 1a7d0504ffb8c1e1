//! From replies and pushes to one Protobuf message each, behind its length.
//! Invariant: zero values stay out without exception; a result and a push are there even when they are empty.

use super::message::{Message, delimited};
use crate::proto::push::{Push, Subject};
use crate::proto::reply::{
    ClientInfo, ConnectResult, Data, Failure, HistoryResult, Publication, RefreshResult, Reply,
    SubRefreshResult, SubscribeResult,
};

pub(in crate::proto) fn reply(id: u32, reply: &Reply<'_>, out: &mut Vec<u8>) {
    delimited(out, |message| {
        message.number(1, id);
        match reply {
            Reply::Error(reject) => message.message(2, |to| failure(&Failure::from(*reject), to)),
            Reply::Failure(custom) => message.message(2, |to| failure(custom, to)),
            Reply::Connect(result) => message.message(5, |to| connect_result(result, to)),
            Reply::Subscribe(result) => message.message(6, |to| subscribe_result(result, to)),
            Reply::Unsubscribe => message.message(7, |_| ()),
            Reply::Publish => message.message(8, |_| ()),
            Reply::Presence(result) => message.message(9, |to| {
                for info in result.clients {
                    to.message(1, |entry| {
                        entry.text(1, info.client);
                        entry.message(2, |to| client_info(info, to));
                    });
                }
            }),
            Reply::PresenceStats(result) => message.message(10, |to| {
                to.number(1, result.client_count);
                to.number(2, result.user_count);
            }),
            Reply::History(result) => message.message(11, |to| history_result(result, to)),
            Reply::Rpc(result) => message.message(13, |to| to.raw(1, result.data)),
            Reply::Refresh(result) => message.message(14, |to| refresh_result(result, to)),
            Reply::SubRefresh(result) => message.message(15, |to| sub_refresh_result(*result, to)),
        }
    });
}

pub(in crate::proto) fn push(push: &Push<'_>, is_bare: bool, out: &mut Vec<u8>) {
    delimited(out, |message| {
        if is_bare {
            push_body(push, message);
        } else {
            message.message(4, |to| push_body(push, to));
        }
    });
}

fn push_body(push: &Push<'_>, to: &mut Message<'_>) {
    match push {
        Push::Publication { channel, publication: body } => {
            subject(*channel, to);
            to.message(4, |to| publication(body, to));
        }
        Push::Join { channel, info } => {
            subject(*channel, to);
            to.message(5, |to| to.message(1, |to| client_info(info, to)));
        }
        Push::Leave { channel, info } => {
            subject(*channel, to);
            to.message(6, |to| to.message(1, |to| client_info(info, to)));
        }
        Push::Unsubscribe { channel, code, reason } => {
            to.text(2, channel);
            to.message(7, |to| {
                to.number(2, *code);
                to.text(3, reason);
            });
        }
        Push::Message { data } => to.message(8, |to| to.raw(1, *data)),
        Push::Subscribe { channel, recoverable, epoch, offset, positioned, data } => {
            to.text(2, channel);
            to.message(9, |to| {
                to.flag(1, *recoverable);
                to.text(4, epoch);
                to.number(5, *offset);
                to.flag(6, *positioned);
                to.raw(7, *data);
            });
        }
        Push::Connect(result) => to.message(10, |to| connect_push(result, to)),
        Push::Disconnect { code, reason, reconnect } => to.message(11, |to| {
            to.number(1, *code);
            to.text(2, reason);
            to.flag(3, *reconnect);
        }),
        Push::Refresh { expires, ttl_seconds } => to.message(12, |to| {
            to.flag(1, *expires);
            to.number(2, *ttl_seconds);
        }),
    }
}

fn subject(subject: Subject<'_>, to: &mut Message<'_>) {
    match subject {
        Subject::Name(name) => to.text(2, name),
        Subject::Id(id) => to.number(1, id.get()),
    }
}

fn failure(failure: &Failure<'_>, to: &mut Message<'_>) {
    to.number(1, failure.code);
    to.text(2, failure.message);
    to.flag(3, failure.temporary);
}

fn connect_result(result: &ConnectResult<'_>, to: &mut Message<'_>) {
    to.text(1, result.client);
    to.text(2, result.version);
    to.flag(3, result.expires);
    to.number(4, result.ttl_seconds);
    to.raw(5, result.data);
    subs(6, result, to);
    to.number(7, result.ping_seconds);
    to.flag(8, result.pong);
    to.text(9, result.session);
    to.text(10, result.node);
    to.number(11, result.time_ms);
}

/// The same members as in the reply, under other numbers.
fn connect_push(result: &ConnectResult<'_>, to: &mut Message<'_>) {
    to.text(1, result.client);
    to.text(2, result.version);
    to.raw(3, result.data);
    subs(4, result, to);
    to.flag(5, result.expires);
    to.number(6, result.ttl_seconds);
    to.number(7, result.ping_seconds);
    to.flag(8, result.pong);
    to.text(9, result.session);
    to.text(10, result.node);
    to.number(11, result.time_ms);
}

fn subs(number: u32, result: &ConnectResult<'_>, to: &mut Message<'_>) {
    for (channel, result) in result.subs {
        to.message(number, |entry| {
            entry.text(1, channel);
            entry.message(2, |to| subscribe_result(result, to));
        });
    }
}

fn subscribe_result(result: &SubscribeResult<'_>, to: &mut Message<'_>) {
    to.flag(1, result.expires);
    to.number(2, result.ttl_seconds);
    to.flag(3, result.recoverable);
    to.text(6, result.epoch);
    for item in result.publications {
        to.message(7, |to| publication(item, to));
    }
    to.flag(8, result.recovered);
    to.number(9, result.offset);
    to.flag(10, result.positioned);
    to.raw(11, result.data);
    to.flag(12, result.was_recovering);
    to.flag(13, result.delta);
    if let Some(id) = result.id {
        to.number(14, id.get());
    }
}

fn history_result(result: &HistoryResult<'_>, to: &mut Message<'_>) {
    for item in result.publications {
        to.message(1, |to| publication(item, to));
    }
    to.text(2, result.epoch);
    to.number(3, result.offset);
}

fn refresh_result(result: &RefreshResult<'_>, to: &mut Message<'_>) {
    to.text(1, result.client);
    to.text(2, result.version);
    to.flag(3, result.expires);
    to.number(4, result.ttl_seconds);
}

fn sub_refresh_result(result: SubRefreshResult, to: &mut Message<'_>) {
    to.flag(1, result.expires);
    to.number(2, result.ttl_seconds);
}

fn publication(publication: &Publication<'_>, to: &mut Message<'_>) {
    match publication.data {
        Data::Embedded(raw) => to.raw(4, raw),
        Data::Text(text) => to.text(4, text),
    }
    if let Some(info) = &publication.info {
        to.message(5, |to| client_info(info, to));
    }
    to.number(6, publication.offset);
    for (key, value) in publication.tags {
        to.message(7, |entry| {
            entry.text(1, key);
            entry.text(2, value);
        });
    }
    to.flag(8, publication.delta);
    to.number(9, publication.time_ms);
    to.text(10, publication.channel);
    to.text(14, publication.epoch);
}

fn client_info(info: &ClientInfo<'_>, to: &mut Message<'_>) {
    to.text(1, info.user);
    to.text(2, info.client);
    to.raw(3, info.conn_info);
    to.raw(4, info.chan_info);
}
