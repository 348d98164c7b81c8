// An opponent for one: looks at the frame a few times a second and holds what it decided.

import { controllerOf } from "./pads.js";

const PACE = 5, PRESS = 3, NEAR_X = 15, NEAR_Y = 16;

export class Bot {
  /** level: 0 never moves, 1 plays; edge: half the width of the main floor, game units. */
  constructor(player, { level, seed, edge, buttons }) {
    Object.assign(this, { player, level, edge, buttons, random: generator(seed + player) });
    this.held = new Set();
    this.pressed = new Set();
    this.until = 0;
  }

  controller(frame) {
    const now = frame.frame;
    if (this.level && now >= this.until) {
      this.until = now + PACE + Math.floor(this.random() * PACE);
      this.releaseAt = now + PRESS;
      const [hold, press] = this.decide(frame.players[this.player], frame.players[1 - this.player]);
      this.held = new Set(hold);
      this.pressed = new Set(press);
    }
    if (now >= this.releaseAt) this.pressed.clear();
    return controllerOf(new Set([...this.held, ...this.pressed]), this.buttons);
  }

  /** What to hold until the next decision, and what to press and let go. */
  decide(me, other) {
    if (Math.abs(me.x) > this.edge - 1 && !me.on_ground) return this.recover(me);
    const dx = other.x - me.x, dy = other.y - me.y;
    const towards = dx > 0 ? "right" : "left", away = dx > 0 ? "left" : "right";
    if (other.stocks === 0 || Math.abs(other.x) > this.edge + 15) {
      return Math.abs(me.x) > this.edge * 0.6 ? [[me.x > 0 ? "left" : "right"], []] : [[], []];
    }
    if (Math.abs(dx) < NEAR_X && Math.abs(dy) < NEAR_Y) return this.fight(me, dy, towards, away);
    if (dy > 12 && me.on_ground && this.random() < 0.5) return [[towards], ["jump"]];
    return this.random() < 0.12 ? [[towards], ["jump"]] : this.random() < 0.12 ? [[away], []] : [[towards], []];
  }

  fight(me, dy, towards, away) {
    const luck = this.random();
    if (luck < 0.12) return [["shield"], []];
    if (luck < 0.2) return [[away], ["jump"]];
    if (luck < 0.3 && me.on_ground) return [[], ["grab"]];
    if (luck < 0.45 && me.on_ground) return [[], [towards === "right" ? "c_right" : "c_left"]];
    if (dy > 6) return [["up"], ["attack"]];
    if (!me.on_ground && dy < -4) return [["down"], ["attack"]];
    return this.random() < 0.6 ? [[towards], ["attack"]] : [[], ["attack"]];
  }

  recover(me) {
    const home = me.x > 0 ? "left" : "right";
    if (me.y > 12 || me.speed_y > 0.4) return [[home], []];
    return me.jumps_left > 0 ? [[home], ["jump"]] : [[home, "up"], ["special"]];
  }
}

/** Numbers in 0..1 from a seed (mulberry32), so that a match can be had again. */
export function generator(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t ^= t + Math.imul(t ^ (t >>> 7), 61 | t);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
