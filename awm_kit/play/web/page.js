// The page: opens the world that it carries, runs it 60 times a second, and listens.

import { Bot } from "./bot.js";
import { Clock } from "./clock.js";
import { Driver } from "./driver.js";
import { World } from "./kernel.js";
import { Pads } from "./pads.js";
import { fromBase64, readFrame, writeInputs } from "./records.js";
import { HEIGHT, Scene, WIDTH } from "./scene.js";
import { sha256 } from "./sha256.js";
import { TableScene } from "./table.js";

const COUNTDOWN = 90;

const element = (id) => document.getElementById(id);
const data = JSON.parse(element("awm-data").textContent);
const { tables } = data;
const { table } = tables; // of bumper only: else they are fighters

class Game {
  constructor(world) {
    this.world = world;
    this.scene = new (table ? TableScene : Scene)(element("game"), tables);
    this.pads = new Pads(window, tables);
    this.round = 0;
    this.rates = { frames: 0, pictures: 0, since: performance.now(), text: "" };
    this.restart();
    this.running = false;
  }

  /** A new match with what the menus say. */
  restart() {
    const starts = data.starts[element("characters").value];
    this.begin(fromBase64(starts[this.round++ % starts.length]));
    const rival = element("opponent").value;
    this.pads.shared = rival === "friend";
    this.names = rival === "friend" ? ["P1", "P2"] : ["YOU", rival === "bot" ? "BOT" : "IDLE"];
    const edge = (tables.stages[this.frame.stage] ?? tables.stages[32]).floor[1];
    const options = { level: Number(rival === "bot"), seed: this.frame.seed, edge, table, buttons: tables.buttons };
    this.bot = rival === "friend" ? null : new (table ? Driver : Bot)(1, options);
    this.countdown = COUNTDOWN;
    this.clock = new Clock();
    element("legend").replaceChildren(...legend(this.pads.keys));
  }

  begin(bytes) {
    this.world.reset();
    this.bytes = bytes;
    this.frame = readFrame(bytes, tables.schema);
    this.scene.restart();
    this.scene.advance(this.frame);
  }

  /** One frame on. */
  step(inputs) {
    this.bytes = this.world.step(this.bytes, inputs);
    this.frame = readFrame(this.bytes, tables.schema);
    this.scene.advance(this.frame);
  }

  tick() {
    if (this.countdown > 0) this.countdown--;
    else if (this.frame.status === 0) {
      const other = this.bot ? this.bot.controller(this.frame) : this.pads.controller(1);
      this.step(writeInputs([this.pads.controller(0), other], this.frame.frame + 1));
      this.rates.frames++;
    }
  }

  show(now) {
    for (let due = this.clock.due(now, this.running); due > 0; due--) this.tick();
    this.fit();
    this.scene.draw(this.names, this.banner(), this.rate(now));
    requestAnimationFrame((time) => this.show(time));
  }

  banner() {
    if (!this.running) return this.frame.frame ? "PAUSED" : "";
    return this.countdown > 0 ? String(Math.ceil((3 * this.countdown) / COUNTDOWN)) : "";
  }

  rate(now) {
    const { rates } = this;
    rates.pictures++;
    if (now - rates.since > 1000) {
      const perSecond = (count) => Math.round((1000 * count) / (now - rates.since));
      rates.text = `${data.name} · ${perSecond(rates.pictures)} pictures, ${perSecond(rates.frames)} frames a second`;
      Object.assign(rates, { frames: 0, pictures: 0, since: now });
    }
    if (!this.running) return "";
    return this.frame.status === 0 ? rates.text : "R: once more   Esc: menu";
  }

  /** As many pixels as the screen has. */
  fit() {
    const { canvas } = this.scene;
    const width = Math.round(canvas.clientWidth * (window.devicePixelRatio || 1)) || WIDTH;
    if (canvas.width !== width) [canvas.width, canvas.height] = [width, Math.round((width * HEIGHT) / WIDTH)];
  }

  run(on) {
    this.running = on;
    document.body.classList.toggle("playing", on);
    element("play").textContent = this.frame.frame ? "Continue" : "Play";
    document.activeElement?.blur();
  }

  stateHash() {
    return sha256(this.bytes, this.world.state);
  }
}

/** One line of keys per player. */
function legend(bindings) {
  const signs = {
    ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓", Comma: ",", Period: ".", Slash: "/",
    ShiftLeft: "Shift", ShiftRight: "Shift",
  };
  const moves = new Set(["left", "right", "up", "down"]);
  return [0, 1].flatMap((player) => {
    const groups = new Map();
    for (const [code, [owner, action]] of Object.entries(bindings)) {
      if (owner !== player || (data.words && !(action in data.words))) continue;
      const group = data.words?.[action] ?? (moves.has(action) ? "move" : action);
      groups.set(group, (groups.get(group) ?? new Set()).add(signs[code] ?? code.replace("Key", "")));
    }
    if (!groups.size) return [];
    const line = document.createElement("p");
    line.append(Object.assign(document.createElement("b"), { textContent: `P${player + 1}` }));
    for (const [group, labels] of groups) {
      const keys = [...labels].map((label) => Object.assign(document.createElement("kbd"), { textContent: label }));
      const item = document.createElement("span");
      item.append(`${group} `, ...keys);
      line.append(item);
    }
    return [line];
  });
}

function listen(game) {
  element("play").addEventListener("click", () => {
    if (game.frame.status !== 0) game.restart();
    game.run(true);
  });
  element("again").addEventListener("click", () => {
    game.restart();
    game.run(true);
  });
  element("pause").addEventListener("click", () => game.run(!game.running));
  for (const id of ["opponent", "characters"]) {
    element(id).addEventListener("change", () => {
      game.round = 0;
      game.restart();
      game.run(false);
    });
  }
  window.addEventListener("keydown", (event) => {
    if (event.code === "Escape" && !event.repeat) game.run(!game.running);
    if (event.code === "KeyR" && !event.repeat && !event.ctrlKey && !event.metaKey) game.restart();
  });
  document.addEventListener("visibilitychange", () => { if (document.hidden) game.run(false); });
}

/** For tests and consoles: `await awm.ready`, then play given inputs as fast as it goes. */
window.awm = {
  ready: World.open(fromBase64(data.kernel), fromBase64(data.manifest), data.shards.map(fromBase64)).then((world) => {
    const game = new Game(world);
    window.awm.game = game;
    listen(game);
    requestAnimationFrame((now) => game.show(now));
  }),

  /** start: 80 bytes, inputs: 24 bytes a frame, both base64. Leaves the match, paused, after the last frame. */
  replay(start, inputs) {
    const { game } = window.awm, pads = fromBase64(inputs), frames = pads.length / 24;
    game.run(false);
    game.begin(fromBase64(start));
    const begun = performance.now();
    for (let t = 0; t < frames; t++) game.bytes = game.world.step(game.bytes, pads.subarray(24 * t, 24 * t + 24));
    const seconds = (performance.now() - begun) / 1000;
    game.frame = readFrame(game.bytes, tables.schema);
    game.scene.restart();
    game.scene.advance(game.frame);
    return { frames, state_hash: game.stateHash(), frames_per_second: frames / seconds };
  },
  sha256,
};
window.awm.ready.catch((error) => { element("error").textContent = `${error}`; });
