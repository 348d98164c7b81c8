// A world in the kernel's WebAssembly module: lays the bytes out in its memory, as engine.py does, and steps.
// Without imports and without a page: also runs in workers and in Node.

const PAGE = 1 << 16;
const ALIGN = 8;

export class World {
  /** kernel, manifest: Uint8Array; shards: array of Uint8Array. Throws if the kernel refuses them. */
  static async open(kernel, manifest, shards) {
    const { instance } = await WebAssembly.instantiate(kernel, {});
    return new World(instance.exports, manifest, shards);
  }

  constructor(exports, manifest, shards) {
    this.kernel = exports;
    this.top = exports.__heap_base.value;
    this.model = this.reserve(exports.model_bytes());
    const pointers = Uint32Array.from(shards, (shard) => this.place(shard));
    const lengths = BigUint64Array.from(shards, (shard) => BigInt(shard.length));
    const tables = [pointers, lengths].map((table) => this.place(new Uint8Array(table.buffer)));
    check(exports.open(this.model, this.place(manifest), manifest.length, ...tables, shards.length), "the world");
    this.stateBytes = exports.state_bytes(this.model);
    this.atState = this.reserve(this.stateBytes);
    this.atScratch = this.reserve(exports.scratch_bytes(this.model));
    this.atFrame = this.reserve(80);
    this.atInputs = this.reserve(24);
  }

  /** Forget what happened: a match begins with a state of zeros. */
  reset() {
    this.bytes(this.atState, this.stateBytes).fill(0);
  }

  /** The frame (80 bytes) that follows `frame` when the controllers are `inputs` (2 of 12 bytes). */
  step(frame, inputs) {
    this.bytes(this.atFrame, 80).set(frame);
    this.bytes(this.atInputs, 24).set(inputs);
    check(this.kernel.step(this.model, this.atState, this.atScratch, this.atFrame, this.atInputs), "a step");
    return this.bytes(this.atFrame, 80).slice();
  }

  /** A copy of the hidden state. */
  get state() {
    return this.bytes(this.atState, this.stateBytes).slice();
  }

  /** Go back to, or begin with, a hidden state. */
  set state(bytes) {
    this.bytes(this.atState, this.stateBytes).set(bytes);
  }

  bytes(at, size) {
    return new Uint8Array(this.kernel.memory.buffer, at, size); // anew each time: growing detaches the buffer
  }

  /** Zeroed bytes at a multiple of 8. */
  reserve(size) {
    const at = Math.ceil(this.top / ALIGN) * ALIGN;
    this.top = at + size;
    const missing = this.top - this.kernel.memory.buffer.byteLength;
    if (missing > 0) this.kernel.memory.grow(Math.ceil(missing / PAGE));
    return at;
  }

  place(data) {
    const at = this.reserve(data.length);
    this.bytes(at, data.length).set(data);
    return at;
  }
}

function check(code, what) {
  if (code) throw new Error(`the kernel refused ${what} (AWM_ERR_ code ${code} of awm.h)`);
}
