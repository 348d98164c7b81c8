// An opponent on bumper's table: hunts the other cart, as the hunters of data/bumper/players.py do.

import { generator } from "./bot.js";
import { controllerOf } from "./pads.js";

const THINK = 0.25, RIM = 16, STEER = 20, FULL = 80, AHEAD = 3; // a decision every fourth frame or so
const FALL = 3;

export class Driver {
  /** level: 0 never moves, 1 drives; table: its measures. */
  constructor(player, { level, seed, table, buttons }) {
    Object.assign(this, { player, level, table, buttons, random: generator(seed + player) });
    this.held = controllerOf(new Set(), buttons);
  }

  controller(frame) {
    if (this.level && this.random() < THINK) {
      this.held = this.decide(frame.players[this.player], frame.players[1 - this.player]);
    }
    return this.held;
  }

  /** Towards the other one while that is safe, else round the middle; the brake where the edge is ahead. */
  decide(me, other) {
    const { directions, radius } = this.table;
    const rim = Math.hypot(me.x, me.y) > radius - RIM, hunts = !rim && other.action_state !== FALL;
    const [x, y] = hunts ? [other.x - me.x, other.y - me.y] : [-me.x - me.y / 2, -me.y + me.x / 2];
    const turn = (Math.atan2(y, x) * directions) / (2 * Math.PI) - me.heading + directions / 2;
    const off = turn - directions * Math.floor(turn / directions) - directions / 2;
    const angle = (2 * Math.PI * me.heading) / directions;
    const outwards = Math.cos(angle) * me.x + Math.sin(angle) * me.y > 0;
    const brakes = rim && outwards && Math.hypot(me.vx, me.vy) > 0.3;
    const held = new Set(brakes ? ["special"] : ["attack"]);
    if (hunts && Math.abs(off) < AHEAD && this.random() < 0.6) held.add("jump");
    const steer = Math.round(-STEER * (off + 6 * (this.random() - 0.5)));
    return { ...controllerOf(held, this.buttons), stick: [Math.max(-FULL, Math.min(FULL, steer)), 0] };
  }
}
