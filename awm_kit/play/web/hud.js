// What is written on the picture, as in draw_hud.py: damage, stocks, clock, names, messages.

import { clamp, css, disc, heat, polygon, write } from "./paint.js";

const INK = [18, 20, 34], WHITE = [255, 255, 255], PAPER = [244, 238, 222], GREY = [170, 178, 196];
const YELLOW = [240, 228, 66], VERMILLION = [213, 94, 0];
const FPS = 60, DECIDED = 1, TIMEOUT = 2;
const TAG_WIDTH = 26, TAG_HEIGHT = 18; // pixels of a player's tag
// Where a banner may stand, as shares of the height, best first, and how far it reaches from there.
const BANNER_AT = [0.24, 0.5, 0.7], BANNER_UP = 53, BANNER_DOWN = 27;

// picture: frame, figures, names, banner, note, place (game units to pixels), tables, width, height

/** Damage, stocks and names, behind the fighters: one who falls low must not vanish behind them. */
export function drawPanels(ctx, picture) {
  const { frame, note, width, height } = picture;
  frame.players.forEach((player, i) => panel(ctx, picture, player, i));
  if (note) write(ctx, note, width / 2, height - 7, 11, css(PAPER), "center");
}

/** Tags, arrows to those out of the picture, clock, frame count, and large print. */
export function drawCaptions(ctx, picture) {
  const { frame, names, banner, tables, place, width, height } = picture;
  const tags = tagPlaces(picture);
  for (const { index, head, at } of tags) tag(ctx, tables.liveries[index], index, head, at);
  clock(ctx, frame, width);
  const text = banner || resultOf(frame, names);
  const feet = frame.players.map(({ x, y }) => place(x, y)[1]);
  if (text) drawBanner(ctx, text, width, height, tags.map(({ index, at }) => [at[1] - TAG_HEIGHT, feet[index]]));
}

/** Large print where it hides as little as possible of `bodies`, the upper and lower ends of players and tags. */
export function drawBanner(ctx, text, width, height, bodies = []) {
  const hidden = (middle) => bodies.reduce((sum, [top, low]) =>
    sum + Math.max(0, Math.min(low, middle + BANNER_DOWN) - Math.max(top, middle - BANNER_UP)), 0);
  const places = BANNER_AT.map((share) => share * height), least = Math.min(...places.map(hidden));
  const middle = places.find((at) => hidden(at) === least), size = text.length < 30 ? 46 : 22;
  ctx.fillStyle = css(INK, 0.72);
  ctx.fillRect(0, middle - 50, width, 74);
  ctx.fillStyle = css(YELLOW, 0.9);
  ctx.fillRect(0, middle - 53, width, 3);
  ctx.fillRect(0, middle + 24, width, 3);
  write(ctx, text, width / 2, middle - 13 + size * 0.36, size, css(WHITE), "center");
}

/** What to announce of a frame: nothing while the match goes on. */
export function resultOf({ status, players }, names) {
  if (status !== DECIDED && status !== TIMEOUT) return "";
  const [a, b] = players.map((p) => p.stocks * 1e6 - p.percent);
  if (a === b) return "DRAW";
  return `${status === TIMEOUT ? "TIME!  " : ""}${names[a > b ? 0 : 1]} WINS`;
}

function panel(ctx, { names, tables, width: full, height: bottom }, player, index) {
  const livery = tables.liveries[index];
  const width = 210, height = 74, slant = 14;
  const x = full * (index ? 0.74 : 0.26) - width / 2, y = bottom - height - 22;
  polygon(ctx, [[x + slant, y], [x + width + slant, y], [x + width, y + height], [x, y + height]], css(INK, 0.78));
  polygon(ctx, [[x + slant, y], [x + slant + 9, y], [x + 9, y + height], [x, y + height]], css(livery.main));
  write(ctx, `${Math.floor(player.percent)}`, x + 132, y + 51, 46, css(heat(player.percent, tables.heat)), "right");
  write(ctx, "%", x + 136, y + 51, 22, css(heat(player.percent, tables.heat)));
  write(ctx, names[index], x + 22, y + height - 6, 14, css(livery.light));
  const state = tables.states[player.action_state]?.name ?? "";
  write(ctx, state, x + width - 8, y + height - 6, 10, css(GREY), "right", null);
  for (let k = 0; k < player.stocks; k++) {
    const center = [x + 172 + ((k % 4) - 1.5) * -15, y + 22 + 16 * Math.floor(k / 4)];
    disc(ctx, center, 7, css(INK));
    disc(ctx, center, 5.6, css(livery.accent));
    disc(ctx, [center[0] - 1.6, center[1] - 1.6], 1.8, css(WHITE, 0.8));
  }
}

const secondsOf = ({ frame, time_limit: limit }) => Math.floor((limit ? Math.max(limit - frame, 0) : frame) / FPS);

/** Minutes and seconds that are left, or that have passed where there is no limit. */
export function clockText(frame) {
  const seconds = secondsOf(frame);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

export function drawFrameCount(ctx, { frame }, width) {
  write(ctx, `frame ${frame}`, width - 14, 24, 13, css(PAPER), "right");
}

function clock(ctx, frame, width) {
  const urgent = frame.time_limit && secondsOf(frame) < 10;
  write(ctx, clockText(frame), width / 2, 42, 34, css(urgent ? VERMILLION : WHITE), "center");
  drawFrameCount(ctx, frame, width);
}

/** Over the heads of the living, and where their tags stand: in the picture, and not on each other. */
function tagPlaces({ frame, figures, place, width, height }) {
  const margin = 26, places = [];
  frame.players.forEach(({ x, y }, index) => {
    if (figures[index].family === "DEAD") return;
    const head = place(x, y + 18.5);
    const at = [clamp(head[0], margin, width - margin), clamp(head[1], margin + 30, height - 110)];
    places.push({ index, head, at });
  });
  if (places.length === 2) {
    const [left, right] = places.map(({ at }) => at).sort((a, b) => a[0] - b[0]);
    const overlap = TAG_WIDTH - (right[0] - left[0]);
    if (overlap > 0 && Math.abs(right[1] - left[1]) < TAG_HEIGHT) {
      left[0] -= overlap / 2;
      right[0] += overlap / 2;
    }
  }
  return places;
}

/** A tag above the head, or at the border, with an arrow, if the player is out of the picture. */
function tag(ctx, { main, light, accent }, index, head, at) {
  polygon(ctx, [[at[0], at[1] + 8], [at[0] - 6, at[1] - 1], [at[0] + 6, at[1] - 1]], css(main));
  write(ctx, `P${index + 1}`, at[0], at[1] - 4, 15, css(light), "center");
  const away = [head[0] - at[0], head[1] - at[1]], distance = Math.hypot(...away);
  if (distance > 24) {
    const [dx, dy] = away.map((v) => v / distance);
    const [rx, ry] = [at[0] + 16 * dx, at[1] + 16 * dy];
    polygon(ctx, [[rx + 14 * dx, ry + 14 * dy], [rx - 9 * dy, ry + 9 * dx], [rx + 9 * dy, ry - 9 * dx]], css(accent));
  }
}
