// The picture of a match of bumper, as bumper_scene.py composes it: a round table from above, and two carts.

import { css, disc, heat, mix, polygon, ring, write } from "./paint.js";
import { clockText, drawBanner, drawFrameCount, resultOf } from "./hud.js";
import { HEIGHT, WIDTH } from "./scene.js";

const INK = [18, 20, 34], WHITE = [255, 255, 255], PAPER = [244, 238, 222], FLOOR = [62, 70, 112];
const GLOW = [110, 92, 190], YELLOW = [240, 228, 66], ORANGE = [230, 159, 0];
const BOOST = 1, SPIN = 2, FALL = 3, RETURN = 4;

export class TableScene {
  constructor(canvas, tables) {
    this.canvas = canvas;
    this.ctx = canvas.getContext("2d", { alpha: false });
    this.tables = tables;
    this.scale = HEIGHT / (2 * (tables.table.radius + tables.table.margin));
    this.restart();
  }

  restart() {
    this.frame = null;
  }

  /** Forget the last frames, which turned out otherwise: nothing here has a past. */
  rewind(count, frame) {
    this.frame = frame;
  }

  advance(frame) {
    this.frame = frame;
  }

  draw(names, banner = "", note = "") {
    const { ctx, canvas, frame } = this;
    const scale = canvas.width / WIDTH;
    ctx.setTransform(scale, 0, 0, scale, 0, 0);
    this.drawTable();
    frame.players.forEach((player, i) => this.drawCart(player, i));
    frame.players.forEach((player, i) => this.drawPanel(player, i, names[i]));
    write(ctx, clockText(frame), WIDTH - 14, 62, 34, css(WHITE), "right");
    drawFrameCount(ctx, frame, WIDTH);
    const text = banner || resultOf(frame, names);
    if (text) drawBanner(ctx, text, WIDTH, HEIGHT, this.bodies());
    if (note) write(ctx, note, WIDTH / 2, HEIGHT - 8, 12, css(PAPER), "center");
  }

  /** Upper and lower ends of the carts on the table, and of their tags, pixels. */
  bodies() {
    const { cart } = this.tables.table, standing = this.frame.players.filter((p) => p.action_state !== FALL);
    return standing.map(({ x, y }) => [cart + 2.5, -cart].map((d) => this.at(x, y + d)[1]));
  }

  at(x, y) {
    return [WIDTH / 2 + x * this.scale, HEIGHT / 2 - y * this.scale];
  }

  drawTable() {
    const { ctx } = this, middle = this.at(0, 0), radius = this.tables.table.radius * this.scale;
    const floor = (share, color, alpha = 1) => disc(ctx, middle, radius * share, css(color, alpha));
    ctx.fillStyle = css(INK);
    ctx.fillRect(0, 0, WIDTH, HEIGHT);
    for (let step = 0; step < 12; step++) floor(1.3 - 0.025 * step, GLOW, 0.035);
    disc(ctx, [middle[0], middle[1] + 0.03 * radius], radius * 1.02, css(mix(FLOOR, INK, 0.7)));
    [[1, YELLOW], [0.975, INK], [0.96, FLOOR]].forEach(([share, color]) => floor(share, color));
    floor(0.8, WHITE, 0.05);
    floor(0.34, YELLOW, 0.09);
    ctx.strokeStyle = css(WHITE, 0.1);
    ctx.lineWidth = 1.5;
    ctx.beginPath();
    for (let spoke = 0; spoke < 12; spoke++) {
      const [x, y] = [Math.cos, Math.sin].map((f) => radius * f((Math.PI * spoke) / 6));
      ctx.moveTo(middle[0] + 0.34 * x, middle[1] + 0.34 * y);
      ctx.lineTo(middle[0] + 0.8 * x, middle[1] + 0.8 * y);
    }
    ctx.stroke();
  }

  drawCart(player, index) {
    const { ctx, tables: { liveries, table } } = this;
    const { action_state: act, state_age: age } = player, heavy = Boolean(player.character);
    const livery = liveries[index], left = act === FALL ? Math.max(0, 1 - age / table.fall) : 1;
    const size = table.cart * this.scale * left, [cx, cy] = this.at(player.x, player.y);
    if (size < 1) return;
    const angle = (2 * Math.PI * player.heading) / table.directions;
    const [ax, ay] = [Math.cos(angle) * size, -Math.sin(angle) * size];
    const placed = (outline) => outline.map(([x, y]) => [cx + ax * x - ay * y, cy + ay * x + ax * y]);
    const fill = (outline, color, alpha = 1) => polygon(ctx, placed(outline), css(color, alpha));
    const body = heavy ? table.heavy : table.light;

    disc(ctx, [cx + 0.12 * size, cy + 0.25 * size], size * 1.08, css(INK, 0.35));
    if (act === BOOST) {
      fill([[-0.6, 0.55], [-2.3 - 0.3 * (age % 3), 0], [-0.6, -0.55]], ORANGE, 0.85);
      fill([[-0.6, 0.3], [-1.7 - 0.2 * (age % 2), 0], [-0.6, -0.3]], YELLOW, 0.85);
    }
    disc(ctx, [cx, cy], size, css(INK));
    disc(ctx, [cx, cy], size * 0.93, css(heavy ? livery.dark : livery.main));
    ring(ctx, [cx, cy], size * 0.93, size * (heavy ? 0.2 : 0.12), css(livery.accent));
    for (const wheel of [-1, 1]) {
      for (const axle of [-0.42, 0.42]) fill(table.wheel.map(([x, y]) => [axle + x, wheel * (0.52 + y)]), INK);
    }
    fill(body, INK);
    fill(body.map(([x, y]) => [x * 0.86, y * 0.8]), heavy ? livery.main : livery.light);
    fill([[0.78, 0], [0.3, 0.26], [0.3, -0.26]], WHITE);
    const seat = [cx - 0.12 * ax, cy - 0.12 * ay];
    disc(ctx, seat, size * 0.24, css(INK));
    disc(ctx, seat, size * 0.16, css(livery.accent));
    if (act === SPIN || act === RETURN) ring(ctx, [cx, cy], size * 1.4, 3, css(act === SPIN ? YELLOW : WHITE, 0.6));
    if (act === FALL) return;
    const [x, y] = this.at(player.x, player.y + table.cart + 1.2);
    write(ctx, `P${index + 1}`, x, y, 13, css(livery.light), "center");
  }

  /** Name, damage, lives and fuel, in the lower corners beside the table. */
  drawPanel(player, index, name) {
    const { ctx, tables: { liveries, heat: stops, table } } = this;
    const livery = liveries[index], [wide, high] = [190, 92];
    const x = index ? WIDTH - wide - 16 : 16, y = HEIGHT - high - 14;
    const bar = (left, top, width, height, color, alpha) => {
      ctx.fillStyle = css(color, alpha);
      ctx.fillRect(left, top, width, height);
    };
    bar(x, y, wide, high, mix(INK, FLOOR, 0.3), 0.9);
    bar(x, y, 7, high, livery.main, 1);
    const hot = css(heat(player.percent, stops));
    write(ctx, `${Math.floor(player.percent)}`, x + 104, y + 50, 44, hot, "right");
    write(ctx, "%", x + 108, y + 50, 22, hot);
    write(ctx, name, x + 18, y + 72, 14, css(livery.light));
    for (let life = 0; life < player.stocks; life++) {
      const center = [x + 144 + 16 * (life % 3), y + 24 + 16 * Math.floor(life / 3)];
      disc(ctx, center, 7, css(INK));
      disc(ctx, center, 5.6, css(livery.accent));
    }
    bar(x + 18, y + high - 13, wide - 36, 5, WHITE, 0.15);
    bar(x + 18, y + high - 13, ((wide - 36) * player.fuel) / table.fuel, 5, YELLOW, 1);
  }
}
