// Tokens whose keys come from elsewhere: a key set of an issuer, public keys in the configuration, keys that change.

import assert from "node:assert/strict";
import { after } from "node:test";
import { Issuer } from "../issuer.mjs";
import { suite } from "../stage.mjs";
import { inSeconds, subscriptionToken, token } from "../token.mjs";

const issuer = await Issuer.start();
after(() => issuer.stop());
const stranger = await Issuer.start();
after(() => stranger.stop());

const WHO = { issuer: "https://issuer.test", audience: "ringway" };
const claims = () => ({ sub: "ada", iss: WHO.issuer, aud: WHO.audience, exp: inSeconds(60) });
const INVALID_TOKEN = { code: 3500, reason: "invalid token" };

const { test } = suite({ client: { token: { hmac_secret_key: undefined, jwks_public_endpoint: issuer.url, ...WHO } } });

for (const algorithm of issuer.keys.keys()) {
  test(`a token signed with ${algorithm} and a key of the issuer's set is accepted`, async (stage) => {
    await stage.connect({ token: issuer.token(algorithm, claims()) });
  });

  test(`a token signed with ${algorithm} and another issuer's key is refused for good`, async (stage) => {
    assert.deepEqual(await stage.client({ token: stranger.token(algorithm, claims()) }).refused(), INVALID_TOKEN);
  });
}

const wrong = {
  "for another audience": { aud: "somebody else" },
  "without an audience": { aud: undefined },
  "of another issuer": { iss: "https://elsewhere.test" },
  "without an issuer": { iss: undefined },
};
for (const [what, change] of Object.entries(wrong)) {
  test(`a token ${what} is refused for good`, async (stage) => {
    assert.deepEqual(await stage.client({ token: issuer.token("ES256", { ...claims(), ...change }) }).refused(), INVALID_TOKEN);
  });
}

test("an audience among several is enough", async (stage) => {
  await stage.connect({ token: issuer.token("ES256", { ...claims(), aud: ["other", WHO.audience] }) });
});

test("a token signed with the public key as if it were a secret is refused for good", async (stage) => {
  const forged = token(claims(), { algorithm: "HS256", key: issuer.pem("RS256"), kid: issuer.keys.get("RS256").kid });
  assert.deepEqual(await stage.client({ token: forged }).refused(), INVALID_TOKEN);
});

test("a hundred clients that come at once cost the issuer one request at most", async (stage) => {
  const fresh = await Issuer.start();
  stage.later(() => fresh.stop());
  const { address } = await stage.serve({ client: { token: { hmac_secret_key: undefined, jwks_public_endpoint: fresh.url } } });
  await Promise.all(Array.from({ length: 100 }, () => stage.connect({ address, token: fresh.token("EdDSA", { sub: "ada", exp: inSeconds(60) }) })));
  assert.equal(fresh.requests, 1);
});

for (const [option, algorithms] of [["rsa_public_key", ["RS256"]], ["ecdsa_public_key", ["ES256"]]]) {
  for (const algorithm of algorithms) {
    test(`${option} accepts ${algorithm} of its key and nothing else`, async (stage) => {
      const { address } = await stage.serve({ client: { token: { hmac_secret_key: undefined, [option]: issuer.pem(algorithm) } } });
      await stage.connect({ address, token: issuer.token(algorithm, claims()) });
      assert.deepEqual(await stage.client({ address, token: stranger.token(algorithm, claims()) }).refused(), INVALID_TOKEN);
      assert.deepEqual(await stage.client({ address, token: token(claims()) }).refused(), INVALID_TOKEN);
    });
  }
}

test("the secret before the current one is good until its end", async (stage) => {
  const old = "the secret of last month, which some still have in use";
  const during = { hmac_previous_secret_key: old, hmac_previous_secret_key_valid_until: inSeconds(600) };
  const past = { hmac_previous_secret_key: old, hmac_previous_secret_key_valid_until: inSeconds(-600) };
  const { address } = await stage.serve({ client: { token: during } });
  await stage.connect({ address, token: token(claims(), { key: old }) });
  await stage.connect({ address, token: token(claims()) });
  const later = await stage.serve({ client: { token: past } });
  assert.deepEqual(await stage.client({ address: later.address, token: token(claims(), { key: old }) }).refused(), INVALID_TOKEN);
});

test("the user may stand in a claim of another name", async (stage) => {
  const { address } = await stage.serve({ client: { token: { user_id_claim: "uid" } } });
  const ada = await stage.connect({ address, token: token({ uid: "ada-2", exp: inSeconds(60) }) });
  const { channel } = await ada.subscribe(stage.channel());
  assert.equal((await ada.presence(channel))[ada.id].user, "ada-2");
});

test("subscription tokens may have a secret of their own", async (stage) => {
  const secret = "the secret of subscriptions, which clients' tokens do not know";
  const { address } = await stage.serve({ client: { subscription_token: { enabled: true, hmac_secret_key: secret } } });
  const ada = await stage.connect({ address });
  const channel = `$${stage.channel()}`;
  await ada.subscribe(channel, { token: token({ sub: "ada", channel, exp: inSeconds(60) }, { key: secret }) });
  const other = `$${stage.channel()}`;
  const refusal = await ada.subscription(other, { token: subscriptionToken("ada", other) }).refused();
  assert.equal(refusal.code, 103);
});
