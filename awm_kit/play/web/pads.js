// What people press: keys and gamepads to controllers, by the same rules as controllers.py.

const STICK_FULL = 80, STICK_WALK = 40, TRIGGER_FULL = 140, DEAD_ZONE = 0.2, DIAGONAL = 0.7;

/** The controller of somebody who holds a set of actions; opposite directions cancel. */
export function controllerOf(held, buttons) {
  const axis = (negative, positive) => Number(held.has(positive)) - Number(held.has(negative));
  const x = axis("left", "right"), y = axis("down", "up");
  let reach = held.has("walk") ? STICK_WALK : STICK_FULL;
  if (x && y) reach = Math.round(reach * DIAGONAL);
  let mask = 0;
  for (const [action, bit] of Object.entries(buttons)) if (held.has(action)) mask |= bit;
  return {
    stick: [x * reach, y * reach],
    cstick: [axis("c_left", "c_right") * STICK_FULL, axis("c_down", "c_up") * STICK_FULL],
    triggers: [0, held.has("shield") ? TRIGGER_FULL : 0],
    buttons: mask,
  };
}

export class Pads {
  /** tables: `keys` (solo and shared: code to [player, action]), `gamepad` (button to action), `buttons`. */
  constructor(target, tables) {
    this.tables = tables;
    this.shared = false;
    this.down = new Set();
    target.addEventListener("keydown", (event) => {
      if (!(event.code in this.keys) || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target instanceof HTMLSelectElement || event.target instanceof HTMLButtonElement) return;
      event.preventDefault(); // arrows and space would scroll
      this.down.add(event.code);
    });
    target.addEventListener("keyup", (event) => this.down.delete(event.code));
    target.addEventListener("blur", () => this.down.clear());
  }

  get keys() {
    return this.shared ? this.tables.keys.shared : this.tables.keys.solo;
  }

  /** What a player holds now. The first gamepad is player 1's, unless a friend plays: then the last is player 2's. */
  controller(player) {
    const held = new Set();
    for (const code of this.down) {
      const [owner, action] = this.keys[code] ?? [];
      if (owner === player) held.add(action);
    }
    const gamepad = this.gamepad(player);
    gamepad?.buttons.forEach((button, i) => { if (button.pressed) held.add(this.tables.gamepad[i]); });
    const pad = controllerOf(held, this.tables.buttons);
    return gamepad ? withAxes(pad, gamepad) : pad;
  }

  gamepad(player) {
    const found = [...(navigator.getGamepads?.() ?? [])].filter((pad) => pad?.connected);
    if (!this.shared) return player === 0 ? found[0] : undefined;
    return found.length === 1 ? (player === 1 ? found[0] : undefined) : found[player];
  }
}

function withAxes(pad, gamepad) {
  const [x, y, cx, cy] = Array.from({ length: 4 }, (_, i) => axisValue(gamepad.axes[i] ?? 0));
  const pull = (i) => Math.round((gamepad.buttons[i]?.value ?? 0) * TRIGGER_FULL);
  const larger = (a, b) => (Math.abs(b) > Math.abs(a) ? b : a);
  return {
    ...pad,
    stick: [larger(pad.stick[0], x), larger(pad.stick[1], -y)],
    cstick: [larger(pad.cstick[0], cx), larger(pad.cstick[1], -cy)],
    triggers: [larger(pad.triggers[0], pull(6)), larger(pad.triggers[1], pull(7))],
  };
}

function axisValue(value) {
  return Math.abs(value) < DEAD_ZONE ? 0 : Math.max(-STICK_FULL, Math.min(STICK_FULL, Math.round(value * STICK_FULL)));
}
