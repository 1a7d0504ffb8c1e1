"""cent, the official client of the server API, unchanged, against the real server; a Python client of the protocol watches."""

import asyncio
import itertools
import time
import unittest

import cent
from centrifuge import Client, ClientEventHandler, SubscriptionEventHandler

from ringway import API_KEY, Server, connection_token
from test_client import Diary, WAIT_SECONDS_MAX, until

numbers = itertools.count(1)


class ServerApi(unittest.IsolatedAsyncioTestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        cls.api = cent.Client(cls.server.api, API_KEY)

    @classmethod
    def tearDownClass(cls):
        cls.api.close()
        cls.server.stop()

    async def asyncSetUp(self):
        self.clients = []

    async def asyncTearDown(self):
        for client in self.clients:
            await client.disconnect()

    def channel(self, namespace="log"):
        return f"{namespace + ':' if namespace else ''}cent-{next(numbers)}"

    async def connect(self, user, **claims):
        diary = Diary(ClientEventHandler)
        client = Client(self.server.websocket, events=diary, token=connection_token(user, **claims), proxy=None)
        client.diary = diary
        self.clients.append(client)
        await client.connect()
        await client.ready(timeout=WAIT_SECONDS_MAX)
        client.name = diary.all("connected")[0].client
        return client

    async def subscribe(self, client, channel):
        diary = Diary(SubscriptionEventHandler)
        subscription = client.new_subscription(channel, events=diary)
        subscription.diary = diary
        await subscription.subscribe()
        await subscription.ready(timeout=WAIT_SECONDS_MAX)
        return subscription

    async def call(self, method, request):
        """Off the loop, so that the clients go on listening."""
        return await asyncio.to_thread(getattr(self.api, method), request)

    async def test_publish_gives_the_position(self):
        channel = self.channel()
        first = await self.call("publish", cent.PublishRequest(channel=channel, data={"n": 1}))
        second = await self.call("publish", cent.PublishRequest(channel=channel, data={"n": 2}, tags={"kind": "note"}))
        self.assertEqual((first.offset, second.offset), (1, 2))
        self.assertEqual(first.epoch, second.epoch)

    async def test_broadcast_answers_for_each_channel(self):
        channels = [self.channel(), "nowhere:room", self.channel("")]
        result = await self.call("broadcast", cent.BroadcastRequest(channels=channels, data=1))
        self.assertEqual(result.responses[0].result.offset, 1)
        self.assertEqual(result.responses[1].error.code, 102)
        self.assertIsNone(result.responses[2].error)

    async def test_presence_and_its_stats(self):
        channel = self.channel()
        client = await self.connect("ada", info={"name": "Ada"})
        await self.subscribe(client, channel)
        presence = (await self.call("presence", cent.PresenceRequest(channel=channel))).presence
        self.assertEqual(list(presence), [client.name])
        self.assertEqual((presence[client.name].user, presence[client.name].conn_info), ("ada", {"name": "Ada"}))
        stats = await self.call("presence_stats", cent.PresenceStatsRequest(channel=channel))
        self.assertEqual((stats.num_clients, stats.num_users), (1, 1))
        empty = await self.call("presence", cent.PresenceRequest(channel=self.channel()))
        self.assertEqual(empty.presence, {})

    async def test_history_and_its_end(self):
        channel = self.channel()
        for n in range(1, 6):
            await self.call("publish", cent.PublishRequest(channel=channel, data={"n": n}))
        page = await self.call("history", cent.HistoryRequest(channel=channel, limit=2))
        self.assertEqual(([publication.data["n"] for publication in page.publications], page.offset), ([1, 2], 5))
        since = cent.StreamPosition(offset=2, epoch=page.epoch)
        rest = await self.call("history", cent.HistoryRequest(channel=channel, limit=100, since=since))
        self.assertEqual([publication.data["n"] for publication in rest.publications], [3, 4, 5])
        back = await self.call("history", cent.HistoryRequest(channel=channel, limit=2, reverse=True))
        self.assertEqual([publication.data["n"] for publication in back.publications], [5, 4])
        await self.call("history_remove", cent.HistoryRemoveRequest(channel=channel))
        gone = await self.call("history", cent.HistoryRequest(channel=channel, limit=100))
        self.assertEqual(gone.publications, [])

    async def test_subscribe_and_unsubscribe_move_a_user(self):
        client = await self.connect("grace")
        channel = self.channel()
        await self.call("subscribe", cent.SubscribeRequest(user="grace", channel=channel, data={"welcome": True}))
        await until("subscribed", lambda: client.diary.all("subscribed"))
        self.assertEqual(client.diary.all("subscribed")[0].data, {"welcome": True})
        await self.call("publish", cent.PublishRequest(channel=channel, data="hello"))
        await until("the publication", lambda: client.diary.all("publication"))
        await self.call("unsubscribe", cent.UnsubscribeRequest(user="grace", channel=channel))
        await until("unsubscribed", lambda: client.diary.all("unsubscribed"))

    async def test_disconnect_ends_a_user_with_the_code_of_the_application(self):
        client = await self.connect("eve")
        await self.call("disconnect", cent.DisconnectRequest(user="eve", disconnect=cent.Disconnect(code=4501, reason="banned")))
        await until("the end", lambda: client.diary.all("disconnected"))
        context = client.diary.all("disconnected")[0]
        self.assertEqual((context.code, context.reason), (4501, "banned"))

    async def test_refresh_is_taken_for_anybody(self):
        client = await self.connect("mallory")
        await self.call("refresh", cent.RefreshRequest(user="mallory", client=client.name, expire_at=int(time.time()) + 600))
        await self.call("refresh", cent.RefreshRequest(user="nobody"))
        self.assertEqual(len(client.diary.all("connected")), 1)

    async def test_channels_and_info_count_what_is_there(self):
        client = await self.connect("ada")
        channel = self.channel("")
        await self.subscribe(client, channel)
        channels = (await self.call("channels", cent.ChannelsRequest(pattern=channel))).channels
        self.assertEqual({name: found.num_clients for name, found in channels.items()}, {channel: 1})
        info = await self.call("info", cent.InfoRequest())
        self.assertEqual(len(info.nodes), 1)
        self.assertGreaterEqual(info.nodes[0].num_clients, 1)
        self.assertGreaterEqual(info.nodes[0].num_channels, 1)

    async def test_a_batch_answers_in_order(self):
        channel = self.channel()
        requests = [
            cent.PublishRequest(channel=channel, data=1),
            cent.BroadcastRequest(channels=[channel], data=2),
            cent.HistoryRequest(channel=channel, limit=10),
            cent.PresenceRequest(channel=channel),
        ]
        for parallel in (False, True):
            result = await self.call("batch", cent.BatchRequest(requests=requests, parallel=parallel))
            self.assertEqual(len(result.replies), 4)
            self.assertTrue(result.replies[0].offset >= 1)

    async def test_errors_and_a_wrong_key_are_what_cent_expects(self):
        with self.assertRaises(cent.CentApiResponseError) as caught:
            await self.call("publish", cent.PublishRequest(channel="nowhere:room", data=1))
        self.assertEqual((caught.exception.code, caught.exception.message), (102, "unknown channel"))
        with self.assertRaises(cent.CentApiResponseError) as caught:
            await self.call("presence", cent.PresenceRequest(channel="quiet:room"))
        self.assertEqual(caught.exception.code, 108)
        stranger = cent.Client(self.server.api, "a key that nobody gave out")
        with self.assertRaises(cent.CentUnauthorizedError):
            await asyncio.to_thread(stranger.publish, cent.PublishRequest(channel="room", data=1))
        stranger.close()

    async def test_the_asynchronous_client_works_as_well(self):
        api = cent.AsyncClient(self.server.api, API_KEY)
        results = await asyncio.gather(*(api.publish(cent.PublishRequest(channel="log:many", data=n)) for n in range(100)))
        await api.close()
        self.assertEqual(sorted(result.offset for result in results), list(range(1, 101)))


if __name__ == "__main__":
    unittest.main()
