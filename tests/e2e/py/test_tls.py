"""The official Python SDK, unchanged, over TLS with a certificate of a private authority."""

import os
import ssl
import unittest

import test_client
from ringway import Server
from test_client import WAIT_SECONDS_MAX, over_both_codecs, until

FOLDER = os.environ["E2E_TLS"]


class SealedClient(unittest.IsolatedAsyncioTestCase):
    # What tests use is there already; its tests are not meant here.
    asyncSetUp = test_client.PythonClient.asyncSetUp
    asyncTearDown = test_client.PythonClient.asyncTearDown
    channel = test_client.PythonClient.channel
    client = test_client.PythonClient.client
    connect = test_client.PythonClient.connect
    subscribe = test_client.PythonClient.subscribe
    encode = staticmethod(test_client.PythonClient.encode)
    decode = staticmethod(test_client.PythonClient.decode)
    heard = test_client.PythonClient.heard
    hears = test_client.PythonClient.hears
    publish = test_client.PythonClient.publish

    @classmethod
    def setUpClass(cls):
        cls.server = Server(tls=FOLDER)
        cls.context = ssl.create_default_context(cafile=os.path.join(FOLDER, "cert.pem"))

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    @over_both_codecs
    async def test_a_client_talks_and_gets_what_it_missed_while_it_was_away(self, protobuf):
        client = await self.connect(protobuf, ssl_context=self.context)
        subscription = await self.subscribe(client, self.channel("log"))
        await subscription.publish(self.encode(protobuf, 1))
        await self.hears(protobuf, subscription, [1])
        await client.disconnect()
        for n in range(2, 21):
            await self.publish(subscription.channel, n)
        await client.connect()
        await subscription.ready(timeout=WAIT_SECONDS_MAX)
        await self.publish(subscription.channel, 21)
        await self.hears(protobuf, subscription, list(range(1, 22)))
        self.assertTrue(subscription.diary.all("subscribed")[-1].recovered)

    async def test_a_client_that_does_not_know_the_authority_does_not_get_in(self):
        stranger = self.client(False, ssl_context=ssl.create_default_context())
        await stranger.connect()
        await until("an error", lambda: stranger.diary.all("error"))
        self.assertFalse(stranger.diary.all("connected"))
