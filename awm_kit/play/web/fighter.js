// The fighters of draw_fighter.py: a fox-eared runner, or a caped swordsman. Drawn in game units, y upwards.

import { capsule, css, disc, mix, polygon, ring } from "./paint.js";
import { JOINT, skeleton } from "./skeleton.js";

const INK = [18, 20, 34], WHITE = [255, 255, 255], GREY = [150, 158, 176], STEEL = [226, 236, 246];
const SKIN = [240, 204, 172];
const RIM = 0.28, FULL_SHIELD = 60;
const HURT = new Set(["HIT", "TUMBLE", "GRABBED"]);

// From joint, to joint, radii, and which colour of the livery, back to front.
const RUNNER = [
  ["neck", "rear_elbow", 0.95, 0.8, "dark"], ["rear_elbow", "rear_hand", 0.8, 0.85, "dark"],
  ["hip", "rear_knee", 1.2, 0.95, "dark"], ["rear_knee", "rear_foot", 0.95, 1.05, "ink"],
  ["hip", "knee", 1.3, 1.0, "main"], ["knee", "foot", 1.0, 1.15, "dark"],
  ["hip", "neck", 1.45, 1.7, "accent"],
];
const SWORDSMAN = [
  ["neck", "rear_elbow", 0.9, 0.75, "dark"], ["rear_elbow", "rear_hand", 0.75, 0.8, "dark"],
  ["hip", "rear_knee", 1.15, 0.9, "dark"], ["rear_knee", "rear_foot", 0.9, 0.95, "ink"],
  ["hip", "knee", 1.2, 0.95, "light"], ["knee", "foot", 1.0, 1.1, "dark"],
  ["hip", "neck", 1.25, 1.75, "main"],
];
const ARM = [["neck", "elbow", 0.95, 0.8, "main"], ["elbow", "hand", 0.8, 0.85, "light"]];

/** What of a player's record and of the tables it takes to draw it. */
export function figureOf(player, index, tables) {
  const state = tables.states[player.action_state] ?? tables.states[14];
  const swordsman = tables.swordsmen.includes(player.character);
  return {
    ...player, index, swordsman,
    family: state.family,
    clip: tables.clips[player.on_ground ? state.ground : state.air],
    build: tables.builds[swordsman ? "swordsman" : "runner"],
    facing: player.facing < 0 ? -1 : 1,
  };
}

export function drawFighter(ctx, figure, tables) {
  if (figure.family === "DEAD") return;
  const livery = liveryOf(figure, tables);
  const body = bodyOf(figure);
  swingTrail(ctx, figure, livery, tables);
  if (figure.swordsman) cape(ctx, figure, body, livery);
  else tail(ctx, figure, body, livery);
  limbs(ctx, figure.swordsman ? SWORDSMAN : RUNNER, body, livery);
  (figure.swordsman ? swordsmanHead : runnerHead)(ctx, figure, body, livery, tables);
  limbs(ctx, ARM, body, livery);
  if (figure.swordsman) blade(ctx, body, tables.blade);
  if (figure.family === "SHIELD") shield(ctx, figure, tables);
}

/** A plain silhouette of where a fast fighter was a moment ago. */
export function drawAfterimage(ctx, figure, tables, alpha) {
  if (figure.family === "DEAD") return;
  const body = bodyOf(figure), color = css(tables.liveries[figure.index].accent);
  ctx.globalAlpha = alpha;
  for (const [a, b] of [...RUNNER, ...ARM]) capsule(ctx, body[JOINT[a]], body[JOINT[b]], 1, 1, color);
  disc(ctx, body[JOINT.head], 2.2, color);
  ctx.globalAlpha = 1;
}

function bodyOf(figure, age = figure.state_age) {
  const shiver = figure.hitlag ? 0.35 * (-1) ** figure.hitlag : 0;
  const points = skeleton(figure.clip, Math.max(age, 0), figure.build, figure.on_ground);
  return points.map(([x, y]) => [figure.x + shiver + x * figure.facing, figure.y + y]);
}

/** The player's colours; pale while it is hit, while it dodges and after it came back. */
function liveryOf({ index, hitlag, family, state_age: age }, tables) {
  let share = 0;
  if (hitlag && HURT.has(family)) share = hitlag % 2 ? 0.85 : 0.45;
  else if (family === "DODGE" && age > 3 && age < 20) share = 0.45;
  else if (family === "RESPAWN") share = 0.35 + 0.25 * Math.sin(age / 4);
  const livery = { ...tables.liveries[index], ink: INK };
  for (const name in livery) livery[name] = mix(livery[name], WHITE, share);
  return { ...livery, pale: share > 0 };
}

function limbs(ctx, parts, body, livery) {
  for (const [a, b, ra, rb] of parts) capsule(ctx, body[JOINT[a]], body[JOINT[b]], ra + RIM, rb + RIM, css(INK));
  for (const [a, b, ra, rb, color] of parts) capsule(ctx, body[JOINT[a]], body[JOINT[b]], ra, rb, css(livery[color]));
}

/** Draws in the head's own axes: forward, up. */
function inHead(ctx, figure, body, draw) {
  const [head, neck] = [body[JOINT.head], body[JOINT.neck]];
  ctx.save();
  ctx.translate(...head);
  ctx.rotate(Math.atan2(head[1] - neck[1], head[0] - neck[0]) - Math.PI / 2);
  ctx.scale(figure.facing, 1);
  draw();
  ctx.restore();
}

function runnerHead(ctx, figure, body, livery) {
  inHead(ctx, figure, body, () => {
    for (const [lean, inner] of [[-1.35, livery.dark], [0.35, livery.accent]]) {
      const tip = [lean - 0.75, 4.3];
      polygon(ctx, [[lean - 1.2, 0.9], [tip[0], tip[1] + 0.5], [lean + 1.5, 0.9]], css(INK));
      polygon(ctx, [[lean - 0.7, 0.9], tip, [lean + 1, 0.9]], css(inner));
    }
    disc(ctx, [0, 0], 2.3 + RIM, css(INK));
    capsule(ctx, [1.2, -0.6], [2.9, -0.9], 1.3 + RIM, 0.55 + RIM, css(INK));
    disc(ctx, [0, 0], 2.3, css(livery.main));
    capsule(ctx, [1.2, -0.6], [2.9, -0.9], 1.3, 0.55, css(livery.light));
    disc(ctx, [3.3, -0.6], 0.45, css(INK));
    disc(ctx, [1.05, 0.6], 0.72, css(WHITE), 0.85);
    disc(ctx, [1.3, 0.5], 0.4, css(INK));
  });
}

function swordsmanHead(ctx, figure, body, livery, tables) {
  inHead(ctx, figure, body, () => {
    disc(ctx, [0, 0], 2.15 + RIM, css(INK));
    polygon(ctx, tables.hair.map(([x, y]) => [x * 1.16, y * 1.16]), css(INK));
    disc(ctx, [0, 0], 2.15, css(mix(SKIN, WHITE, livery.pale ? 0.7 : 0)));
    polygon(ctx, tables.hair, css(livery.accent));
    polygon(ctx, [[-2.3, 0.9], [2.25, 0.9], [2.2, 1.5], [-2.2, 1.6]], css(livery.dark));
    disc(ctx, [1.25, -0.05], 0.5, css(INK), 0.7);
  });
}

function tail(ctx, { facing, state_age: age }, body, livery) {
  const sway = Math.sin(age / 9) * 0.5, [x, y] = body[JOINT.hip];
  const bend = [[0, 0], [-2.2, 0.2], [-4, 1.2 + sway], [-5.2, 3 + 1.5 * sway]];
  const points = bend.map(([dx, dy]) => [x + dx * facing, y + dy]);
  const radii = [[0.7, 1.1], [1.1, 1.25], [1.15, 0.35]];
  radii.forEach(([ra, rb], i) => capsule(ctx, points[i], points[i + 1], ra + RIM, rb + RIM, css(INK)));
  radii.forEach(([ra, rb], i) => {
    capsule(ctx, points[i], points[i + 1], ra, rb, css(i === 2 ? livery.light : livery.main));
  });
}

function cape(ctx, { facing, state_age: age }, body, livery) {
  const wave = Math.sin(age / 8) * 0.5, [x, y] = body[JOINT.neck];
  const edge = [[-0.9, 0.6], [1, 0.5], [2.6 + wave, -3.6], [4.6 + 1.6 * wave, -8], [2.2 + wave, -7.6], [0.4, -7]];
  const cloth = edge.map(([back, up]) => [x - back * facing, y + up]);
  const middle = [0, 1].map((k) => cloth.reduce((sum, point) => sum + point[k], 0) / cloth.length);
  polygon(ctx, cloth.map((point) => point.map((v, k) => middle[k] + (v - middle[k]) * 1.12)), css(INK));
  polygon(ctx, cloth, css(livery.dark));
}

function blade(ctx, body, length) {
  const hand = body[JOINT.hand], elbow = body[JOINT.elbow];
  let [x, y] = [hand[0] - elbow[0], hand[1] - elbow[1]];
  const reach = Math.max(Math.hypot(x, y), 1e-6);
  [x, y] = [x / reach, y / reach];
  // Held low it would stick into the ground: the wrist turns it outwards.
  if (y < -0.4) [x, y] = [x >= 0 ? 0.8 : -0.8, -0.6];
  const at = (along, across) => [hand[0] + x * along - y * across, hand[1] + y * along + x * across];
  const parts = [[at(0.8, 0), at(0.8 + length, 0), 0.42, 0.16, STEEL], [at(0.8, -1.1), at(0.8, 1.1), 0.3, 0.3, GREY]];
  for (const [a, b, ra, rb] of parts) capsule(ctx, a, b, ra + RIM, rb + RIM, css(INK));
  for (const [a, b, ra, rb, color] of parts) capsule(ctx, a, b, ra, rb, css(color));
}

/** A fading ribbon where the striking limb was in the last frames. */
function swingTrail(ctx, figure, livery, tables) {
  const { swing } = figure.clip, age = figure.state_age;
  if (!swing || age < 1) return;
  const end = JOINT[swing];
  const reach = figure.swordsman && swing === "hand" ? tables.blade / 2.6 : 0.35;
  const edges = [];
  for (let past = age; past > Math.max(age - 4, -1); past--) {
    const [tip, root] = [bodyOf(figure, past)[end], bodyOf(figure, past)[end - 1]];
    const along = (share) => tip.map((v, k) => root[k] + (v - root[k]) * share);
    edges.push([along(1 + reach), along(0.5)]);
  }
  const length = edges.slice(1).reduce((sum, [[x, y]], i) => {
    return sum + Math.abs(x - edges[i][0][0]) + Math.abs(y - edges[i][0][1]);
  }, 0);
  if (length < 2) return;
  for (let i = 0; i + 1 < edges.length; i++) {
    const shape = [edges[i][0], edges[i + 1][0], edges[i + 1][1], edges[i][1]];
    polygon(ctx, shape, css(mix(WHITE, livery.accent, i / 3), 0.55 - 0.15 * i));
  }
}

function shield(ctx, { x, y, shield: left, hitlag, index }, tables) {
  const radius = 2.5 + 7.5 * Math.min(left / FULL_SHIELD, 1), center = [x, y + 6.5];
  const { accent, light } = tables.liveries[index];
  const glow = ctx.createRadialGradient(...center, radius * 0.2, ...center, radius);
  glow.addColorStop(0, css(light, 0.15));
  glow.addColorStop(1, css(accent, 0.55));
  disc(ctx, center, radius, glow);
  ring(ctx, center, radius, 0.5, css(hitlag ? WHITE : light, 0.85));
  disc(ctx, [x - 0.35 * radius, y + 6.5 + 0.4 * radius], 0.18 * radius, css(WHITE, 0.5));
}
