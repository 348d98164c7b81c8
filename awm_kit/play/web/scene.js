// One picture of a match after another: camera, effects and fighters, as scene.py composes them.

import { drawAfterimage, drawFighter, figureOf } from "./fighter.js";
import { drawCaptions, drawPanels } from "./hud.js";
import { clamp, css, disc, mix, polygon, ring } from "./paint.js";
import { drawSky, drawStage } from "./stage.js";

// Of the picture, before it is scaled to the window.
export const WIDTH = 960;
export const HEIGHT = 540;
const LOOK_X = 175, LOOK_LOW = -75, LOOK_HIGH = 150;
const MARGIN_X = 42, MARGIN_Y = 30, MIN_SPAN = 150, MAX_SPAN = 330, EASE = 0.09;
const LIFE = { spark: 12, dust: 18, smoke: 26, burst: 45 };
const HUD_SHARE = 0.03; // of the span: the panels hide the lower edge
const FAST = 2.1, TRAIL = [[3, 0.3], [6, 0.15]];
const WHITE = [255, 255, 255], YELLOW = [240, 228, 66], ORANGE = [230, 159, 0];
const DASHES = new Set([20, 19, 23, 27, 28]); // Dash, TurnRun, RunBrake, JumpAerialF and B

export class Scene {
  constructor(canvas, tables) {
    this.canvas = canvas;
    this.ctx = canvas.getContext("2d", { alpha: false });
    this.tables = tables;
    this.sky = document.createElement("canvas");
    this.restart();
  }

  restart() {
    this.camera = { x: 0, y: 14, span: 220 };
    this.particles = [];
    this.shake = 0;
    this.history = [];
    this.previous = null;
  }

  /** Forget the last `count` frames, which turned out otherwise; the camera stays where it is. */
  rewind(count, frame) {
    this.particles = this.particles.filter((p) => p.born <= frame.frame);
    this.history.splice(Math.max(this.history.length - count, 0));
    this.previous = frame;
  }

  /** Take in the frame that follows the one before: moves the effects, and unless `still` the camera. */
  advance(frame, still = false) {
    if (this.previous) frame.players.forEach((now, i) => this.compare(this.previous.players[i], now, frame.frame, i));
    this.particles = this.particles.filter((p) => frame.frame - p.born < LIFE[p.kind]);
    this.shake *= 0.8;
    this.history.push(frame.players.map((player, i) => figureOf(player, i, this.tables)));
    if (this.history.length > 7) this.history.shift();
    if (!still) this.follow(!this.previous);
    this.previous = frame;
  }

  compare(old, now, frame, player) {
    const add = (kind, x, y, strength = 1) => this.particles.push({ kind, x, y, strength, player, born: frame });
    const damage = now.percent - old.percent;
    if (damage > 0) {
      add("spark", now.x, now.y + 7, Math.min(damage, 25));
      this.shake = Math.max(this.shake, Math.min(damage, 25) * 0.05);
    }
    if (now.stocks < old.stocks) {
      add("burst", old.x, old.y);
      this.shake = 2.5;
    }
    const dashed = now.state_age === 0 && now.action_state !== old.action_state && DASHES.has(now.action_state);
    const dead = this.tables.states[now.action_state]?.family === "DEAD";
    if ((now.on_ground !== old.on_ground || dashed) && !dead) add("dust", now.x, now.on_ground ? now.y : old.y);
    const knockback = Math.hypot(now.speed_attack_x, now.speed_attack_y);
    if (knockback > 1.6 && frame % 3 === 0) add("smoke", now.x, now.y + 6, Math.min(knockback / 4, 1));
  }

  /** Ease towards a picture that holds the living, and for a while the places where somebody was knocked out. */
  follow(snap) {
    const alive = this.history.at(-1).filter((figure) => figure.family !== "DEAD");
    const bursts = this.particles.filter((p) => p.kind === "burst");
    const points = [...alive.map((p) => [p.x, p.y + 6]), ...bursts.map((p) => [p.x, p.y])];
    if (!points.length) points.push([0, 0]);
    const xs = points.map(([x]) => clamp(x, -LOOK_X, LOOK_X)), ys = points.map(([, y]) => clamp(y, LOOK_LOW, LOOK_HIGH));
    const [left, right, low, high] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const need = Math.max(right - left + 2 * MARGIN_X, ((1.25 * (high - low) + 2 * MARGIN_Y) * WIDTH) / HEIGHT);
    const span = clamp(need, MIN_SPAN, MAX_SPAN);
    const goal = { x: ((left + right) / 2) * 0.9, y: (low + high) / 2 - HUD_SHARE * span, span };
    for (const name in goal) this.camera[name] += (snap ? 1 : EASE) * (goal[name] - this.camera[name]);
  }

  /** Draw the frame taken in last. `names`: of the players; `banner`, `note`: large and small print. */
  draw(names, banner = "", note = "") {
    const { ctx, canvas, previous: frame, tables } = this;
    const scale = canvas.width / WIDTH, zoom = WIDTH / this.camera.span;
    const y = this.camera.y + this.shake * (-1) ** frame.frame;
    const pixels = () => ctx.setTransform(scale, 0, 0, scale, 0, 0);
    const units = () => ctx.setTransform(
      scale * zoom, 0, 0, -scale * zoom,
      scale * (WIDTH / 2 - zoom * this.camera.x), scale * (HEIGHT / 2 + zoom * y),
    );
    const place = (px, py) => [WIDTH / 2 + zoom * (px - this.camera.x), HEIGHT / 2 - zoom * (py - y)];
    const now = this.history.at(-1);
    const picture = { frame, figures: now, names, banner, note, place, tables, width: WIDTH, height: HEIGHT };
    this.drawBackground();
    units();
    drawStage(ctx, tables.stages[frame.stage] ?? tables.stages[32]);
    pixels();
    drawPanels(ctx, picture);
    units();
    this.drawFighters(now, frame);
    pixels();
    drawCaptions(ctx, picture);
  }

  drawFighters(now, { frame }) {
    const { ctx, tables } = this;
    for (const [age, alpha] of TRAIL) {
      const past = this.history.at(-1 - age);
      past?.forEach((figure, i) => {
        const moved = Math.hypot(figure.x - now[i].x, figure.y - now[i].y);
        if (moved > FAST * age && moved < 40) drawAfterimage(ctx, figure, tables, alpha);
      });
    }
    for (const figure of [now[1], now[0]]) drawFighter(ctx, figure, tables);
    for (const particle of this.particles) {
      const age = (frame - particle.born) / LIFE[particle.kind];
      if (age >= 0 && age < 1) PAINT[particle.kind](ctx, particle, age, tables.liveries[particle.player]);
    }
  }

  drawBackground() {
    const { ctx, canvas, sky } = this;
    if (sky.width !== canvas.width || sky.height !== canvas.height) {
      [sky.width, sky.height] = [canvas.width, canvas.height];
      drawSky(sky.getContext("2d"), sky.width, sky.height);
    }
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.drawImage(sky, 0, 0);
  }
}

const PAINT = {
  spark(ctx, p, age) {
    const reach = (4 + 0.45 * p.strength) * (0.4 + 0.9 * age);
    const star = (size) => Array.from({ length: 14 }, (_, k) => {
      const angle = (k * Math.PI) / 7 + p.born, radius = (k % 2 ? 0.42 : 1) * reach * size;
      return [p.x + radius * Math.cos(angle), p.y + radius * Math.sin(angle)];
    });
    polygon(ctx, star(1), css(mix(YELLOW, ORANGE, age), 0.95 * (1 - age)));
    polygon(ctx, star(0.55), css(WHITE, 1 - age));
  },
  dust(ctx, p, age) {
    for (const side of [-1, 1]) {
      for (const k of [0, 1]) {
        const at = [p.x + side * (1.5 + (5 + 3 * k) * age), p.y + 0.6 + (1.4 - k) * age * 2];
        disc(ctx, at, 1.3 - 0.3 * k, css(WHITE, 0.5 * (1 - age)));
      }
    }
  },
  smoke(ctx, p, age, livery) {
    const color = css(mix(WHITE, livery.accent, 0.5), 0.45 * (1 - age));
    disc(ctx, [p.x, p.y + 2 * age], (1.4 + 2 * p.strength) * (0.5 + age), color);
  },
  /** A fan of light from where the player left the picture, towards the middle of the stage. */
  burst(ctx, p, age, livery) {
    const start = [clamp(p.x, -LOOK_X, LOOK_X), clamp(p.y, LOOK_LOW, LOOK_HIGH)];
    const heading = Math.atan2(20 - start[1], -start[0]);
    const grow = 1 - (1 - Math.min(age * 2.2, 1)) ** 3;
    for (let k = 0; k < 9; k++) {
      const length = (60 + 45 * Math.cos(k * 2.4)) * grow, angle = heading + (k - 4) * 0.13;
      const tips = [-0.045, 0.045].map((side) => [
        start[0] + length * Math.cos(angle + side), start[1] + length * Math.sin(angle + side),
      ]);
      polygon(ctx, [start, ...tips], css([WHITE, livery.accent, livery.main][k % 3], 0.85 * (1 - age)));
    }
    ring(ctx, start, 6 + 40 * grow, 3 * (1 - age), css(WHITE, 0.8 * (1 - age)));
  },
};
