// Reads pairs with their patches from standard input, one JSON object a line, and applies the patches as clients do:
// with the decoder of the fossil-delta package, and through both codecs of a centrifuge client. Answers each line with
// the patch that the package itself would have written.
import { createInterface } from "node:readline";
import { Centrifuge } from "centrifuge";
import { Centrifuge as ProtobufCentrifuge } from "centrifuge/build/protobuf";
import { applyDelta, createDelta } from "fossil-delta";

const bytes = (hex) => new Uint8Array(Buffer.from(hex, "hex"));
const hex = (array) => Buffer.from(array).toString("hex");
const json = new Centrifuge("ws://nowhere")._codec;
const protobuf = new ProtobufCentrifuge("ws://nowhere")._codec;
if (json.name() !== "json" || protobuf.name() !== "protobuf") throw new Error("the clients have other codecs");

let line = 0;
const expect = (what, actual, expected) => {
    if (actual !== expected) throw new Error(`line ${line}: ${what}: ${actual} instead of ${expected}`);
};

for await (const text of createInterface({ input: process.stdin })) {
    line += 1;
    const pair = JSON.parse(text);
    const [base, target] = [bytes(pair.base), bytes(pair.target)];
    if (pair.patch !== null) {
        const patch = bytes(pair.patch);
        expect("fossil-delta", hex(applyDelta(base, patch)), pair.target);
        expect("Protobuf", hex(protobuf.applyDeltaIfNeeded({ data: patch, delta: true }, base).newPrevValue), pair.target);
    }
    if (pair.push !== null) {
        const [{ push }] = json.decodeReplies(pair.push);
        const { newData, newPrevValue } = json.applyDeltaIfNeeded(push.pub, base);
        expect("JSON, bytes", hex(newPrevValue), pair.target);
        expect("JSON, value", JSON.stringify(newData), JSON.stringify(JSON.parse(Buffer.from(target).toString())));
    }
    console.log(JSON.stringify({ patch: hex(createDelta(base, target)) }));
}
