// Frames ahead of whoever has the last word: guesses what the others press, and when the authority says what
// they did press, goes back to the first wrong guess and computes from there again.

const PAD_BYTES = 12, PRESSED = 8; // of a controller, the part that people decide; the rest counts frames
const PLAYERS = 2, FRAME_BYTES = 80;
const RECORD_BYTES = PLAYERS * PAD_BYTES + FRAME_BYTES;

export const MAX_AHEAD = 45; // unconfirmed frames; then the page waits
const KEPT = 64;

const same = (a, b) => a.every((value, i) => value === b[i]);

export class Rollback {
  /** world: a kernel.js World. */
  constructor(world) {
    this.world = world;
    this.players = [];
    this.rollbacks = 0; // how often a guess was wrong
    this.resimulated = 0; // frames computed again for it
    this.slots = Array.from({ length: KEPT }, () => ({
      frame: new Uint8Array(FRAME_BYTES), state: new Uint8Array(world.stateBytes), inputs: new Uint8Array(PLAYERS * PAD_BYTES),
    }));
  }

  /**
   * Start, or start again, from a frame that the authority gave: its number, record and hidden state.
   * `players`: those whose controllers are read here; the others' are guessed.
   */
  begin(number, frame, state, players) {
    this.players = players;
    this.head = this.confirmed = number;
    this.world.state = state;
    const slot = this.slot(number);
    slot.frame.set(frame);
    slot.state.set(state);
    slot.inputs.fill(0);
  }

  get frame() {
    return this.slot(this.head).frame;
  }

  get ahead() {
    return this.head - this.confirmed;
  }

  /** One frame on, from both controllers as held here (24 bytes); those of others are taken to hold on. */
  predict(held) {
    const inputs = new Uint8Array(this.slot(this.head).inputs);
    for (const player of this.players) {
      const at = player * PAD_BYTES;
      inputs.set(held.subarray(at, at + PRESSED), at);
    }
    this.compute(inputs);
  }

  /**
   * What the authority computed after frame number `confirmed`: for each frame the controllers (24 bytes) and
   * the frame (80). Returns how many frames were computed anew, or -1 if one differs even so: then only a
   * new beginning helps.
   */
  confirm(records) {
    const inputs = (k) => records.subarray(k * RECORD_BYTES, k * RECORD_BYTES + PLAYERS * PAD_BYTES);
    const count = records.length / RECORD_BYTES, first = this.confirmed + 1, last = this.confirmed + count;
    const head = this.head;
    let right = first;
    while (right <= Math.min(last, head) && this.agrees(inputs(right - first), this.slot(right).inputs)) right++;
    if (right <= last) this.redo(right, last, (number) => inputs(number - first));
    this.confirmed = last;
    for (let number = Math.max(first, last - KEPT + 1); number <= last; number++) {
      const end = (number - first + 1) * RECORD_BYTES;
      if (!same(this.slot(number).frame, records.subarray(end - FRAME_BYTES, end))) return -1;
    }
    return right <= last ? this.head - right + 1 : 0;
  }

  slot(number) {
    return this.slots[number % KEPT];
  }

  agrees(a, b) {
    for (let i = 0; i < a.length; i++) if (i % PAD_BYTES < PRESSED && a[i] !== b[i]) return false;
    return true;
  }

  /** Compute frames `first` to `last` as told, and then those that were guessed beyond. */
  redo(first, last, inputs) {
    const { head } = this;
    const own = [];
    for (let number = last + 1; number <= head; number++) own.push(this.slot(number).inputs.slice());
    if (first <= head) {
      this.rollbacks++;
      this.resimulated += head - first + 1;
      this.head = first - 1;
      this.world.state = this.slot(this.head).state;
    }
    for (let number = first; number <= last; number++) this.compute(inputs(number));
    for (const held of own) this.predict(held);
  }

  compute(inputs) {
    const { frame } = this;
    const slot = this.slot(this.head + 1);
    slot.inputs.set(inputs);
    new DataView(slot.inputs.buffer).setUint32(8, this.head + 1, true);
    new DataView(slot.inputs.buffer).setUint32(PAD_BYTES + 8, this.head + 1, true);
    slot.frame.set(this.world.step(frame, slot.inputs));
    slot.state.set(this.world.bytes(this.world.atState, this.world.stateBytes));
    this.head++;
  }
}
