// The page's half of instant.py: a match computed and drawn here, ahead of Python or the chain, who decide.
//
// To Python: {hello}, {take} (this page steers from now on), {lost} (what is here cannot be right), and
// {batch} with the controllers of the frames just computed: client u32, epoch u32, number of the first frame
// u32, count u32, then 24 bytes a frame.
// From Python: {world} with kernel, manifest and shards; {begin, number, players, live} with a frame and a hidden
// state; {confirm: epoch, first} with 24 + 80 bytes a frame, and now and then {hash}, of the last of them. A live
// match does not wait for this page, which must be as far ahead of it as keys take to get there: {margin} says
// by how many frames they were too early.

import { Clock } from "./clock.js";
import { World } from "./kernel.js";
import { controllerOf } from "./pads.js";
import { readFrame, writeInputs } from "./records.js";
import { MAX_AHEAD, Rollback } from "./rollback.js";
import { HEIGHT, Scene, WIDTH } from "./scene.js";
import { sha256 } from "./sha256.js";
import { TableScene } from "./table.js";

const INPUT_BYTES = 24, HEADER_BYTES = 16;
const SILENCE_MS = 2000;
const SHOWN = 60; // frames that a scene is shown at once; a tab that comes back may have missed many more
const MARGIN = 1.5, SLACK = 1, EAGER = 0.05, PACES = [0.7, 1.5]; // of a live match, in frames; by margin frames
const LIVE_AHEAD = 30;
const IDLE = { actions: 0, axes: [0, 0, 0, 0], triggers: [0, 0] };

const bytesOf = (view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

class InstantGame {
  constructor(model, canvas) {
    this.model = model;
    this.canvas = canvas;
    this.client = crypto.getRandomValues(new Uint32Array(1))[0];
    this.held = [IDLE, IDLE];
    this.pressed = 0; // sequence number of the last pad message, for those who measure
    this.clock = new Clock();
    this.batch = []; // controllers of frames computed in this picture
    this.arrived = []; // what has been confirmed since the last one
    this.heard = performance.now();
    this.opening = Promise.resolve();
    model.send({ hello: this.client });
  }

  get steering() {
    return this.model.get("driver") === this.client;
  }

  /** Messages in order; opening a world takes a moment, and what follows waits for it. */
  receive(content, buffers) {
    this.opening = this.opening.then(() => this.take(content, buffers)).catch((error) => console.error("awm:", error));
  }

  async take(content, buffers) {
    if (content.world) await this.open(content, buffers.map(bytesOf));
    if (!this.rollback) return;
    if (content.begin) this.begin(content, buffers.map(bytesOf));
    if (content.confirm && content.confirm === this.epoch) {
      this.arrived.push({ ...content, records: bytesOf(buffers[0]) });
      this.heard = performance.now();
    }
  }

  async open({ world, tables }, [kernel, manifest, ...shards]) {
    if (this.world === world) return;
    this.world = world;
    this.tables = tables;
    this.rollback = new Rollback(await World.open(kernel, manifest, shards));
    this.scene = new (tables.table ? TableScene : Scene)(this.canvas, tables);
  }

  begin({ begin, number, players, live }, [frame, state]) {
    this.epoch = begin;
    this.live = live;
    this.margin = MARGIN;
    this.batch = [];
    this.arrived = [];
    this.heard = performance.now();
    this.players = players;
    this.rollback.begin(number, frame, state, players);
    this.scene.restart();
    this.show();
  }

  /** Take in what has been confirmed since the last picture: however much, one way back at most. */
  settle() {
    const { rollback } = this;
    for (const { first, hash, records, margin } of this.arrived.splice(0)) {
      const before = rollback.head;
      if (this.live) this.margin += 0.2 * (margin - this.margin);
      const again = first === rollback.confirmed + 1 ? rollback.confirm(records) : -1;
      if (again < 0) return this.lose();
      this.showAgain(Math.min(again, SHOWN), before);
      const { frame, state } = rollback.slot(rollback.confirmed);
      if (hash && sha256(frame, state) !== hash) return this.lose();
    }
  }

  /** Nothing that is computed from here on can be right: ask for a new beginning. */
  lose() {
    this.epoch = 0;
    this.arrived = [];
    this.heard = performance.now();
    this.model.send({ lost: this.client });
  }

  /** How fast time passes here: in a live match faster while this page's keys come too late. */
  get pace() {
    const late = this.live ? MARGIN - this.margin : 0;
    return Math.abs(late) < SLACK ? 1 : Math.min(Math.max(1 + EAGER * late, PACES[0]), PACES[1]);
  }

  show() {
    this.frame = this.read(this.rollback.frame);
    this.scene.advance(this.frame);
  }

  /** The last `count` frames are others than before, when the match stood at frame number `before`. */
  showAgain(count, before) {
    const { head } = this.rollback;
    const wrong = before - (head - count);
    if (wrong > 0) this.scene.rewind(wrong, this.read(this.rollback.slot(head - count).frame));
    for (let number = head - count + 1; number <= head; number++) {
      this.frame = this.read(this.rollback.slot(number).frame);
      this.scene.advance(this.frame, number <= before);
    }
  }

  read(bytes) {
    return readFrame(bytes, this.tables.schema);
  }

  press({ player, sequence, ...held }) {
    this.held[player] = held;
    this.pressed = sequence;
  }

  controllers() {
    const { actions: names, buttons } = this.tables;
    return this.held.map(({ actions, axes, triggers }) => {
      const pad = controllerOf(new Set(names.filter((_, bit) => (actions >> bit) & 1)), buttons);
      const larger = (a, b) => (Math.abs(b) > Math.abs(a) ? b : a);
      const [x, y, cx, cy] = [...pad.stick, ...pad.cstick].map((value, i) => larger(value, axes[i]));
      return { ...pad, stick: [x, y], cstick: [cx, cy], triggers: pad.triggers.map((v, i) => larger(v, triggers[i])) };
    });
  }

  picture(now) {
    if (!this.frame) return;
    const { rollback, model } = this;
    this.settle();
    const running = model.get("running");
    this.watch(now, running);
    const due = this.clock.due(now, running && this.steering && Boolean(this.epoch), this.pace);
    const most = this.live ? LIVE_AHEAD : MAX_AHEAD;
    for (let k = 0; k < due && this.frame.status === 0 && rollback.ahead < most; k++) this.step();
    this.flush();
    this.scene.draw(model.get("names"), model.get("banner"), model.get("note"));
  }

  /** Silence means something: that nobody steers any more, or that what was sent has been lost. */
  watch(now, running) {
    const waiting = !this.epoch || this.rollback.ahead > 0 || (running && !this.steering);
    if (!waiting) this.heard = now;
    if (now - this.heard < SILENCE_MS) return;
    if (this.epoch && running && !this.steering) this.steer();
    else this.lose();
  }

  step() {
    const inputs = writeInputs(this.controllers(), this.rollback.head + 1);
    this.rollback.predict(inputs);
    this.batch.push(this.rollback.slot(this.rollback.head).inputs.slice());
    this.show();
    const detail = { frame: this.frame.frame, sequence: this.pressed };
    this.canvas.dispatchEvent(new CustomEvent("awm-stepped", { bubbles: true, detail }));
  }

  flush() {
    const count = this.batch.length;
    if (!count) return;
    const message = new Uint8Array(HEADER_BYTES + count * INPUT_BYTES);
    const header = [this.client, this.epoch, this.rollback.head - count + 1, count];
    header.forEach((value, i) => new DataView(message.buffer).setUint32(4 * i, value, true));
    this.batch.forEach((inputs, i) => message.set(inputs, HEADER_BYTES + i * INPUT_BYTES));
    this.model.send({ batch: 1, rollbacks: this.rollback.rollbacks }, undefined, [new DataView(message.buffer)]);
    this.batch = [];
  }

  steer() {
    this.heard = performance.now();
    if (!this.steering) this.model.send({ take: this.client });
  }

  /** For tests: where the match stands, as a hash of all that is known of its last confirmed frame. */
  facts() {
    this.settle();
    const { confirmed, head, rollbacks, resimulated } = this.rollback;
    const { frame, state } = this.rollback.slot(confirmed);
    return { confirmed, head, rollbacks, resimulated, client: this.client, state_hash: sha256(frame, state) };
  }
}

export function render({ model, el }) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [WIDTH, HEIGHT];
  canvas.className = "awm-instant";
  el.appendChild(canvas);
  const game = new InstantGame(model, canvas);
  canvas.awm = game;
  const take = (content, buffers) => game.receive(content, buffers ?? []);
  model.on("msg:custom", take);

  const events = new AbortController();
  const on = (name, handler) => document.addEventListener(name, handler, { signal: events.signal });
  const ours = (target) => target.closest(".awm-play")?.contains(canvas);
  on("awm-pad-sent", (event) => { if (ours(event.target)) game.press(event.detail); });
  on("focusin", ({ target }) => { if (target.classList.contains("awm-pad") && ours(target)) game.steer(); });

  let next = requestAnimationFrame(function picture(now) {
    next = requestAnimationFrame(picture);
    game.picture(now);
  });
  return () => {
    events.abort();
    cancelAnimationFrame(next);
    model.off("msg:custom", take);
  };
}
