"""The official Python SDK, unchanged, against the real server."""

import asyncio
import functools
import itertools
import json
import time
import unittest

from centrifuge import (
    Client, ClientEventHandler, ClientState, DeltaType, Filter, ReplyError, StreamPosition, SubscriptionEventHandler,
    SubscriptionState,
)
from cent import AsyncClient, DisconnectRequest, PublishRequest, UnsubscribeRequest

from ringway import API_KEY, Server, connection_token, subscription_token

WAIT_SECONDS_MAX = 10
numbers = itertools.count(1)


async def until(what, condition, seconds=WAIT_SECONDS_MAX):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}")
        await asyncio.sleep(0.01)


class Diary:
    """Remembers everything that the SDK tells its application."""

    def __init__(self, kind):
        self.entries = []
        for name in [name for name in dir(kind) if name.startswith("on_")]:
            setattr(self, name, functools.partial(self._note, name[3:]))

    async def _note(self, name, context):
        self.entries.append((name, context))

    def all(self, name):
        return [context for entry, context in self.entries if entry == name]


def over_both_codecs(test):
    """Runs a test once over JSON and once over Protobuf."""
    async def run(self):
        for protobuf in (False, True):
            with self.subTest(protobuf=protobuf):
                await test(self, protobuf)
    return functools.update_wrapper(run, test, assigned=("__name__", "__doc__"), updated=())


class PythonClient(unittest.IsolatedAsyncioTestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    async def asyncSetUp(self):
        self.clients = []
        self.api = AsyncClient(self.server.api, API_KEY)

    async def asyncTearDown(self):
        for client in self.clients:
            await client.disconnect()
        await self.api.close()

    def channel(self, namespace=""):
        return f"{namespace + ':' if namespace else ''}py-{next(numbers)}"

    def client(self, protobuf, user="ada", **options):
        options.setdefault("token", connection_token(user))
        diary = Diary(ClientEventHandler)
        client = Client(self.server.websocket, events=diary, use_protobuf=protobuf, proxy=None, min_reconnect_delay=0.05, **options)
        client.diary = diary
        self.clients.append(client)
        return client

    async def connect(self, protobuf, user="ada", **options):
        client = self.client(protobuf, user, **options)
        await client.connect()
        await client.ready(timeout=WAIT_SECONDS_MAX)
        return client

    async def subscribe(self, client, channel, **options):
        diary = Diary(SubscriptionEventHandler)
        subscription = client.new_subscription(channel, events=diary, min_resubscribe_delay=0.05, **options)
        subscription.diary = diary
        await subscription.subscribe()
        await subscription.ready(timeout=WAIT_SECONDS_MAX)
        return subscription

    @staticmethod
    def encode(protobuf, value):
        return json.dumps(value, ensure_ascii=False).encode() if protobuf else value

    @staticmethod
    def decode(protobuf, data):
        return json.loads(data) if protobuf else data

    def heard(self, protobuf, subscription):
        return [self.decode(protobuf, context.pub.data) for context in subscription.diary.all("publication")]

    async def hears(self, protobuf, subscription, values):
        await until(f"{len(values)} publications", lambda: len(self.heard(protobuf, subscription)) >= len(values))
        self.assertEqual(self.heard(protobuf, subscription), values)

    async def publish(self, channel, data, **more):
        return await self.api.publish(PublishRequest(channel=channel, data=data, **more))

    @over_both_codecs
    async def test_a_client_connects_subscribes_publishes_and_hears_itself(self, protobuf):
        client = await self.connect(protobuf)
        subscription = await self.subscribe(client, self.channel())
        value = {"text": "Привет, 世界 👋"}
        await subscription.publish(self.encode(protobuf, value))
        await self.hears(protobuf, subscription, [value])
        info = subscription.diary.all("publication")[0].pub.info
        self.assertEqual(info.user, "ada")

    @over_both_codecs
    async def test_presence_and_its_stats_are_exact(self, protobuf):
        channel = self.channel()
        clients = [await self.connect(protobuf, user) for user in ("ada", "ada", "grace")]
        subscriptions = [await self.subscribe(client, channel) for client in clients]
        people = (await subscriptions[0].presence()).clients
        self.assertEqual(sorted(info.user for info in people.values()), ["ada", "ada", "grace"])
        stats = await subscriptions[0].presence_stats()
        self.assertEqual((stats.num_clients, stats.num_users), (3, 2))

    @over_both_codecs
    async def test_joins_and_leaves_are_told(self, protobuf):
        client = await self.connect(protobuf)
        subscription = await self.subscribe(client, self.channel("lobby"), join_leave=True)
        other = await self.connect(protobuf, "grace")
        await self.subscribe(other, subscription.channel)
        await until("the join", lambda: any(context.info.user == "grace" for context in subscription.diary.all("join")))
        await other.disconnect()
        await until("the leave", lambda: any(context.info.user == "grace" for context in subscription.diary.all("leave")))

    @over_both_codecs
    async def test_history_pages_forward_and_backward(self, protobuf):
        client = await self.connect(protobuf)
        channel = self.channel("log")
        for n in range(1, 11):
            await self.publish(channel, {"n": n})

        async def page(**options):
            result = await client.history(channel, **options)
            return [self.decode(protobuf, publication.data)["n"] for publication in result.publications], result

        first, result = await page(limit=4)
        self.assertEqual(first, [1, 2, 3, 4])
        second, _ = await page(limit=4, since=StreamPosition(offset=4, epoch=result.epoch))
        self.assertEqual(second, [5, 6, 7, 8])
        last, _ = await page(limit=3, reverse=True)
        self.assertEqual(last, [10, 9, 8])
        with self.assertRaises(ReplyError) as caught:
            await page(limit=3, since=StreamPosition(offset=1, epoch="other"))
        self.assertEqual(caught.exception.code, 112)

    @over_both_codecs
    async def test_what_was_missed_while_the_connection_was_away_arrives_in_order_once(self, protobuf):
        client = await self.connect(protobuf)
        subscription = await self.subscribe(client, self.channel("log"))
        for n in range(1, 6):
            await self.publish(subscription.channel, n)
        await self.hears(protobuf, subscription, [1, 2, 3, 4, 5])
        await client.disconnect()
        for n in range(6, 31):
            await self.publish(subscription.channel, n)
        await client.connect()
        await subscription.ready(timeout=WAIT_SECONDS_MAX)
        await self.publish(subscription.channel, 31)
        await self.hears(protobuf, subscription, list(range(1, 32)))
        again = subscription.diary.all("subscribed")[-1]
        self.assertEqual((again.was_recovering, again.recovered), (True, True))

    @over_both_codecs
    async def test_who_missed_too_much_is_told_so(self, protobuf):
        client = await self.connect(protobuf)
        subscription = await self.subscribe(client, self.channel("short"))
        await self.publish(subscription.channel, 1)
        await self.hears(protobuf, subscription, [1])
        await client.disconnect()
        for n in range(2, 12):
            await self.publish(subscription.channel, n)
        await client.connect()
        await subscription.ready(timeout=WAIT_SECONDS_MAX)
        again = subscription.diary.all("subscribed")[-1]
        self.assertEqual((again.was_recovering, again.recovered), (True, False))
        await self.publish(subscription.channel, 12)
        await self.hears(protobuf, subscription, [1, 12])

    @over_both_codecs
    async def test_differences_of_text_in_many_scripts_arrive_whole(self, protobuf):
        client = await self.connect(protobuf)
        subscription = await self.subscribe(client, self.channel("delta"), delta=DeltaType.FOSSIL)
        text = "Съешь же ещё этих мягких французских булок. 天地玄黃,宇宙洪荒。🦀🚀👩🏽‍💻" * 4
        values = [{"n": n, "text": text[:n * 7] + "правка🦄" + text[n * 7:]} for n in range(1, 25)]
        for value in values:
            await self.publish(subscription.channel, value)
        await self.hears(protobuf, subscription, values)
        self.assertEqual(len(client.diary.all("connected")), 1)

    @over_both_codecs
    async def test_a_tag_filter_lets_through_what_matches(self, protobuf):
        client = await self.connect(protobuf)
        tags_filter = Filter.all(Filter.is_in("ticker", ["BTC", "ETH"]), Filter.negate(Filter.lt("price", "100")))
        subscription = await self.subscribe(client, self.channel("filtered"), tags_filter=tags_filter)
        for ticker, price in (("BTC", "99"), ("BTC", "100"), ("DOGE", "500"), ("ETH", "101")):
            await self.publish(subscription.channel, ticker + price, tags={"ticker": ticker, "price": price})
        await self.hears(protobuf, subscription, ["BTC100", "ETH101"])

    @over_both_codecs
    async def test_an_expired_token_is_replaced(self, protobuf):
        asked = []

        async def get_token():
            asked.append(True)
            return connection_token("ada")

        expired = connection_token("ada", exp=int(time.time()) - 10)
        await self.connect(protobuf, token=expired, get_token=get_token)
        self.assertEqual(len(asked), 1)

    @over_both_codecs
    async def test_a_token_is_refreshed_before_it_ends(self, protobuf):
        asked = []

        async def get_token():
            asked.append(True)
            return connection_token("ada")

        client = await self.connect(protobuf, token=connection_token("ada", exp=int(time.time()) + 2), get_token=get_token)
        await until("a refresh", lambda: asked)
        await asyncio.sleep(1)
        self.assertEqual(client.state, ClientState.CONNECTED)
        self.assertEqual(len(client.diary.all("connected")), 1)

    @over_both_codecs
    async def test_a_forged_token_is_refused_for_good(self, protobuf):
        client = self.client(protobuf, token=connection_token("ada")[:-4] + "AAAA")
        await client.connect()
        await until("the refusal", lambda: client.diary.all("disconnected"))
        context = client.diary.all("disconnected")[0]
        self.assertEqual((context.code, context.reason), (3500, "invalid token"))

    @over_both_codecs
    async def test_a_private_channel_opens_for_its_token(self, protobuf):
        client = await self.connect(protobuf)
        channel = "$" + self.channel()

        async def get_token(channel):
            return subscription_token("ada", channel)

        subscription = await self.subscribe(client, channel, get_token=get_token)
        await self.publish(channel, "secret")
        await self.hears(protobuf, subscription, ["secret"])

    @over_both_codecs
    async def test_refusals_have_their_codes(self, protobuf):
        client = await self.connect(protobuf)
        for channel, code in (("nowhere:room", 102), ("$private", 103), ("x" * 300, 107)):
            diary = Diary(SubscriptionEventHandler)
            await client.new_subscription(channel, events=diary).subscribe()
            await until(f"the refusal of {channel}", lambda diary=diary: diary.all("unsubscribed"))
            self.assertEqual(diary.all("unsubscribed")[0].code, code)
        for call, code in (
            (client.presence("quiet:room"), 108), (client.history("quiet:room", limit=1), 108),
            (client.publish("quiet:room", self.encode(protobuf, 1)), 103), (client.rpc("anything", self.encode(protobuf, {})), 108),
        ):
            with self.assertRaises(ReplyError) as caught:
                await call
            self.assertEqual(caught.exception.code, code)

    @over_both_codecs
    async def test_channels_of_the_token_are_subscribed_with_the_connection(self, protobuf):
        channel = self.channel("log")
        client = await self.connect(protobuf, token=connection_token("ada", channels=[channel]))
        await self.publish(channel, {"n": 1})
        await until("the publication", lambda: client.diary.all("publication"))
        context = client.diary.all("publication")[0]
        self.assertEqual((context.channel, self.decode(protobuf, context.pub.data)), (channel, {"n": 1}))

    @over_both_codecs
    async def test_the_application_unsubscribes_and_disconnects(self, protobuf):
        user = f"user-{next(numbers)}"
        client = await self.connect(protobuf, user)
        subscription = await self.subscribe(client, self.channel())
        await self.api.unsubscribe(UnsubscribeRequest(user=user, channel=subscription.channel))
        await until("the end of the subscription", lambda: subscription.state == SubscriptionState.UNSUBSCRIBED)
        self.assertEqual(subscription.diary.all("unsubscribed")[0].code, 2000)
        await self.api.disconnect(DisconnectRequest(user=user))
        await until("the end", lambda: client.state == ClientState.DISCONNECTED)
        self.assertEqual(client.diary.all("disconnected")[0].code, 3503)

    @over_both_codecs
    async def test_pings_are_answered_and_the_connection_stays(self, protobuf):
        client = await self.connect(protobuf, max_server_ping_delay=1.0)
        await asyncio.sleep(3.5)
        self.assertEqual(len(client.diary.all("connected")), 1)
        self.assertEqual(client.state, ClientState.CONNECTED)


if __name__ == "__main__":
    unittest.main()
