// The sky, which never moves, and the stage, drawn in game units (y upwards), as in draw_stage.py.

import { css, disc, mix, polygon } from "./paint.js";

const NIGHT = [24, 28, 62], DUSK = [96, 84, 140], GLOW = [238, 168, 132], MOON = [250, 240, 214];
const ROCK = [58, 62, 92], ROCK_DARK = [38, 41, 66], TOP = [112, 196, 160], PLANK = [206, 178, 128];
const INK = [18, 20, 34], WHITE = [255, 255, 255];
const FAR_TO_NEAR = [[0.6, 0.16, [84, 74, 126], 0.9], [0.74, 0.13, [58, 54, 100], 3.1], [0.88, 0.08, [40, 40, 76], 5.2]];

/** Dusk behind mountains, `width` x `height` pixels. */
export function drawSky(ctx, width, height) {
  const sky = ctx.createLinearGradient(0, 0, 0, height);
  [[0, NIGHT], [0.47, DUSK], [0.78, GLOW], [1, GLOW]].forEach(([at, color]) => sky.addColorStop(at, css(color)));
  ctx.fillStyle = sky;
  ctx.fillRect(0, 0, width, height);
  for (let i = 0; i < 60; i++) {
    const [x, y, size] = [0.754877, 0.569840, 0.618034].map((ratio) => (i * ratio + 0.35) % 1); // evenly scattered
    disc(ctx, [x * width, y * 0.5 * height], (0.5 + size) * (height / 540), css(WHITE, 0.2 + 0.5 * size));
  }
  const moon = [width * 0.77, height * 0.2], r = height * 0.075;
  const halo = ctx.createRadialGradient(...moon, 0, ...moon, 3.2 * r);
  halo.addColorStop(0, css(MOON, 0.2));
  halo.addColorStop(1, css(MOON, 0));
  disc(ctx, moon, 3.2 * r, halo);
  crescent(ctx, moon, r);
  for (const range of FAR_TO_NEAR) mountains(ctx, width, height, ...range);
}

/** Half of a circle and, bent less, the way back. */
function crescent(ctx, center, radius) {
  ctx.save();
  ctx.translate(...center);
  ctx.rotate((-38 * Math.PI) / 180);
  ctx.fillStyle = css(MOON);
  ctx.beginPath();
  ctx.arc(0, 0, radius, -Math.PI / 2, Math.PI / 2);
  ctx.ellipse(0, 0, 0.42 * radius, radius, 0, Math.PI / 2, -Math.PI / 2, true);
  ctx.fill();
  ctx.restore();
}

function mountains(ctx, width, height, base, rise, color, phase) {
  const ridge = Array.from({ length: 97 }, (_, i) => {
    const far = i / 96;
    const wave = Math.sin(9 * far + phase) + 0.6 * Math.sin(23 * far + 2 * phase) + Math.abs(Math.sin(5 * far + phase));
    return [far * width, height * (base - (rise * wave) / 2.6)];
  });
  polygon(ctx, [...ridge, [width, height], [0, height]], css(color));
}

/** The floor as a floating island, platforms as planks. */
export function drawStage(ctx, stage) {
  island(ctx, stage);
  for (const [left, right, y] of stage.platforms) {
    const middle = (left + right) / 2;
    polygon(ctx, [[middle - 6, y - 1], [middle + 6, y - 1], [middle, y - 6]], css(ROCK_DARK));
    slab(ctx, left, right, y, 1.8, PLANK);
  }
}

function island(ctx, stage) {
  const edge = stage.floor[1];
  const rock = [
    [-1, 0], [1, 0], [1, -5], [0.93, -9], [0.72, -13], [0.55, -24], [0.3, -30], [0.16, -46], [0, -52],
    [-0.14, -42], [-0.33, -33], [-0.5, -22], [-0.74, -15], [-0.93, -9], [-1, -5],
  ].map(([x, y]) => [x * edge, y]);
  const rim = 1 + 0.6 / edge;
  polygon(ctx, rock.map(([x, y]) => [x * rim, -14 + (y + 14) * 1.03]), css(INK));
  const shade = ctx.createLinearGradient(0, 0, 0, -52);
  shade.addColorStop(0, css(mix(ROCK, WHITE, 0.1)));
  shade.addColorStop(1, css(ROCK_DARK));
  polygon(ctx, rock, shade);
  for (const [left, width, depth] of [[-0.62, 0.16, 17], [-0.2, 0.2, 26], [0.3, 0.15, 20]]) {
    const facet = [[left * edge, -6], [(left + width) * edge, -6], [(left + width * 0.6) * edge, -depth]];
    polygon(ctx, facet, css(ROCK_DARK, 0.6));
  }
  slab(ctx, ...stage.floor, 2.4, TOP);
  for (const side of [-1, 1]) {
    const outer = side * edge, inner = side * (edge - 2.4);
    polygon(ctx, [[outer, 0], [outer, -4.2], [inner, -4.2], [inner, 0]], css(mix(TOP, WHITE, 0.35)));
  }
}

function slab(ctx, left, right, y, depth, color) {
  const bar = (top, bottom, grow, fill) => {
    ctx.fillStyle = css(fill);
    ctx.fillRect(left - grow, y + bottom, right - left + 2 * grow, top - bottom);
  };
  bar(0.35, -depth - 0.35, 0.35, INK);
  bar(0, -depth, 0, color);
  bar(0, -0.3 * depth, 0, mix(color, WHITE, 0.45));
}
